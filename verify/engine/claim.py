"""A claim is data plus checks: what is printed, where, what it assumes, and functions that can fail."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from hypothesis.strategies import SearchStrategy

from verify.engine.plotdata import Figure
from verify.engine.verdict import Gap, Verdict

Instance = dict[str, Any]
"""Keyword arguments of a gap function, e.g. `{"mdp": ..., "q": ..., "eps": 0.5}`."""


@dataclass(frozen=True, eq=False)
class Check:
    """A gap function and the instances that it must hold on.

    Args:
        gap: `gap(**instance, perturb=0.0) -> Gap`. With `perturb=1.0` it must plant an error (sign, factor,
            missing term) in one of the two sides that it compares, so that a working check fails.
        instances: hypothesis strategy of instances (dicts); simple values first, so that counterexamples
            shrink to something readable.
        n_random: how many are drawn.
        named: further `(name, instance)` pairs, e.g. the Gymnasium MDPs; called only when the check runs.
    """

    gap: Callable[..., Gap]
    instances: SearchStrategy[Instance]
    n_random: int = 200
    named: Callable[[], Iterable[tuple[str, Instance]]] = tuple


@dataclass(frozen=True, eq=False)
class Assumption:
    """An assumption of the source; `without` searches for a counterexample when it is dropped, if given."""

    name: str
    text: str
    without: Check | None = None


@dataclass(frozen=True, eq=False)
class Step:
    """A displayed step of the printed proof, as printed; `repaired` is what holds if it fails."""

    name: str
    statement: str
    check: Check
    repaired: "Correction | None" = None


@dataclass(frozen=True, eq=False)
class Correction:
    """What holds instead of a printed statement: LaTeX, a derivation (Markdown, LaTeX) and its own check."""

    statement: str
    derivation: str
    check: Check


@dataclass(frozen=True, eq=False)
class Claim:
    """One printed statement, or one of ours about what is printed there.

    Args:
        id: kebab-case, follows the source: `theorem-1`, `eq-31`, `app-c-1`.
        title: a few words for tables.
        source: where it is printed, e.g. `"Thm 3, App. D.4"`.
        statement: LaTeX, exactly as printed where `printed`; a reading is marked as one in words.
        check: of that statement.
        expected: the verdict on record; `virel verify` exits 0 iff it comes out again.
        assumptions, steps, correction: see their classes. A `REFUTED` claim needs a correction.
        figures: `figures(seed)` computes the data of its convergence plots (`verify.report` draws them).
        printed: whether a source prints the statement; else it is ours: the same on other sets, a rate.
        deep: its checks run `virel_deep` and need torch; `virel verify --deep` runs it, or naming it.
    """

    id: str
    title: str
    source: str
    statement: str
    check: Check
    expected: Verdict
    assumptions: Sequence[Assumption] = ()
    steps: Sequence[Step] = ()
    correction: Correction | None = None
    figures: Callable[[int], Sequence[Figure]] | None = field(default=None)
    printed: bool = True
    deep: bool = False
