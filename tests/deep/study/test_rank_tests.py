"""Exact rank tests: against scipy, against enumeration, and their error over repeated experiments."""

import itertools
import math
from collections import Counter
from fractions import Fraction

import numpy as np
import pytest
from scipy import stats

from virel_common.errors import InputError
from virel_deep.study.rank_tests import (
    doubled_midranks,
    doubled_u,
    doubled_u_distribution,
    doubled_w,
    holm,
    paired_rank_test,
    smallest_p,
    stratified_rank_test,
)


def cut(sizes):
    return zip(itertools.accumulate((0, *sizes[:-1])), sizes, strict=True)


def split(rng, values, *sizes):
    dealt = rng.permutation(values).astype(float)
    return [dealt[start : start + n].tolist() for start, n in cut(sizes)]


@pytest.mark.parametrize(("n", "m"), [(1, 1), (3, 3), (4, 7), (10, 10), (2, 9)])
def test_one_task_without_ties_is_the_exact_mann_whitney_test(n, m):
    rng = np.random.default_rng(n * m)
    for _ in range(10):
        x, y = split(rng, np.arange(n + m), n, m)
        test = stratified_rank_test([(x, y)])
        for p, side in ((test.better, "greater"), (test.worse, "less")):
            known = stats.mannwhitneyu(x, y, alternative=side, method="exact")
            assert float(test.statistic) == pytest.approx(known.statistic / (n * m), rel=1e-14)
            assert float(p) == pytest.approx(known.pvalue, rel=1e-12)


def test_one_task_with_ties_is_scipys_permutation_test_of_the_midrank_sum():
    rng = np.random.default_rng(0)
    for _ in range(5):
        x, y = split(rng, rng.integers(0, 4, size=9), 4, 5)
        ranks = stats.rankdata([*x, *y])
        for side, p in (("greater", "better"), ("less", "worse")):
            known = stats.permutation_test(
                (ranks[:4], ranks[4:]), lambda a, _: a.sum(), alternative=side, n_resamples=np.inf
            )
            assert float(getattr(stratified_rank_test([(x, y)]), p)) == pytest.approx(known.pvalue, rel=1e-12)


def probability(x, y):
    """Mean over pairs, of plain comparisons of floats in halves: exact."""
    return Fraction(sum(2 * (a > b) + (a == b) for a in x for b in y), 2 * len(x) * len(y))


def enumerated(pairs):
    """Every deal in every task, one by one."""
    observed = sum(probability(x, y) for x, y in pairs)
    tasks = []
    for x, y in pairs:
        pooled = [*x, *y]
        deals = itertools.combinations(range(len(pooled)), len(x))
        tasks.append(
            [
                probability(
                    [pooled[i] for i in deal], [pooled[i] for i in set(range(len(pooled))) - set(deal)]
                )
                for deal in deals
            ]
        )
    sums = [sum(one) for one in itertools.product(*tasks)]
    return (
        observed / len(pairs),
        Fraction(sum(s >= observed for s in sums), len(sums)),
        Fraction(sum(s <= observed for s in sums), len(sums)),
    )


@pytest.mark.parametrize("values", [1000, 3, 1])
def test_several_tasks_with_and_without_ties_are_what_enumeration_of_all_deals_gives(values):
    rng = np.random.default_rng(values)
    for sizes in ([(3, 3), (2, 4)], [(1, 3), (3, 2), (2, 2)], [(4, 3)]):
        pairs = [tuple(rng.integers(0, values, size=n).tolist() for n in pair) for pair in sizes]
        assert tuple(stratified_rank_test(pairs)) == enumerated(pairs)


def enumerated_signs(pairs):
    """Every change of signs in every task, one by one, ranks by scipy."""
    tasks, observed = [], 0
    for x, y in pairs:
        d = np.array(x) - np.array(y)
        ranks = [Fraction(r) for r in stats.rankdata(np.abs(d))]
        top = Fraction(len(d) * (len(d) + 1), 2)
        observed += sum(r * int(np.sign(one)) for r, one in zip(ranks, d, strict=True)) / top
        flips = itertools.product((-1, 1), repeat=len(d))
        tasks.append(
            [sum(s * r * int(one != 0) for s, r, one in zip(f, ranks, d, strict=True)) / top for f in flips]
        )
    sums = [sum(one) for one in itertools.product(*tasks)]
    return (
        observed / len(pairs),
        Fraction(sum(s >= observed for s in sums), len(sums)),
        Fraction(sum(s <= observed for s in sums), len(sums)),
    )


@pytest.mark.parametrize("values", [1000, 4, 2, 1])
def test_pairs_are_what_enumeration_of_all_signs_gives(values):
    rng = np.random.default_rng(values)
    for sizes in ([5], [3, 4], [2, 3, 2]):
        pairs = [tuple(rng.integers(0, values, size=(2, n)).astype(float).tolist()) for n in sizes]
        assert tuple(paired_rank_test(pairs)) == enumerated_signs(pairs)


def test_one_task_of_pairs_without_ties_is_the_exact_wilcoxon_test():
    rng = np.random.default_rng(1)
    for n in (1, 4, 7, 12):
        x, y = rng.normal(size=(2, n))
        test = paired_rank_test([(x.tolist(), y.tolist())])
        for p, side in ((test.better, "greater"), (test.worse, "less")):
            known = stats.wilcoxon(x, y, alternative=side, method="exact")
            assert float(p) == pytest.approx(known.pvalue, rel=1e-12)


