"""Reader of `.drn` files, the explicit-state format of Storm, which PRISM writes too.

A head of sections, `@type: MDP`, `@reward_models` with their names on the next line, `@nr_states`,
`@nr_choices`, then below `@model` the states in order:

    state 0 [0, 2.5] init
        action south [1, 0]
            1 : 0.1
            3 : 9/10

Rewards stand in brackets, one per reward model; labels follow. `//` begins a comment. Numbers may be
fractions, or placeholders `$name` of the section `@placeholders`.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from virel_common.errors import InputError, require
from virel_theory.checks import Array
from virel_theory.models.assemble import Ints
from virel_theory.models.choices import Choices, start_distribution
from virel_theory.models.from_prism import REFUSED
from virel_theory.models.model_text import as_finite_real, as_int, in_range, read_text

Section = list[tuple[int, str]]  # numbered lines without those that are empty or comments
LABEL = r'"([^"]+)"|([^\s"]+)'
STATE = re.compile(r"state\s+(\S+)\s*(?:\[([^\]]*)\])?\s*(.*)")
ACTION = re.compile(r"action\s+(\S+)\s*(?:\[([^\]]*)\])?\s*")


@dataclass(frozen=True, eq=False)
class Drn:
    """Contents of a `.drn` file.

    Attributes:
        choices: the model, with rewards 0 and its initial distribution.
        labels: for each label, the states that carry it.
        rewards: for each reward model, the reward `[C]` of every choice: that of its state and its own.
    """

    choices: Choices
    labels: Mapping[str, Ints]
    rewards: dict[str, Array]


@dataclass
class _Model:
    """Lists that grow while the states are read."""

    choice_ptr: list[int] = field(default_factory=list)
    choice: list[int] = field(default_factory=list)
    successor: list[int] = field(default_factory=list)
    prob: list[float] = field(default_factory=list)
    of_state: list[float] = field(default_factory=list)  # rewards of the current state
    rewards: list[list[float]] = field(default_factory=list)  # [C] rows, one number per reward model
    labels: dict[str, list[int]] = field(default_factory=dict)


def read_drn(path: Path) -> Drn:
    """Read a `.drn` file; raise `InputError` for a broken line, or a model that is no DTMC or MDP."""
    head, body = _split(path)
    names = _checked_head(path, head)
    n_states = _count(path, head, "@nr_states")
    require(n_states > 0, str(path), n_states, "must have at least one state")
    constants = _constants(path, head.get("@placeholders", []))
    reader = _Reader(path, n_states, len(names), is_dtmc=_kind(head) == "dtmc", constants=constants)
    model = reader.model(body)
    rewards = np.array(model.rewards).reshape(len(model.rewards), len(names))
    if "@nr_choices" in head:
        n_choices = _count(path, head, "@nr_choices")
        rule = f"must hold the {n_choices} choices of its @nr_choices"
        require(len(rewards) == n_choices, str(path), len(rewards), rule)
    labels = {name: np.array(states, dtype=np.int64) for name, states in model.labels.items()}
    choices = Choices(
        name=str(path),
        choice_ptr=np.array([*model.choice_ptr, len(rewards)]),
        choice=np.array(model.choice, dtype=np.int64),
        successor=np.array(model.successor, dtype=np.int64),
        prob=np.array(model.prob),
        reward=np.zeros(len(rewards)),
        initial=start_distribution(labels, n_states, name=str(path)),
    )
    return Drn(choices, labels, dict(zip(names, rewards.T, strict=True)))


def _split(path: Path) -> tuple[dict[str, Section], Section]:
    """Sections of the head by their names, and the lines below `@model`."""
    lines = [(number, line.strip()) for number, line in enumerate(read_text(path).splitlines(), start=1)]
    lines = [(number, line) for number, line in lines if line and not line.startswith("//")]
    sections: dict[str, Section] = {}
    name = ""
    for k, (number, line) in enumerate(lines):
        if line == "@model":
            return sections, lines[k + 1 :]
        if line.startswith("@"):
            name, colon, value = line.partition(":")
            require(name not in sections, f"{path} line {number}", name, "must not repeat a section")
            sections[name] = [(number, value.strip())] if colon else []
        else:
            require(name != "", f"{path} line {number}", line, "must begin with sections such as @type: MDP")
            sections[name].append((number, line))
    raise InputError(f"`{path}` must have a line @model above its states; found {sorted(sections)}")


def _checked_head(path: Path, head: dict[str, Section]) -> list[str]:
    """Names of the reward models; raise `InputError` unless the head is that of a DTMC or MDP in numbers."""
    kind = _kind(head)
    lacks = REFUSED.get({"markov automaton": "ma", "s2pg": "smg"}.get(kind, kind), "as its @type")
    require(kind in {"mdp", "dtmc"}, str(path), kind.upper(), f"must be a DTMC or an MDP, {lacks}")
    parameters = _text(head, "@parameters")
    require(not parameters, str(path), parameters, "must have no parameters: put in their values first")
    values = _text(head, "@value_type") or "double"
    require(
        values in {"double", "rational"}, str(path), values, "must have the @value_type double or rational"
    )
    names = _text(head, "@reward_models").split()
    require(len(set(names)) == len(names), str(path), names, "must have @reward_models of different names")
    return names


def _kind(head: dict[str, Section]) -> str:
    return _text(head, "@type").lower()


def _text(head: dict[str, Section], name: str) -> str:
    """Text of a section of the head, empty if it is missing."""
    return " ".join(line for _, line in head.get(name, []))


def _constants(path: Path, lines: Section) -> dict[str, float]:
    """Numbers by the names `$name` of their placeholders."""
    words = [(number, line.partition(":")) for number, line in lines]
    return {name.strip(): as_finite_real(value.strip(), path, number) for number, (name, _, value) in words}


def _count(path: Path, head: dict[str, Section], name: str) -> int:
    """The number in a section of the head."""
    lines = head.get(name, [])
    require(len(lines) == 1, str(path), [line for _, line in lines], f"must have one number below {name}")
    return as_int(lines[0][1], path, lines[0][0])


def _matched(pattern: re.Pattern[str], line: str, place: str, rule: str) -> re.Match[str]:
    """Match of a whole line; raises `InputError` if there is none."""
    match = pattern.fullmatch(line)
    if match is None:
        raise InputError(f"`{place}` {rule}; found {line!r}")
    return match


class _Reader:
    """Reader of the lines below `@model`."""

    def __init__(
        self, path: Path, n_states: int, n_rewards: int, *, is_dtmc: bool, constants: dict[str, float]
    ) -> None:
        self.path, self.n_states, self.n_rewards = path, n_states, n_rewards
        self.is_dtmc, self.constants = is_dtmc, constants

    def model(self, body: Section) -> _Model:
        """Read all states."""
        model = _Model()
        for number, line in body:
            if line.startswith("state "):
                self._state(model, number, line)
            elif line.startswith("action "):
                self._action(model, number, line)
            else:
                self._transition(model, number, line)
        rule = f"must hold the {self.n_states} states of its @nr_states"
        require(len(model.choice_ptr) == self.n_states, str(self.path), len(model.choice_ptr), rule)
        return model

    def _state(self, model: _Model, number: int, line: str) -> None:
        state = len(model.choice_ptr)
        rule = f"must be `state {state} [REWARDS] LABELS`, as states are numbered in order"
        match = _matched(STATE, line, self._at(number), rule)
        require(match[1] == str(state) and match[3][:1] not in {"!", "{", "["}, self._at(number), line, rule)
        model.choice_ptr.append(len(model.rewards))
        model.of_state = self._rewards(match[2], number)
        for quoted, plain in re.findall(LABEL, match[3]):
            model.labels.setdefault(quoted or plain, []).append(state)

    def _action(self, model: _Model, number: int, line: str) -> None:
        match = _matched(ACTION, line, self._at(number), "must be `action NAME [REWARDS]`")
        require(bool(model.choice_ptr), self._at(number), line, "must stand below a state")
        second = self.is_dtmc and self._has_action(model)
        require(not second, self._at(number), line, "must be the only action of its state, as in every DTMC")
        own = self._rewards(match[2], number)
        model.rewards.append([a + b for a, b in zip(model.of_state, own, strict=True)])

    def _transition(self, model: _Model, number: int, line: str) -> None:
        successor, colon, value = (word.strip() for word in line.partition(":"))
        require(
            bool(colon),
            self._at(number),
            line,
            "must be `STATE : PROBABILITY`, or begin a state or an action",
        )
        if self.is_dtmc and model.choice_ptr and not self._has_action(model):
            model.rewards.append(model.of_state)  # a DTMC needs no line for its only action
        require(self._has_action(model), self._at(number), line, "must stand below an action")
        model.successor.append(as_int(successor, self.path, number))
        in_range(model.successor[-1], self.n_states, self.path, number)
        model.choice.append(len(model.rewards) - 1)
        model.prob.append(self._real(value, number))

    def _rewards(self, text: str | None, number: int) -> list[float]:
        """Rewards in brackets, one per reward model; all 0 if there are no brackets."""
        if text is None:
            return [0.0] * self.n_rewards
        found = [self._real(word.strip(), number) for word in text.split(",")]
        rule = f"must give one reward to each of the {self.n_rewards} reward models"
        require(len(found) == self.n_rewards, self._at(number), f"[{text}]", rule)
        return found

    def _real(self, word: str, number: int) -> float:
        if word.startswith("$"):
            rule = f"must be one of the @placeholders {sorted(self.constants)}"
            require(word in self.constants, self._at(number), word, rule)
            return self.constants[word]
        return as_finite_real(word, self.path, number)

    def _has_action(self, model: _Model) -> bool:
        """Whether the current state has an action already."""
        return bool(model.choice_ptr) and len(model.rewards) > model.choice_ptr[-1]

    def _at(self, number: int) -> str:
        return f"{self.path} line {number}"
