"""Errors of the option parser, as it draws them on a terminal and into a file, in one line."""

import pytest

from virel_common.usage import one_line

RULE = "─" * 60
HELP = ["For full helptext, run virel train --help"]
WHOLE = [
    "Error parsing --eval-every: no type matching {None}|INT could be",
    "instantiated from ['1.5'].",
    "",
    "Got errors:",
    "- <class 'NoneType'>: ['1.5'] does not match choices ('None',)",
    RULE,
    "Argument helptext:",
]
ERRORS = [
    (WHOLE, "`eval_every` must be a whole number; found '1.5'"),
    (
        ["Error parsing --seeds: invalid literal for int() with base 10: 'x'", RULE, *HELP],
        "`seeds` must be a whole number; found 'x'",
    ),
    (
        ["Missing value for argument '--seed'. Expected 1 values.", *HELP],
        "`seed` must have a value; found none",
    ),
    (
        ["Missing from virel watch:", "    RUN", "       Run folder (required)"],
        "`RUN` must be given; found nothing",
    ),
    (["Unrecognized options: extra", RULE, *HELP], "options must be those that --help lists; found extra"),
    (["Something else", RULE, *HELP], "Something else"),
]


def on_a_terminal(lines):
    rows = "\n".join(f"\x1b[31m│\x1b[0m {line:<70} \x1b[31m│\x1b[0m" for line in lines)
    return f"\x1b[31m╭─\x1b[0m Title \x1b[31m{RULE}╮\x1b[0m\n{rows}\n╰{RULE}╯"


@pytest.mark.parametrize(("lines", "wanted"), ERRORS)
def test_the_options_name_the_rule_and_the_value_are_kept(lines, wanted):
    assert one_line(on_a_terminal(lines)).removeprefix("Title ") == wanted


def test_similar_options_are_named():
    lines = [
        "Unrecognized options: --sed",
        RULE,
        "Perhaps you meant:",
        "--seeds INT",
        "--set [STR [STR ...]]",
    ]
    assert (
        one_line(on_a_terminal(lines))
        == "options must be those that --help lists; found --sed; similar: --seeds, --set"
    )
