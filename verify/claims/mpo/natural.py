r"""Claims on MPO at a fixed temperature: it is natural policy gradient on softmax logits, with its global rate.

Both sides: the iterates of the library's `mpo`, against a step $\theta + cF^+\nabla V$ computed from the
        definitions: the gradient of $\sum_s V^{\pi_\theta}(s)/|S|$ in the logits by complex steps through the linear
        system, F from visits and scores, $F^+$ by a singular value decomposition. For the rate, Howard's policy
        iteration gives V*.
Bound:  rounding. Let B = 1 + max|r| and k the quotient of the largest and the smallest entry of rho pi, the
        scale of F's spectrum up to the factor A: the pseudo-inverse amplifies the rounding of the gradient,
        `tools.rounding`/(1 - gamma), by k A (1/min(rho pi)) at most; times c it is an error of the new logits.
        n = S A entries add up: 16 n^2 k A c `rounding` / (min(rho pi) (1 - gamma)). Instances keep
        min(rho pi) above 1e-4. For the rate: `tools.rounding` of both values. The rate is an upper bound that
        small MDPs don't come near: there steps of half the length meet it too. In a bandit with one good action
        of A, reward 1 against 0, the loss after steps of c times the length is (A - 1)/(A - 1 + e^(c eta T)).
        The named instance, A = 64, eta = 0.1, T = 64, is promised 0.665, which that exceeds for c < 0.54. No
        eta and T show a larger c than max_x x (A - 1)/((A - 1 + e^x) log A) of such a bandit, 0.56 for A = 64;
        it tends to 1 only with log A. So lengths between half and the whole can't be told apart by the rate.
Teeth:  `perturb` doubles the step; turns the sign of the promised rate.
"""

from itertools import islice
from typing import Any

import numpy as np
from hypothesis import strategies as st

from verify.claims.instances import choices
from verify.claims.mpo.tools import STEP, action_value, plain_value, rounding, solve
from verify.engine.claim import Assumption, Check, Claim, NoProof
from verify.engine.plotdata import Curve, Figure, Panel
from verify.engine.verdict import Gap, Verdict
from verify.strategies import instances, mdps, policies
from virel_theory.checks import Array
from virel_theory.mdp.tabular import TabularMDP
from virel_theory.models.draw import garnet
from virel_theory.variational.algorithms.mpo import mpo
from virel_theory.variational.algorithms.natural import natural_policy_gradient

N_STEPS = 2


def natural_gap(*, mdp: TabularMDP, pi: Array, eta: float, perturb: float = 0.0) -> Gap:
    """Gap of MPO at fixed eta against natural gradient: policies after each step, zero."""
    error = bound = 0.0
    for x in islice(mpo(mdp, eta=eta, prior=pi), N_STEPS):
        step = (1 + perturb) / eta
        found, room = _natural_step(mdp, pi, step)
        error, bound = max(error, float(np.abs(x.policy - found).max())), max(bound, room)
        pi = x.policy
    return Gap(error, bound)


def rate_gap(*, mdp: TabularMDP, eta: float, last: int = 8, perturb: float = 0.0) -> Gap:
    r"""Gap of the rate of natural policy gradient: V* - V^(T) minus its bound, at most 0 for T = 1, 2, 4, ..., last.

    The step size of Agarwal et al. is `eta`: the temperature of MPO is (1 - gamma)/eta.
    """
    best, horizons = optimal_values(mdp), [2**k for k in range(last.bit_length())]
    steps = islice(natural_policy_gradient(mdp, step=eta / (1 - mdp.gamma)), last)
    policies_ = [x.policy for x in steps]
    excess = [
        (best - plain_value(mdp, policies_[t - 1])).max() - (1 - 2 * perturb) * promised(mdp, eta, t)
        for t in horizons
    ]
    size = 1 + float(np.abs(mdp.reward).max())
    return Gap(max(excess), rounding(mdp, size))


