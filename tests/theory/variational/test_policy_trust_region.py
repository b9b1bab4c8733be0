"""Best policy on a budget of divergence from the old one: worked numbers, optimality, limits, bad input."""

import mpmath
import numpy as np
import pytest

from virel_common.errors import InputError
from virel_theory.operators.policies import kl_divergence
from virel_theory.variational.parts.policy_trust_region import policy_trust_region

HALF = np.array([[0.5, 0.5]])


def test_the_hand_worked_policy():
    # pi = (a, 1 - a) with KL(half || pi) = -log(4 a (1 - a)) / 2: for a = 3/4 that is log(4/3) / 2;
    # stationarity lambda (1/2) (1/(1 - a) - 1/a) = Q_0 - Q_1 = 1 gives lambda = 3/4
    found = policy_trust_region([[1.0, 0.0]], prior=HALF, d=[1.0], epsilon=np.log(4 / 3) / 2)
    np.testing.assert_allclose(found.policy, [[0.75, 0.25]], rtol=1e-12)
    assert found.multiplier == pytest.approx(0.75, rel=1e-12)


def random_case(seed):
    rng = np.random.default_rng(seed)
    shape = rng.integers(1, 6), rng.integers(2, 5)
    q = rng.normal(size=shape) * 10 ** rng.uniform(-4, 4)
    return rng, q, rng.dirichlet(np.ones(shape[1]), size=shape[0]), rng.dirichlet(np.ones(shape[0]))


@pytest.mark.parametrize("seed", range(20))
def test_the_budget_is_met_and_one_multiplier_makes_every_state_stationary(seed):
    rng, q, prior, d = random_case(seed)
    epsilon = 10 ** rng.uniform(-3, 0)
    found = policy_trust_region(q, prior=prior, d=d, epsilon=epsilon)
    assert d @ kl_divergence(prior, found.policy) == pytest.approx(epsilon, rel=1e-10)
    nu = q + found.multiplier * prior / found.policy
    np.testing.assert_allclose(nu, nu[:, :1].repeat(q.shape[1], 1), rtol=1e-9, atol=1e-9 * np.abs(q).max())
    assert (nu > q.max(axis=1, keepdims=True)).all()


@pytest.mark.parametrize("seed", range(20))
def test_no_other_policy_on_the_budget_is_better(seed):
    rng, q, prior, d = random_case(seed)
    best = policy_trust_region(q, prior=prior, d=d, epsilon=0.05).policy
    for _ in range(200):
        other = 0.7 * prior + 0.3 * rng.dirichlet(np.ones(q.shape[1]), size=len(q))
        other = best + rng.uniform(0, 0.3) * (other - best)
        if d @ kl_divergence(prior, other) <= 0.05:
            assert d @ (other * q).sum(axis=1) <= d @ (best * q).sum(axis=1) + 1e-12 * np.abs(q).max()


def test_values_far_apart_and_a_large_budget_underflow_to_the_best_actions():
    prior = np.array([[1 - 1e-6, 1e-6]])
    found = policy_trust_region([[1.0, 0.0]], prior=prior, d=[1.0], epsilon=1.0)
    assert found.multiplier == 0.0 or found.multiplier < 1e-300
    assert found.policy.tolist() == [[1.0, 0.0]]


def test_equal_values_in_every_visited_state_leave_the_visited_states_alone():
    q = [[1.0, 1.0], [1.0, 0.0]]
    found = policy_trust_region(q, prior=[[0.25, 0.75], [0.5, 0.5]], d=[1.0, 0.0], epsilon=0.1)
    assert found.multiplier == 0.0
    assert found.policy.tolist() == [[0.25, 0.75], [1.0, 0.0]]


def test_a_state_without_weight_gets_the_policy_of_the_same_multiplier():
    q = [[1.0, 0.0], [1.0, 0.0]]
    found = policy_trust_region(q, prior=[[0.5, 0.5], [0.5, 0.5]], d=[1.0, 0.0], epsilon=0.1)
    np.testing.assert_allclose(found.policy[0], found.policy[1], rtol=1e-14)


