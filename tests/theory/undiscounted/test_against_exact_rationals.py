"""Objectives without a discount against every policy of small MDPs, in rationals: no bound may be off."""

from collections import Counter
from fractions import Fraction

import numpy as np
import pytest

from tests.support import exact_undiscounted as exact
from virel_common.errors import InputError
from virel_theory import average_reward, finite_horizon, reachability, shortest_path
from virel_theory.undiscounted import graph, kernels, quotient, rounding, transient
from virel_theory.undiscounted import reachability as reach_module

ATOL = 1e-9
SIGNS = [(0, 1), (0, -1), (-1, 0, 1), (-1, 1), (0,)]  # rewards of one sign, of both, none


def instances(n, seed):
    """`n` random MDPs with their goals, dense and sparse in turn."""
    rng = np.random.default_rng(seed)
    for i in range(n):
        mdp, goal = exact.random_instance(rng, signs=SIGNS[i % len(SIGNS)])
        yield (mdp.to_sparse() if i % 2 else mdp), goal


def check_bounds(found, values, of_policy):
    """Require every bound to be true, and the policy's own values to lie within them."""
    assert exact.encloses(found.lower, found.upper, values)
    assert np.isfinite(found.error_bound)
    for s, x in enumerate(map(exact.as_fraction, values)):
        if isinstance(x, float):
            assert found.value[s] == x
            continue
        assert abs(Fraction(found.value[s]) - x) <= Fraction(found.error_bound)
        assert of_policy[s] is not None, "an improper policy"
        assert found.lower[s] <= exact.as_fraction(of_policy[s]) <= found.upper[s]


def check_reachability(mdp, goal, sense):
    """Compare one probability with the judge; return what was met."""
    rows, _ = exact.exact_rows(mdp)
    found = reachability(mdp, goal, atol=ATOL, sense=sense)
    own = exact.policy_probability(rows, dict(enumerate(found.policy.tolist())), goal)
    check_bounds(found, exact.optimal_probability(mdp, goal, sense), own)
    assert found.status.ok
    return f"reach, {found.method}"


def check_shortest_path(mdp, goal, sense):
    """Compare one total with the judge, or require the refusal that it asks for; return what was met."""
    rows, rewards = exact.exact_rows(mdp)
    values = exact.optimal_total(mdp, goal, sense)
    if values is None:
        with pytest.raises(InputError, match="at a gain of 0"):
            shortest_path(mdp, goal, atol=ATOL, sense=sense)
        return "path, refused"
    found = shortest_path(mdp, goal, atol=ATOL, sense=sense)
    own = exact.policy_total(rows, rewards, dict(enumerate(found.policy.tolist())), goal)
    check_bounds(found, values, own)
    kinds = {"gains for ever": np.inf, "no proper policy": -np.inf}
    sign = 1 if sense == "max" else -1
    met = [kind for kind, x in kinds.items() if sign * x in values]
    return ", ".join(["path", found.method, found.status.name, *met])


def check_average(mdp, sense):
    """Compare one average with the judge, or require the refusal that it asks for; return what was met."""
    rows, rewards = exact.exact_rows(mdp)
    if len(exact.components(exact.recurrent_pairs(rows, set()))) > 1:
        with pytest.raises(InputError, match="one maximal end component"):
            average_reward(mdp, atol=ATOL, sense=sense)
        return "average, refused"
    found = average_reward(mdp, atol=ATOL, sense=sense)
    gains = exact.optimal_gains(mdp, sense)
    own = exact.policy_gains(rows, rewards, dict(enumerate(found.policy.tolist())))
    assert len({exact.as_fraction(x) for x in gains}) == 1
    for x in map(exact.as_fraction, [gains[0], *own]):
        assert found.lower <= x <= found.upper
        assert abs(Fraction(found.gain) - x) <= 2 * Fraction(found.error_bound)
    assert abs(Fraction(found.gain) - exact.as_fraction(gains[0])) <= Fraction(found.error_bound)
    assert found.status.ok
    return "average"


def check_horizon(mdp, sense, rng):
    """Compare a finite horizon with the judge."""
    horizon, gamma = int(rng.integers(1, 6)), float(rng.choice([1.0, 0.9, 0.0]))
    terminal = rng.normal(size=mdp.n_states)
    rewards = rng.normal(size=(horizon, *mdp.shape)) if rng.random() < 0.5 else None
    options = {"terminal": terminal, "rewards": rewards, "gamma": gamma, "sense": sense}
    found = finite_horizon(mdp, horizon, **options)
    values = exact.optimal_horizon(mdp, horizon, **options)
    for t, s in np.ndindex(found.value.shape):
        gap = abs(Fraction(found.value[t, s]) - exact.as_fraction(values[t][s]))
        assert gap <= Fraction(found.error_bound)
    assert found.status.ok
    return "horizon"


