"""Statistics for few seeds: interquartile mean, probability of improvement, bootstrap intervals.

An interval comes from resamples of the seeds, drawn separately in each environment (stratified), so that
every environment keeps its weight.
Source: Agarwal et al. 2021, "Deep RL at the edge of the statistical precipice".

A bootstrap of few seeds promises too much, because it knows no scores but those that it saw. For normal
scores the 95 % interval of the IQM contains the true IQM in 75 % of experiments with 3 seeds, in 91 % with 5,
and in 93 % with 10; `tests/deep/results/test_statistics.py` measures it.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import scipy  # scipy.stats takes a second to load, and loads when it is used
from numpy.typing import NDArray

from virel_common.errors import require

Scores = NDArray[np.float64]

RESAMPLES = 10_000
PERCENTILES = (2.5, 97.5)
SEED = 0
"""Seed of the resampling: the same scores give the same interval."""
CELLS = 4_000_000
"""Most numbers that a resample of curves holds at a time: 32 MB."""


class Estimate(NamedTuple):
    """Statistic with the ends of its 95 % bootstrap interval."""

    value: float
    low: float
    high: float


class Band(NamedTuple):
    """Statistic at each of T points with the ends of its pointwise 95 % intervals, `[T]` each."""

    value: Scores
    low: Scores
    high: Scores


def iqm(scores: Scores, axis: int | None = None) -> Any:
    """Interquartile mean: the mean without the lowest and the highest quarter, Agarwal et al. 2021.

    A quarter of n scores is rounded down to whole scores; of fewer than 4 scores it is the mean.

    Example:
        >>> float(iqm(np.array([-1000.0, 1.0, 2.0, 99.0])))
        1.5
    """
    return scipy.stats.trim_mean(scores, 0.25, axis=axis)


def iqm_interval(strata: Sequence[Scores]) -> Estimate:
    """Interquartile mean of all seeds' scores with its stratified bootstrap interval, Agarwal et al. 2021.

    Args:
        strata: scores `[n_i]` of the seeds in environment i, all on one scale; at least one score each.

    Raises:
        InputError: no stratum, an empty one, or a score that is not finite.

    Example:
        >>> print(*iqm_interval([np.array([1.0, 2.0, 3.0])]))
        2.0 1.0 3.0
    """
    _check(strata)
    rng = np.random.default_rng(SEED)
    drawn = [scores[_indices(rng, len(scores))] for scores in strata]  # [R, n_i] each
    low, high = _ends(iqm(np.concatenate(drawn, axis=1), axis=1))
    return Estimate(float(iqm(np.concatenate(strata))), float(low), float(high))


def iqm_band(curves: Scores) -> Band:
    """Interquartile mean over seeds at each point of their curves, with pointwise bootstrap intervals.

    Args:
        curves: `[K, T]`, one row per seed. Resamples draw whole curves, so neighbouring points vary together.

    Raises:
        InputError: no seed, no point, or a value that is not finite.
    """
    _check([curves])
    indices = _indices(np.random.default_rng(SEED), len(curves))  # [R, K]
    width = max(1, CELLS // indices.size)
    pieces = [curves[:, start : start + width] for start in range(0, curves.shape[1], width)]
    low, high = np.concatenate([_ends(iqm(piece[indices], axis=1)) for piece in pieces], axis=1)
    return Band(iqm(curves, axis=0), low, high)


def improvement(pairs: Sequence[tuple[Scores, Scores]]) -> Estimate:
    r"""Probability that a seed of X beats one of Y, with its interval, Agarwal et al. 2021, Section 4.3.

    $P(X > Y) + P(X = Y) / 2$, the Mann-Whitney $U / (n m)$, in each environment, and the mean over these.

    Args:
        pairs: scores `x [n_i]`, `y [m_i]` in environment i.

    Raises:
        InputError: no pair, an empty one, or a score that is not finite.

    Example:
        >>> print(*improvement([(np.array([3.0, 1.0]), np.array([1.0]))]))
        0.75 0.5 1.0
    """
    _check([scores for pair in pairs for scores in pair])
    rng = np.random.default_rng(SEED)
    values = [scipy.stats.mannwhitneyu(x, y).statistic / (len(x) * len(y)) for x, y in pairs]
    low, high = _ends(np.mean([_improvements(rng, x, y) for x, y in pairs], axis=0))
    return Estimate(float(np.mean(values)), float(low), float(high))


def paired_improvement(pairs: Sequence[tuple[Scores, Scores]]) -> Estimate:
    r"""Share of pairs in which X has the higher score, ties counting half, with its bootstrap interval.

    Resamples draw pairs, in each environment; the share is the mean over environments.

    Args:
        pairs: scores `x [n_i]`, `y [n_i]` in environment i; pair k is the k-th of each.

    Raises:
        InputError: no environment, an empty one, unequal numbers, or a score that is not finite.

    Example:
        >>> print(*paired_improvement([(np.array([3.0, 1.0]), np.array([2.0, 0.0]))]))
        1.0 1.0 1.0
    """
    _check([scores for pair in pairs for scores in pair])
    for x, y in pairs:
        require(len(x) == len(y), "pairs", (len(x), len(y)), "must have as many scores of X as of Y")
    rng = np.random.default_rng(SEED)
    beats = [(x > y) + 0.5 * (x == y) for x, y in pairs]
    resampled = np.mean([one[_indices(rng, len(one))].mean(axis=1) for one in beats], axis=0)
    low, high = _ends(resampled)
    return Estimate(float(np.mean([one.mean() for one in beats])), float(low), float(high))


def ratio(pairs: Sequence[tuple[Scores, Scores]]) -> Estimate:
    """Interquartile mean of X divided by that of Y, the mean over environments, with its bootstrap interval.

    The seeds of X and of Y are resampled, independently: the interval holds the uncertainty of both.

    Args:
        pairs: scores `x [n_i]`, `y [m_i]` in environment i; those of Y are positive.

    Raises:
        InputError: no environment, an empty one, or a score that is not finite, or of Y not positive.

    Example:
        >>> print(*ratio([(np.array([3.0]), np.array([1.0])), (np.array([20.0]), np.array([20.0]))]))
        2.0 2.0 2.0
    """
    _check([scores for pair in pairs for scores in pair])
    for _, y in pairs:
        require(bool((y > 0).all()), "scores", y.tolist(), "must be positive, where they are divided by")
    rng = np.random.default_rng(SEED)
    resampled = np.mean([_iqms(rng, x) / _iqms(rng, y) for x, y in pairs], axis=0)
    low, high = _ends(resampled)
    return Estimate(float(np.mean([iqm(x) / iqm(y) for x, y in pairs])), float(low), float(high))


def _iqms(rng: np.random.Generator, scores: Scores) -> Scores:
    """Interquartile mean of each of R bootstrap resamples, `[R]`."""
    means: Scores = iqm(scores[_indices(rng, len(scores))], axis=1)
    return means


def _improvements(rng: np.random.Generator, x: Scores, y: Scores) -> Scores:
    """Probability that a seed of X beats one of Y, in each of R bootstrap resamples, `[R]`."""
    beats = (x[:, None] > y) + 0.5 * (x[:, None] == y)  # [n, m]
    i, j = _indices(rng, len(x)), _indices(rng, len(y))
    out: Scores = beats[i[:, :, None], j[:, None, :]].mean(axis=(1, 2))
    return out


def _indices(rng: np.random.Generator, n: int) -> NDArray[np.int64]:
    return rng.integers(n, size=(RESAMPLES, n))


def _ends(resampled: Scores) -> Scores:
    """Ends of a statistic's 95 % interval over bootstrap resamples (the first axis): `[2]` or `[2, T]`."""
    ends: Scores = np.percentile(resampled, PERCENTILES, axis=0)
    return ends


def _check(strata: Sequence[Scores]) -> None:
    require(len(strata) > 0, "scores", strata, "must not be empty")
    for scores in strata:
        require(scores.size > 0, "scores", scores.tolist(), "must not be empty")
        require(bool(np.isfinite(scores).all()), "scores", scores.tolist(), "must be finite")
