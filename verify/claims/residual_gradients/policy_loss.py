"""Claims on App. H: do the gradients of J_virel and J_beta, as printed, follow the E-step (25)?

J_beta is J_virel with alpha = eps_omega (1 - gamma) / r_avg, so one constant `alpha` stands for both.
Tabular softmax, theta = logits; states from d(s). The printed mean is over h_t from the replay; the actions of a
replay have any law, and (25) has those of pi_theta, so that actions are drawn from pi_theta here. There are two
readings of "the derivative"; the printed form has to match (25) under one of them:
* score: the actions are held fixed, the gradient acts on log pi alone: E[grad log pi (alpha - A)], A = Q
  - V. So for a replay that holds the actions of pi_theta;
* full: the gradient acts on the sampled actions too (what reparametrisation estimates): grad of sum_a pi
  log pi (alpha - A).

Both sides: the readings from their sums over actions, here; (25) from `e_step_gradient` of
        `virel_theory.gradients.em_steps`.
Bound:  rounding. At most A products per state of size M = (1 + max|q| + alpha)(1 + max|log pi|)^2: 64 (|H|
        + 8) u M, u = 2.2e-16.
Teeth:  `perturb` adds to the gradient.
"""

import numpy as np

from verify.claims import recorded
from verify.engine.claim import Check, Claim, Correction
from verify.engine.verdict import Gap, Verdict, Weight
from verify.strategies import distributions, instances, mdps, policies, q_tables, temperatures
from virel_theory.checks import Array, U
from virel_theory.gradients.em_steps import e_step_gradient
from virel_theory.mdp.tabular import TabularMDP


def gap_printed(
    *, mdp: TabularMDP, q: Array, pi_theta: Array, d: Array, eps: float, perturb: float = 0.0
) -> Gap:
    """Gap of App. H as printed: negated policy-loss gradient minus (25), the smaller of two readings."""
    advantage = q - (pi_theta * q).sum(axis=1, keepdims=True)
    weight = eps - advantage
    score = _descend(pi_theta, d, weight)
    full = _descend(pi_theta, d, weight * (np.log(pi_theta) + 1))
    target = _e_step(mdp, q, pi_theta, d, eps)
    errors = [float(np.abs(reading + perturb - target).max()) for reading in (score, full)]
    return Gap(min(errors), _bound(mdp, q, pi_theta, eps))


def gap_corrected(
    *, mdp: TabularMDP, q: Array, pi_theta: Array, d: Array, eps: float, perturb: float = 0.0
) -> Gap:
    """Gap of App. H corrected: negated gradient of `E_d[sum_a pi (alpha log pi - (Q - V))]` minus (25), zero.

    V is held fixed.
    """
    advantage = q - (pi_theta * q).sum(axis=1, keepdims=True)
    gradient = _descend(pi_theta, d, eps * (np.log(pi_theta) + 1) - advantage)
    target = _e_step(mdp, q, pi_theta, d, eps)
    return Gap(np.abs(gradient + perturb - target).max(), _bound(mdp, q, pi_theta, eps))


def _descend(pi: Array, d: Array, slope: Array) -> Array:
    """Negated gradient in a softmax policy's logits of `E_d[sum_a f(pi(a))]`, where `slope` = f'(pi).

    It is -d(s) pi(a) (slope(a) - E_pi[slope]).
    """
    out: Array = -d[:, None] * pi * (slope - (pi * slope).sum(axis=1, keepdims=True))
    return out


def _e_step(mdp: TabularMDP, q: Array, pi_theta: Array, d: Array, eps: float) -> Array:
    """E-step gradient (25) of a tabular softmax policy in its logits.

    d log pi(a|s) / d theta(s', b) = 1{s = s'} (1{a = b} - pi(b|s)).
    """
    n_states, n_actions = mdp.shape
    score = np.zeros((n_states, n_actions, n_states, n_actions))
    for s in range(n_states):
        score[s, :, s, :] = np.eye(n_actions) - pi_theta[s]
    flat = score.reshape(n_states, n_actions, -1)
    out: Array = e_step_gradient(mdp, q, pi_theta=pi_theta, score=flat, d=d, eps=eps).reshape(mdp.shape)
    return out


def _bound(mdp: TabularMDP, q: Array, pi_theta: Array, eps: float) -> float:
    size = (1 + np.abs(q).max() + eps) * (1 + np.abs(np.log(pi_theta)).max()) ** 2
    return float(64 * (mdp.n_pairs + 8) * U * size)


_INSTANCES = instances(
    mdp=mdps(max_states=3), q=q_tables, pi_theta=policies, d=distributions, eps=temperatures()
)

CLAIMS = (
    Claim(
        id="app-h-policy-loss",
        title="the printed policy losses follow the E-step",
        source="App. H, J_virel and J_beta",
        statement=r"J_{virel}(\theta) = E_{h_t\sim D}[\log\pi_\theta(a_t|s_t)(\alpha - (Q_\omega(h_t) - V_{\bar\phi}(s_t)))]",
        reading=r"Its negated gradient at actions of $\pi_\theta$, held fixed or differentiated through, is the E-step's gradient (25) with"
        r" $\varepsilon_{\omega_k} = \alpha$. $J_{beta}$ is the same with $\alpha = \varepsilon_\omega(1-\gamma)/r_{avg}$.",
        check=Check(
            gap_printed, _INSTANCES, recorded=recorded.R_WITH_Q | {"pi_theta": recorded.table(1 / 3, 2 / 3)}
        ),
        expected=Verdict.REFUTED,
        weight=Weight.MISPRINT,
        correction=Correction(
            statement=r"J(\theta) = E_{s\sim D,\,a\sim\pi_\theta}\big[\alpha\log\pi_\theta(a|s) - (Q_\omega(h) - V_{\bar\phi}(s))\big]",
            derivation=r"With actions of $\pi_\theta$ held fixed the constant drops out, $E_{\pi_\theta}[\nabla\log\pi_\theta]\,\alpha = 0$, and no entropy gradient is left "
            r"(older actions of a replay do not follow $\pi_\theta$: the constant stays, and is no entropy gradient either). "
            r"Differentiating through the sampled actions gives $\nabla\sum_a\pi\log\pi\,(\alpha - A)$, whose critic term carries $1 + \log\pi$ in place of 1. "
            r"The corrected loss has $-\nabla J = E[Q\nabla\log\pi] - \alpha\nabla\sum_a\pi\log\pi$, which is (25) with $\varepsilon_{\omega_k} = \alpha$ "
            r"(for J_beta, $\alpha = \varepsilon_\omega(1-\gamma)/r_{avg}$). One state, two actions, $Q = (1, 0)$, $\pi = (1/3, 2/3)$, $\alpha = 1$: the first logit's gradient is 0.376 by (25), 0.222 and 0.183 by the two readings.",
            check=Check(gap_corrected, _INSTANCES),
        ),
    ),
)
