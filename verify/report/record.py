"""The full record of what was checked, `docs/claims/`: one page a topic, from the registry, without a run.

Numbers of a run are left out: they differ from machine to machine, and `virel explain CLAIM` prints them. A
derivation that two claims of a page share is written once.
"""

import re
from collections import Counter
from collections.abc import Iterator, Sequence

from verify.engine.claim import Check, Claim, Correction, expected_verdict, kind_of
from verify.engine.describe import describe_instance
from verify.engine.registry import topics
from verify.engine.statements import proved_of
from verify.engine.verdict import Weight
from verify.report.letter import misprints
from verify.report.sentence import sentence

INDEX = "README.md"
TITLES = {
    "theorem_1": "Theorem 1: Boltzmann to Dirac",
    "objective": "The objective: (4), (5), (9) to (11), Lemma 1, Theorem 3",
    "optima": "Optima: Theorem 2, Corollary 1, the target set, temperatures",
    "residual_gradients": "Gradients of the residual error: App. E, F.3 and H, Theorem 4",
    "projection": "Projected residual error: App. F.1",
    "theorem_5": "Incremental optimisation: Theorem 5",
    "methods": "Methods: F.5, App. G, pseudo-likelihood, MERL, the design paper",
    "definitions": "Definitions in use, against our code",
    "deep": "The deep agent's code, against exact objects",
    "mpo": "MPO",
    "weighted": "RERPI and V-MPO",
    "soft_q": "Soft Q-learning and entropy-regularised policy gradients",
    "particles": "Sequential Monte Carlo planning",
    "priors": "Learned priors: Distral, IADP, HDP",
    "inference": "Iterative inference and models",
    "coincidences": "Rows that are one algorithm",
}
"""Title of each page, by the folder of `verify/claims/`; in the order of the index."""
COUNTED = """\
The second column counts all claims of a page: on statements of the sources, on statements of ours, and on
our own code. The third column counts those of them that do not hold as stated, by their weight. The last
row counts places of the sources instead of claims, of these kinds:
{kinds}. The [letter](../errata.md) lists those of the kind misprint, with the design
paper's at its end.
"""
"""What the index counts; `kinds` are numbers of places."""
KINDS = """\
Places of the sources that are wrong, undefined or unsupported as printed. The last column begins with the
kind. A *misprint* is a formula or a reference that misleads; a *slip* is a missing word, index or bracket
that misleads nobody. What is *undefined* has no value as it stands, what is *unsupported* needs a hypothesis
or a proof that is not there, and what is *false* does not hold.
"""
"""Kinds of places, on the page of misprints."""


def record() -> dict[str, str]:
    """Texts of the full record by file name: an index, one page a topic, and the list of all misprints."""
    pages = {f"{topic}.md": _page(topic, claims) for topic, claims in topics().items()}
    return {INDEX: _index()} | pages | {"misprints.md": _misprints()}


def addresses() -> dict[str, str]:
    """Page and heading of every claim on record below `docs/claims/`, by its id."""
    found = topics().items()
    return {one.id: f"{topic}.md#{anchor(_title(one))}" for topic, claims in found for one in claims}


def anchor(heading: str) -> str:
    """Anchor of a heading, as GitHub and MyST make it.

    Example:
        >>> anchor("theorem-3: max of L, and of E[KL]")
        'theorem-3-max-of-l-and-of-ekl'
    """
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def _title(claim: Claim) -> str:
    return f"{claim.id}: {claim.title}"


def _index() -> str:
    found = topics()
    lines = [
        "# The full record",
        "",
        "Written by `virel explain --record docs/claims` from the registry.",
        "",
        COUNTED.format(kinds=_kinds()),
    ]
    lines += ["| page | claims | of these not as printed |", "| --- | --- | --- |"]
    for topic, title in TITLES.items():
        counts = {w: sum(claim.weight is w for claim in found[topic]) for w in Weight}
        words = ", ".join(f"{n} {weight}" for weight, n in counts.items() if n)
        lines.append(f"| [{title}]({topic}.md) | {len(found[topic])} | {words} |")
    return "\n".join([*lines, f"| [Misprints, every place](misprints.md) | {len(misprints())} | |"]) + "\n"


def _kinds() -> str:
    """Numbers of places of each kind in the list of misprints, the most frequent first."""
    found = Counter(row.kind for row in misprints())
    return ", ".join(f"{kind} {n}" for kind, n in found.most_common())


def _page(topic: str, claims: Sequence[Claim]) -> str:
    written: dict[str, str] = {}
    parts = [f"# {TITLES[topic]}", *(text for claim in claims for text in _claim(claim, written))]
    return "\n\n".join(parts).replace("](", "] (") + "\n"  # a formula must not look like a link


def _claim(claim: Claim, written: dict[str, str]) -> Iterator[str]:
    yield f"## {_title(claim)}"
    weight = f", {claim.weight} ({claim.weight.meaning})" if claim.weight else ""
    yield f"{claim.source}. A {kind_of(claim)}. {expected_verdict(claim)}{weight}."
    yield f"$${claim.statement}$$"
    if claim.reading:
        yield f"**Our reading.** {claim.reading}"
    for proved in proved_of(claim.id):
        yield proved.line()
    if claim.assumptions:
        yield "\n".join(f"- Assumes {a.name}: {a.text}" for a in claim.assumptions)
    yield from _counterexample(claim.check)
    if claim.correction is not None:
        yield from _correction("Corrected", claim.correction, claim.id, written)
    for step in claim.steps:
        yield f"**Step** {step.name}{'' if step.repaired is None else ', which fails'}: ${step.statement}$"
        yield from _counterexample(step.check)
        if step.repaired is not None:
            yield from _correction("Repaired", step.repaired, claim.id, written)


def _counterexample(check: Check) -> Iterator[str]:
    if check.recorded is not None:
        yield f"**Counterexample.** {sentence(describe_instance(check.recorded))}"


def _correction(word: str, offered: Correction, claim_id: str, written: dict[str, str]) -> Iterator[str]:
    yield f"**{word}.** ${offered.statement}$"
    text = offered.derivation.strip()
    yield f"**Derivation.** As for `{written[text]}`." if text in written else f"**Derivation.** {text}"
    written.setdefault(text, claim_id)


def _misprints() -> str:
    lines = [
        "# Misprints, every place",
        "",
        KINDS,
    ]
    lines += ["| place | printed | read | why |", "| --- | --- | --- | --- |"]
    for row in misprints():
        cells = (row.where, row.printed, row.read, f"*{row.kind}*: {row.note}")
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(lines) + "\n"
