"""Prove again every claim in certificate files.

    virel recheck FILE...            python verify/recheck.py FILE...

What has to be trusted is this file, the folder `checker` beside it, the table
of formulas `statements.toml`, the standard library and python-flint. No other
code of the project is imported, so that no mistake is shared with the code
that wrote the files.

A certificate names a claim and gives an instance. `statements.toml` says which
facts the claim asserts of the instance: formulas, such as `L + EKL == max_L`.
Both sides are computed here from the instance alone. The answer says what each
file proves: the statement in words, the formulas, on how many instances.

A run's `results.json` stands for the certificates beside it. Its rows must be
what is there, and nothing else may be there. File names carry no meaning.

Exit status: 0 all true; 1 one false or undecided; 2 unreadable, tampered with,
or not what the results say. See docs/certificates.md.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING or __package__:
    from verify.checker import answer
    from verify.checker.answer import run
    from verify.checker.limits import Rejected
    from verify.checker.proving import CLAIMS, Proved, recheck
else:  # a script, perhaps a copy
    sys.path.insert(0, str(Path(__file__).resolve().parent))
    from checker import answer
    from checker.answer import run
    from checker.limits import Rejected
    from checker.proving import CLAIMS, Proved, recheck

__all__ = ["CLAIMS", "Proved", "Rejected", "main_recheck", "options_of", "parser", "recheck", "run"]


def parser(prog: str) -> argparse.ArgumentParser:
    """Parser of the command's options."""
    return answer.parser(prog, __doc__)


def options_of(command: argparse.ArgumentParser, argv: Sequence[str]) -> argparse.Namespace | int:
    """Options of the command line; the exit status if it is a call for help, or wrong."""
    try:
        return command.parse_args(list(argv))
    except SystemExit as stop:
        return int(stop.code or 0)


def main_recheck(argv: Sequence[str]) -> int:
    """Check the files named, print what they prove, and return the worst exit status."""
    options = options_of(parser("recheck"), argv)
    try:
        return options if isinstance(options, int) else run(options)
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # the reader has closed the pipe, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141


if __name__ == "__main__":
    sys.exit(main_recheck(sys.argv[1:]))