def promised(mdp: TabularMDP, eta: float, t: int) -> float:
    r"""Bound on V* - V^(T) for rewards in [0, 1]: $\log|A|/(\eta T) + 1/((1-\gamma)^2 T)$."""
    return float(np.log(mdp.n_actions) / (eta * t) + 1 / ((1 - mdp.gamma) ** 2 * t))


def _natural_step(mdp: TabularMDP, pi: Array, step: float) -> tuple[Array, float]:
    """Policy after one natural gradient step from `pi`, and the bound on its rounding."""
    n, exists = pi.size, mdp.available.ravel()
    visits = solve_transposed(mdp, pi)
    score = np.zeros((mdp.n_states, mdp.n_actions, n))
    for s in range(mdp.n_states):
        block = slice(s * mdp.n_actions, (s + 1) * mdp.n_actions)
        score[s, :, block] = np.eye(mdp.n_actions) - pi[s]
    weights = visits[:, None] * pi
    fisher = np.einsum("sa,sai,saj->ij", weights, score, score)[np.ix_(exists, exists)]
    gradient = np.array([_slope(mdp, pi, i) for i in map(int, np.flatnonzero(exists))])
    direction = np.zeros(n)
    direction[exists] = np.linalg.pinv(fisher, hermitian=True, rcond=1e-12) @ gradient
    logits = np.log(np.where(pi > 0, pi, 1)) + step * direction.reshape(pi.shape)
    weight = np.where(mdp.available, np.exp(logits - logits.max(axis=1, keepdims=True)), 0)
    least = float(weights[mdp.available].min())
    ratio = float(weights.max()) / least * mdp.n_actions / least
    size = 1 + float(np.abs(mdp.reward).max())
    room = 16 * n**2 * ratio * step * rounding(mdp, size) / (1 - mdp.gamma)
    return weight / weight.sum(axis=1, keepdims=True), room


def solve_transposed(mdp: TabularMDP, pi: Array) -> Array:
    """Discounted visits of a policy from the uniform start, not normalised, `[S]`."""
    p_pi = np.einsum("sa,sat->st", pi, mdp.dense_transition)
    start = np.full(mdp.n_states, 1 / mdp.n_states)
    return np.asarray(np.linalg.solve(np.eye(mdp.n_states) - mdp.gamma * p_pi.T, start))


def _slope(mdp: TabularMDP, pi: Array, i: int) -> float:
    """Derivative of the mean of V^pi over states in the logit number i, by a complex step."""
    factor = np.ones(pi.size, dtype=complex)
    factor[i] = np.exp(1j * STEP)
    moved = pi * factor.reshape(pi.shape)
    moved = moved / moved.sum(axis=1, keepdims=True)
    return float(plain_value(mdp, moved).mean().imag / STEP)


def optimal_values(mdp: TabularMDP) -> Array:
    """Values V*, `[S]`, by policy iteration until no action is better by more than 1e-9."""
    chosen = mdp.available.argmax(axis=1)
    while True:
        v = solve(mdp, np.eye(mdp.n_actions)[chosen], mdp.reward[np.arange(mdp.n_states), chosen])
        q = np.where(mdp.available, action_value(mdp, v), -np.inf)
        better = q.max(axis=1) > v + 1e-9
        if not better.any():
            return np.asarray(v)
        chosen = np.where(better, q.argmax(axis=1), chosen)


def many_actions() -> list[tuple[str, dict[str, Any]]]:
    """One good action of 64, with reward 1 against 0, for 64 small steps: there the rate is nearly attained."""
    mdp = TabularMDP(np.ones((1, 64, 1)), np.eye(64)[:1], 0.0)
    return [("64 actions, one of them good", {"mdp": mdp, "eta": 0.1, "last": 64})]


def large_rewards() -> list[tuple[str, dict[str, Any]]]:
    """Rewards up to 1000: a sure 500 now against a state that is worth 1000, but 0 under the uniform policy."""
    to, reward = np.eye(3), np.array([[500.0, 0.0], [1000.0, -1000.0], [0.0, 0.0]])
    mdp = TabularMDP(to[[[2, 1], [2, 2], [2, 2]]], reward, 0.9)
    return [("rewards up to 1000", {"mdp": mdp, "eta": 10.0})]


