"""Instances on which a statement says nothing: they are proved too, but they do not count.

A statement says nothing on an instance

* whose states all have one action;
* whose discount is 0, if a formula of the statement has gamma in it;
* that has one state, if a formula weighs states by d;
* on which both sides of an identity are 0 in every component, as with features that are 0;
* on which an inequality is an equality in every component, as at Q = Q*.

The last two are asked of every fact that is not a premise. Whether a number is 0 is decided by the checker's
exact algebra, on its own formulas.
"""

import ast
from collections.abc import Iterator, Sequence
from typing import Any

from flint import ctx

from verify.arithmetic.instance import Exact
from verify.checker import algebra, formulas, proving
from verify.checker.content import names_of
from verify.proofs.certificate import Certificate
from verify.proofs.job import Job


def is_trivial(job: Job, x: Exact, certificate: Certificate) -> bool:
    """Whether a statement, proved on the instance `x`, says nothing on it."""
    statement = f"{certificate.claim} {certificate.form}"
    if _is_degenerate(x, names_of(tuple(proving.CLAIMS[statement][1:]))):
        return True
    premises = [fact.premise for fact in job.facts]
    return any(_empty_facts(statement, certificate.instance, premises))


def _is_degenerate(x: Exact, names: frozenset[str]) -> bool:
    """Whether an MDP has no choice, or lacks a discount or two states that a statement with `names` needs."""
    if x.mdp is None:
        return False
    alone, at_once = x.mdp.n_states == 1, x.mdp.gamma == 0
    return x.mdp.n_pairs == x.mdp.n_states or (at_once and "gamma" in names) or (alone and "d" in names)


def _empty_facts(statement: str, instance: dict[str, Any], premises: Sequence[bool]) -> Iterator[bool]:
    """Whether each fact that is not a premise is empty on an instance."""
    parts, *facts = proving.CLAIMS[statement]
    algebra.start()
    point = formulas.Instance(instance, parts.split())
    known = point.known
    rows = known.get("features", known.get("tables", [0, 0])[1:])
    for fact, premise in zip(map(formulas.parsed, facts), premises, strict=True):
        if not premise and type(fact.ops[0]) in (ast.Eq, ast.GtE):
            points = (_at(point, known | {"j": j}) for j in range(len(rows)))
            yield all(_is_empty(fact, here) for here in points)


def _at(point: formulas.Instance, known: dict[str, Any]) -> formulas.Instance:
    point.known = known
    return point


def _is_empty(fact: Any, point: formulas.Instance) -> bool:
    """Whether a fact is 0 == 0 in every component, or an inequality that is an equality in every one."""
    left, right = fact.left, fact.comparators[0]
    if isinstance(fact.ops[0], ast.GtE):
        return _is_zero(point, ast.BinOp(left, ast.Sub(), right))
    return _is_zero(point, left) and _is_zero(point, right)


def _is_zero(point: formulas.Instance, formula: Any) -> bool:
    """Whether a formula is exactly 0 in every component; a ball that excludes 0 saves the algebra."""
    x = point.value(formula, {})
    with ctx.workprec(64):
        return all(
            algebra.value(y).contains(0) and algebra.zero(y) for y in (x if isinstance(x, list) else [x])
        )
