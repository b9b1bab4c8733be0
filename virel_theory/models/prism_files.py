"""Which files of labels and rewards belong to a `.tra` file."""

import re
from pathlib import Path

from virel_common.errors import InputError, require
from virel_theory.models.model_text import read_text, stem_of

REWARD_ENDS = (".srew", ".trew", ".rew")
Structure = list[Path]  # the reward files of one structure


def files_beside(tra: Path, *, reward: str | None = None) -> tuple[Path | None, Structure | None]:
    """Files of labels and rewards that belong to a `.tra` file by their names, as PRISM chooses them.

    That is `m.lab`, and `m.srew`, `m.trew` or `m.rew`; with several reward structures PRISM numbers them,
    `m1.srew`, `m2.srew`, unless they are of another model, `m1.tra`. Each may be compressed.

    Args:
        tra: path of the `.tra` file.
        reward: name of the reward structure, as the comment in its files gives it, or its number; None: the
            only one.

    Returns: the file of labels and the reward files, each None if there is none.
    Raises: InputError: if there are several numbered reward structures and none is named, or not this one; or
        if a file stands there twice, compressed and not, with different texts.
    """
    stem = stem_of(tra).removesuffix(".tra")
    structures = _structures(tra.parent, stem)
    lab = next(iter(_named(tra.parent, re.escape(f"{stem}.lab")).values()), None)
    if reward is None:
        if "" in structures or len(structures) < 2:
            return lab, structures.get("", next(iter(structures.values()), None))
        rule = "must have one reward structure beside it, or be read with its name as `reward`"
        found = [_label(key, files) for key, files in structures.items()]
        raise InputError(f"`{tra}` {rule}; found {found}")
    meant = [files for key, files in structures.items() if reward in {key, _label(key, files)}]
    known = [_label(key, files) for key, files in structures.items()]
    require(len(meant) == 1, "reward", reward, f"must be one of the reward structures {known} beside {tra}")
    return lab, meant[0]


def _structures(folder: Path, stem: str) -> dict[str, Structure]:
    """Reward files by the number of their structure, in its order; the number is empty if they have none."""
    ends = "|".join(map(re.escape, REWARD_ENDS))
    out: dict[str, Structure] = {}
    for name, path in _named(folder, rf"{re.escape(stem)}(\d*)({ends})").items():
        number = name.removeprefix(stem).partition(".")[0]
        if not number or not _named(folder, re.escape(f"{stem}{number}.tra")):
            out.setdefault(number, []).append(path)
    return dict(sorted(out.items(), key=lambda item: int(item[0] or 0)))


def _named(folder: Path, pattern: str) -> dict[str, Path]:
    """Files of a folder by their names without a suffix of compressed ones, where these match a pattern."""
    out: dict[str, Path] = {}
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        name = stem_of(path)
        if re.fullmatch(pattern, name):
            first = out.setdefault(name, path)
            same = first == path or read_text(first) == read_text(path)
            require(
                same,
                str(first),
                path.name,
                "must have the text of its compressed form beside it; remove one of the two",
            )
    return out


def _label(number: str, files: Structure) -> str:
    """Name of a reward structure by the comment in its files; its number if they have none."""
    head = "\n".join(read_text(files[0]).splitlines()[:5])
    name = re.search(r'^(?:#|//)\s*Reward structure:?\s*"([^"]+)"', head, re.MULTILINE)
    return name[1] if name else number