def figures(seed: int) -> list[Figure]:
    """Distance from optimal against the number of steps, for three step sizes, with the promised rate."""
    mdp = garnet(20, 4, 3, gamma=0.9, rng=np.random.default_rng(seed))
    mdp = TabularMDP(mdp.transition, (mdp.reward - mdp.reward.min()) / np.ptp(mdp.reward), 0.9)
    best, t = optimal_values(mdp), np.arange(1.0, 201.0)
    curves = []
    for eta in (0.01, 0.1, 1.0):
        steps = islice(mpo(mdp, eta=0.1 / eta), len(t))
        loss = np.array([(best - plain_value(mdp, x.policy)).max() for x in steps])
        curves.append(Curve(f"eta = {eta:g}", t, np.maximum(loss, 1e-14)))
        curves.append(Curve(f"promised, eta = {eta:g}", t, promised(mdp, eta, 1) / t, "predicted"))
    panel = Panel(
        "MPO at a fixed temperature (1 - gamma)/eta", "iterations T", "max V* - V", curves, "log", "log"
    )
    return [Figure("mpo-natural-rate", [panel], f"Garnet of 20 states and 4 actions, seed {seed}.")]


_GAMMAS = st.sampled_from((0.5, 0.75, 0.0, 0.9))
_SMALL = choices(max_states=3, max_actions=2, gammas=st.sampled_from((0.5, 0.75, 0.0)), masked=True)
_UNIT = st.integers(0, 4).map(lambda k: k / 4)
_BOUNDED = mdps(max_states=3, gammas=_GAMMAS, rewards=_UNIT)
_CHOICES = choices(max_states=3, gammas=_GAMMAS, rewards=_UNIT)
_RATES = st.sampled_from((1.0, 0.1, 10.0))

CLAIMS = (
    Claim(
        id="mpo-natural",
        title="MPO at a fixed temperature is natural policy gradient",
        source="ours; Kakade 2001, Agarwal et al. 2021, Lemma 5.1",
        statement=r"\pi_{k+1} \propto \pi_k e^{Q^{\pi_k}/\eta} \text{ is the policy of } \theta_{k+1} = \theta_k +"
        r" \tfrac1\eta F(\theta_k)^+\nabla_\theta E_{s\sim\mu}[V^{\pi_k}(s)],\quad \pi_k \propto e^{\theta_k},"
        r"\ F = \sum_s\rho_\mu(s)E_{\pi_k}[\nabla\log\pi_k\nabla\log\pi_k^T]",
        check=Check(
            natural_gap, instances(mdp=_SMALL, pi=policies, eta=st.sampled_from((20.0, 10.0, 50.0))), 100
        ),
        expected=Verdict.HOLDS,
        printed=False,
        not_certified=NoProof("a pseudo-inverse, and iterates that are exponentials of exponentials"),
    ),
    Claim(
        id="mpo-natural-rate",
        title="global rate of MPO at a fixed temperature",
        source="Agarwal et al. 2021, arXiv 1908.00261, Theorem 5.3",
        statement=r"V^{(T)}(\rho) \ge V^\star(\rho) - \frac{\log|A|}{\eta T} - \frac{1}{(1-\gamma)^2T}",
        reading=r"With rewards in $[0,1]$ and $\theta^{(0)} = 0$; MPO's temperature is $(1-\gamma)/\eta$.",
        check=Check(rate_gap, instances(mdp=_CHOICES, eta=_RATES), 50, named=many_actions),
        expected=Verdict.HOLDS,
        assumptions=(
            Assumption(
                "rewards in [0, 1]",
                "r(s, a) in [0, 1]",
                without=Check(rate_gap, instances(mdp=_BOUNDED, eta=_RATES), n_random=0, named=large_rewards),
            ),
        ),
        figures=figures,
        not_certified=NoProof("iterates that are exponentials of exponentials"),
    ),
)
