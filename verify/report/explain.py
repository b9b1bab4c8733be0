"""Text of `virel explain CLAIM`: statement, verdict, weight, what holds instead."""

from verify.engine.claim import Claim, Correction, kind_of
from verify.engine.describe import in_short
from verify.engine.results import Row
from verify.engine.statements import proved_of
from verify.report.headline import counted
from verify.report.sentence import sentence


def explanation(claim: Claim, row: Row) -> str:
    """Markdown text on a claim and its row of `results.json`: statement, verdict, what holds instead."""
    word = "As printed" if claim.printed and not claim.deep else "Statement (ours)"
    parts = [
        f"## {claim.id}: {claim.title}",
        f"**Source.** {claim.source}",
        f"**{word}.** ${claim.statement}$",
    ]
    if claim.reading:
        parts.append(f"**Our reading.** {claim.reading}")
    parts += [proved.line() for proved in proved_of(claim.id)]
    parts += [
        f"**Assumes** {a.name}: {a.text} ({_ablation(found)})"
        for a, found in zip(claim.assumptions, row["assumptions"], strict=True)
    ]
    parts.append(_verdict(row))
    if claim.weight is not None:
        parts.append(f"**Weight.** {claim.weight}: {claim.weight.meaning}.")
    parts.append(f"**Counted as.** A {kind_of(claim)}.")
    if row["counterexample"] is not None:
        parts.append(f"**Smallest counterexample found.** {sentence(row['counterexample'])}")
    if claim.correction is not None:
        parts += _correction("Corrected", claim.correction, row["corrected"])
    for step, found in zip(claim.steps, row["steps"], strict=True):
        parts.append(
            f"**Step** {step.name}: ${step.statement}$ {'holds' if found['ok'] else 'fails'}"
            + _numbers(found)
            + "."
        )
        if found["counterexample"] is not None:
            parts.append(f"**It fails on** {sentence(found['counterexample'])}")
        if step.repaired is not None:
            parts += _correction("Repaired", step.repaired, found["repaired"])
    return "\n\n".join(parts) + "\n"


def _verdict(row: Row) -> str:
    record = "" if row["verdict"] == row["expected"] else f" (on record: {row['expected']})"
    return f"**Verdict.** {row['verdict']}{record}{_numbers(row)}; {counted(row['instances'], 'instance')}."


def _numbers(row: Row) -> str:
    if row["error"] is None:
        return ""
    error = row["error"] or 0.0  # never minus zero
    return f" (error {in_short(error)} against the bound {in_short(row['bound'])})"


def _correction(word: str, correction: Correction, row: Row) -> list[str]:
    return [
        f"**{word}** ({row['verdict']}{_numbers(row)}). ${correction.statement}$",
        f"**Derivation.** {correction.derivation}",
    ]


def _ablation(found: Row) -> str:
    if found["ablation"] == "not searched":
        return "not dropped in any search"
    searched = f"{found['ablation']}, {counted(found['instances'], 'instance')} without it"
    if found["counterexample"] is None:
        return searched
    return f"{searched}; without it, the statement fails on {sentence(found['counterexample'], width=400)}"
