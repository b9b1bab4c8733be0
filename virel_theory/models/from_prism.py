"""Readers of explicit-state model files, as PRISM and Storm write them.

Transitions (`.tra`): an optional first line `mdp` or `dtmc` (Storm) or counts `S C N` / `S N` (PRISM), then
`s choice s' p [action]` (MDP) or `s s' p` (DTMC), or one line per choice, `row_form`.
Labels (`.lab`): `0="init" 1="goal"`, then `s: 0 1` (PRISM), or `#DECLARATION`, names, `#END`, then
`s name name` (Storm). Rewards: `s r`, `s choice r` or `s choice s' r` (DTMC: `s s' r`), after an optional
line of counts. Numbers may be fractions such as `1/3`. Lines that start with `#` or `//` are comments, except
those of `#DECLARATION` in `.lab` files; a comment may say what a file holds, as PRISM writes it: models of
other kinds, `(CTMC)`, are refused. Files may be compressed, see `model_text`.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from virel_common.errors import InputError, require
from virel_theory.checks import Array
from virel_theory.models import row_form
from virel_theory.models.assemble import Ints
from virel_theory.models.model_text import Line, as_finite_real, as_int, in_range, read_lines, read_text

REFUSED = {
    "ctmc": "in discrete time: export the embedded or uniformised model",
    "ctmdp": "in discrete time: export the embedded or uniformised model",
    "ma": "in discrete time: export the embedded or uniformised model",
    "pta": "in discrete time: export it with digital clocks",
    "popta": "in discrete time: export it with digital clocks",
    "idtmc": "with a number for each probability, not an interval",
    "imdp": "with a number for each probability, not an interval",
    "pomdp": "whose states are seen",
    "lts": "with probabilities",
    "smg": "with one player",
    "csg": "with one player",
    "tsg": "with one player",
}
"""What a model of another kind than DTMC or MDP lacks, by the name that its file gives it."""
FOREIGN = {"STATES": "MRMC", "P": "MATLAB"}
"""Formats of other tools that PRISM can export, by the first word of a `.tra` file."""


@dataclass(frozen=True, eq=False)
class Transitions:
    """Transitions `[N]` of a `.tra` file, by state and choice; `is_dtmc` if it has no column of choices."""

    path: Path
    n_states: int
    state: Ints
    choice: Ints
    successor: Ints
    prob: Array
    is_dtmc: bool


def read_transitions(path: Path) -> Transitions:
    """Read the transitions of a `.tra` file."""
    _refuse_other_kinds(path)
    lines = read_lines(path)
    require(bool(lines), str(path), "no line", "must hold transitions")
    is_dtmc, counts, lines = _tra_header(path, lines)
    lines = row_form.one_by_one(lines, path, choices=not is_dtmc)
    n_ints = 2 if is_dtmc else 3
    columns, prob = _numbers(path, lines, n_ints=n_ints, labelled=True)
    require(len(prob) > 0, str(path), "no transition", "must hold transitions")
    state, successor = columns[0], columns[-1]
    choice = np.zeros_like(state) if is_dtmc else columns[1]
    n_states = counts[0] if counts else int(max(state.max(), successor.max())) + 1
    _check_counts(path, counts, state=state, choice=choice, n_states=n_states)
    order = np.lexsort((choice, state))
    state, choice, successor = state[order], choice[order], successor[order]
    return Transitions(path, n_states, state, choice, successor, prob[order], is_dtmc)


def choice_rows(tra: Transitions) -> tuple[Ints, Ints]:
    """Number a model's choices: pointers `[S + 1]` to those of each state, and the choice of each transition.

    A state must number its choices 0, 1, 2, ...
    """
    first = np.ones(len(tra.state), dtype=np.bool_)
    first[1:] = (np.diff(tra.state) != 0) | (np.diff(tra.choice) != 0)
    counts = np.bincount(tra.state[first], minlength=tra.n_states)
    choice_ptr = np.concatenate([[0], counts.cumsum()])
    choice = first.cumsum() - 1
    bad = choice - choice_ptr[tra.state] != tra.choice
    if bad.any():
        k = int(np.argmax(bad))
        rule = "must number the choices of a state 0, 1, 2, ..."
        raise InputError(f"`{tra.path}` {rule}; found choice {tra.choice[k]} in state {tra.state[k]}")
    return choice_ptr, choice


def read_labels(path: Path, n_states: int) -> dict[str, Ints]:
    """Read a `.lab` file: for each label, the states that carry it."""
    lines = read_lines(path, keep=("#DECLARATION", "#END"))
    require(bool(lines), str(path), "no line", "must declare labels")
    if lines[0][1][0] == "#DECLARATION":
        names, lines = _storm_declaration(path, lines)
    else:
        names = _prism_declaration(path, lines[0])
        lines = lines[1:]
    states: dict[str, list[int]] = {name: [] for name in names.values()}
    for number, words in lines:
        state = as_int(words[0].removesuffix(":"), path, number)
        in_range(state, n_states, path, number)
        for word in words[1:]:
            require(
                word in names, f"{path} line {number}", word, f"must use the declared labels {sorted(names)}"
            )
            states[names[word]].append(state)
    return {name: np.array(found, dtype=np.int64) for name, found in states.items()}


def read_rewards(path: Path, tra: Transitions) -> tuple[Array, bool]:
    """Read a reward file: reward of every transition `[N]`, and whether it depends on the successor."""
    lines = read_lines(path)
    require(
        bool(lines), str(path), "no line", "must hold rewards, or the line of counts that says there are none"
    )
    choice_ptr, _ = choice_rows(tra)
    if row_form.is_row_form(lines[1:]):
        most = np.diff(choice_ptr).tolist()
        lines = lines[:1] + row_form.one_by_one(lines[1:], path, choices=not tra.is_dtmc, most=most)
    width = max((len(words) for _, words in lines), default=2)
    counts: list[int] = []
    if lines and (len(lines[0][1]) < width or lines[0][1][0] == str(tra.n_states)):  # no state is numbered S
        counts = [as_int(word, path, lines[0][0]) for word in lines[0][1]]
        lines = lines[1:]
    require(width in (2, 3, 4), str(path), width, "must be a reward file of 2, 3 or 4 columns")
    if counts:
        require(
            counts[-1] == len(lines),
            str(path),
            len(lines),
            f"must hold the {counts[-1]} rewards that its first line announces",
        )
        announced, model = counts[:-1], [tra.n_states, int(choice_ptr[-1])][: len(counts) - 1]
        rule = f"must announce the numbers of states (and choices) of {tra.path.name}, {model}"
        require(announced == model, str(path), announced, rule)
    columns, reward = _numbers(path, lines, n_ints=width - 1, labelled=False)
    names = ("state", "successor") if tra.is_dtmc and width == 3 else ("state", "choice", "successor")
    keys = [getattr(tra, name) for name in names[: width - 1]]
    return _look_up(path, keys, columns, reward), names[width - 2] == "successor"


def _look_up(path: Path, keys: Sequence[Ints], columns: Sequence[Ints], reward: Array) -> Array:
    """Rewards of all transitions: that of the reward file's row whose `columns` equal the `keys`, else 0."""
    table: dict[tuple[int, ...], float] = {}
    for key, value in zip(zip(*(c.tolist() for c in columns), strict=True), reward.tolist(), strict=True):
        require(
            key not in table,
            str(path),
            key,
            "must give at most one reward to each state, choice or transition",
        )
        table[key] = value
    wanted = list(zip(*(key.tolist() for key in keys), strict=True))
    unknown = table.keys() - set(wanted)
    rule = "must give rewards only to states, choices and transitions that the .tra file lists"
    require(not unknown, str(path), min(unknown, default=None), rule)
    return np.array([table.get(key, 0.0) for key in wanted])


