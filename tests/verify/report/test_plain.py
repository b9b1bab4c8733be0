"""Formulas in Unicode for the terminal: nothing is lost, nothing changes its meaning, no macro is left."""

import re

import pytest

from verify.engine.registry import all_claims
from verify.report.plain import formula, plain


@pytest.mark.parametrize(
    ("latex", "line"),
    [
        (r"\frac{a + b}{c}", "(a + b)/c"),
        (r"\frac12 x", "1/2 x"),
        (r"\gamma^{t-1}", "γ^(t-1)"),
        (r"x_{\omega^*}^2", "x_(ω*)²"),
        (r"e^{-\frac{a}{b}}", "e^(-a/b)"),
        (r"\|Q - Q^*\|_\infty \le \epsilon", "‖Q - Q*‖_∞ ≤ ϵ"),
        (r"A \implies B \iff C", "A ⟹ B ⟺ C"),
        (r"a \ne b", "a ≠ b"),
        (r"\operatorname{tr} A", "tr A"),
        (r"\log\max_a f'(a)", "log max_a f'(a)"),
        (r"\unheardof x", r"\unheardof x"),
    ],
)
def test_a_formula_as_a_line(latex, line):
    assert formula(latex) == line


def test_text_outside_formulas_stays():
    assert plain("`a_b` costs 3, $x$ and $$y$$: \\n") == "`a_b` costs 3, x and y: \\n"


def texts(claim):
    """Everything that `virel explain` prints of a claim with formulas in it."""
    yield f"${claim.statement}$"
    yield claim.reading or ""
    yield from (assumption.text for assumption in claim.assumptions)
    corrections = [claim.correction, *(step.repaired for step in claim.steps)]
    for correction in filter(None, corrections):
        yield f"${correction.statement}$"
        yield correction.derivation
    yield from (f"${step.statement}$" for step in claim.steps)


def test_no_claim_has_a_macro_or_a_brace_left_over():
    found = {
        claim.id: left
        for claim in all_claims().values()
        for text in texts(claim)
        for one in re.findall(r"\$\$?[^$]+\$\$?", text)
        if (left := re.findall(r"\\[A-Za-z]+|%s|\$", plain(one)))
    }
    assert found == {}


LETTERS = re.compile(r"\\(?:omega|theta|varepsilon|gamma|beta|pi)(?![A-Za-z])")
SIGNS = {r"\omega": "ω", r"\theta": "θ", r"\varepsilon": "ε", r"\gamma": "γ", r"\beta": "β", r"\pi": "π"}


def test_every_greek_letter_of_every_statement_is_still_there():
    for claim in all_claims().values():
        line = formula(claim.statement)
        for name, sign in SIGNS.items():
            expected = sum(found.group() == name for found in LETTERS.finditer(claim.statement))
            assert line.count(sign) == expected, (claim.id, name)
