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
    `m1.srew`, `m2.srew`. Each may be compressed.

    Args:
        tra: path of the `.tra` file.
        reward: name of the reward structure, as the comment in its files gives it, or its number; None: the
            only one.

    Returns: the file of labels and the reward files, each None if there is none.
    Raises: InputError: if there are several numbered reward structures and none is named, or not this one.
    """
    stem = stem_of(tra).removesuffix(".tra")
    structures = _structures(tra.parent, stem)
    lab = next(iter(_named(tra.parent, re.escape(f"{stem}.lab"))), None)
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
    for path in _named(folder, rf"{re.escape(stem)}(\d*)({ends})"):
        number = path.name.removeprefix(stem).partition(".")[0]
        out.setdefault(number, []).append(path)
    return dict(sorted(out.items(), key=lambda item: int(item[0] or 0)))


def _named(folder: Path, pattern: str) -> list[Path]:
    """Files of a folder whose names, but for a suffix of compressed ones, match a pattern."""
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if re.fullmatch(pattern, stem_of(path)))


def _label(number: str, files: Structure) -> str:
    """Name of a reward structure by the comment in its files; its number if they have none."""
    head = "\n".join(read_text(files[0]).splitlines()[:5])
    name = re.search(r'^(?:#|//)\s*Reward structure:?\s*"([^"]+)"', head, re.MULTILINE)
    return name[1] if name else number
