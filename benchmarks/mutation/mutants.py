"""Mutants of one source file: small changes of formulas, found in its syntax tree, applied to its text."""

import ast
import random
from collections.abc import Iterator
from dataclasses import dataclass

from benchmarks.mutation.scope import LEFT_OUT, ROUNDING

SWAPPED = {
    ast.Add: ("+", "-"),
    ast.Sub: ("-", "+"),
    ast.Mult: ("*", "/"),
    ast.Div: ("/", "*"),
    ast.Lt: ("<", "<="),
    ast.LtE: ("<=", "<"),
    ast.Gt: (">", ">="),
    ast.GtE: (">=", ">"),
    ast.Eq: ("==", "!="),
    ast.NotEq: ("!=", "=="),
    ast.BitAnd: ("&", "|"),
    ast.BitOr: ("|", "&"),
    ast.And: ("and", "or"),
    ast.Or: ("or", "and"),
}
OTHER_FUNCTION = {
    "max": "min",
    "min": "max",
    "maximum": "minimum",
    "minimum": "maximum",
    "argmax": "argmin",
    "argmin": "argmax",
    "sum": "mean",
    "mean": "sum",
    "any": "all",
    "log1p": "log",
    "tanh": "sin",
    "sign": "abs",
    "abs": "negative",
}
SIGN_MATTERS = {"exp", "log", "log1p", "expm1", "expit", "softmax", "logsumexp", "tanh", "log_ndtr"}
CHECKS = ("require", "first_bad", "as_", "_as_", "_check", "_pair", "_rows", "InputError", "isinstance")
NOT_FORMULAS = ("as_", "_as_", "_check", "_is_", "_read", "_bad", "checked", "has_atom")


@dataclass(frozen=True)
class Mutant:
    """One change of a module: bytes `start:stop` of its source become `after`."""

    module: str
    function: str
    operator: str
    start: int
    stop: int
    before: str
    after: str
    line: int
    nth: int = 1

    @property
    def key(self) -> str:
        """Name that stays while lines move: module, function, change, and which one of several alike."""
        change = f"{_one_line(self.before)} -> {_one_line(self.after)}"
        return f"{self.module}.{self.function}: {change}" + (f" #{self.nth}" if self.nth > 1 else "")

    def apply(self, source: str) -> str:
        """Source of the module with the change made."""
        data = source.encode()
        return (data[: self.start] + self.after.encode() + data[self.stop :]).decode()


def mutants_of(module: str, source: str) -> list[Mutant]:
    """Every mutant of the formulas of a module, in the order of the text."""
    text = _Text(source)
    out: list[Mutant] = []
    seen: dict[str, int] = {}
    for name, function in _functions(ast.parse(source)):
        if name.startswith(NOT_FORMULAS) or f"{module}.{name}" in LEFT_OUT:
            continue
        changes = sorted(set(_changes(function, text)), key=lambda c: (c[1], c[2], c[3]))
        for operator, start, stop, after in changes:
            before = text.data[start:stop].decode()
            line = text.data.count(b"\n", 0, start) + 1
            new = Mutant(module, name, operator, start, stop, before, after, line)
            seen[new.key] = seen.get(new.key, 0) + 1
            out.append(
                Mutant(module, name, operator, start, stop, before, after, line, seen[new.key])
                if seen[new.key] > 1
                else new
            )
    return out


def sample(mutants: list[Mutant], *, per_function: int, seed: int) -> list[Mutant]:
    """At most `per_function` mutants of every function, of as many operators as possible."""
    by_function: dict[str, list[Mutant]] = {}
    for mutant in mutants:
        by_function.setdefault(f"{mutant.module}.{mutant.function}", []).append(mutant)
    chosen = []
    for name, candidates in by_function.items():
        rng = random.Random(f"{seed} {name}")
        rng.shuffle(candidates)
        count: dict[str, int] = {}
        rank = {}
        for mutant in candidates:
            count[mutant.operator] = rank[mutant] = count.get(mutant.operator, 0) + 1
        chosen += sorted(candidates, key=lambda mutant: rank[mutant])[:per_function]
    return sorted(chosen, key=mutants.index)


Change = tuple[str, int, int, str]  # operator, start, stop, replacement


class _Text:
    """Byte offsets of the nodes of one source file."""

    def __init__(self, source: str) -> None:
        self.data = source.encode()
        self._starts = [0]
        for line in self.data.splitlines(keepends=True):
            self._starts.append(self._starts[-1] + len(line))

    def span(self, node: ast.expr) -> tuple[int, int]:
        assert node.end_lineno is not None
        assert node.end_col_offset is not None
        start = self._starts[node.lineno - 1] + node.col_offset
        return start, self._starts[node.end_lineno - 1] + node.end_col_offset

    def of(self, node: ast.expr) -> str:
        start, stop = self.span(node)
        return self.data[start:stop].decode()


def _functions(tree: ast.Module) -> Iterator[tuple[str, ast.FunctionDef]]:
    """Functions and methods of a module, each once; nested ones belong to their function."""
    for node in tree.body:
        if isinstance(node, ast.FunctionDef):
            yield node.name, node
        elif isinstance(node, ast.ClassDef):
            for member in node.body:
                if isinstance(member, ast.FunctionDef):
                    yield f"{node.name}.{member.name}" if _is_formula_class(node) else member.name, member