def _tra_header(path: Path, lines: list[Line]) -> tuple[bool, list[int], list[Line]]:
    """Parse the head of a `.tra` file: whether it is a DTMC, the counts it announces, and the other lines."""
    number, words = lines[0]
    if words[0].lower() in {"mdp", "dtmc"}:
        return words[0].lower() == "dtmc", [], lines[1:]
    tool = FOREIGN.get(words[0])
    require(tool is None, str(path), f"the format of {tool}", "must be in PRISM's own format or in row form")
    rule = "must be 'mdp', 'dtmc', or the numbers of states, (choices) and transitions"
    require(len(words) in (2, 3), f"{path} line {number}", " ".join(words), rule)
    return len(words) == 2, [as_int(word, path, number) for word in words], lines[1:]


def _check_counts(path: Path, counts: Sequence[int], *, state: Ints, choice: Ints, n_states: int) -> None:
    """Raise `InputError` unless a `.tra` file holds the states, choices and transitions that it announces."""
    if counts:
        n_choices = len(np.unique(np.stack([state, choice]), axis=1).T)
        found = [n_states, len(state)] if len(counts) == 2 else [n_states, n_choices, len(state)]
        require(
            found == list(counts),
            str(path),
            found,
            f"must hold the numbers of states, (choices) and transitions that it announces, {list(counts)}",
        )
    top = int(state.max())
    require(top < n_states, str(path), top, f"must number states below {n_states}")
    require(
        n_states <= len(state),
        str(path),
        n_states,
        f"must have no more states than transitions ({len(state)}), as every state needs one",
    )


