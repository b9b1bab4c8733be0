"""Sub-command `virel solve` with certificates: that of `virel_theory`, with the certifier of this layer."""

from collections.abc import Sequence
from typing import Any

from virel_theory import cli


def main_solve(argv: Sequence[str]) -> int:
    """Run `virel solve`; its exit status is that of `virel_theory.cli.main_solve`."""
    return cli.main_solve(argv, certifier=_certify)


def _certify(*args: Any, name: str, **options: Any) -> float:  # noqa: ARG001  (the file's name proves nothing)
    from verify.proofs.solution import certify_solution  # noqa: PLC0415  (python-flint, only if asked for)

    return certify_solution(*args, **options)
