r"""Exact rank tests over several tasks, in whole numbers: ties included, no normal approximation.

**Two independent groups** (`stratified_rank_test`). In task i, n_i seeds of X and m_i of Y give
$U_i = \#\{x > y\} + \#\{x = y\} / 2$, and $U_i / (n_i m_i)$ estimates the probability of improvement.
The statistic is the mean over tasks, each of equal weight. Under "X and Y have the same distribution of
scores in every task" each of the $\binom{n_i + m_i}{n_i}$ ways to deal the pooled scores of task i to X and
Y is equally likely, independently over tasks. Given the pooled scores (hence given their ties, as midranks)
the exact null distribution is therefore the convolution over tasks of the distributions of $U_i$ under all
deals. It is the exact conditional form of the stratified Wilcoxon test (van Elteren 1960, equal weights).

**Pairs** (`paired_rank_test`). Where seed k of X and of Y share their resets and warm-up, task i gives
differences $d_k = x_k - y_k$ and $W_i = \sum_k \mathrm{sign}(d_k)\, \mathrm{rank}(|d_k|)$, with midranks,
zeros included (Pratt 1959). The statistic is the mean over tasks of $W_i / (n_i (n_i + 1) / 2)$. Under "in
every pair the two scores are exchangeable" all sign changes of the differences are equally likely. Equal
distributions of X and Y alone do not make them so.

**One-sided p-values.** `better` is the probability of a statistic at least as large as the observed one,
`worse` of one at most as large. Without ties the null distribution depends on the numbers of scores alone,
and $U_i$ can only fall if a score of X falls. Hence, for continuous scores, `better` is a valid p-value of a
null that is larger than equality: "in every task Y is stochastically at least as large as X", that is,
$P(X > t) \le P(Y > t)$ for every t. (Proof: by coupling, raise each score of X to one with the distribution
of Y. The p-value can only fall, and is then exact.) Rejecting this null says that in at least one task X
exceeds some t with the higher probability. It does not say so of each task, nor that X is larger for every t,
nor that $P(X > Y) > 1/2$: $P(X > Y) = 1/2$ is not the tested null, and a difference in spread alone can lead
to rejection.

For pairs, likewise, `better` is a valid p-value of "in every task the differences $x_k - y_k$ are
stochastically at most as large as a difference that is symmetric about 0". With ties both tests are proved
for the smaller nulls of the first two paragraphs: equal distributions, exchangeable pairs.

A score of minus infinity is allowed: it is how a seed that diverged counts, as lower than any return.
"""

from collections import Counter
from collections.abc import Sequence
from fractions import Fraction
from math import comb, inf, lcm, prod
from typing import NamedTuple

from virel_common.errors import require

Distribution = dict[int, int]
"""Number of equally likely outcomes for each whole value of a statistic."""
Pairs = Sequence[tuple[Sequence[float], Sequence[float]]]
"""Scores of X and of Y in each task."""


class RankTest(NamedTuple):
    """Result of a rank test: its statistic, and its exact p-values in both directions.

    The null hypotheses are those of two groups; the module's docstring has those of pairs.
    """

    statistic: Fraction
    """Mean over tasks: of the probability of improvement, or of the signed rank sum in [-1, 1] for pairs."""
    better: Fraction
    """p-value against "in every task Y is stochastically at least as large as X"."""
    worse: Fraction
    """p-value against "in every task X is stochastically at least as large as Y"."""


def stratified_rank_test(pairs: Pairs) -> RankTest:
    """Exact Wilcoxon-Mann-Whitney test, stratified by tasks of equal weight, van Elteren 1960.

    Raises:
        InputError: no task, a task without scores of one side, or a score that is not a number.

    Example:
        >>> test = stratified_rank_test([([3.0, 4.0], [1.0, 2.0]), ([5.0], [6.0])])
        >>> print(test.statistic, test.better, test.worse)
        1/2 7/12 7/12
    """
    pairs = _as_pairs(pairs)
    unit = lcm(*(2 * len(x) * len(y) for x, y in pairs))
    observed, null = 0, {0: 1}
    for x, y in pairs:
        weight = unit // (2 * len(x) * len(y))
        observed += weight * doubled_u(x, y)
        null = _sum(null, weight, doubled_u_distribution([*x, *y], len(x)))
    return _result(observed, null, unit * len(pairs))


def paired_rank_test(pairs: Pairs) -> RankTest:
    """Exact signed-rank test over tasks of equal weight, Pratt 1959; pair k is the k-th score of X and Y.

    Raises:
        InputError: no task, a task without pairs, unequal numbers of scores, or a score that is not a number.

    Example:
        >>> test = paired_rank_test([([3.0, 5.0, 4.0], [1.0, 2.0, 4.5])])
        >>> print(test.statistic, test.better, test.worse)
        2/3 1/4 7/8
    """
    pairs = _as_pairs(pairs)
    for x, y in pairs:
        require(len(x) == len(y), "pairs", (len(x), len(y)), "must have as many scores of X as of Y")
    unit = lcm(*(len(x) * (len(x) + 1) for x, _ in pairs))
    observed, null = 0, {0: 1}
    for x, y in pairs:
        weight = unit // (len(x) * (len(x) + 1))
        differences = [_difference(a, b) for a, b in zip(x, y, strict=True)]
        observed += weight * doubled_w(differences)
        null = _sum(null, weight, doubled_w_distribution(differences))
    return _result(observed, null, unit * len(pairs))


