"""Claim on the deep agent's expected policy loss: its gradient is the E-step (25), its value Theorem 3's.

Both sides: `virel_deep.axes.losses.policy_loss` for every pair, weighted by d(s) pi_theta(a|s), with a
        policy that is log-linear in one-hot (or other) features. Autograd goes through the weights as well,
        which is what reparametrisation estimates where actions are continuous (claim `deep-tanh-gaussian`).
        Against `e_step_gradient`, `elbo` and `log_boltzmann_policy` of `virel_theory`.
Theorem 3:  the loss is alpha times the expected KL to the Boltzmann policy, minus alpha E_d[log-partition].
        It is least at theta = Q/alpha, where its gradient vanishes and its value is -alpha
        E_d[log-partition].
Bound:  rounding. Terms alpha log pi - Q of size at most M = 1 + 2 max|Q| + alpha (1 + max|log pi| + log A),
        each (8 + |log pi|) ulps (the logarithm's absolute error is that of the logits), in sums of at most
        |H| + N terms, N parameters; the logarithm of pi_theta is at most L in size: 64 (|H| + N + L + 16) u
        M. At theta = Q/alpha, alpha log pi is of size 2 max|Q| + alpha log A, and L = 2 max|Q|/alpha + log
        A multiplies weights pi <= exp(log pi), so |log pi| pi <= 1: the same bound with L = 1.
Teeth:  `perturb` doubles the temperature of the loss.
"""

import numpy as np
from scipy.special import logsumexp

from verify.claims.deep.tools import Tensor, gradient, largest, tensor
from verify.claims.residual_gradients.e_step_gaps import Policy, features, tabular_features
from verify.engine.claim import Check, Claim
from verify.engine.verdict import Gap, Verdict, worst
from verify.strategies import distributions, instances, mdps, q_tables, temperatures
from virel_theory.checks import Array, U
from virel_theory.gradients.em_steps import e_step_gradient, log_linear_policy, log_linear_score
from virel_theory.mdp.tabular import TabularMDP
from virel_theory.objective.elbo import elbo
from virel_theory.operators.policies import log_boltzmann_policy


def gap(
    *,
    mdp: TabularMDP,
    q: Array,
    tabular: Policy,
    policy: Policy,
    d: Array,
    alpha: float,
    perturb: float = 0.0,
) -> Gap:
    """Gap of the deep policy loss and its gradient: minus `-alpha L` and -(25), zero; also at the minimum."""
    best = (tabular[0], q[mdp.available] / alpha)
    return worst(
        _gap(mdp, q, tabular, d, alpha, perturb),
        _gap(mdp, q, policy, d, alpha, perturb),
        _gap_at_minimum(mdp, q, best, d, alpha, perturb),
    )


def _gap(mdp: TabularMDP, q: Array, policy: Policy, d: Array, alpha: float, perturb: float) -> Gap:
    """Gap of the deep policy loss at one policy: minus `-alpha L`, Theorem 3's value; its gradient + (25)."""
    value, slope = _deep_policy_loss(mdp, q, policy, d, alpha * (1 + perturb))
    pi = log_linear_policy(mdp, *policy)
    score = log_linear_score(mdp, policy[0], pi_theta=pi)
    e_step = e_step_gradient(mdp, q, pi_theta=pi, score=score, d=d, eps=alpha)
    log_pi = np.log(pi[mdp.available])
    log_ratio = log_pi - log_boltzmann_policy(q, eps=alpha)[mdp.available]
    kl = float(np.sum((d[:, None] * pi)[mdp.available] * log_ratio))
    bound = _bound(mdp, q, len(policy[1]), alpha, largest(log_pi))
    return worst(
        Gap(np.abs(slope + e_step).max(), bound),
        Gap(abs(value + alpha * elbo(q, pi_theta=pi, d=d, eps=alpha)), bound),
        Gap(abs(value - alpha * (kl - _log_partition(q, d, alpha))), bound),
    )


def _gap_at_minimum(mdp: TabularMDP, q: Array, policy: Policy, d: Array, alpha: float, perturb: float) -> Gap:
    """Gap of the deep policy loss at logits theta = Q/alpha: minus its exact minimum; its gradient minus 0.

    The minimum is `-alpha E_d[log-partition]`.
    """
    value, slope = _deep_policy_loss(mdp, q, policy, d, alpha * (1 + perturb))
    bound = _bound(mdp, q, len(policy[1]), alpha, 1.0)
    return worst(
        Gap(np.abs(slope).max(), bound),
        Gap(abs(value + alpha * _log_partition(q, d, alpha)), bound),
    )


def _deep_policy_loss(
    mdp: TabularMDP, q: Array, policy: Policy, d: Array, alpha: float
) -> tuple[float, Array]:
    """Deep policy loss `E_d[E_pi[loss]]` and its gradient in the logits theta, also through pi(a|s)."""
    from virel_deep.axes.losses import policy_loss  # noqa: PLC0415

    s, _ = np.nonzero(mdp.available)
    theta = tensor(policy[1]).requires_grad_()
    log_pi = _log_policy(mdp, tensor(policy[0]), theta)
    weight = tensor(d[s]) * log_pi.exp()
    loss = (weight * policy_loss(tensor(q[mdp.available]), log_pi, tensor(alpha)[:, None])).sum()
    return loss.item(), gradient(loss, theta)


def _log_policy(mdp: TabularMDP, x: Tensor, theta: Tensor) -> Tensor:
    """Log-probabilities `[1, |H|]` of a softmax policy, linear in its features `[1, S, A, N]`."""
    exists = tensor(mdp.available * 1.0).bool()
    logits = (x * theta[:, None, None]).sum(-1)
    log_pi: Tensor = logits.masked_fill(~exists, -np.inf).log_softmax(-1)
    return log_pi[exists][None]


def _log_partition(q: Array, d: Array, alpha: float) -> float:
    return float(d @ logsumexp(q / alpha, axis=1))


def _bound(mdp: TabularMDP, q: Array, n_parameters: int, alpha: float, largest_log: float) -> float:
    size = 1 + 2 * largest(q) + alpha * (1 + largest_log + np.log(mdp.n_actions))
    return float(64 * (mdp.n_pairs + n_parameters + largest_log + 16) * U * size)


CLAIMS = (
    Claim(
        id="deep-policy-loss",
        title="The deep agent's policy loss is the E-step and Theorem 3",
        source="virel_deep policy_loss: App. H (corrected), Eq. (25), Thm 3",
        statement=r"-\nabla_\theta E_{d(s)\,\pi_\theta}[\alpha\log\pi_\theta(a|s) - \hat Q_\omega(h)]"
        r" = E_{d(s)}\big[E_{\pi_\theta}[\hat Q_\omega(h)\nabla_\theta\log\pi_\theta(a|s)] + \alpha\nabla_\theta\mathcal H(\pi_\theta(a|s))\big],\quad"
        r" E_{d(s)\,\pi_\theta}[\alpha\log\pi_\theta(a|s) - \hat Q_\omega(h)] = \alpha E_{d(s)}\Big[KL(\pi_\theta\|\pi_\omega) - \log\sum_a e^{\hat Q_\omega(h)/\alpha}\Big]",
        check=Check(
            gap,
            instances(
                mdp=mdps(masked=True),
                q=q_tables,
                tabular=tabular_features,
                policy=features,
                d=distributions,
                alpha=temperatures(),
            ),
        ),
        expected=Verdict.HOLDS,
        deep=True,
    ),
)
