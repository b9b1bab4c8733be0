"""Top share, V-MPO's E- and M-step, weights by rank: hand-worked numbers, naive forms, ties, bad input."""

import numpy as np
import pytest

from virel_common.errors import InputError
from virel_theory.operators.policies import kl_divergence
from virel_theory.variational.parts.joint_fit import joint_m_step
from virel_theory.variational.parts.rank_weights import rank_posterior
from virel_theory.variational.parts.top_share import (
    top_share,
    top_share_dual,
    top_share_posterior,
    top_share_temperature,
)

ADVANTAGE = np.array([[3.0, 1.0, -np.inf], [1.0, 0.0, -2.0]])
MASS = np.array([[0.125, 0.25, 0.0], [0.25, 0.25, 0.125]])


@pytest.mark.parametrize(
    ("keep", "expected"),
    [
        (1.0, [[1, 1, 0], [1, 1, 1]]),
        (0.0625, [[0.5, 0, 0], [0, 0, 0]]),
        (0.125, [[1, 0, 0], [0, 0, 0]]),
        (0.375, [[1, 0.5, 0], [0.5, 0, 0]]),  # the tied pairs share one fraction
        (0.625, [[1, 1, 0], [1, 0, 0]]),
        (0.75, [[1, 1, 0], [1, 0.5, 0]]),
    ],
)
def test_the_hand_worked_fractions(keep, expected):
    assert top_share(ADVANTAGE, mass=MASS, keep=keep).tolist() == expected


def test_the_kept_mass_is_the_share_and_falls_with_the_advantage():
    rng = np.random.default_rng(0)
    for _ in range(200):
        a, keep = rng.integers(-2, 3, size=(3, 3)).astype(float), float(rng.uniform(0.01, 1))
        p = rng.dirichlet(np.ones(9)).reshape(3, 3) * (rng.random((3, 3)) < 0.8)
        p /= p.sum()
        f = top_share(a, mass=p, keep=keep)
        assert (p * f).sum() == pytest.approx(keep, abs=1e-12)
        on = p > 0
        order = np.argsort(a[on])
        assert (np.diff(f[on][order]) >= 0).all()
        assert all(len(set(f[on & (a == x)])) <= 1 for x in set(a[on]))
        assert (f[~on] == 0).all()


def test_pairs_within_the_tolerance_share_a_fraction():
    a, p = [[1.0, 1.0 - 1e-9], [1.0 + 1e-9, 0.0]], np.full((2, 2), 0.25)
    assert top_share(a, mass=p, keep=0.375).tolist() == [[0.5, 0.0], [1.0, 0.0]]
    np.testing.assert_allclose(
        top_share(a, mass=p, keep=0.375, tie_tol=1e-8), [[0.5, 0.5], [0.5, 0.0]], rtol=1e-15
    )


def test_a_share_that_is_reached_but_for_rounding_leaves_nothing_of_the_next_pair():
    p = np.array([[0.1, 0.2, 0.3, 0.4]])  # 0.1 + 0.2 + 0.3 is above 0.6 in float64, 0.3 - 0.1 - 0.2 below 0
    assert top_share([[3.0, 2.0, 1.0, 0.0]], mass=p, keep=0.6)[0, 3] == 0.0
    assert top_share([[3.0, 2.0, 1.0, 0.0]], mass=p, keep=0.3)[0, 2] == 0.0


def test_the_posterior_weighs_kept_mass_by_the_exponential_of_the_advantage():
    f = top_share(ADVANTAGE, mass=MASS, keep=0.75)
    weight = MASS * f * np.exp(ADVANTAGE / 0.5)
    psi = top_share_posterior(ADVANTAGE, mass=MASS, keep=0.75, eta=0.5)
    np.testing.assert_allclose(psi, weight / weight.sum(), rtol=1e-14)


def test_the_limit_of_temperature_zero_is_the_kept_mass_of_the_best_pairs():
    a = np.array([[1.0, 0.0], [1.0, -1.0]])
    psi = top_share_posterior(a, mass=[[0.125, 0.375], [0.375, 0.125]], keep=0.9, eta=0.0)
    np.testing.assert_allclose(psi, [[0.25, 0.0], [0.75, 0.0]], rtol=1e-15)


