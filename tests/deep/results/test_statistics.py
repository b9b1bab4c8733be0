"""Statistics of few seeds, against hand numbers, enumeration and scipy."""

import itertools

import numpy as np
import pytest
import scipy.stats

from virel_common.errors import InputError
from virel_deep.results import statistics
from virel_deep.results.statistics import improvement, iqm, iqm_band, iqm_interval, paired_improvement, ratio


def scores(*values):
    return np.array(values, np.float64)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([7.0], 7.0),
        ([1.0, 2.0, 9.0], 4.0),  # a quarter of 3 is no whole score: the mean
        ([-50.0, 1.0, 2.0, 900.0], 1.5),
        ([5.0, 4.0, 3.0, 2.0, 1.0, 0.0, 100.0, -100.0], 2.5),  # the middle four of eight
        ([1.0, 2.0, 3.0, 4.0, 1e9], 3.0),  # one of five goes at each end
    ],
)
def test_the_interquartile_mean_drops_a_quarter_at_each_end(values, expected):
    assert iqm(scores(*values)) == expected


def test_with_three_seeds_the_interval_is_their_range():
    # One resample in 27 is the worst seed three times: 3.7 % > 2.5 %, so the percentile is that seed.
    estimate = iqm_interval([scores(10.0, 40.0, 20.0)])
    assert (estimate.low, estimate.high) == (10.0, 40.0)
    assert estimate.value == pytest.approx(70 / 3, rel=1e-15)


def enumerated(strata, statistic):
    """The statistic of every resample; each is as likely as the others."""
    drawn = itertools.product(*(itertools.product(x, repeat=len(x)) for x in strata))
    return np.array([statistic([np.array(x) for x in one]) for one in drawn])


def is_percentile(end, values, p):
    """Whether `end` is the p-th percentile, up to 4 standard deviations of the share among 10,000 draws."""
    slack = 4 * np.sqrt(p * (1 - p) / statistics.RESAMPLES)
    return np.mean(values < end - 1e-9) <= p + slack and np.mean(values <= end + 1e-9) >= p - slack


def test_the_interval_of_two_strata_has_the_percentiles_of_every_stratified_resample():
    strata = [scores(0.0, 1.0, 3.0, 7.0), scores(20.0, 21.0, 25.0)]
    estimate = iqm_interval(strata)
    values = enumerated(strata, lambda drawn: iqm(np.concatenate(drawn)))
    assert is_percentile(estimate.low, values, 0.025)
    assert is_percentile(estimate.high, values, 0.975)
    assert estimate.value == iqm(scores(0, 1, 3, 7, 20, 21, 25))


def test_resamples_do_not_cross_strata():
    # One seed in each environment leaves nothing to resample; over both together it would be [1, 100].
    assert iqm_interval([scores(1.0), scores(100.0)]) == (50.5, 50.5, 50.5)


def test_the_interval_of_many_scores_agrees_with_scipys_bootstrap():
    x = np.random.default_rng(3).normal(size=40)
    ours = iqm_interval([x])
    other = scipy.stats.bootstrap(
        (x,), iqm, n_resamples=10_000, method="percentile", rng=np.random.default_rng(4), vectorized=True
    ).confidence_interval
    # A 2.5 % percentile of 10,000 normal draws has a standard error of 0.027 standard deviations
    # (sqrt(p (1 - p) / n) / density at it); two of them differ by less than 5 * sqrt(2) * 0.027 of them.
    sigma = (ours.high - ours.low) / 3.92
    assert (ours.low, ours.high) == pytest.approx(tuple(other), abs=0.19 * sigma)


def test_the_same_scores_give_the_same_interval():
    x = np.random.default_rng(5).normal(size=6)
    assert iqm_interval([x]) == iqm_interval([x])


@pytest.mark.parametrize(("n_seeds", "documented"), [(3, 0.75), (5, 0.91), (10, 0.93)])
def test_the_documented_coverage_for_normal_scores_is_the_measured_one(monkeypatch, n_seeds, documented):
    monkeypatch.setattr(statistics, "RESAMPLES", 1000)
    rng = np.random.default_rng(6)
    intervals = [iqm_interval([rng.normal(size=n_seeds)]) for _ in range(1000)]
    measured = np.mean([low <= 0 <= high for _, low, high in intervals])
    # 1,000 experiments: a standard deviation of at most 0.0137; 3 of them, and rounding to a percent.
    assert measured == pytest.approx(documented, abs=3 * 0.0137 + 0.005)


