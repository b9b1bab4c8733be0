"""The `virel` command: find the sub-command, import its module, and hand over the arguments.

Only the standard library is imported here, so `virel --help` answers without loading numpy, numba or torch.
"""

import errno
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import NamedTuple

from virel_common.errors import InputError
from virel_common.output import guarded_output
from virel_common.signals import stop_signals_interrupt


class Subcommand(NamedTuple):
    """Module and function that run one sub-command of `virel`, and its line of help."""

    module: str
    function: str
    help: str


SUBCOMMANDS = {
    "verify": Subcommand(
        "verify.commands.verify", "main_verify", "check every claim against its recorded verdict"
    ),
    "claims": Subcommand("verify.commands.verify", "main_claims", "list the claims"),
    "recheck": Subcommand(
        "verify.commands.recheck", "main_recheck", "check certificate files, and say what they prove"
    ),
    "explain": Subcommand(
        "verify.commands.documents", "main_explain", "print a claim, its verdict, and what holds instead"
    ),
    "figures": Subcommand(
        "verify.commands.documents", "main_figures", "draw the convergence plots and write their data"
    ),
    "report": Subcommand(
        "verify.commands.documents", "main_report", "write the report of the last run, one HTML page"
    ),
    "solve": Subcommand("verify.commands.solve", "main_solve", "solve an MDP, with a guaranteed error bound"),
    "iterate": Subcommand(
        "verify.commands.iterate", "main_iterate", "run an exact algorithm, iterate by iterate, with bounds"
    ),
    "train": Subcommand("virel_deep.commands.train", "main_train", "train an agent, or resume a run"),
    "presets": Subcommand(
        "virel_deep.commands.presets", "main_presets", "list the algorithms, and every setting of one"
    ),
    "study": Subcommand(
        "virel_deep.commands.study", "main_study", "compare algorithms by a plan written before the runs"
    ),
    "evaluate": Subcommand(
        "virel_deep.commands.results", "main_evaluate", "evaluate the newest policies of a run"
    ),
    "compare": Subcommand(
        "virel_deep.commands.results", "main_compare", "compare runs: learning curves and a table of scores"
    ),
    "watch": Subcommand(
        "virel_deep.commands.results", "main_watch", "record a video of a policy, without a screen"
    ),
    "export": Subcommand("virel_deep.commands.results", "main_export", "export a policy as an ONNX file"),
}

DEEP_MODULES = {"torch", "mujoco", "safetensors", "tensorboard"}
"""Modules that the extra `virel[deep]` installs; the other sub-commands work without them."""

EXIT_STATUS = """\
exit status:
  0    every verdict is the recorded one; the MDP is solved; every certificate is true; training is done
  1    a verdict differs from the record; a solver or an algorithm did not reach its tolerance;
       a certificate is not true; a seed of a training or a job of a study failed
  2    bad input; a certificate was tampered with; a file or standard output can't be written
  130  interrupted"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one sub-command on the arguments that follow its name; return its exit status.

    If standard output can't be written, the run goes on to its end; what was 0 is then 2.
    """
    with guarded_output() as out:
        status = _dispatch(argv)
        out.flush()
        if out.error is None:
            return status
        if out.error.errno != errno.EPIPE:  # a reader that has left, as after `| head`, asked for no more
            reason = out.error.strerror or out.error
            print(f"virel: can't write to standard output: {reason}", file=sys.stderr)
        return status or 2


def _dispatch(argv: Sequence[str] | None) -> int:
    name, *rest = (sys.argv[1:] if argv is None else argv) or ["--help"]
    if name in {"-h", "--help"}:
        print(usage())
        return 0
    try:
        if name == "--version":
            print(f"virel {version()}")
            return 0
        if name not in SUBCOMMANDS:
            known = ", ".join(SUBCOMMANDS)
            print(f"virel: unknown sub-command {name!r}; known: {known} (see virel --help)", file=sys.stderr)
            return 2
        with stop_signals_interrupt():  # before an import, which may take long
            return _run(SUBCOMMANDS[name], rest)
    except ModuleNotFoundError as error:
        if error.name not in DEEP_MODULES:
            raise
        print(
            f"virel {name}: found no {error.name}; it comes with `make deep` in the toolkit's folder, "
            "or `pip install '.[deep]'` there",
            file=sys.stderr,
        )
        return 2
    except InputError as error:  # on import: no folder for compiled kernels, say
        print(f"virel {name}: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("virel: interrupted", file=sys.stderr)
        return 130


def _run(subcommand: Subcommand, arguments: Sequence[str]) -> int:
    run: Callable[[Sequence[str]], int] = getattr(import_module(subcommand.module), subcommand.function)
    return run(arguments)


def usage() -> str:
    """Text that `virel --help` prints."""
    width = max(map(len, SUBCOMMANDS))
    rows = [f"  {name:<{width}}  {subcommand.help}" for name, subcommand in SUBCOMMANDS.items()]
    return "\n".join(
        [
            "usage: virel SUB-COMMAND [ARGUMENTS]",
            "       virel SUB-COMMAND --help",
            "       virel --help | --version",
            "",
            "sub-commands:",
            *rows,
            "",
            EXIT_STATUS,
        ]
    )


def version() -> str:
    """Version of the installed `virel` distribution."""
    from importlib.metadata import version as installed_version  # noqa: PLC0415  (slow to import, rarely needed)

    return installed_version("virel")


if __name__ == "__main__":
    sys.exit(main())