def test_the_temperature_minimises_the_dual_and_spends_the_budget():
    setting = {"mass": MASS, "keep": 0.875}
    eta = top_share_temperature(ADVANTAGE, epsilon=0.2, **setting)
    dual = [top_share_dual(ADVANTAGE, epsilon=0.2, eta=e, **setting) for e in (0.99 * eta, eta, 1.01 * eta)]
    assert dual[1] < min(dual[0], dual[2])
    psi = top_share_posterior(ADVANTAGE, eta=eta, **setting)
    kept = MASS * top_share(ADVANTAGE, **setting)
    assert kl_divergence(psi.ravel(), kept.ravel() / kept.sum()) == pytest.approx(0.2, rel=1e-12)


def test_the_dual_by_its_definition():
    kept = MASS * top_share(ADVANTAGE, mass=MASS, keep=0.5)
    expected = 2 * 0.3 + 2 * np.log((kept * np.exp(ADVANTAGE / 2)).sum() / kept.sum())
    assert top_share_dual(ADVANTAGE, mass=MASS, keep=0.5, epsilon=0.3, eta=2.0) == pytest.approx(
        expected, rel=1e-14
    )


def test_a_budget_that_does_not_bind_gives_temperature_zero():
    assert top_share_temperature(ADVANTAGE, mass=MASS, keep=0.5, epsilon=5.0) == 0.0


def _objective(pi, psi):
    on = psi > 0
    return float(np.sum(psi[on] * np.log(pi[on])))


def test_the_m_step_meets_the_bound_and_no_policy_in_the_region_fits_better():
    rng = np.random.default_rng(1)
    old, d = rng.dirichlet(np.ones(3), size=2), np.array([0.25, 0.75])
    psi = rng.dirichlet(np.ones(6)).reshape(2, 3)
    new = joint_m_step(psi, policy=old, d=d, trust=0.05)
    assert d @ kl_divergence(old, new) == pytest.approx(0.05, abs=1e-12)
    for _ in range(200):
        other = rng.dirichlet(30 * new[0]), rng.dirichlet(30 * new[1])
        if d @ kl_divergence(old, np.array(other)) <= 0.05:
            assert _objective(np.array(other), psi) <= _objective(new, psi)


def test_the_hand_worked_m_step():
    # KL(half || (1 + l/2, l/2)/(1 + l)) = log((1 + l)/ sqrt((2 + l) l)); at l = 2 it is log(3/sqrt 8)
    new = joint_m_step([[1.0, 0.0]], policy=[[0.5, 0.5]], d=[1.0], trust=float(np.log(3 / np.sqrt(8))))
    np.testing.assert_allclose(new, [[2 / 3, 1 / 3]], rtol=1e-12)


def test_states_without_kept_mass_keep_their_policy():
    old = np.array([[0.25, 0.75], [0.5, 0.5], [0.1, 0.9]])
    psi = np.array([[0.5, 0.5], [0.0, 0.0], [0.0, 0.0]])
    for trust in (None, 0.01):
        new = joint_m_step(psi, policy=old, d=[0.5, 0.5, 0.0], trust=trust)
        np.testing.assert_allclose(new[1:], old[1:], rtol=1e-15)


def test_a_wide_trust_region_is_the_complete_m_step():
    psi = np.array([[0.75, 0.25]])
    assert joint_m_step(psi, policy=[[0.5, 0.5]], d=[1.0], trust=1.0).tolist() == psi.tolist()


@pytest.mark.parametrize("trust", [1e-9, 1e-3, 3.0, 20.0])
def test_the_bound_is_met_over_many_scales(trust):
    old = np.array([[0.5, 0.5], [0.9, 0.1]])
    new = joint_m_step([[1.0, 0.0], [0.0, 0.0]], policy=old, d=[0.9, 0.1], trust=trust)
    assert np.array([0.9, 0.1]) @ kl_divergence(old, new) == pytest.approx(trust, rel=1e-6, abs=1e-14)


@pytest.mark.parametrize("trust", [100.0, 170.0, 182.0, 184.0, 185.0, 200.0, 1e12])
def test_a_wide_bound_is_never_exceeded_and_states_without_mass_keep_their_policy(trust):
    """From 178 nats on the products lambda d p are subnormal; from 186 on no number spends the bound."""
    old, d = np.array([[0.5, 0.5], [0.3, 0.7]]), np.array([0.5, 0.5])
    new = joint_m_step([[1.0, 0.0], [0.0, 0.0]], policy=old, d=d, trust=trust)
    np.testing.assert_allclose(new[1], old[1], rtol=1e-15)
    spent = d @ kl_divergence(old, new)
    assert spent <= trust + 1e-12
    assert spent >= min(trust - 0.01, 185.7)


