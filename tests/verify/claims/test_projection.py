"""The claims on (32), (34), (35): what their checks see, and the inequalities that their bounds rest on."""

from itertools import pairwise

import numpy as np
import pytest

from verify.claims.projection import tangent
from verify.claims.projection import two_timescales as two
from verify.engine.runner import run_check
from virel_theory.gradients.projection import omega_update, zeta_update
from virel_theory.mdp.tabular import TabularMDP
from virel_theory.operators.bellman import bellman_policy

CLAIMS = {claim.id: claim for claim in tangent.CLAIMS}
ORDER = CLAIMS["app-f1-two-timescales"]


def chain(b, gamma):
    """The means of a chain with one feature: all states go to the last one, with reward 1."""
    n = len(b)
    mdp = TabularMDP(np.tile(np.eye(n)[-1], (n, 1, 1)), np.ones((n, 1)), gamma)
    return two.means(mdp, np.reshape(b, (n, 1, 1)), np.ones((n, 1)))


def shift_hidden_from_the_ones(original):
    """The weights plus 5 times a vector that is G-orthogonal to (1, ..., 1), where there is one."""

    def moved(b_omega, q, *, mask):
        weights = original(b_omega, q, mask=mask)
        rows = b_omega.reshape(-1, b_omega.shape[2]) if mask is None else b_omega[mask]
        seen = rows.T @ rows @ np.ones(len(weights))
        hidden = np.zeros(len(weights))
        if len(weights) > 1:
            hidden[:2] = (seen[1], -seen[0]) if seen[:2].any() else (1, 0)
        return weights + 5 * hidden

    return moved


def test_eq_32_sees_weights_moved_where_the_direction_of_ones_is_blind(monkeypatch):
    monkeypatch.setattr(tangent, "tangent_weights", shift_hidden_from_the_ones(tangent.tangent_weights))
    outcome = run_check(CLAIMS["eq-32"].check, seed=0, shrink=False)
    assert not outcome.ok
    assert outcome.gap.error > 1


def test_the_other_order_stays_below_the_bound_that_the_printed_one_breaks():
    for x in ({"scale": s, "power": p} for s in (0.1, 0.05) for p in (0.55, 0.6)):
        assert two.envelope_ratio(two.one_state(slow_zeta=True, **x)) > 1.5
        assert two.envelope_ratio(two.one_state(slow_zeta=False, **x)) < 2500 ** -(x["scale"] / 2)


def test_the_projection_does_not_act_on_the_stretch_that_is_checked_and_would_keep_omega_in_a_smaller_set():
    path = two.one_state(slow_zeta=True, scale=0.1, power=0.55)
    assert path.max() < 10
    one, held = np.ones((1, 1)), np.empty(10**5)
    steps = two.Steps(1.0, 0.55, 0.1, 1.0, 1)
    two.residuals(two.Means(one, one, one[0]), steps, two.Ball(one[0], 0.5), held)
    assert held.max() <= 0.5 + 1e-15
    assert held[-30000:].max() > 0.45  # nor does it converge there


def test_the_printed_order_never_loses_the_energy_of_the_derivation():
    for s, p in ((0.1, 0.55), (0.2, 0.6)):  # s <= (1 - p) / 2
        x, z, energy = -1.0, 0.0, [1.0]
        for k in range(1, 20_001):
            x, z = x + k**-p * z, z - s / k * (x + z)
            energy.append(x**2 + (k + 1) ** (1 - p) / s * z**2)
        assert min(energy) >= 1
        assert min(b / a for a, b in pairwise(energy[10:])) >= 1 - 1e-15


def test_a_step_of_the_recursion_is_the_mean_of_the_librarys_updates():
    rng = np.random.default_rng(0)
    transition, pi = rng.dirichlet(np.ones(3), (3, 2)), rng.dirichlet(np.ones(2), 3)
    mdp = TabularMDP(transition, rng.normal(size=(3, 2)), 0.75)
    b, steps = rng.normal(size=(3, 2, 2)), two.Steps(0.5, 0.6, 0.3, 0.8, 2)
    omega, zeta, path = np.zeros(2), np.zeros(2), np.empty(4)
    two.residuals(two.means(mdp, b, pi), steps, two.Ball(np.zeros(2), 1e3), path)
    for k, found in enumerate(path):
        q, old, omega_next, zeta_next = b @ omega, zeta, np.zeros(2), np.zeros(2)
        beta = bellman_policy(mdp, q, pi=pi) - q
        for s, a in np.ndindex(3, 2):
            alpha, eta = 0.3 * (k + 2) ** -0.8, 0.5 * (k + 2) ** -0.6
            zeta_next += zeta_update(zeta, b_k=b[s, a], beta_k=beta[s, a], step_size=alpha) / 6
            for t, u in np.ndindex(3, 2):
                moved = omega_update(
                    omega, zeta_k=old, b_k=b[s, a], b_next=b[t, u], q_k=[0, 0], gamma=0.75, step_size=eta
                )
                omega_next += transition[s, a, t] * pi[t, u] * moved / 6
        omega, zeta = omega_next, zeta_next
        beta = bellman_policy(mdp, b @ omega, pi=pi) - b @ omega
        assert found == pytest.approx(np.linalg.norm(np.einsum("san,sa->n", b, beta) / 6), rel=1e-12)


