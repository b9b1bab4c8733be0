"""Rows of claims as if they had run and come out as recorded: the report's texts, without the checks."""

from verify.engine.claim import Claim
from verify.engine.results import result_row, results_document
from verify.engine.runner import Outcome, Result
from verify.engine.verdict import Gap, Verdict
from virel_theory import TabularMDP

HELD = Outcome(200, Gap(1e-16, 1e-12))
FAILED = Outcome(3, Gap(0.25, 1e-12), {"mdp": TabularMDP([[[1.0], [1.0]]], [[1.0, 0.0]], 0.5), "eps": 1 / 3})


def row_of(claim: Claim):
    checked = HELD if claim.correction else None
    steps = tuple(HELD if step.repaired is None else FAILED for step in claim.steps)
    repairs = tuple(None if step.repaired is None else HELD for step in claim.steps)
    ablations = tuple(FAILED if assumption.without else None for assumption in claim.assumptions)
    printed = FAILED if claim.expected == Verdict.REFUTED else HELD
    return result_row(Result(claim, claim.expected, printed, checked, steps, repairs, ablations, 0.1))


def document_of(claims):
    return results_document([row_of(claim) for claim in claims], seed=0)