def check_all(n, seed):
    """Check every objective and sense on `n` instances; return how often each case was met."""
    rng, met = np.random.default_rng(seed), Counter()
    for mdp, goal in instances(n, seed):
        for sense in ("max", "min"):
            met[check_reachability(mdp, goal, sense)] += 1
            met[check_shortest_path(mdp, goal, sense)] += 1
            met[check_average(mdp, sense)] += 1
            met[check_horizon(mdp, sense, rng)] += 1
    return met


def test_every_bound_is_true_and_every_refusal_right_on_a_hundred_mdps():
    met = check_all(100, seed=0)
    for kind in ("reach, policy iteration", "reach, graph", "path, refused", "average", "average, refused"):
        assert met[kind] >= 3, met
    for word in ("policy iteration", "graph", "gains for ever", "no proper policy"):
        assert sum(n for kind, n in met.items() if kind.startswith("path") and word in kind) >= 5, met
    assert not any("MAX_STEPS" in kind for kind in met), met


@pytest.mark.long
@pytest.mark.parametrize("seed", range(1, 11))
def test_every_bound_is_true_and_every_refusal_right_on_two_thousand_mdps(seed):
    met = check_all(200, seed=seed)
    assert not any("MAX_STEPS" in kind for kind in met), met


def found_by(check, n=100, seed=3):
    """Whether a check fails on some of `n` instances."""
    try:
        for mdp, goal in instances(n, seed):
            check(mdp, goal)
    except (AssertionError, InputError, pytest.fail.Exception):
        return True
    return False


def largest(mdp, goal):
    check_reachability(mdp, goal, "max")


def smallest(mdp, goal):
    check_reachability(mdp, goal, "min")


def path(mdp, goal):
    check_shortest_path(mdp, goal, "min")


def average(mdp, _):
    check_average(mdp, "max")


def horizon(mdp, _):
    check_horizon(mdp, "min", np.random.default_rng(0))


def planted_upper(monkeypatch):
    def too_low(*args):
        kernels_best(*args)
        args[-2][:] = -np.inf  # no pair ever violates the upper bound

    kernels_best = kernels.best_above
    monkeypatch.setattr(transient.kernels, "best_above", too_low)


def planted_lower(monkeypatch):
    original = transient.optimal_bounds

    def narrow(p, ends, pair, **options):
        found = original(p, ends, pair, **options)
        return transient.Bounds(found.upper, found.upper, found.pair, found.status, found.n_steps)

    monkeypatch.setattr(quotient, "optimal_bounds", narrow)


def planted_component(monkeypatch):
    monkeypatch.setattr(graph, "end_components", lambda p, *_: graph.no_components(p))


def planted_sense(monkeypatch):
    swapped = {"max": -1.0, "min": 1.0}
    monkeypatch.setattr(reach_module, "as_sign", swapped.__getitem__)


def planted_sure(monkeypatch):
    def hopeful(p, target):
        allowed = np.ones(len(p.state), dtype=np.bool_)
        return graph.can_reach(p, target, allowed), allowed

    monkeypatch.setattr(graph, "surely", hopeful)


def planted_discount(monkeypatch):
    original = kernels.sweep
    monkeypatch.setattr(kernels, "sweep", lambda *args: original(*args[:5], 0.999999, *args[6:]))


def planted_rounding(monkeypatch):
    monkeypatch.setattr(rounding, "backup_error", lambda _: 0.0)


PLANTED = [
    (planted_rounding, [largest, smallest, path, average, horizon]),
    (planted_upper, [largest, smallest, path]),
    (planted_lower, [largest, smallest, path]),
    (planted_component, [largest, path]),
    (planted_sense, [largest, smallest]),
    (planted_sure, [largest, path]),
    (planted_discount, [average, horizon]),
]


@pytest.mark.parametrize(
    ("plant", "check"),
    [
        pytest.param(plant, check, id=f"{plant.__name__}-{check.__name__}")
        for plant, checks in PLANTED
        for check in checks
    ],
)
def test_a_planted_error_is_found(monkeypatch, plant, check):
    plant(monkeypatch)
    assert found_by(check)
