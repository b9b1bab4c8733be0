"""Sub-command `virel recheck`: the checker of certificates, and whether they are about a given MDP.

The checker itself is `verify/recheck.py`, and knows no MDP but those in the files.
"""

import argparse
from collections.abc import Sequence

from verify import recheck
from virel_common.errors import InputError, require
from virel_common.terminal import BAD_INPUT, INTERRUPTED, say

PROG = "virel recheck"


def main_recheck(argv: Sequence[str]) -> int:
    """Run `virel recheck`: check certificate files, print what they prove, return the exit status."""
    parser = recheck.parser(PROG)
    group = parser.add_argument_group(
        "your own MDP", "solvers' certificates must be about this one, given as to `virel solve`"
    )
    group.add_argument("--mdp", metavar="FILE|gym:ID", help="the MDP that was solved")
    group.add_argument("--gamma", type=float, help="its discount, if it comes without one")
    group.add_argument("--sense", choices=["max", "min"], help="maximise rewards or minimise costs")
    group.add_argument("--goal", help="goal label, state numbers, or name of a QVBS objective")
    group.add_argument("--reward", help="name of a reward structure or model")
    options = recheck.options_of(parser, argv)
    if isinstance(options, int):
        return options
    try:
        _require_fitting(options)
        if options.mdp is not None:
            options.problem = _digest(options)
        return recheck.run(options)
    except InputError as error:
        say(f"{PROG}: {error}")
        return BAD_INPUT
    except KeyboardInterrupt:
        say(f"{PROG}: interrupted")
        return INTERRUPTED


def _require_fitting(options: argparse.Namespace) -> None:
    """Raise `InputError` if an option would be ignored: each one here is about the MDP that `--mdp` names."""
    for name in ("gamma", "sense", "goal", "reward"):
        value = getattr(options, name)
        require(value is None or options.mdp is not None, name, value, "must come with --mdp")
    both = options.mdp is not None and options.problem is not None
    require(not both, "problem", options.problem, "must not be combined with --mdp, which has its own digest")
    require(options.mdp != "", "mdp", options.mdp, "must be a file or gym:ID")


def _digest(options: argparse.Namespace) -> str:
    """Digest of the MDP that the options name."""
    from verify.proofs.problem import problem_digest  # noqa: PLC0415  (numpy and numba, only if asked for)
    from virel_theory.models.goals import state_numbers  # noqa: PLC0415
    from virel_theory.models.load import load_problem  # noqa: PLC0415

    goal = state_numbers(options.goal) or options.goal
    mdp, asked = load_problem(options.mdp, gamma=options.gamma, objective=goal, reward=options.reward)
    return problem_digest(mdp, sign=-1 if (options.sense or asked) == "min" else 1)