def _prism_declaration(path: Path, line: Line) -> dict[str, str]:
    """Label names by their number, as the first line of a PRISM `.lab` file declares them."""
    text = " ".join(line[1])
    pairs: list[tuple[str, str]] = re.findall(r'(\d+)="([^"]*)"', text)
    found = " ".join(f'{key}="{name}"' for key, name in pairs)
    require(
        bool(pairs) and found == text,
        f"{path} line {line[0]}",
        text,
        'must declare labels like 0="init" 1="goal"',
    )
    numbers = [key for key, _ in pairs]
    require(len(set(numbers)) == len(pairs), f"{path} line {line[0]}", text, "must declare each number once")
    return dict(pairs)


def _storm_declaration(path: Path, lines: list[Line]) -> tuple[dict[str, str], list[Line]]:
    """Label names that a Storm `.lab` file declares, each mapped to itself, and the lines that follow."""
    ends = [k for k, (_, words) in enumerate(lines) if words[0] == "#END"]
    require(bool(ends), str(path), "no #END", "must end its #DECLARATION")
    names = [word for _, words in lines[1 : ends[0]] for word in words]
    return {name: name for name in names}, lines[ends[0] + 1 :]


def _numbers(path: Path, lines: Sequence[Line], *, n_ints: int, labelled: bool) -> tuple[list[Ints], Array]:
    """Parse model-file lines of `n_ints` integers and a real; `labelled` ones may end in a word."""
    widths = (n_ints + 1, n_ints + 2) if labelled else (n_ints + 1,)
    ints = np.empty((len(lines), n_ints), dtype=np.int64)
    reals = np.empty(len(lines))
    for k, (number, words) in enumerate(lines):
        require(
            len(words) in widths,
            f"{path} line {number}",
            " ".join(words),
            f"must have {' or '.join(map(str, widths))} columns",
        )
        ints[k] = [as_int(word, path, number) for word in words[:n_ints]]
        reals[k] = as_finite_real(words[n_ints], path, number)
    return list(ints.T), reals


def _refuse_other_kinds(path: Path) -> None:
    """Raise `InputError` if the head of a `.tra` file says that it is neither a DTMC nor an MDP."""
    for line in read_text(path).splitlines()[:5]:
        kind = re.fullmatch(r"(?:(?:#|//).*\()?(\w+)\)?", line.strip())
        if kind is not None and kind[1].lower() in REFUSED:
            rule = f"must be a DTMC or an MDP, {REFUSED[kind[1].lower()]}"
            raise InputError(f"`{path}` {rule}; found {kind[1].upper()}")
