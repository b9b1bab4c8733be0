import re
from functools import cache

import pytest
from matplotlib.mathtext import MathTextParser

from verify.engine.registry import all_claims
from verify.report.latex import mathtext, pieces, upright
from verify.report.mathml import formula, inline, paragraphs
from verify.report.typeset import typeset

FORMULA = re.compile(r"\$\$[^$]+\$\$|\$[^$]+\$|`[^`]*`")


def offered(claim):
    return [c for c in (claim.correction, *(step.repaired for step in claim.steps)) if c is not None]


def formulas(claim):
    yield claim.statement
    yield from (step.statement for step in claim.steps)
    yield from (correction.statement for correction in offered(claim))
    for text in texts(claim):
        yield from (found.strip("$") for found in FORMULA.findall(text) if found.startswith("$"))


def texts(claim):
    return [a.text for a in claim.assumptions] + [c.derivation for c in offered(claim)]


def unpaired(html):
    """Powers and indices of a formula that do not have exactly two children, which browsers show wrongly."""
    tags = re.findall(r"<(/?)(\w+)[^>]*?(/?)>", html)
    depth, counts, wrong = 0, {}, []
    for closes, tag, empty in tags:
        if closes:
            depth -= 1
            wrong += [tag] if tag in ("msup", "msub") and counts[depth] != 2 else []
            continue
        counts[depth - 1] = counts.get(depth - 1, 0) + 1
        if not empty and tag not in ("wbr", "mspace"):
            counts[depth] = 0
            depth += 1
    return wrong


@cache
def check_formula(latex):
    """Once for formulas that several claims have."""
    html = str(formula(latex, display=True))
    assert 'class="latex"' not in html, latex
    assert "\\" not in re.sub(r'alttext="[^"]*"', "", html), latex
    assert not unpaired(html), latex
    for piece in pieces(upright(latex)):
        parse(mathtext(piece))


@cache
def parse(text):
    MathTextParser("path").parse(f"${text}$")


@pytest.mark.parametrize("claim", all_claims().values(), ids=all_claims())
def test_every_formula_of_the_registry_becomes_mathml_and_mathtext(claim):
    for latex in formulas(claim):
        check_formula(latex)
    for text in texts(claim):
        assert "\\" not in FORMULA.sub("", text), f"LaTeX outside dollar signs: {text}"
        assert FORMULA.sub("", text).count("$") == 0, text


def test_a_power_of_a_function_is_one_of_it_and_not_of_the_space_behind_it():
    assert not unpaired(str(formula(r"1/(x\log^2 x) + \exp_a b")))
    assert "mspace" in formula(r"x\log x")
    assert unpaired("<msup><mi>log</mi><mspace width='1em'/><mn>2</mn></msup>") == ["msup"]


def test_pieces_break_after_relations_operators_and_spaces_but_not_in_braces():
    assert pieces(r"a + b = \frac{c = d}{e}, \quad x \le -1") == [
        "a +",
        "b =",
        r"\frac{c = d}{e}, \quad",
        r"x \le",
        "-1",
    ]
    assert pieces("f := g^-") == ["f :=", "g^-"]


def test_script_letters_are_characters_because_browsers_ignore_mathvariant():
    assert "\u2112" in formula(r"\mathcal L")
    assert "\U0001d4af" in formula(r"\mathcal T")
    assert "mathvariant" not in formula(r"\mathbb E")


def test_a_formula_that_cannot_be_converted_is_shown_as_latex():
    assert '<code class="latex">\\frac{</code>' in formula(r"\frac{")


def test_markdown_of_derivations():
    assert inline("*why*: `code` < Q* and V*") == "<em>why</em>: <code>code</code> &lt; Q* and V*"
    assert paragraphs("one\ntwo\n\nthree") == "<p>one\ntwo</p><p>three</p>"


@pytest.mark.parametrize(
    ("ascii_label", "drawn"),
    [
        ("eps_k -> 0", r"$\varepsilon_{k}$ → 0"),
        ("-4y^2", "-4$y^{2}$"),
        ("(x^2 - 1)^2", "($x^{2}$ - 1)$^{2}$"),
        ("(1 - alpha t)^(2n)", r"(1 - $\alpha$ t)$^{2n}$"),
        ("gamma^(k-1) x first", r"$\gamma^{k-1}$ x first"),
        ("Q* within 1e-12 of FrozenLake-v1", "Q* within 1e-12 of FrozenLake-v1"),
        (r"$\beta$ as it is, a_1", r"$\beta$ as it is, $a_{1}$"),
    ],
)
def test_ascii_labels_are_drawn_as_mathematics(ascii_label, drawn):
    assert typeset(ascii_label) == drawn
