"""Theorem 2 by (4) alone: the maximisers of L over a path that leads to omega*, at positive temperatures.

At eps_omega = 0 (4) has no value, and a convention there (`theorem_2.objective`) decides who the maximiser is. Here
Omega holds Q* + t u for t = 2^-4, ..., 2^-16 and further tables, all with eps > 0; the maximiser of (4) over Omega
and two policies is computed as it stands, and its Boltzmann policy must be optimal as t falls.

Bound:  Omega without Q* has a maximiser with eps > 0. Let q be a table, delta = ||q - Q*||, eps its temperature.
        pi_omega loses at most boltzmann_loss(eps) of q in every state, so at most boltzmann_loss(eps) + 2 delta of
        Q*, and V* - V^pi = (I - gamma P^pi)^-1 (max Q* - E_pi[Q*]) is at most that over 1 - gamma. For the path
        with ||u|| <= 1, delta <= t and eps <= ((1 + gamma) t)^2 / 2 under T*. The bound is that of the path's
        last member, whoever the maximiser is; the solve rounds.
Why:    L at the last member exceeds (E_d[Q*] - t)/eps >= 2^30 (E_{d pi}[Q*] >= 1), and on the other tables, with
        integers and residuals that are multiples of 1/32, max Q/eps + log A <= 8 * 2 * 1024 * |H| + 1.
"""

from collections.abc import Callable, Sequence

import numpy as np

from verify.claims.instances import boltzmann_loss, policy_values, solve_rounding
from verify.engine.verdict import Gap
from virel_theory.checks import Array
from virel_theory.mdp.tabular import TabularMDP
from virel_theory.objective.elbo import elbo
from virel_theory.operators.policies import boltzmann_policy

STEPS = (2.0**-4, 2.0**-8, 2.0**-16)
Temperature = Callable[[TabularMDP, Array], float]


def gap_along(temperature: Temperature, *, representable: bool = True) -> Callable[..., Gap]:
    """Gap of Theorem 2 by (4) alone: `V* - V^pi` of pi_omega at the maximiser of L over a path to omega*.

    It must be at most the bound of the path's last member. Without `representable`, Omega has no path.
    """

    def gap(
        *, mdp: TabularMDP, q_star: Array, others: Array, pi: Array, d: Array, perturb: float = 0.0
    ) -> Gap:
        towards = np.sign(others[0] - q_star)
        path = [q_star + t * towards for t in STEPS] if representable else []
        omegas = [q for q in (*path, *others) if temperature(mdp, q) > 0]
        thetas = [pi, np.full(mdp.shape, 1 / mdp.n_actions)]
        if not omegas or not np.any(towards):  # no member of Omega has a temperature above 0
            return Gap(perturb, 0.0)
        q, eps = maximiser(mdp, omegas, thetas, d, temperature, sign=1 - 2 * perturb)
        lost = float((q_star.max(axis=1) - policy_values(mdp, boltzmann_policy(q, eps=eps))).max())
        t = STEPS[-1]
        coldest = ((1 + mdp.gamma) * t) ** 2 / 2
        bound = (boltzmann_loss(mdp.n_actions, coldest) + 2 * t) / (1 - mdp.gamma)
        size = float(np.abs(q_star).max() + np.abs(mdp.reward).max())
        return Gap(lost, bound + solve_rounding(mdp, size))

    return gap


def maximiser(
    mdp: TabularMDP,
    omegas: Sequence[Array],
    thetas: Sequence[Array],
    d: Array,
    temperature: Temperature,
    *,
    sign: float = 1.0,
) -> tuple[Array, float]:
    """Table Q_omega and temperature of the pair (omega, theta) with the largest objective L of (4)."""
    pairs = [(q, pi, temperature(mdp, q)) for q in omegas for pi in thetas]
    values = [sign * elbo(q, pi_theta=pi, d=d, eps=eps) for q, pi, eps in pairs]
    q, _, eps = pairs[int(np.argmax(values))]
    return q, eps