@pytest.mark.parametrize("seed", range(5))
def test_v_falls_as_derived_also_where_the_projection_acts(seed):
    rng = np.random.default_rng(seed)
    n = int(rng.integers(1, 4))
    half, system, fixed = rng.normal(size=(n, n)), rng.normal(size=(n, n)), rng.normal(size=n)
    gram = half @ half.T + 0.1 * np.eye(n)
    x = two.spectrum(two.Means(gram, system, system @ fixed))
    alpha = 1 / x.high
    eta = alpha * x.low / (16 * x.top)
    ball = two.Ball(fixed + rng.normal(size=n), 0.0)
    ball = two.Ball(ball.centre, float(np.linalg.norm(fixed - ball.centre)) * 1.1)
    for _ in range(300):  # from any point of C and any zeta
        omega, zeta = ball.centre + rng.normal(size=n), 5 * rng.normal(size=n)
        two.project(omega, ball)
        before = value(omega, zeta, gram, system, fixed, x.top)
        error = system @ (fixed - omega) - gram @ zeta
        omega, zeta = omega + eta * system.T @ zeta, zeta + alpha * error
        two.project(omega, ball)
        after = value(omega, zeta, gram, system, fixed, x.top)
        assert after <= (1 - eta * x.mu) * before * (1 + 1e-12)


def value(omega, zeta, gram, system, fixed, top):
    """V of the derivation: u = G^(1/2) (zeta - zeta_omega) has |u|^2 = y^T G y."""
    y = zeta - np.linalg.solve(gram, system @ (fixed - omega))
    return (omega - fixed) @ (omega - fixed) + y @ gram @ y / top


def test_the_steps_start_where_the_derivation_may():
    x = two.spectrum(chain([1.0, 2.0], 0.95))
    m = two.first_index(x, power=0.55)
    k = np.arange(1000) + m
    eta, alpha = two.RATE / x.mu / k, k**-0.55 / x.high
    assert (eta <= alpha * x.low / (16 * x.top)).all()
    assert np.prod(1 - eta * x.mu) <= (1 + 1000 / m) ** -two.RATE


def test_the_auditors_chain_has_a_regular_gram_matrix_and_no_td_fixed_point():
    mean = chain([1.0, 2.0], 5 / 6)
    assert mean.gram.item() == 2.5
    assert mean.moment.item() == 1.5
    assert mean.system.item() == pytest.approx(0, abs=1e-15)  # E[b beta] = 3/2 for every omega


def test_a_matrix_that_is_not_positive_definite_is_enough_and_a_singular_one_is_not():
    assert chain([1.0, 2.0], 0.95).system.item() < 0
    for _, instance in ORDER.correction.check.named():
        assert ORDER.correction.check.gap(**instance).ok
    (regular,) = (a for a in ORDER.assumptions if a.without is not None)
    outcome = run_check(regular.without, seed=0)
    assert not outcome.ok
    assert outcome.gap.error == pytest.approx(4 / 3)


def test_the_drawn_instances_have_several_weights_and_a_bound_below_half_of_the_start():
    seen = []

    def gap(*, perturb, **instance):
        found = tangent.gap_order(**instance, perturb=perturb)
        start = np.linalg.norm(two.means(instance["mdp"], instance["b"], instance["pi"]).moment)
        seen.append((instance["b"].shape[2], found.bound, start))
        return found

    check = ORDER.correction.check
    assert run_check(type(check)(gap, check.instances, n_random=100), seed=0).ok
    assert sum(n > 1 for n, _, _ in seen) >= 20
    assert all(bound <= start / 2 for _, bound, start in seen)