def test_ten_seeds_in_four_tasks_are_exact_beyond_what_floats_hold():
    best = [(list(range(10, 20)), list(range(10)))] * 4
    assert stratified_rank_test(best).better == Fraction(1, math.comb(20, 10) ** 4)
    assert stratified_rank_test(best).worse == 1


def test_the_distribution_counts_every_deal_once():
    null = doubled_u_distribution([1.0, 1.0, 2.0, 3.0, 3.0, 3.0, 7.0], 3)
    assert sum(null.values()) == math.comb(7, 3)
    pooled = [1.0, 1.0, 2.0, 3.0, 3.0, 3.0, 7.0]
    deals = [set(deal) for deal in itertools.combinations(range(7), 3)]
    by_hand = Counter(
        doubled_u([pooled[i] for i in deal], [pooled[i] for i in range(7) if i not in deal]) for deal in deals
    )
    assert null == dict(by_hand)


@pytest.mark.parametrize("kind", [np.float64, np.float32, np.int8, np.uint8])
def test_numpys_numbers_are_numbers(kind):
    """Of numpy's truth values, `+` is "or"; its whole numbers wrap around."""
    rng = np.random.default_rng(4)
    for _ in range(5):
        x, y = rng.integers(0, 100, size=(2, 5)).astype(kind)
        for test in (stratified_rank_test, paired_rank_test):
            known = test([(x.tolist(), y.tolist())])
            assert test([(x, y)]) == test([(list(x), list(y))]) == known
        assert doubled_u(x, y) == doubled_u(x.tolist(), y.tolist())
        assert doubled_midranks(x) == doubled_midranks(x.tolist())
        signed = x.astype(np.float64) - y
        assert doubled_w(signed) == doubled_w(signed.tolist())


def test_midranks_are_scipys():
    values = np.random.default_rng(2).integers(0, 5, size=30)
    np.testing.assert_array_equal(doubled_midranks(values.tolist()), 2 * stats.rankdata(values))


def test_a_diverged_seed_is_lower_than_any_return_and_two_of_them_tie():
    lost = -math.inf
    assert stratified_rank_test([([lost, 3.0], [1.0, 2.0])]) == stratified_rank_test(
        [([0.0, 3.0], [1.0, 2.0])]
    )
    assert paired_rank_test([([lost, 3.0, 9.0], [lost, lost, 2.0])]).statistic == Fraction(3 + 2, 6)


@pytest.mark.parametrize(
    ("test", "pairs", "what"),
    [
        (stratified_rank_test, [], "must hold at least one task"),
        (stratified_rank_test, [([1.0], [])], "must hold scores of both sides"),
        (stratified_rank_test, [([math.nan], [1.0])], "must be numbers"),
        (stratified_rank_test, [([math.inf], [1.0])], "must be numbers"),
        (paired_rank_test, [([1.0, 2.0], [1.0])], "as many scores of X as of Y"),
    ],
)
def test_what_is_no_score_is_refused(test, pairs, what):
    with pytest.raises(InputError, match=what):
        test(pairs)


def test_the_smallest_p_value_is_reached_by_the_most_extreme_scores():
    pairs = [([4.0, 5.0, 6.0], [1.0, 2.0, 3.0]), ([2.0, 3.0], [0.0, 1.0])]
    assert smallest_p([(3, 3), (2, 2)], paired=False) == stratified_rank_test(pairs).better
    assert smallest_p([(3, 3), (2, 2)], paired=True) == paired_rank_test(pairs).better


@pytest.mark.parametrize("test", [stratified_rank_test, paired_rank_test])
def test_a_p_value_is_at_most_a_level_no_more_often_than_the_level_says(test):
    """Every order of the scores of two seeds and two seeds in two tasks, all equally likely."""
    orders = list(itertools.permutations((1.0, 2.0, 4.0, 8.0)))
    p_values = [test([(a[:2], a[2:]), (b[:2], b[2:])]).better for a, b in itertools.product(orders, repeat=2)]
    for level in sorted(set(p_values)):
        assert Fraction(sum(p <= level for p in p_values), len(p_values)) <= level


def test_holm_by_hand():
    level = Fraction(5, 100)
    p = [Fraction(one, 1000) for one in (20, 11, 1, 200)]
    assert holm(p, level) == [True, True, True, False]  # 1 <= 12.5, 11 <= 16.7, 20 <= 25, 200 > 50
    assert holm(p, level, step_down=False) == [False, True, True, False]
    assert holm([Fraction(2, 100), Fraction(2, 100)], Fraction(3, 100)) == [
        False,
        False,
    ]  # stops at the first
    assert holm([], level) == []


def family(rng, *, corrected):
    """Whether an experiment with three equal arms, compared in all pairs, comes to any decision."""
    arms = rng.normal(size=(3, 2, 4)).tolist()  # arm, task, seed
    tests = [stratified_rank_test(list(zip(a, b, strict=True))) for a, b in itertools.combinations(arms, 2)]
    p_values = [p for test in tests for p in (test.better, test.worse)]
    level = Fraction(1, 10)
    return any(holm(p_values, level)) if corrected else any(p <= level for p in p_values)


def test_the_family_wise_error_keeps_its_level_and_without_correction_it_would_not():
    n, level = 1000, 0.1
    most = stats.binom.ppf(1 - 1e-6, n, level)  # more wrong decisions come once in a million suites
    rng = np.random.default_rng(0)
    wrong = {
        corrected: sum(family(rng, corrected=corrected) for _ in range(n)) for corrected in (True, False)
    }
    assert wrong[True] <= most < wrong[False]
