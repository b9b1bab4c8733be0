"""KL budgets: closed forms, 50-digit arithmetic, the dual by differences, budgets that do not bind."""

import math

import mpmath
import numpy as np
import pytest

from virel_common.errors import InputError
from virel_theory.variational.core import kernels
from virel_theory.variational.core.budget import budget_temperature, dual_value, tempered_posterior
from virel_theory.variational.core.e_step import expected_kl


def _precise(q, prior, d, eta):
    """Mean KL divergence of the tempered posterior, and the log-mean, in 50 digits."""
    with mpmath.workdps(50):
        eta, kl, log_mean = mpmath.mpf(eta), mpmath.mpf(0), mpmath.mpf(0)
        for row, p, w in zip(q, prior, d, strict=True):
            mass = [
                mpmath.mpf(x) * mpmath.exp(mpmath.mpf(y) / eta) for x, y in zip(p, row, strict=True) if x > 0
            ]
            base, values = mpmath.fsum(map(mpmath.mpf, p)), [y for x, y in zip(p, row, strict=True) if x > 0]
            z = mpmath.fsum(mass) / base
            mean = mpmath.fsum(m * mpmath.mpf(y) for m, y in zip(mass, values, strict=True)) / mpmath.fsum(
                mass
            )
            kl += mpmath.mpf(w) * (mean / eta - mpmath.log(z))
            log_mean += mpmath.mpf(w) * mpmath.log(z)
        return float(kl), float(log_mean)


def _instance(seed, *, spread=3):
    rng = np.random.default_rng(seed)
    size = int(rng.integers(1, 6)), int(rng.integers(2, 5))
    q = rng.normal(size=size) * 10 ** rng.uniform(-spread, spread)
    return rng, q, rng.dirichlet(np.full(size[1], 0.5), size=size[0]), rng.dirichlet(np.ones(size[0]))


@pytest.mark.parametrize("seed", range(40))
def test_the_budget_is_met_to_thirteen_digits_from_tiny_to_large(seed):
    rng, q, prior, d = _instance(seed)
    epsilon = 10 ** rng.uniform(-12, 0)
    found = budget_temperature(q, prior=prior, d=d, epsilon=epsilon)
    if found.eta == 0:
        greedy = tempered_posterior(q, prior=prior, eta=0.0)
        assert epsilon >= expected_kl(greedy, prior, d=d) * (1 - 1e-13)
        assert found.kl == pytest.approx(expected_kl(greedy, prior, d=d), rel=1e-12)
    else:
        assert _precise(q, prior, d, found.eta)[0] == pytest.approx(epsilon, rel=1e-13)
        assert found.kl == pytest.approx(epsilon, rel=1e-13)
        assert found.n_evaluations <= 25


@pytest.mark.parametrize("seed", range(40))
def test_divergence_and_log_mean_of_both_branches_have_their_digits(seed):
    rng, q, prior, d = _instance(seed)
    eta = float(np.ptp(q, axis=1).max()) * 10 ** rng.uniform(-2, 6)
    kl, value = kernels.mean_kl(q, prior, d, eta)
    wanted = _precise(q, prior, d, eta)
    size = 1 + np.abs(q).max() / eta
    assert kl == pytest.approx(wanted[0], rel=1e-13, abs=1e-300)
    assert value / eta == pytest.approx(wanted[1], abs=1e-14 * size)


def test_parallel_and_serial_sums_agree():
    rng = np.random.default_rng(0)
    q, prior = rng.normal(size=(60_000, 4)), rng.dirichlet(np.ones(4), size=60_000)
    d = np.full(60_000, 1 / 60_000)
    whole = kernels.mean_kl(q, prior, d, 0.5)
    halves = [
        kernels.mean_kl(q[part], prior[part], d[part], 0.5) for part in (slice(30_000), slice(30_000, None))
    ]
    np.testing.assert_allclose(whole, np.sum(halves, axis=0), rtol=1e-12)


