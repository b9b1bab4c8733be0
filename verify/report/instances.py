"""Counterexamples as HTML for the report page: MDPs and arrays become tables, floats simple fractions."""

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

from markupsafe import Markup

from verify.engine.describe import as_json, is_mdp
from verify.report.mathml import formula

_LATEX = {
    "q": r"\hat Q_\omega(s, a)",
    "q_star": r"Q^*(s, a)",
    "pi_theta": r"\pi_\theta(a|s)",
    "pi_phi": r"\pi_\phi(a|s)",
    "pi": r"\pi(a|s)",
    "d": "d(s)",
    "eps": r"\varepsilon",
    "eps_k": r"\varepsilon_k",
    "gamma": r"\gamma",
    "omega": r"\omega",
    "b": "b(s, a)",
    "step_size": r"\alpha",
    "alpha": r"\alpha",
    "sigma": r"\sigma",
    "a_star": "a^*",
}
MAX_CELLS = 400
"""Largest number of cells of an HTML table; a larger array becomes a line of text."""


def layout(instance: dict[str, Any]) -> Markup:
    """HTML list of a counterexample's parts (MDP, Q, temperature, ...): each with a number or a table.

    `instance` is what `verify.engine.describe` returns.
    """
    rows = Markup("").join(
        Markup("<dt>{}</dt><dd>{}</dd>").format(_name(name), _value(name, value))
        for name, value in instance.items()
    )
    return Markup('<dl class="instance">{}</dl>').format(rows)


def number(value: Any) -> str:
    """Text of a counterexample's number: the fraction that equals it up to rounding, else six digits."""
    value = as_json(value)  # in a file that others wrote it may be larger than any float
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    if abs(value) < 1e6:
        simple = Fraction(value).limit_denominator(999)
        if abs(float(simple) - value) <= 4e-16 * max(1.0, abs(value)):
            return str(simple).replace("-", "−")
    return f"{value:.6g}".replace("-", "−")


def _name(name: str) -> Markup:
    return formula(_LATEX[name]) if name in _LATEX else Markup("<code>{}</code>").format(name)


def _value(name: str, value: Any) -> Markup:
    if is_mdp(value):
        return _mdp(value)
    if isinstance(value, list) and value and isinstance(value[0], dict) and "type" in value[0]:
        return _model(value)
    if isinstance(value, dict):
        return layout(value)
    if isinstance(value, list) and _is_table(value):
        return _table(value) if name not in {"omega", "d"} else _tuple(value)
    if isinstance(value, list) and all(isinstance(item, dict) for item in value):
        return Markup("").join(layout(item) for item in value)
    return _tuple(value) if isinstance(value, list) else Markup("{}").format(number(value))


def _mdp(mdp: dict[str, Any]) -> Markup:
    """HTML table of an MDP, one row per allowed state-action pair: reward and next-state probabilities."""
    transition, reward, mask = mdp["transition"], mdp["reward"], mdp.get("mask")
    rows = [
        (str(s), str(a), number(reward[s][a]), _successors(transition[s][a]))
        for s in range(len(reward))
        for a in range(len(reward[s]))
        if mask is None or mask[s][a]
    ]
    head = Markup('<span class="size">S = {}, A = {}, γ = {}</span>').format(
        len(reward), len(reward[0]), number(mdp["gamma"])
    )
    start = mdp.get("initial")
    if start is not None:
        head += Markup(", starts from {}").format(_tuple(start))
    return head + _html_table(("state", "action", "reward", "next state"), rows)


def _successors(row: list[float]) -> str:
    reached = [(s, p) for s, p in enumerate(row) if p > 0]
    if len(reached) == 1:
        return str(reached[0][0])
    return ", ".join(f"{s} with {number(p)}" for s, p in reached)


def _is_table(value: list[Any]) -> bool:
    is_rows = all(isinstance(row, list) and row and not isinstance(row[0], dict) for row in value)
    return bool(value) and is_rows and len(value) * len(value[0]) <= MAX_CELLS


def _table(value: list[list[Any]]) -> Markup:
    head = ("state", *(f"action {a}" for a in range(len(value[0]))))
    return _html_table(head, [(str(s), *map(_nested, row)) for s, row in enumerate(value)])


def _html_table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> Markup:
    top = Markup("").join(Markup('<th scope="col">{}</th>').format(cell) for cell in head)
    body = Markup("").join(
        Markup('<tr><th scope="row">{}</th>{}</tr>').format(
            row[0], Markup("").join(Markup("<td>{}</td>").format(cell) for cell in row[1:])
        )
        for row in rows
    )
    return Markup('<table class="data"><thead><tr>{}</tr></thead><tbody>{}</tbody></table>').format(top, body)


def _model(value: list[Any]) -> Markup:
    """HTML line of a Q-function approximator: its type and its parameters omega."""
    fields = {k: v for k, v in value[0].items() if k not in {"type", "mask"}}
    inside = f" ({_nested(fields)})" if fields else ""
    return Markup("{}{}, {} = {}").format(
        value[0]["type"], inside, formula(r"\omega"), ", ".join(map(_nested, value[1:]))
    )


def _tuple(value: Any) -> Markup:
    """HTML of an array given as nested lists, written as nested parentheses."""
    return Markup("{}").format(_nested(value))


def _nested(value: Any) -> str:
    if isinstance(value, dict):
        return "; ".join(f"{key} {_nested(item)}" for key, item in value.items())
    if isinstance(value, list):
        return f"({', '.join(map(_nested, value))})"
    return number(value)
