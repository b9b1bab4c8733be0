r"""The figure on all single-task algorithms: distance from optimal against the iteration, and MPO's dual.

Guaranteed, and drawn dashed:
- policy iteration: $\max V^* - V^{\pi_k} \le \gamma^k\max V^* - V^{\pi_0}$ (Puterman 1994, Theorem 6.4.2);
- a learned prior at a fixed temperature: the rate of claim `mpo-natural-rate`;
- a fixed prior p, soft policy iteration from $\pi_0 = p$: the soft values $V_k$ satisfy $V^*_s - V_k \le
  \gamma^k\max V^*_s - V_0$ with the best soft values $V^*_s$, as soft policy iteration improves on a step of
  soft value iteration. A KL divergence is at least 0 and at most log A for a uniform p, so that $V^{\pi_k} \ge
  V_k$, $V_0 = V^{\pi_0}$ and $V^* - \alpha\log A/(1 - \gamma) \le V^*_s \le V^*$. Together $\max V^* - V^{\pi_k}
  \le \alpha\log A/(1 - \gamma) + \gamma^k\max V^* - V^{\pi_0}$. The first term is the price of the prior.
"""

from typing import Any

import numpy as np

from verify.claims.mpo.natural import promised
from verify.claims.mpo.tools import plain_value
from verify.engine.plotdata import Curve, Figure, Panel
from virel_theory.checks import Array
from virel_theory.mdp.tabular import TabularMDP
from virel_theory.models.draw import garnet
from virel_theory.solvers.solve import solve
from virel_theory.variational.core.budget import dual_value
from virel_theory.variational.run import iterate

N_STATES, N_ACTIONS, GAMMA = 20, 3, 0.9
N_STEPS, N_DUALS = 40, 4
ALPHA, EPSILON, NOISE = 0.05, 0.1, 0.1
FLOOR = 1e-13
"""Distances below this are rounding."""
GROUPS: dict[str, dict[str, dict[str, Any]]] = {
    "Learned prior, KL budget": {
        "policy-iteration": {},
        "mpo": {"epsilon": EPSILON},
        "mpo-parametric": {"trust": EPSILON},
        "rerpi": {"epsilon": EPSILON, "trust": EPSILON},
        "vmpo": {"epsilon": EPSILON},
    },
    "Learned prior, fixed temperature": {
        "natural-policy-gradient": {"step": 1 / ALPHA},
        "iadp": {"alpha": ALPHA},
        "hdp": {"alpha": ALPHA},
    },
    "Fixed uniform prior": {
        "soft-policy-iteration": {"alpha": ALPHA},
        "virel": {"alpha": ALPHA},
        "beta": {"scale": 1 - GAMMA},
        "sql": {"alpha": ALPHA},
        "sac-iterative": {"alpha": ALPHA},
        "erpg": {"tau": ALPHA},
    },
    "Planning, and models that are wrong": {
        "smcp": {"alpha": ALPHA},
        "mb-sac": {"alpha": ALPHA, "noise": NOISE},
        "mb-iadp": {"alpha": ALPHA, "noise": NOISE},
        "mb-mpo": {"epsilon": EPSILON, "noise": NOISE},
    },
}
"""Panels of the figure: algorithms with the settings that are not their defaults."""


def figures(seed: int) -> list[Figure]:
    """The overview: four panels of distances from optimal, MPO's dual, MPO's temperature."""
    mdp = _unit_rewards(garnet(N_STATES, N_ACTIONS, 3, gamma=GAMMA, rng=np.random.default_rng(seed)))
    panels = [_distances(title, mdp, rows) for title, rows in GROUPS.items()]
    caption = (
        f"Garnet of {N_STATES} states and {N_ACTIONS} actions, rewards in [0, 1], gamma = {GAMMA}, seed {seed};"
        f" exact expectations. Fixed temperatures {ALPHA}, KL budgets {EPSILON} nats; models of mb-* lead"
        f" astray with probability {NOISE}. Dashed: guaranteed. Distances below {FLOOR:g} are rounding and drawn there."
    )
    return [Figure("mpo-em-overview", [*panels, _dual(mdp), _along(mdp)], caption)]


def _unit_rewards(mdp: TabularMDP) -> TabularMDP:
    """The MDP with its rewards scaled to [0, 1]."""
    reward = (mdp.reward - mdp.reward.min()) / np.ptp(mdp.reward)
    return TabularMDP(mdp.transition, reward, mdp.gamma)


def _distances(title: str, mdp: TabularMDP, rows: dict[str, dict[str, Any]]) -> Panel:
    """Panel of `max V* - V` of some algorithms, with the group's guarantee."""
    best, k = solve(mdp, atol=1e-12).value, np.arange(1.0, N_STEPS + 1)
    curves = [
        Curve(name, k, _loss(mdp, best, [x.policy for x in iterate(name, mdp, steps=N_STEPS, **settings)]))
        for name, settings in rows.items()
    ]
    start = float(_loss(mdp, best, [np.full(mdp.shape, 1 / N_ACTIONS)])[0])
    if "policy-iteration" in rows:
        curves.append(Curve("policy iteration: gamma^k", k, start * GAMMA**k, "predicted"))
    if "natural-policy-gradient" in rows:
        rate = np.array([promised(mdp, (1 - GAMMA) / ALPHA, int(t)) for t in k])
        curves.append(Curve("natural gradient: 1/k", k, rate, "predicted"))
    if "soft-policy-iteration" in rows:
        price = ALPHA * np.log(N_ACTIONS) / (1 - GAMMA)
        label = "soft policy iteration: price of the prior + gamma^k"
        curves.append(Curve(label, k, price + start * GAMMA**k, "predicted"))
    return Panel(title, "iteration k", "max V* - V", curves, yscale="log")


def _loss(mdp: TabularMDP, best: Array, policies: list[Array]) -> Array:
    return np.array([max(float((best - plain_value(mdp, pi)).max()), FLOOR) for pi in policies])


def _dual(mdp: TabularMDP) -> Panel:
    """Panel of MPO's dual above its minimum, at the temperature taken, in the first iterations."""
    d, prior = np.full(N_STATES, 1 / N_STATES), np.full(mdp.shape, 1 / N_ACTIONS)
    curves, low = [], []
    for x in iterate("mpo", mdp, steps=N_DUALS, epsilon=EPSILON):
        if x.temperature > 0:
            eta = np.geomspace(x.temperature / 20, 3 * x.temperature, 40)
            g = [dual_value(x.q, prior=prior, d=d, epsilon=EPSILON, eta=t) for t in (*eta, x.temperature)]
            curves.append(Curve(f"iteration {x.step}", eta, np.array(g[:-1]) - g[-1], "line"))
            low.append(x.temperature)
        prior = x.prior
    curves.append(Curve("temperature eta_k", np.array(low), np.zeros(len(low)), "points"))
    return Panel("MPO: dual of the E-step", "eta, reward units", "g(eta) - min g", curves, xscale="log")


def _along(mdp: TabularMDP) -> Panel:
    """Panel of temperature and KL divergence along MPO."""
    found = list(iterate("mpo", mdp, steps=12, epsilon=EPSILON))
    k = np.array([float(x.step) for x in found])
    curves = [
        Curve("temperature eta_k, reward units", k, np.array([x.temperature for x in found])),
        Curve("E_d KL(q_k || pi_{k-1}), nats", k, np.array([x.kl for x in found])),
        Curve("KL budget", k, np.full(len(k), EPSILON), "predicted"),
    ]
    return Panel("MPO: temperature and divergence", "iteration k", "reward units; nats", curves)