@pytest.mark.parametrize("scale", [1e-9, 1.0, 1e9, 1e100])
@pytest.mark.parametrize("epsilon", [1e-14, 1e-12, 1e-9, 1e-6, 1e-3])
def test_the_budget_is_met_where_the_last_digit_of_the_multiplier_is_worth_more_than_it(scale, epsilon):
    """Nearly all mass is on the worse action; with x on the best one, gap / lambda is 1 / (1 - x) - p / x."""
    p = [1.0, 1e-25]
    found = policy_trust_region([[0.0, scale]], prior=[p], d=[1.0], epsilon=epsilon)
    with mpmath.workdps(60):
        old, new = ([mpmath.mpf(float(x)) for x in row] for row in (p, found.policy[0]))
        kl = mpmath.fsum(
            a / sum(old) * mpmath.log(a / sum(old) * sum(new) / b) for a, b in zip(old, new, strict=True)
        )
        # 1e-13, and the rounding of probabilities near 1 and of the divergence: some ulps over root epsilon
        assert abs(kl / epsilon - 1) <= 1e-13 + 16 * 2.0**-53 / epsilon**0.5
    assert found.multiplier == pytest.approx(
        scale / (1 / (1 - epsilon) - 1e-25 / epsilon), rel=epsilon + 1e-12
    )


def test_missing_and_excluded_actions_stay_at_zero():
    q = [[1.0, -np.inf, 5.0, 0.0]]
    found = policy_trust_region(q, prior=[[0.5, 0.0, 0.0, 0.5]], d=[1.0], epsilon=np.log(4 / 3) / 2)
    np.testing.assert_allclose(found.policy, [[0.75, 0.0, 0.0, 0.25]], rtol=1e-12)


@pytest.mark.parametrize("scale", [1e-300, 1e300])
def test_the_multiplier_scales_with_the_values(scale):
    one = policy_trust_region([[1.0, 0.0, 0.5]], prior=[[0.25, 0.5, 0.25]], d=[1.0], epsilon=0.1)
    other = policy_trust_region([[scale, 0.0, 0.5 * scale]], prior=[[0.25, 0.5, 0.25]], d=[1.0], epsilon=0.1)
    np.testing.assert_allclose(other.policy, one.policy, rtol=1e-10)
    assert other.multiplier / scale == pytest.approx(one.multiplier, rel=1e-10)


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ({"epsilon": 0.0}, "`epsilon` must be positive"),
        ({"epsilon": np.inf}, "`epsilon` must be positive"),
        ({"prior": [[0.5, 0.6]]}, "`prior` must sum to 1"),
        ({"d": [0.5]}, "`d` must sum to 1"),
        ({"q": [[np.nan, 0.0]]}, "`q` must be finite"),
    ],
)
def test_bad_input_is_named(bad, message):
    settings = {"q": [[1.0, 0.0]], "prior": HALF, "d": [1.0], "epsilon": 0.1} | bad
    with pytest.raises(InputError, match=message):
        policy_trust_region(settings.pop("q"), **settings)


def test_values_at_the_end_of_the_range_are_those_of_another_unit():
    q, rest = np.array([[1.5, -1.5], [0.5, 1.0]]), {"d": [0.5, 0.5], "prior": [[0.5, 0.5], [0.25, 0.75]]}
    one, far = (policy_trust_region(q * x, epsilon=0.5, **rest) for x in (1.0, 2.0**1023))
    np.testing.assert_allclose(far.policy, one.policy, rtol=1e-12)
    assert far.multiplier / 2.0**1000 == pytest.approx(one.multiplier * 2.0**23, rel=1e-12)
    assert policy_trust_region(q * 2.0**1023, epsilon=1e-9, **rest).multiplier == np.inf
