"""Row form of PRISM's files (`-exportrows`): one line per state, or per choice of an MDP.

A line is `s p:s' p:s' [action]`; the choices of a state are numbered in the order of their lines. Files of
rewards have `r:s'` instead, and lines without any.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

from virel_common.errors import require
from virel_theory.models.model_text import Line, as_int, in_range


def is_row_form(lines: Sequence[Line]) -> bool:
    """Whether lines below the counts are in row form: a second word is `p:s'`, or missing in all."""
    seconds = [words[1] for _, words in lines if len(words) > 1]
    return any(":" in word for word in seconds) or (bool(lines) and not seconds)


def one_by_one(
    lines: Sequence[Line], path: Path, *, choices: bool, most: Sequence[int] | None = None
) -> list[Line]:
    """Rewrite lines in row form as one line per successor, `s [choice] s' p`; leave other lines as they are.

    Args:
        lines: lines below the counts.
        path: the file, for error messages.
        choices: whether each line of a state is a further choice, as in an MDP; else a state has one line.
        most: how many lines each state may have, as a file of rewards must fit its model; None: any number.

    Returns: the lines; each keeps its number in the file.
    Raises: InputError: if a state of a DTMC has several lines, one has more than `most`,
        a state is not among these, or a word is not `p:s'`.
    """
    return list(_split(lines, path, choices=choices, most=most)) if is_row_form(lines) else list(lines)


def _split(lines: Sequence[Line], path: Path, *, choices: bool, most: Sequence[int] | None) -> Iterator[Line]:
    seen: dict[str, int] = {}
    for number, (state, *words) in lines:
        where = f"{path} line {number}"
        choice = seen[state] = seen.get(state, -1) + 1
        require(choices or choice == 0, where, state, "must give each state of a DTMC one line")
        if most is not None:
            in_range(as_int(state, path, number), len(most), path, number)
            n_choices = most[int(state)]
            rule = f"must give state {state} no more lines than it has choices in the .tra file, {n_choices}"
            require(choice < n_choices, where, choice + 1, rule)
        if words and words[-1].isidentifier():
            words.pop()  # the name of the action
        for word in words:
            value, colon, successor = word.rpartition(":")
            require(bool(colon), where, word, "must list successors as PROBABILITY:STATE")
            yield number, [state, *([str(choice)] if choices else []), successor, value]
