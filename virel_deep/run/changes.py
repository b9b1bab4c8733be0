"""What was not as it was when a run began, each time that training went on: `changes.json` in its folder."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from virel_common.errors import InputError
from virel_common.files import write_json
from virel_deep.run.folder import changed_versions, read_config, recorded_environment

FILE = "changes.json"


class Change(NamedTuple):
    """Library, processor or environment that was not as it was when the run began."""

    time: str
    """Date and time, in UTC, at which training first went on with it."""
    what: str
    """Sentence without its full stop."""


def record_changes(run: Path, *, begun: bool) -> None:
    """Record what is not as `config.json` says that it was; what was recorded before is not repeated.

    Args:
        run: run folder.
        begun: whether a seed continues, so that an environment may have changed since.

    Raises:
        InputError: `config.json` or the record is damaged.
        StorageError: the record can't be written.
    """
    found = [
        f"{name} changed from {was} to {now} since this run began"
        for name, (was, now) in changed_versions(run).items()
    ]
    if begun:
        found += environment_changes(run)
    known = changes_of(run)
    time = datetime.now(UTC).isoformat(timespec="seconds")
    new = [Change(time, what) for what in found if what not in {one.what for one in known}]
    if new:
        document = [one._asdict() for one in (*known, *new)]
        write_json(run / FILE, document)


def changes_of(run: Path) -> list[Change]:
    """Read what has been recorded in a run folder; empty if nothing has.

    Raises:
        InputError: the record is damaged.
    """
    path = run / FILE
    try:
        return [Change(one["time"], one["what"]) for one in json.loads(path.read_text())]
    except FileNotFoundError:
        return []
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or error}") from None
    except (ValueError, TypeError, KeyError) as error:
        raise InputError(f"{path}: not a list of changes, or damaged: {error}") from None


def environment_changes(run: Path) -> list[str]:
    """Sentences on what changed in a run's environments; none if one can't be made."""
    from virel_deep.data.first_look import changed_environment  # noqa: PLC0415  (brings MuJoCo)

    recorded = recorded_environment(run)
    try:
        return changed_environment(recorded, read_config(run)) if recorded else []
    except InputError:
        return []
