"""Figure of Theorem 3: L and the expected KL divergence along a path of policies through pi_omega."""

from collections.abc import Sequence

import numpy as np
from scipy.special import logsumexp

from verify.engine.plotdata import Curve, Figure, Panel
from virel_theory.checks import Array
from virel_theory.objective.elbo import elbo
from virel_theory.operators.policies import boltzmann_policy, kl_divergence

SHAPE, EPS = (4, 3), 1.0


def figures(seed: int) -> Sequence[Figure]:
    """Figure of L and the expected KL along a path of policies (left), and against each other (right).

    On the right also for random policies.
    """
    rng = np.random.default_rng(seed)
    q, d = rng.normal(size=SHAPE), rng.dirichlet(np.full(SHAPE[0], 2.0))
    constant = float(d @ logsumexp(q / EPS, axis=1))
    t = np.linspace(-1.0, 4.0, 101)
    objective, divergence = _along([boltzmann_policy(q * power, eps=EPS) for power in t], q, d)
    path = [
        Curve("L(omega, theta)", t, objective),
        Curve("E_d[KL(pi_theta || pi_omega)]", t, divergence),
        Curve("constant: E_d[log sum exp(Q/eps)]", t, np.full_like(t, constant), "predicted"),
        Curve("constant - E_d[KL]: the corrected form", t, constant - divergence, "predicted"),
    ]
    others = _along(list(rng.dirichlet(np.ones(SHAPE[1]), size=(40, SHAPE[0]))), q, d)
    line = np.array([0.0, max(divergence.max(), others[1].max())])
    plane = [
        Curve("policies of the path", divergence, objective, "line"),
        Curve("40 random policies", others[1], others[0], "points"),
        Curve("slope -1 from (0, constant)", line, constant - line, "predicted"),
    ]
    panels = [
        Panel(
            "L touches its constant where the KL touches 0", "t: pi_theta = pi_omega^t / norm", "nats", path
        ),
        Panel("one line holds all policies", "E_d[KL(pi_theta || pi_omega)]", "L(omega, theta)", plane),
    ]
    caption = (
        f"Same optimiser, different optimal values: max L = {constant:.3f}, min KL = 0, so the printed equality fails. "
        f"Q standard normal, S = {SHAPE[0]}, A = {SHAPE[1]}, eps = {EPS:g}, seed {seed}."
    )
    return [Figure("theorem-3-touching", panels, caption)]


def _along(policies: Sequence[Array], q: Array, d: Array) -> tuple[Array, Array]:
    """Objective L and divergence `E_d[KL(pi_theta || pi_omega)]` of each policy pi_theta on a path."""
    pi_omega = boltzmann_policy(q, eps=EPS)
    objective = [elbo(q, pi_theta=pi, d=d, eps=EPS) for pi in policies]
    return np.array(objective), np.array([d @ kl_divergence(pi, pi_omega) for pi in policies])
