"""Claims as data: a printed statement, its place in the paper, its assumptions, and its numerical checks."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from hypothesis.strategies import SearchStrategy

from verify.engine.plotdata import Figure
from verify.engine.verdict import Gap, Verdict, Weight

Instance = dict[str, Any]
"""Keyword arguments of a gap function, e.g. `{"mdp": ..., "q": ..., "eps": 0.5}`."""


class Kind(StrEnum):
    """Whose statement a claim checks: a source's, one of ours, or that our own code computes what it says."""

    SOURCE = "statement of the sources"
    OURS = "statement of ours"
    CODE = "test of our own code"


@dataclass(frozen=True, eq=False)
class Check:
    """Numerical check of a statement: `gap` compares its two sides on every instance (MDP, values, policy).

    Args:
        gap: `gap(**instance, perturb=0.0) -> Gap`. With `perturb=1.0` it must plant an error (sign, factor,
            missing term) in one of the two sides that it compares, so that a working check fails.
        instances: hypothesis strategy of instances (dicts), with simple values first, so that counterexamples
            shrink to something readable.
        n_random: number of instances that are drawn at random.
        named: a function that returns further `(name, instance)` pairs, e.g. the Gymnasium MDPs. It is called
            only when the check runs.
        recorded: the counterexample on record of a statement that is false, within every hypothesis of its
            source (`verify/claims/hypotheses.py`). It is looked at first. None searches for one.

    Example:
        >>> from hypothesis import strategies as st
        >>> def gap(*, x, perturb=0.0):
        ...     return Gap(error=abs((x + perturb) - x), bound=1e-9)
        >>> check = Check(gap, st.fixed_dictionaries({"x": st.integers(-9, 9)}))
        >>> check.gap(x=3).ok, check.gap(x=3, perturb=1.0).ok
        (True, False)
    """

    gap: Callable[..., Gap]
    instances: SearchStrategy[Instance]
    n_random: int = 200
    named: Callable[[], Iterable[tuple[str, Instance]]] = tuple
    recorded: Instance | None = None


@dataclass(frozen=True, eq=False)
class Assumption:
    """Assumption of a printed statement, and optionally a search for a counterexample that violates it.

    Example:
        >>> Assumption("finite", "S and A are finite.").without is None
        True
    """

    name: str
    """Name of the assumption, a few words."""
    text: str
    """The assumption, as printed."""
    without: Check | None = None
    """Check of the statement on instances that violate the assumption; None means no search."""


@dataclass(frozen=True, eq=False)
class Step:
    """Displayed formula in a printed proof, with its check and, if it is false, what holds instead.

    Example:
        >>> from hypothesis import strategies as st
        >>> check = Check(lambda x, perturb=0.0: Gap(perturb, 0.0), st.fixed_dictionaries({"x": st.just(0)}))
        >>> Step("by-definition", "x = x", check).repaired is None
        True
    """

    name: str
    """Name of the step, a few words in kebab-case."""
    statement: str
    """Formula of the step in LaTeX, as printed."""
    check: Check
    """Check of the step as printed."""
    repaired: "Correction | None" = None
    """Statement that holds instead, if the step fails; None if the step holds."""


@dataclass(frozen=True, eq=False)
class Correction:
    """Corrected statement that holds in place of a false printed one, with its derivation and check.

    Example:
        >>> from hypothesis import strategies as st
        >>> check = Check(lambda x, perturb=0.0: Gap(perturb, 0.0), st.fixed_dictionaries({"x": st.just(0)}))
        >>> Correction("x = x", "By definition.", check).statement
        'x = x'
    """

    statement: str
    """Corrected statement in LaTeX."""
    derivation: str
    """Proof of the corrected statement: Markdown with LaTeX."""
    check: Check
    """Check of the corrected statement."""


@dataclass(frozen=True, eq=False)
class NoProof:
    """Reason why a claim, or one form of it, has floating-point checks only and no certificate (proof)."""

    reason: str
    """Reason as one phrase for docs/certificates.md."""
    form: str = ""
    """`printed`, `corrected` or `step-N`, the N-th step of the claim; empty for all forms of the claim."""


ON_AN_INTERVAL = NoProof(
    "actions, or the variable, on an interval: densities, integrals and limits, no finite rational instance"
)
A_LIMIT = NoProof("an infinite sum or the limit of a recursion, without a rational or closed form")
A_DEFINITION = NoProof("a definition: what is checked is that the library's float64 code computes it")


@dataclass(frozen=True, eq=False)
class Claim:
    """Statement printed in the VIREL paper, or one of ours about it, with its checks and verdict on record.

    Args:
        id: kebab-case, follows the source: `theorem-1`, `eq-31`, `app-c-1`.
        title: a few words for tables.
        source: where it is printed, e.g. `"Thm 3, App. D.4"`.
        statement: LaTeX, exactly as printed where `printed`; a reading is marked as one in words.
        check: the check of that statement.
        expected: the verdict on record; `virel verify` exits 0 iff it comes out again.
        assumptions: what the source assumes.
        steps: displayed steps of the printed proof, each with its own check.
        correction: what holds instead; a claim on record as `REFUTED` needs one.
        figures: `figures(seed)` computes the data of its convergence plots (`verify.report` draws them).
        printed: whether a source prints the statement. If not, it is ours: the same on other sets, or a rate.
        deep: whether its checks run `virel_deep` and need torch. Such a claim runs if it is named, or with
            `virel verify --deep`.
        not_certified: why the claim on record, or one form of it, has no proof in exact or ball arithmetic;
            None if all its forms have one. `verify.proofs.table` holds the proofs.
        weight: what a verdict other than HOLDS or CERTIFIED means to the authors of the source.
        reading: how the printed statement is read where that is not plain from it, one English sentence.

    Example:
        >>> from hypothesis import strategies as st
        >>> check = Check(lambda x, perturb=0.0: Gap(perturb, 0.0), st.fixed_dictionaries({"x": st.just(0)}))
        >>> claim = Claim("my-identity", "x is x", "ours", "x = x", check, Verdict.HOLDS)
        >>> from verify.engine.runner import run_claim
        >>> run_claim(claim, seed=0).verdict is claim.expected
        True
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
    figures: Callable[[int], Sequence[Figure]] | None = None
    printed: bool = True
    deep: bool = False
    not_certified: NoProof | None = None
    weight: Weight | None = None
    reading: str = ""


def kind_of(claim: Claim) -> Kind:
    """Whose statement a claim checks. Claims `def-*` and `deep-*` test our own code; see `Claim.printed`."""
    if claim.deep or claim.id.startswith(("def-", "deep-")):
        return Kind.CODE
    return Kind.SOURCE if claim.printed else Kind.OURS


def expected_verdict(claim: Claim) -> Verdict:
    """Verdict that `virel verify --certify` must find: CERTIFIED, not HOLDS, if the statement has a proof.

    The claim is one on record; deep claims and claims in files of your own have no proofs.
    """
    gap = claim.not_certified
    proved = not claim.deep and (gap is None or gap.form not in ("", "printed"))
    return Verdict.CERTIFIED if proved and claim.expected is Verdict.HOLDS else claim.expected
