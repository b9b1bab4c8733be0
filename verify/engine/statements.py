"""What certificates prove, in words: the sentences of `verify/statements.toml`, by claim and form."""

import tomllib
from functools import cache
from pathlib import Path
from typing import NamedTuple

SOURCE = Path(__file__).parents[1] / "statements.toml"


class Proved(NamedTuple):
    """What the certificates of one form of a claim prove."""

    form: str
    """`printed`, `corrected` or `step-N`."""
    refutes: bool
    """Whether it is a counterexample's."""
    words: str
    """The statement in words, on one instance."""
    headline: str
    """Title of a row that says no more than is proved; empty if the claim's title does."""

    def line(self) -> str:
        """Line of Markdown on what is proved, for the record of a claim."""
        word = "Counterexample proved" if self.refutes else "Proved"
        return f"**{word}** ({self.form}): {self.words}."


def proved_of(claim_id: str) -> list[Proved]:
    """What the certificates of a claim prove, form by form; empty if it has none.

    Example:
        >>> proved_of("app-c-3")[0].words
        'there is more than one self-consistent temperature'
    """
    return _all().get(claim_id, [])


@cache
def _all() -> dict[str, list[Proved]]:
    table = tomllib.loads(SOURCE.read_text(encoding="utf-8"))
    out: dict[str, list[Proved]] = {}
    for key in table["claims"]:
        *claims, form = key.split()
        refutes = key in table["refutations"]
        words = table["refutations" if refutes else "proofs"].get(key, "")
        for claim in claims:
            found = Proved(form, refutes, words, table["headlines"].get(f"{claim} {form}", ""))
            out.setdefault(claim, []).append(found)
    return out
