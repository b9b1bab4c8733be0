"""The command: check every file, say what was proved, and hold a run's `results.json` against its files."""

import argparse
import hashlib
import json
import os
import sys
from collections.abc import Iterator, Sequence
from decimal import ROUND_CEILING, Context, Decimal
from functools import partial
from itertools import groupby
from pathlib import Path
from textwrap import wrap
from typing import Any

from .binding import REFUTATIONS, failures, mismatches, read_rows
from .child import Answer, answers
from .formulas import SOURCE, TABLE
from .limits import Rejected, need, start_clock
from .proving import CLAIMS, Proved, opened, prove_all

WIDTH = 80
WORDS = {
    f"{x} {key.split()[-1]}": words
    for table in ("proofs", "refutations")
    for key, words in TABLE[table].items()
    for x in key.split()[:-1]
}
"""What each claim and form says, in words."""


def examine(path: Path, *, second: bool) -> Answer:
    """Answer for one file: `rows` of a `results.json`, or the `statements` that certificates prove.

    Its `status` is 0, or 1 or 2 with a reason, `why`.
    """
    start_clock()
    try:
        raw = opened(path)
        rows = read_rows(raw)
        if rows is not None:
            return {"status": 0, "rows": rows}
        sha256, found = prove_all(raw)
        statements = [_statement(*key, list(group)) for key, group in groupby(sorted(found), key=_key)]
        if second:
            _ask_second(raw, statements)
    except Rejected as rejected:
        why, status = rejected.args
        return {"status": status, "why": ascii(why)[1:-1][:200]}
    except MemoryError:
        return {"status": 1, "why": "undecided: out of memory"}
    return {"status": 0, "sha256": sha256, "statements": statements}


def _key(found: Proved) -> tuple[str, str]:
    return found.claim, found.form


def _statement(claim: str, form: str, found: list[Proved]) -> dict[str, Any]:
    """What certificates of one claim and form prove, as plain data."""
    key = f"{claim} {form}"
    parts, *facts = CLAIMS[key]
    solved = [{"problem": x.problem, "delta": x.delta, "trivial": x.trivial} for x in found if x.problem]
    return {
        "claim": claim,
        "form": form,
        "kind": "refutation" if key in REFUTATIONS else "proof",
        "words": WORDS.get(key, ""),
        "parts": parts.split(),
        "facts": facts,
        "certificates": len(found),
        "instances": len({x.instance for x in found}),
        "solved": solved,
    }


def _ask_second(raw: bytes, statements: list[dict[str, Any]]) -> None:
    """Have the second checker decide a file too, and enter what it says of each statement.

    Raises:
        Rejected: if it finds a certificate false that was proved.
    """
    from .second.deciding import verdicts  # noqa: PLC0415  (only if asked for)

    said = verdicts(raw)
    for x in statements:
        x["second"] = said[f"{x['claim']} {x['form']}"]
        need(not x["second"].startswith("false"), f"the second checker disagrees: {x['second']}", 1)


# The command.