def doubled_u(x: Sequence[float], y: Sequence[float]) -> int:
    """Twice the Mann-Whitney statistic, `2 U`: for each pair (x, y) two if x is larger, one if they tie."""
    return sum(int(a > b) + int(a >= b) for a in x for b in y)


def doubled_u_distribution(pooled: Sequence[float], n: int) -> Distribution:
    """Exact null distribution of the Mann-Whitney `2 U`: for each value, the ways to give X n pooled scores.

    By Wilcoxon's identity `2 U` is the doubled rank sum of X minus n (n + 1), so that a deal is a choice of n
    doubled midranks, counted one by one as in the knapsack problem.
    """
    chosen: list[Counter[int]] = [Counter({0: 1}), *(Counter() for _ in range(n))]
    for rank in doubled_midranks(pooled):
        for size in range(n, 0, -1):
            for total, count in chosen[size - 1].items():
                chosen[size][total + rank] += count
    return {total - n * (n + 1): count for total, count in chosen[n].items()}


def doubled_w(differences: Sequence[float]) -> int:
    """Twice the signed-rank statistic, `2 W`: doubled midranks of |differences|, summed with their signs."""
    ranks = doubled_midranks([abs(d) for d in differences])
    return sum(rank * (int(d > 0) - int(d < 0)) for d, rank in zip(differences, ranks, strict=True))


def doubled_w_distribution(differences: Sequence[float]) -> Distribution:
    """Exact null distribution of the signed-rank `2 W`: for each value, the ways to sign the differences.

    Differences of zero have no sign: they only shift the ranks of the others.
    """
    null: Distribution = {0: 1}
    for d, rank in zip(differences, doubled_midranks([abs(d) for d in differences]), strict=True):
        if d != 0:
            null = _sum(null, 1, {rank: 1, -rank: 1})
    return null


def doubled_midranks(values: Sequence[float]) -> list[int]:
    """Twice the rank of each value, counted from 1; equal values share their mean rank.

    Example:
        >>> doubled_midranks([5.0, 7.0, 5.0])
        [3, 6, 3]
    """
    return [sum(int(b < a) + int(b <= a) for b in values) + 1 for a in values]


def smallest_p(sizes: Sequence[tuple[int, int]], *, paired: bool) -> Fraction:
    """Smallest p-value that a rank test with these numbers of scores per task can reach, without ties.

    Example:
        >>> print(smallest_p([(3, 3)], paired=False), smallest_p([(3, 3)], paired=True))
        1/20 1/8
    """
    return Fraction(1, prod(2**n if paired else comb(n + m, n) for n, m in sizes))


def holm(p_values: Sequence[Fraction], level: Fraction, *, step_down: bool = True) -> list[bool]:
    """Holm's test: whether each null hypothesis is rejected at a family-wise error of `level`, Holm 1979.

    The j-th smallest of m p-values (j = 0, 1, ...) is compared with `level / (m - j)`, until one fails. With
    `step_down=False` each is compared with `level / m` (Bonferroni).

    Example:
        >>> holm([Fraction(3, 100), Fraction(1, 100), Fraction(4, 10)], Fraction(5, 100))
        [False, True, False]
    """
    order = sorted(range(len(p_values)), key=lambda i: p_values[i])
    rejected = [False] * len(p_values)
    for j, i in enumerate(order):
        if p_values[i] * (len(order) - (j if step_down else 0)) > level:
            break
        rejected[i] = True
    return rejected


def _sum(null: Distribution, weight: int, other: Distribution) -> Distribution:
    """Distribution of `a + weight * b` for independent whole numbers a and b with given distributions."""
    out: Counter[int] = Counter()
    for a, n_a in null.items():
        for b, n_b in other.items():
            out[a + weight * b] += n_a * n_b
    return dict(out)


def _result(observed: int, null: Distribution, unit: int) -> RankTest:
    outcomes = sum(null.values())
    better = sum(count for value, count in null.items() if value >= observed)
    worse = sum(count for value, count in null.items() if value <= observed)
    return RankTest(Fraction(observed, unit), Fraction(better, outcomes), Fraction(worse, outcomes))


def _difference(a: float, b: float) -> float:
    """Difference `a - b` of two scores, with 0 for two seeds that both diverged (minus infinity)."""
    return 0.0 if a == b else a - b


def _as_pairs(pairs: Pairs) -> list[tuple[list[float], list[float]]]:
    """Checked scores as plain floats: of numpy's truth values, `+` is "or", and its whole numbers wrap."""
    require(len(pairs) > 0, "pairs", list(pairs), "must hold at least one task")
    for x, y in pairs:
        require(len(x) > 0 and len(y) > 0, "pairs", (list(x), list(y)), "must hold scores of both sides")
        numbers = all(value < inf for value in (*x, *y))
        require(numbers, "pairs", (list(x), list(y)), "must be numbers, or minus infinity for diverged seeds")
    return [([float(value) for value in x], [float(value) for value in y]) for x, y in pairs]
