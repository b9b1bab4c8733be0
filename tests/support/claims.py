"""Small claims about integers, for tests of everything around claims."""

import dataclasses

import numpy as np
from hypothesis import strategies as st

from verify.engine.claim import Assumption, Check, Claim, Correction, Step
from verify.engine.plotdata import Curve, Figure, Panel
from verify.engine.verdict import Gap, Verdict

INTEGERS = st.fixed_dictionaries({"x": st.integers(0, 1000)})


def below(limit, *, bound=0.0):
    """A check that x < limit; its teeth bite on any x."""
    return Check(
        lambda *, x, perturb=0.0: Gap(float(x >= limit) + perturb, bound), INTEGERS, n_random=50, named=tuple
    )


ALWAYS = below(1001)
SOMETIMES = below(17)


def toothless_gap(*, x, perturb=0.0):  # noqa: ARG001
    return Gap(0.0, 0.0)


TOOTHLESS = Check(toothless_gap, INTEGERS, n_random=20)


def raising_gap(*, x, perturb=0.0):
    if x >= 5:
        raise ZeroDivisionError("a bug in the check")
    return Gap(perturb, 0.0)


def figures(seed):
    x = np.arange(1.0, 4.0)
    panel = Panel("squares", "x", "y", [Curve("measured", x, x**2), Curve("rate", x, x, kind="predicted")])
    return [Figure("holds-squares", [panel], f"squares, seed {seed}")]


HOLDS = Claim("holds", "holds", "Eq. (1)", "x < 1001", ALWAYS, Verdict.HOLDS, figures=figures)
REFUTED = Claim(
    "refuted",
    "refuted",
    "Eq. (2)",
    "x < 17",
    SOMETIMES,
    Verdict.REFUTED,
    assumptions=(
        Assumption("needed", "x is small", without=SOMETIMES),
        Assumption("spare", "x is an integer", without=ALWAYS),
        Assumption("unsearched", "x exists"),
    ),
    correction=Correction("x < 1001", "count", ALWAYS),
)
GAP = Claim(
    "gap",
    "gap",
    "Eq. (3)",
    "x < 1001",
    ALWAYS,
    Verdict.GAP,
    steps=(
        Step("the step that fails", "x < 17", SOMETIMES, Correction("x < 1001", "count", ALWAYS)),
        Step("the step that holds", "x < 1001", ALWAYS),
    ),
)
ERROR = Claim("error", "error", "Eq. (4)", "x < 5", Check(raising_gap, INTEGERS), Verdict.HOLDS)
NOT_A_NUMBER = Claim(
    "nan",
    "nan",
    "Eq. (5)",
    "x = x",
    Check(lambda *, x, perturb=0.0: Gap(np.nan, 1.0), INTEGERS),  # noqa: ARG005
    Verdict.HOLDS,
)
BAD_CORRECTION = dataclasses.replace(
    REFUTED, id="bad-correction", correction=Correction("x < 17", "no", SOMETIMES)
)


def registry(*claims):
    """A stand-in for `verify.engine.registry.all_claims`."""
    return lambda: {claim.id: claim for claim in claims}