def test_the_dual_is_least_at_the_temperature_of_the_budget():
    _, q, prior, d = _instance(1, spread=0)
    eta = budget_temperature(q, prior=prior, d=d, epsilon=0.05).eta
    least = dual_value(q, prior=prior, d=d, epsilon=0.05, eta=eta)
    h = 1e-4 * eta
    left, right = (dual_value(q, prior=prior, d=d, epsilon=0.05, eta=eta + x) for x in (-h, h))
    assert min(left, right) > least
    assert (right - left) / (2 * h) == pytest.approx(0, abs=1e-7)


def test_a_budget_beyond_the_greedy_policy_gives_temperature_zero():
    q, prior = [[1.0, 1.0, 0.0]], [[0.25, 0.25, 0.5]]
    found = budget_temperature(q, prior=prior, d=[1.0], epsilon=math.log(2))
    assert found.eta == 0
    assert found.kl == pytest.approx(math.log(2), rel=1e-15)
    just = budget_temperature(q, prior=prior, d=[1.0], epsilon=math.log(2) * (1 - 1e-9))
    assert 0 < just.eta < 0.1


def test_equal_values_never_use_the_budget():
    assert budget_temperature([[2.0, 2.0]], prior=[[0.5, 0.5]], d=[1.0], epsilon=1e-9).eta == 0


def test_states_without_weight_and_actions_without_prior_do_not_count():
    q, prior = [[1.0, 0.0, 5.0], [100.0, 0.0, -np.inf]], [[0.5, 0.5, 0.0], [0.5, 0.5, 0.0]]
    alone = budget_temperature([[1.0, 0.0]], prior=[[0.5, 0.5]], d=[1.0], epsilon=0.1)
    assert budget_temperature(q, prior=prior, d=[1.0, 0.0], epsilon=0.1).eta == pytest.approx(
        alone.eta, rel=1e-13
    )


def test_the_unit_of_rewards_does_not_matter():
    _, q, prior, d = _instance(2, spread=0)
    eta = budget_temperature(q, prior=prior, d=d, epsilon=0.05).eta
    for unit in (2.0**-300, 2.0**300):
        assert budget_temperature(q * unit, prior=prior, d=d, epsilon=0.05).eta / unit == pytest.approx(
            eta, rel=1e-13
        )


@pytest.mark.parametrize("epsilon", [0.0, -1.0, np.inf, np.nan])
def test_a_budget_that_is_no_divergence_is_refused(epsilon):
    with pytest.raises(InputError, match="`epsilon` must be positive and finite"):
        budget_temperature([[1.0, 0.0]], prior=[[0.5, 0.5]], d=[1.0], epsilon=epsilon)


def test_a_budget_between_two_plateaus_of_the_divergence_binds():
    # KL is flat where eta is far above one gap, 0.001, and far below the other, 1.5.
    q, prior = [[1.0, 0.9990267734186309, -0.5150545125099052]], [[0.19, 0.5, 0.31]]
    found = budget_temperature(q, prior=prior, d=[1.0], epsilon=0.449)
    assert 1e-4 < found.eta < 1e-2
    assert found.kl == pytest.approx(0.449, rel=1e-10)


@pytest.mark.parametrize("ratio", [1e2, 1e4, 1e6])
def test_budgets_bind_whatever_the_scales_of_the_states(ratio):
    # log KL has a slope of at most 750 in log eta, whose own rounding and that of the root's tolerance are
    # below 4 x 2.2e-16 x 40 each: 5.4e-11 together.
    rng = np.random.default_rng(0)
    bound = 0
    for _ in range(300):
        q = rng.standard_normal((2, 3)) * np.array([[1.0], [ratio]])
        prior, d = rng.dirichlet(np.ones(3), 2), rng.dirichlet(np.ones(2))
        greedy = expected_kl(tempered_posterior(q, prior=prior, eta=0.0), prior, d=d)
        epsilon = greedy * rng.uniform(0.05, 1.2)
        found = budget_temperature(q, prior=prior, d=d, epsilon=epsilon)
        if epsilon < greedy * (1 - 1e-9):
            assert found.eta > 0
            assert found.kl == pytest.approx(epsilon, rel=1e-10)
            bound += 1
        elif epsilon > greedy * (1 + 1e-9):
            assert found.eta == 0
    assert bound > 100


