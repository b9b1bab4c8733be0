"""Sub-command `virel solve`: the command of `virel_theory`, where `--certify` writes a certificate too."""

from collections.abc import Sequence
from typing import Any

from virel_theory import cli


def main_solve(argv: Sequence[str]) -> int:
    """Run `virel solve` and return its exit status; `--certify` also writes a certificate of optimality."""
    return cli.main_solve(argv, certifier=_certify)


def _certify(*args: Any, name: str, **options: Any) -> float:  # noqa: ARG001  (the file's name proves nothing)
    from verify.proofs.solution import certify_solution  # noqa: PLC0415  (python-flint, only if asked for)

    return certify_solution(*args, **options)
