"""Interquartile mean and probability of improvement against numbers that others published."""

import numpy as np
import pytest
from scipy import stats

from tests.support.published import (
    INTERQUARTILE_MEANS,
    IRIS,
    RANDOM_AND_HUMAN,
    RLIABLE_X,
    RLIABLE_Y,
    SIMPLE,
)
from virel_deep.results.statistics import improvement, iqm_interval
from virel_deep.study.rank_tests import stratified_rank_test


def normalised(scores):
    """Human-normalised scores of each game."""
    out = []
    for game, values in scores.items():
        low, high = RANDOM_AND_HUMAN[game]
        out.append((np.array(values, np.float64) - low) / (high - low))
    return out


@pytest.mark.parametrize(("name", "scores"), [("SimPLe", SIMPLE), ("IRIS", IRIS)])
def test_interquartile_means_of_published_scores_are_the_published_ones(name, scores):
    found = iqm_interval(normalised(scores))
    assert round(found.value, 3) == INTERQUARTILE_MEANS[name]
    assert found.low < found.value < found.high


def test_the_stratified_interval_is_scipys_percentile_bootstrap():
    """Both draw at random: the ends differ by at most 6 standard errors of a 2.5 % quantile of 10,000 draws.

    At that quantile a nearly normal bootstrap distribution of standard deviation s has the density 0.058 / s,
    so that the standard error is sqrt(0.025 * 0.975 / 10,000) / (0.058 / s) = 0.027 s, and sqrt(2) times that
    for the difference of two.
    """
    strata = normalised(IRIS)
    known = stats.bootstrap(
        strata,
        lambda *x, axis: stats.trim_mean(np.concatenate(x, axis=axis), 0.25, axis=axis),
        n_resamples=10_000,
        method="percentile",
        rng=np.random.default_rng(1),
    )
    found, bound = iqm_interval(strata), 6 * 2**0.5 * 0.027 * known.standard_error
    assert found.low == pytest.approx(known.confidence_interval.low, abs=bound)
    assert found.high == pytest.approx(known.confidence_interval.high, abs=bound)
    assert found.high - found.low > 10 * bound  # so that another interval would be noticed


def test_the_example_of_rliables_own_tests():
    x, y = (np.array(scores, np.float64).T for scores in (RLIABLE_X, RLIABLE_Y))
    assert iqm_interval(list(x)).value == 1.5
    assert iqm_interval(list(y)).value == 2.0
    pairs = list(zip(x, y, strict=True))
    assert improvement(pairs).value == pytest.approx(1 / 3, rel=1e-15)
    assert stratified_rank_test([(a.tolist(), b.tolist()) for a, b in pairs]).statistic * 3 == 1
