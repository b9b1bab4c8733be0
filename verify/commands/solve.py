"""Sub-command `virel solve` of `virel_theory`, where `--certify` also proves near-optimality."""

from collections.abc import Sequence
from typing import Any

from virel_theory import cli


def main_solve(argv: Sequence[str]) -> int:
    """Run `virel solve` on an MDP, return the exit status; `--certify` proves the policy near-optimal."""
    return cli.main_solve(argv, certifier=_certify)


def _certify(*args: Any, name: str, **options: Any) -> float:  # noqa: ARG001  (the file's name proves nothing)
    from verify.proofs.solution import certify_solution  # noqa: PLC0415  (python-flint, only if asked for)

    return certify_solution(*args, **options)