def parser(prog: str, describe: str) -> argparse.ArgumentParser:
    """Parser of the command's options."""
    out = argparse.ArgumentParser(
        prog=prog, description=describe, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    out.add_argument("files", nargs="+", metavar="FILE", type=Path, help="certificates, or a results.json")
    out.add_argument("--json", action="store_true", help="print the answer as JSON")
    out.add_argument(
        "--second", action="store_true", help="ask a second checker too, for statements without exp and log"
    )
    out.add_argument(
        "--problem", metavar="DIGEST", help="reject solvers' certificates about an MDP of another digest"
    )
    return out


def run(options: argparse.Namespace) -> int:
    """Check the files of the options, print what they prove, and return the worst exit status."""
    found = check_files(options.files, second=options.second)
    if options.problem is not None:
        _demand(options.problem, found)
    (_print_json if options.json else _print_text)(found)
    return int(max(x["status"] for x in found.values()))


def _demand(problem: str, found: dict[str, Answer]) -> None:
    """Reject files without a solver's certificate, or with one about an MDP of another digest."""
    for path, x in found.items():
        about = {y["problem"] for z in x.get("statements", ()) for y in z["solved"]}
        if "statements" in x and about != {problem}:
            other = f"the MDP {', '.join(sorted(about))}" if about else "no MDP of a solver"
            found[path] = {"status": 2, "why": f"it is about {other}, not {problem}"}


def check_files(paths: Sequence[Path], *, second: bool = False) -> dict[str, Answer]:
    """Answers by path for the files named, and for the certificates beside each `results.json` among them."""
    work = partial(examine, second=second)
    named = list(dict.fromkeys(paths))
    found = dict(zip(map(str, named), answers(work, named), strict=True))
    for path in named:
        if "rows" in found[str(path)]:
            _bind(path, found, work)
    return found


def _bind(path: Path, found: dict[str, Answer], work: Any) -> None:
    """Check the files beside a `results.json`, and hold its rows against them."""
    beside = sorted(_listed(path.parent / "certificates"))
    fresh = [x for x in beside if str(x) not in found]
    found.update(zip(map(str, fresh), answers(work, fresh), strict=True))
    rows = found[str(path)].pop("rows")
    wrong = mismatches(rows, {x.name: found[str(x)] for x in beside})
    wrong = wrong or ["no certificates beside it"] * (not beside)
    failed = failures(rows)
    found[str(path)] |= {"claims": len(rows), "alone": sum(not x["certificates"] for x in rows)}
    found[str(path)] |= {"files": len(beside), "mismatches": wrong, "failed": failed}
    if wrong:
        found[str(path)] |= {"status": 2, "why": "its rows are not what is beside it"}
    elif failed:
        found[str(path)] |= {"status": 1, "why": f"by its own rows these failed: {', '.join(failed)}"}


def _listed(folder: Path) -> list[Path]:
    """Everything in a folder; nothing if there is no such folder."""
    return [folder / name for name in os.listdir(folder)] if folder.is_dir() else []  # noqa: PTH208


# Printing.


def _print_json(found: dict[str, Answer]) -> None:
    digest = hashlib.sha256(SOURCE).hexdigest()
    document = {"statements.toml": digest, "files": [{"file": path, **x} for path, x in found.items()]}
    print(json.dumps(document, indent=1))  # noqa: T201


def _print_text(found: dict[str, Answer]) -> None:
    """Print what is proved to standard output, and what is not accepted, one line each, to standard error."""
    for path, x in found.items():
        if "statements" in x:
            print("\n".join([_shown(path), *_lines_of(x)]))  # noqa: T201
    for path, x in found.items():
        if "statements" not in x:
            line = _refused(x) if x["status"] else _agreed(x)
            print(f"{_shown(path)}: {line}", file=sys.stderr if x["status"] else sys.stdout)
        for why in x.get("mismatches", []):
            print(f"{_shown(path)}: {ascii(why)[1:-1]}", file=sys.stderr)  # noqa: T201
    proved = [x for x in found.values() if "statements" in x]
    if proved:
        n, n_files = sum(y["certificates"] for x in proved for y in x["statements"]), len(proved)
        count = f"{n} certificate{'s' * (n != 1)} in {n_files} file{'s' * (n_files != 1)}"
        print(f"{count}, all true by the formulas of statements.toml,")  # noqa: T201
        print(f"SHA-256 {hashlib.sha256(SOURCE).hexdigest()}")  # noqa: T201


def _shown(path: str) -> str:
    """A file's name without line breaks and what else a terminal obeys: these are escaped."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in path)


def _agreed(x: Answer) -> str:
    """What can be said of a `results.json` that fits the files beside it."""
    alone = f"; rows without a certificate, the word of who wrote them: {x['alone']}" * bool(x["alone"])
    return f"its {x['claims']} rows and the {x['files']} files beside it agree{alone}"


def _refused(x: Answer) -> str:
    return f"{('', 'not true', 'rejected')[x['status']]}: {x['why']}"


def _lines_of(x: Answer) -> Iterator[str]:
    """Lines on the statements that one file proves."""
    for y in x["statements"]:
        yield f"  {y['claim']} {y['form']}: {_counted(y)}"
        yield from _wrapped(y["words"])
        yield from _wrapped(f"for {', '.join(y['parts'])}:")
        for fact in y["facts"]:
            yield from _wrapped(fact, indent="      ")
        for solved in y["solved"]:
            yield from _lines_of_solved(**solved)
        if "second" in y:
            yield from _wrapped(f"second checker: {y['second']}")


def _counted(y: dict[str, Any]) -> str:
    """How often a statement is proved or refuted."""
    n, all_of = y["instances"], y["certificates"]
    what = "counterexample" if y["kind"] == "refutation" else "instance"
    verb = "refuted by" if y["kind"] == "refutation" else "proved on"
    copies = f", {all_of} times in the file" if n == 1 else f", in {all_of} certificates"
    return f"{verb} {n} {what}{'s' * (n > 1)}{copies * (n < all_of)}"


def _lines_of_solved(problem: str, delta: str, trivial: str) -> Iterator[str]:
    """Lines on one solver's certificate."""
    shown, empty = _rounded_up(delta), ""
    if _number(delta) >= _number(trivial):
        empty = f", which says nothing: any policy is within {_rounded_up(trivial)}"
    yield from _wrapped(f"delta {shown}{empty}")
    yield f"    MDP {problem}"


def _number(text: str) -> Decimal:
    top, _, below = text.partition("/")
    exact = Context(prec=50, rounding=ROUND_CEILING, Emax=10**6, Emin=-(10**6))
    return exact.divide(Decimal(top), Decimal(below or "1"))


def _rounded_up(text: str) -> str:
    """A fraction with four digits, not below it."""
    short = Context(prec=4, rounding=ROUND_CEILING, Emax=10**6, Emin=-(10**6))
    return f"{short.plus(_number(text)).normalize(short):g}".lower()


def _wrapped(text: str, *, indent: str = "    ") -> list[str]:
    """Lines of at most 80 columns."""
    return wrap(
        text,
        WIDTH,
        initial_indent=indent,
        subsequent_indent=indent + "  ",
        break_long_words=False,
        break_on_hyphens=False,
    )