def test_rows_that_sum_to_less_than_one_do_not_make_tied_values_spend_anything():
    prior = [[0.4194667198316404, 0.35721953265691503, 0.2233137475114445]]  # 1 less an ulp
    for q in ([[0.0, 0.0, 0.0]], [[1e10, 1e10, 1e10]]):
        found = budget_temperature(q, prior=prior, d=[1.0], epsilon=1e-30)
        assert (found.eta, found.kl) == (0.0, 0.0)


@pytest.mark.parametrize("seed", range(60))
def test_small_budgets_are_met_where_the_best_actions_are_rare(seed):
    # The condition number of KL is 2 + R/eta at most; log eta and the values over eta add some ulps each.
    rng = np.random.default_rng(seed)
    prior = 10.0 ** -rng.uniform(0, rng.choice([1, 20, 100, 300]), size=(1, 3))
    prior /= prior.sum()
    q = rng.normal(size=(1, 3)) * 10.0 ** rng.uniform(-6, 0, size=3)
    epsilon = 10 ** rng.uniform(-14, -1)
    found = budget_temperature(q, prior=prior, d=[1.0], epsilon=epsilon)
    if found.eta > 0:
        size = 1 + float(np.ptp(q)) / found.eta
        assert found.kl == pytest.approx(epsilon, rel=1e-13 * size)
        assert found.kl == pytest.approx(_precise(q, prior, [1.0], found.eta)[0], rel=1e-13 * size)
    else:
        assert found.kl <= epsilon


def test_states_of_any_two_scales_share_one_budget():
    half = [[0.5, 0.5], [0.5, 0.5]]
    found = budget_temperature([[1e160, 0.0], [1e-160, 0.0]], prior=half, d=[0.5, 0.5], epsilon=0.5)
    assert found.kl == pytest.approx(0.5, rel=1e-12)
    assert found.kl == pytest.approx(
        math.log(2) / 2 + _precise([[1e-160, 0.0]], half[:1], [0.5], found.eta)[0], rel=1e-12
    )


def test_values_at_the_end_of_the_range_are_those_of_another_unit():
    q, prior, d = np.array([[1.5, -1.5, -np.inf]]), [[0.5, 0.5, 0.0]], [1.0]
    one, far = (budget_temperature(q * x, prior=prior, d=d, epsilon=0.5) for x in (1.0, 2.0**1023))
    assert far.eta / 2.0**1000 == pytest.approx(one.eta * 2.0**23, rel=1e-13)
    assert dual_value(q * 2.0**1023, prior=prior, d=d, epsilon=0.5, eta=2.0**1020) == pytest.approx(
        dual_value(q, prior=prior, d=d, epsilon=0.5, eta=0.125) * 2.0**1023, rel=1e-14
    )


def test_budgets_whose_temperature_is_out_of_range():
    half = {"prior": [[0.5, 0.5]], "d": [1.0]}
    with pytest.raises(InputError, match="`epsilon` must be so large that a temperature in the range"):
        budget_temperature([[1e308, -1e308]], epsilon=1e-3, **half)
    found = budget_temperature([[1e-307, 0.0]], epsilon=math.log(2) * (1 - 1e-12), **half)
    assert found.eta == pytest.approx(np.finfo(float).tiny, rel=1e-12)
    assert 0 < found.kl < math.log(2) * (1 - 1e-12)


def test_the_dual_at_the_lowest_temperatures_is_the_best_value():
    for eta, top in ((1e-300, 1e10), (5e-324, 1.7e308)):
        value = dual_value([[top, -top]], prior=[[0.5, 0.5]], d=[1.0], epsilon=0.1, eta=eta)
        assert value == pytest.approx(top, rel=4e-16)