def _is_formula_class(node: ast.ClassDef) -> bool:
    return node.name not in {"TemperatureMap", "TabularMDP"}


def _changes(function: ast.FunctionDef, text: _Text) -> Iterator[Change]:
    for statement in function.body:
        yield from _walk(statement, text)


def _walk(node: ast.AST, text: _Text) -> Iterator[Change]:
    """Changes in a node and below it, except in checks, messages, annotations and rounding allowances."""
    if _is_no_formula(node):
        return
    if isinstance(node, ast.expr):
        yield from _expression(node, text)
    for field, child in ast.iter_fields(node):
        if field in {"annotation", "returns", "decorator_list", "args"} and not isinstance(node, ast.Call):
            continue
        if isinstance(node, ast.Call) and field == "keywords":
            for keyword in node.keywords:
                yield from _keyword(keyword, text)
            continue
        for item in child if isinstance(child, list) else [child]:
            if isinstance(item, ast.AST):
                yield from _walk(item, text)


def _is_no_formula(node: ast.AST) -> bool:
    if isinstance(node, ast.Raise | ast.Assert | ast.JoinedStr):
        return True
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
        return True  # docstring
    if isinstance(node, ast.Call):
        return _name(node.func).startswith(CHECKS)
    if isinstance(node, ast.Assign | ast.AnnAssign):
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        return any(isinstance(t, ast.Name) and t.id in ROUNDING for t in targets)
    return isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mult) and _is_rounding(node)


def _is_rounding(node: ast.expr) -> bool:
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mult):
        return _is_rounding(node.left) or _is_rounding(node.right)
    return isinstance(node, ast.Name | ast.Attribute) and _name(node) in ROUNDING


def _expression(node: ast.expr, text: _Text) -> Iterator[Change]:
    start, stop = text.span(node)
    if isinstance(node, ast.BinOp):
        yield from _between("operator", node.op, (node.left, node.right), text)
        if isinstance(node.op, ast.Mult | ast.Div | ast.Add | ast.Sub | ast.Pow):
            yield "dropped", start, stop, f"({text.of(node.left)})"
        if isinstance(node.op, ast.Mult | ast.Add):
            yield "dropped", start, stop, f"({text.of(node.right)})"
    elif isinstance(node, ast.Compare) and len(node.ops) == 1:
        yield from _between("comparison", node.ops[0], (node.left, node.comparators[0]), text)
    elif isinstance(node, ast.BoolOp) and len(node.values) == 2:
        yield from _between("operator", node.op, (node.values[0], node.values[1]), text)
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub | ast.Invert):
        if not _is_infinite(node.operand):
            yield "sign", start, stop, f"({text.of(node.operand)})"
    elif isinstance(node, ast.IfExp):
        yield "branch", start, stop, f"({text.of(node.body)})"
        yield "branch", start, stop, f"({text.of(node.orelse)})"
    elif isinstance(node, ast.Constant):
        yield from _constant(node, text)
    elif isinstance(node, ast.Call):
        yield from _call(node, text)


def _between(kind: str, op: ast.AST, sides: tuple[ast.expr, ast.expr], text: _Text) -> Iterator[Change]:
    """Position of an operator's own bytes, between its two sides."""
    if type(op) not in SWAPPED:
        return
    token, other = SWAPPED[type(op)]
    low, high = text.span(sides[0])[1], text.span(sides[1])[0]
    at = text.data.find(token.encode(), low, high)
    yield kind, at, at + len(token), other


def _constant(node: ast.Constant, text: _Text) -> Iterator[Change]:
    start, stop = text.span(node)
    value = node.value
    if isinstance(value, str):
        if "->" in value:  # einsum
            inputs, output = value.split("->")
            if len(output) > 1:
                yield "index", start, stop, f'"{inputs}->{output[1]}{output[0]}{output[2:]}"'
    elif isinstance(value, bool):
        yield "constant", start, stop, str(not value)
    elif isinstance(value, int):
        yield "constant", start, stop, str(value + 1)
    elif isinstance(value, float):
        yield "constant", start, stop, str(2 * value if value else 1.0)


def _call(node: ast.Call, text: _Text) -> Iterator[Change]:
    name = _name(node.func)
    _, stop = text.span(node.func)
    if name in OTHER_FUNCTION:
        yield "function", stop - len(name.encode()), stop, OTHER_FUNCTION[name]
    if name in SIGN_MATTERS and node.args:
        start, end = text.span(node.args[0])
        yield "sign", start, end, f"-({text.of(node.args[0])})"
        whole = text.span(node)
        yield "sign", *whole, f"(-{text.of(node)})"


def _keyword(keyword: ast.keyword, text: _Text) -> Iterator[Change]:
    value = keyword.value
    if keyword.arg == "axis" and isinstance(value, ast.Constant) and isinstance(value.value, int):
        yield "axis", *text.span(value), "0" if value.value == 1 else "1"
    elif keyword.arg not in {
        "axis",
        "name",
        "rule",
        "keepdims",
        "dtype",
        "ndmin",
        "copy",
        "strict",
        "xtol",
        "rtol",
    }:
        yield from _walk(value, text)


def _name(node: ast.expr) -> str:
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


def _is_infinite(node: ast.expr) -> bool:
    return _name(node) == "inf"


def _one_line(text: str) -> str:
    return " ".join(text.split())