def test_weights_by_rank_by_hand():
    # N = 4: ln(4.5/i); ranks 2 and 3 are tied; the missing action has none
    w = np.log(4.5 / np.arange(1, 5))
    tied = (w[1] + w[2]) / 2
    expected = np.array([w[0] * 0.1, tied * 0.2, w[3] * 0.3, tied * 0.4, 0.0])
    q = [[5.0, 1.0, 0.0, 1.0, -np.inf]]
    np.testing.assert_allclose(
        rank_posterior(q, prior=[[0.1, 0.2, 0.3, 0.4, 0.0]]), [expected / expected.sum()], rtol=1e-14
    )


def test_ranks_of_states_with_different_numbers_of_actions_do_not_mix():
    q = np.array([[1.0, 2.0, 3.0], [2.0, -np.inf, 1.0], [-np.inf, 7.0, -np.inf]])
    prior = np.array([[0.2, 0.3, 0.5], [0.5, 0.0, 0.5], [0.0, 1.0, 0.0]])
    found = rank_posterior(q, prior=prior)
    first = np.log(3.5 / np.array([3, 2, 1])) * prior[0]
    second = np.log(2.5 / np.array([1, 2])) * 0.5
    np.testing.assert_allclose(found[0], first / first.sum(), rtol=1e-14)
    np.testing.assert_allclose(found[1, [0, 2]], second / second.sum(), rtol=1e-14)
    assert found[2].tolist() == [0.0, 1.0, 0.0]


def test_neighbours_within_the_tolerance_are_tied_also_in_chains():
    found = rank_posterior([[2e-9, 1e-9, 0.0, -1.0]], prior=[[0.25] * 4], tie_tol=1.5e-9)
    assert found[0, 0] == found[0, 1] == found[0, 2] > found[0, 3]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: top_share(ADVANTAGE, mass=MASS, keep=0.0), r"`keep` must lie in \(0, 1\]; found 0.0"),
        (lambda: top_share(ADVANTAGE, mass=MASS, keep=1.5), "`keep` must lie"),
        (lambda: top_share(ADVANTAGE, mass=2 * MASS, keep=0.5), "`mass` must sum to 1"),
        (lambda: top_share(ADVANTAGE, mass=MASS[:1], keep=0.5), r"`mass` must have shape \[2, 3\]"),
        (lambda: top_share(ADVANTAGE, mass=-MASS, keep=0.5), "`mass` must be non-negative"),
        (lambda: top_share(ADVANTAGE, mass=np.full((2, 3), 1 / 6), keep=0.5), "`mass` must be 0 where"),
        (lambda: top_share(ADVANTAGE, mass=MASS, keep=0.5, tie_tol=-1.0), "`tie_tol` must be non-negative"),
        (
            lambda: top_share_dual(ADVANTAGE, mass=MASS, keep=0.5, epsilon=0.1, eta=0.0),
            "`eta` must be positive",
        ),
        (
            lambda: top_share_temperature(ADVANTAGE, mass=MASS, keep=0.5, epsilon=0.0),
            "`epsilon` must be positive",
        ),
        (lambda: top_share_posterior(ADVANTAGE, mass=MASS, keep=0.5, eta=-1.0), "`eta` must be"),
        (
            lambda: joint_m_step([[0.5, 0.5]], policy=[[1.0, 0.0]], d=[1.0], trust=None),
            "`psi` must be 0 where",
        ),
        (lambda: joint_m_step([[0.5, 0.0]], policy=[[0.5, 0.5]], d=[1.0], trust=None), "`psi` must sum to 1"),
        (
            lambda: joint_m_step([[1.0, 0.0]], policy=[[0.5, 0.5]], d=[1.0], trust=0.0),
            "`trust` must be positive",
        ),
        (
            lambda: joint_m_step([[1.0], [0.0]], policy=[[1.0], [1.0]], d=[0.0, 1.0], trust=0.1),
            "`d` must be positive",
        ),
        (lambda: rank_posterior([[1.0, 0.0]], prior=[[0.5, 0.6]]), "`prior` must sum to 1"),
        (lambda: rank_posterior([[1.0, 0.0]], prior=[[0.5, 0.5]], tie_tol=-1.0), "`tie_tol` must be"),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(InputError, match=message):
        call()


def test_all_pairs_are_kept_however_little_mass_they_have():
    mass = [[1 - 3e-16, 1e-16], [2e-16, 0.0]]
    assert top_share([[3.0, -5.0], [0.0, 1.0]], mass=mass, keep=1.0).tolist() == [[1.0, 1.0], [1.0, 0.0]]