def test_a_band_is_the_interval_at_every_point(monkeypatch):
    curves = np.random.default_rng(7).normal(size=(5, 7))
    monkeypatch.setattr(statistics, "CELLS", 2 * 5 * statistics.RESAMPLES)  # pieces of 2, 2, 2 and 1 points
    band = iqm_band(curves)
    for t in range(7):
        point = iqm_interval([curves[:, t]])
        assert (band.value[t], band.low[t], band.high[t]) == pytest.approx(tuple(point), rel=1e-12)


@pytest.mark.parametrize(
    ("x", "y", "expected"),
    [
        ([1.0], [2.0], 0.0),
        ([2.0], [2.0], 0.5),
        ([3.0, 1.0], [2.0], 0.5),
        ([1.0, 2.0, 3.0], [0.0, 2.0], 4.5 / 6),
    ],
)
def test_the_probability_of_improvement_of_small_samples_by_hand(x, y, expected):
    brute = np.mean([(a > b) + 0.5 * (a == b) for a in x for b in y])
    assert improvement([(scores(*x), scores(*y))]).value == pytest.approx(brute, rel=1e-15)
    assert brute == pytest.approx(expected, rel=1e-15)


def test_the_probability_of_improvement_is_the_mean_over_environments_not_over_pairs_of_seeds():
    lost = (scores(0.0), scores(1.0))
    pairs = [(scores(1.0, 1.0, 1.0), scores(0.0, 0.0, 0.0)), lost, lost]
    assert improvement(pairs) == pytest.approx((1 / 3, 1 / 3, 1 / 3), rel=1e-15)


def test_the_probability_of_improvement_has_the_percentiles_of_every_resample():
    x, y = scores(1.0, 4.0, 6.0), scores(2.0, 5.0, 5.5)
    estimate = improvement([(x, y)])
    values = enumerated([x, y], lambda drawn: np.mean(drawn[0][:, None] > drawn[1]))
    assert is_percentile(estimate.low, values, 0.025)
    assert is_percentile(estimate.high, values, 0.975)


def test_a_ratio_has_the_percentiles_of_every_resample_of_both_sides():
    x, y = scores(1.0, 4.0, 6.0), scores(2.0, 5.0, 5.5)
    estimate = ratio([(x, y)])
    values = enumerated([x, y], lambda drawn: iqm(drawn[0]) / iqm(drawn[1]))
    assert is_percentile(estimate.low, values, 0.025)
    assert is_percentile(estimate.high, values, 0.975)
    assert estimate.value == pytest.approx(11 / 12.5, rel=1e-15)


def test_a_ratio_is_the_mean_over_environments():
    pairs = [(scores(3.0), scores(1.0)), (scores(100.0), scores(100.0))]
    assert ratio(pairs) == (2.0, 2.0, 2.0)


def test_the_share_of_pairs_has_the_percentiles_of_every_resample_of_pairs():
    x, y = scores(1.0, 4.0, 6.0), scores(2.0, 4.0, 5.5)
    estimate = paired_improvement([(x, y)])
    values = enumerated([np.sign(x - y)], lambda drawn: np.mean((1 + drawn[0]) / 2))
    assert estimate.value == 0.5
    assert is_percentile(estimate.low, values, 0.025)
    assert is_percentile(estimate.high, values, 0.975)


def test_a_draw_is_half_a_win_in_every_resample():
    assert improvement([(scores(2.0, 2.0), scores(2.0, 2.0, 2.0))]) == (0.5, 0.5, 0.5)


def test_equal_algorithms_have_a_probability_of_one_half():
    x = scores(1.0, 2.0, 3.0)
    assert improvement([(x, x)]).value == 0.5


@pytest.mark.parametrize(
    ("call", "found"),
    [
        (lambda: iqm_interval([]), "must not be empty"),
        (lambda: iqm_interval([scores()]), "must not be empty"),
        (lambda: iqm_interval([scores(1.0, np.nan)]), "must be finite"),
        (lambda: iqm_band(np.empty((0, 3))), "must not be empty"),
        (lambda: improvement([(scores(1.0), scores())]), "must not be empty"),
        (lambda: ratio([(scores(1.0), scores(0.0, 1.0))]), "must be positive"),
        (lambda: paired_improvement([(scores(1.0), scores(0.0, 1.0))]), "as many scores of X as of Y"),
    ],
    ids=["no-stratum", "empty-stratum", "nan", "no-seed", "empty-pair", "not-positive", "no-pair"],
)
def test_nothing_to_estimate_is_an_input_error(call, found):
    with pytest.raises(InputError, match=found):
        call()
