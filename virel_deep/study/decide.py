r"""Decide a study's hypotheses: "supported", "contradicted", "not decided" or "not decided yet".

**What is tested.** Hypothesis i, "`better` scores higher than `than`", brings two null hypotheses:

- $N_i^+$: in every environment of the hypothesis `than` is stochastically at least as large as `better`:
  whatever the score t, it exceeds t with at least the same probability. Rejecting it is "supported".
- $N_i^-$: in every environment of the hypothesis `better` is stochastically at least as large as `than`.
  Rejecting it is "contradicted".

Both have exact p-values, also with `paired = true`, where the nulls are about differences within pairs
(`virel_deep.study.rank_tests`, which says what is proved with ties).

**Why the family-wise error is at most `level`.** A wrong decision is a rejected null hypothesis that is true:
"supported" is wrong exactly where $N_i^+$ is true, "contradicted" exactly where $N_i^-$ is. Both are true of
two equal arms, one of two arms in the same strict order everywhere. Neither is true of arms of which each
exceeds some score with the higher probability, as those that differ in spread alone, or of which one leads
here and the other there: of these the bound says nothing, as no decision rejects a true null. Over m
hypotheses this is one family of 2 m nulls, each with a valid p-value, in any dependence (hypotheses share
arms and seeds). Holm's procedure on these 2 m p-values therefore rejects any true null with probability at
most `level` (Holm 1979). The proof: let t be the number of true nulls. Before the first true null is
rejected, at most 2 m - t false ones have been, so its p-value is at most level / t; by Bonferroni's
inequality, the probability that any of the t p-values is at most level / t is at most level.

The two directions of one hypothesis are never both rejected: the observed value counts in both p-values, so
$p^+ + p^- > 1$, and a null is rejected only at $p \le$ level < 1/2.

**Partial results.** A hypothesis whose runs are not complete takes part with p = 1 in both directions. The
p-values can only fall when it completes, and Holm's procedure rejects more where p-values fall, so a decision
that a partial report shows is not withdrawn later, and the bound holds for the sequence of reports as well.
It does not hold for a plan that was changed after looking at scores: the report lists such changes.

**Several tasks.** The score of a seed in an environment with several tasks is its mean over them: one network
learns all, so tasks are not independent repetitions, and the test does not take them for such. A hypothesis
may name one task instead, `ENVIRONMENT, TASK`.

**What it rests on.** Seeds of one arm are independent. Arms that share seed numbers share resets and, where
networks have equal sizes, the critics' first weights; learning is chaotic, and what correlation remains
between equal seeds is positive as a rule. Then the unpaired test errs on the side of "not decided", and
`paired = true` makes use of the correlation.

A difference in spread alone can cause a decision, though P(better) is 1/2. With normal scores of equal means,
10 seeds and one hypothesis at level 0.05, a decision came in 6.1 % of experiments in one environment where
one arm's standard deviation was 3 times the other's, and in 9.5 % at 10 times; in four environments in 5.4 %
and 8.7 % (4,000 and 2,500 experiments each).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import isfinite

import numpy as np

from virel_deep.design.environment import whole_copies
from virel_deep.results.read import LAST
from virel_deep.results.statistics import Estimate, Scores, improvement, paired_improvement
from virel_deep.study.environments import Environment
from virel_deep.study.plan import Hypothesis, Study
from virel_deep.study.rank_tests import RankTest, holm, paired_rank_test, smallest_p, stratified_rank_test
from virel_deep.study.scores import Result, as_array, sides

SUPPORTED, CONTRADICTED = "supported", "contradicted"
NOT_DECIDED, NOT_YET = "not decided", "not decided yet"


@dataclass(frozen=True)
class Decision:
    """Decision on a hypothesis, with the rank test and the estimates that it rests on."""

    hypothesis: Hypothesis
    outcome: str
    test: RankTest | None
    """Rank test of the hypothesis; None as long as runs are missing."""
    together: Estimate | None
    """Probability of improvement, the mean over environments; None as long as one has no scores.

    With `paired` it is the share of pairs in which `better` has the higher score, ties counting half.
    """
    apart: Mapping[str, Estimate | None]
    """Probability of improvement in each environment of the hypothesis and each of its tasks, by label."""
    missing: tuple[str, ...]
    """Jobs that are not complete."""


def decide(study: Study, results: Sequence[Result]) -> list[Decision]:
    """Decide every hypothesis of a study at its level, from the scores available so far."""
    tests = [_test(hypothesis, results) for hypothesis in study.hypotheses]
    p_values = [p for test in tests for p in ((test.better, test.worse) if test else (Fraction(1),) * 2)]
    rejected = holm(p_values, study.level, step_down=study.correction == "holm")
    return [
        _decision(hypothesis, test, rejected[2 * i], rejected[2 * i + 1], results)
        for i, (hypothesis, test) in enumerate(zip(study.hypotheses, tests, strict=True))
    ]


def reach(study: Study, hypothesis: Hypothesis) -> tuple[Fraction, Fraction, Fraction]:
    """Smallest p-value a hypothesis can reach, and the strictest and mildest significance level it may face.

    Holm's first threshold is `level / (2 m)` for m hypotheses. Each of the others can be decided in one
    direction, so that the last threshold which one can meet is `level / (m + 1)`.
    """
    sizes = [(len(study.seeds), len(study.seeds))] * len(hypothesis.environments)
    m = len(study.hypotheses)
    first = study.level / (2 * m)
    last = study.level / (m + 1) if study.correction == "holm" else first
    return smallest_p(sizes, paired=hypothesis.paired), first, last


def power_note(study: Study, hypothesis: Hypothesis) -> str:
    """Sentence on whether a hypothesis can be decided at all with this number of seeds."""
    p, first, last = reach(study, hypothesis)
    said = f"{hypothesis.name}: the smallest p-value that it can reach is {float(p):.2g}"
    if p <= first:
        return f"{said}; it is decided alone at {float(first):.2g}."
    if p <= last:
        return f"{said}; too large alone ({float(first):.2g}), enough after others ({float(last):.2g})."
    return (
        f"{said}, above every threshold (at most {float(last):.2g}): it can't be decided without more seeds."
    )


def short_note(study: Study, hypothesis: Hypothesis) -> str | None:
    """Sentence on environments with fewer evaluations than a final score is the mean of, if there are any."""
    if hypothesis.score != "final":
        return None
    few = {
        env.name: n
        for env in study.environments
        if env.name in hypothesis.environments and (n := _evaluations(env)) < LAST
    }
    found = ", ".join(f"{name} has {n}" for name, n in few.items())
    rule = f"a final score is the mean of the last {LAST} evaluations, or of all where there are fewer"
    return found and f"{hypothesis.name}: {rule}, from the start of training on; {found}."


def _evaluations(env: Environment) -> int:
    """Number of evaluations of a run in an environment, whose copies are as many as its tasks or more."""
    return env.length.evaluations(whole_copies(1, len(env.tasks)))


def _test(hypothesis: Hypothesis, results: Sequence[Result]) -> RankTest | None:
    jobs = sides(hypothesis.better, hypothesis.than, hypothesis.environments, results)
    if not all(one.whole for pair in jobs.values() for one in pair):
        return None
    pairs = [
        (list(a.scores(hypothesis.score).values()), list(b.scores(hypothesis.score).values()))
        for a, b in jobs.values()
    ]
    return paired_rank_test(pairs) if hypothesis.paired else stratified_rank_test(pairs)


def _decision(
    hypothesis: Hypothesis, test: RankTest | None, better: bool, worse: bool, results: Sequence[Result]
) -> Decision:
    outcome = NOT_YET if test is None else SUPPORTED if better else CONTRADICTED if worse else NOT_DECIDED
    arms, decided = (hypothesis.better, hypothesis.than), hypothesis.environments
    shown = [label for one in results for label in one.job.env.labels if one.job.env.name in decided]
    jobs = sides(*arms, dict.fromkeys([*decided, *shown]), results)
    finite = {label: _finite(hypothesis, *pair) for label, pair in jobs.items()}
    estimate = paired_improvement if hypothesis.paired else improvement
    known = [pair for label in decided if (pair := finite[label]) is not None]
    return Decision(
        hypothesis=hypothesis,
        outcome=outcome,
        test=test,
        together=estimate(known) if len(known) == len(decided) else None,
        apart={label: pair and estimate([pair]) for label, pair in finite.items()},
        missing=tuple(one.job.name for label in decided for one in jobs[label] if not one.whole),
    )


def _finite(hypothesis: Hypothesis, a: Result, b: Result) -> tuple[Scores, Scores] | None:
    """Scores of both arms, a diverged seed's set to the lowest score minus 1; None if an arm has no score.

    Of a paired hypothesis they are those of the seeds that both arms have.
    """
    scores = [one.scores(hypothesis.score) for one in (a, b)]
    if hypothesis.paired:
        both = scores[0].keys() & scores[1].keys()
        scores = [{seed: one[seed] for seed in one if seed in both} for one in scores]
    x, y = map(as_array, scores)
    returns = [value for value in (*x, *y) if isfinite(value)]
    lowest = min(returns, default=0.0) - 1
    return (np.maximum(x, lowest), np.maximum(y, lowest)) if len(x) and len(y) else None
