"""Record of a study's plan, written before the first run, and of every later change with its reason."""

import json
import os
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, get_args

from virel_common.errors import InputError, require
from virel_common.files import LOCK, lock_file, storing, write_atomically
from virel_deep.design.run import Precision
from virel_deep.study.jobs import check_continues, check_prior_stays, job_config, job_folder, jobs_of
from virel_deep.study.plan import Study, canonical, identity, parse_study
from virel_deep.versions import run_versions

FORMAT, FILE = 1, "plan.json"


@dataclass(frozen=True)
class Plan:
    """One version of a study's plan: its file, date, and reason for the change."""

    sha256: str
    time: str
    """Date and time of its recording, in UTC."""
    reason: str | None
    """Reason for replacing the previous version; None for the first."""
    text: str

    @property
    def document(self) -> Mapping[str, Any]:
        """Parsed study file of this version of the plan."""
        return parse_study(self.text, FILE).document


@dataclass(frozen=True)
class Record:
    """All recorded versions of a study's plan (`OUT/plan.json`), the last of which is in force."""

    plans: tuple[Plan, ...]
    precision: Precision
    """Precision of float32 products, chosen once for all jobs of the study."""
    versions: Mapping[str, str]
    """Package versions that the study began with."""

    @property
    def study(self) -> Study:
        """Study stated by the plan in force."""
        return parse_study(self.plans[-1].text, FILE)


def read_record(out: Path) -> Record | None:
    """Read the recorded plan of a study folder; None if no plan was recorded there.

    Raises:
        InputError: the record is damaged or of another format.
    """
    path = out / FILE
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        require(document["format"] == FORMAT, f"{path}: format", document["format"], f"must be {FORMAT}")
        plans = tuple(Plan(**plan) for plan in document["plans"])
        record = Record(plans, document["precision"], document["versions"])
        _check(record, path)
        return record
    except FileNotFoundError:
        return None
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or error}") from None
    except (ValueError, KeyError, TypeError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path}: not a record of a plan, or damaged: {error}") from None


def _check(record: Record, path: Path) -> None:
    """Raise `InputError` if a record is not as it was written: above all, a text without its SHA-256."""
    require(len(record.plans) > 0, f"{path}: plans", [], "must hold the plan that the study began with")
    for number, plan in enumerate(record.plans):
        found = identity(tomllib.loads(plan.text))
        rule = f"must be {found}, the SHA-256 of the text beside it: one of them was changed later"
        require(plan.sha256 == found, f"{path}: plans[{number}].sha256", plan.sha256, rule)
    known = get_args(Precision)
    rule = f"must be one of {', '.join(known)}"
    require(record.precision in known, f"{path}: precision", record.precision, rule)
    named = isinstance(record.versions, dict) and all(isinstance(x, str) for x in record.versions.values())
    require(named, f"{path}: versions", record.versions, "must be an object of texts")


def as_recorded(study: Study, out: Path) -> Study:
    """Study of the recorded plan if a study file states the same plan, else that of the file.

    The two may list their arms in different orders, and so number their jobs differently.

    Raises:
        InputError: the record is damaged.
    """
    record = read_record(out)
    return record.study if record and record.plans[-1].sha256 == study.sha256 else study


def register(study: Study, out: Path, place: str, *, amend: str | None = None) -> Record:
    """Record a study's plan before the first run; later, compare the study file with the recorded plan.

    Args:
        study: what the file says now.
        out: the study's folder.
        place: the study file, for messages.
        amend: reason for a change of the plan.

    Raises:
        InputError: the file has changed and no reason is given, a reason is given and nothing has changed
            (unless it is that of the plan in force), or runs that have begun can't be continued under the
            new plan; nothing has been written.
        StorageError: the folder can't be written.
    """
    if not (out / FILE).exists():
        rule = f"must not be given: no plan has been written down in {out} yet"
        require(amend is None, "amend", amend, rule)
    with _held(out):
        record = read_record(out)
        if record is None:
            rule = f"must not hold jobs without their {FILE}; choose another --out"
            require(not (out / "jobs").exists(), "out", str(out), rule)
            record = Record((_plan(study, None),), precision_of(study), run_versions())
        elif study.sha256 != record.plans[-1].sha256:
            record = _amended(record, study, out, place, amend)
        else:
            rule = f"must not be given: {place} is still the plan recorded in {out}"
            require(amend in {None, record.plans[-1].reason}, "amend", amend, rule)
            return record
        _write(out, record)
        return record


def differing(record: Record, study: Study) -> list[str]:
    """List the changes of a study file against the recorded plan in force, as `key: before -> after`."""
    return changes(record.study.document, study.document)


def changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """List the differences between two parsed study files, one line per key.

    Example:
        >>> changes({"seeds": 3, "arms": {"sac": {"preset": "sac"}}}, {"seeds": 5})
        ['seeds: 3 -> 5', "arms.sac.preset: 'sac' -> absent"]
        >>> changes({"level": 1}, {"level": 1.0})
        ['level: 1 -> 1.0']
    """
    was, now = _flat(_indexed(before)), _flat(_indexed(after))
    keys = [key for key in {**was, **now} if _text(was, key) != _text(now, key)]
    lines = [f"{key}: {_shown(was, key)} -> {_shown(now, key)}" for key in keys]
    first, second = (list(_indexed(one).get("hypotheses", {})) for one in (before, after))
    moved = first != second and sorted(first) == sorted(second)
    return [*lines, f"order of hypotheses: {first} -> {second}"] if moved else lines


def _flat(document: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Flatten nested tables to dotted keys; lists become tuples, and empty tables stay."""
    out: dict[str, Any] = {}
    for name, value in document.items():
        if isinstance(value, dict) and value:
            out |= _flat(value, f"{prefix}{name}.")
        else:
            out[prefix + name] = tuple(value) if isinstance(value, list) else value
    return out


def _indexed(document: Mapping[str, Any]) -> dict[str, Any]:
    """Parsed study file with its list of hypotheses turned into a table by name, for comparison."""
    if not document.get("hypotheses"):
        return dict(document)
    named = {one.get("name", str(i)): one for i, one in enumerate(document["hypotheses"])}
    return {**document, "hypotheses": named}


def _text(values: Mapping[str, Any], key: str) -> str | None:
    """Value of a key as the identity of a plan has it, in which 1 and 1.0 differ; None if it is absent."""
    return canonical(values[key]) if key in values else None


def _shown(values: Mapping[str, Any], key: str) -> str:
    return repr(values[key]) if key in values else "absent"


def _amended(record: Record, study: Study, out: Path, place: str, amend: str | None) -> Record:
    where = f"{place} differs from the plan recorded in {out} ({'; '.join(differing(record, study))})"
    if amend is None:
        raise InputError(f"`amend` must say why {where}; or put the file back")
    reasoned = bool(amend.strip())
    require(reasoned, "amend", amend, f"must be a reason in words, which the report shows: {where}")
    for job in jobs_of(study):
        folder = job_folder(out, job)
        if (folder / "config.json").exists():
            check_continues(folder, job_config(study, job, record.precision))
            check_prior_stays(out, study, job)
    return Record((*record.plans, _plan(study, amend)), record.precision, record.versions)


def _plan(study: Study, reason: str | None) -> Plan:
    now = datetime.now(UTC).isoformat(timespec="seconds")
    return Plan(study.sha256, now, reason, study.text)


def precision_of(study: Study) -> Precision:
    """Precision of all runs of a study; `auto` is decided by measuring this machine."""
    from virel_deep.networks.precision import chosen  # noqa: PLC0415  (brings torch)

    return chosen(study.precision, "cpu", study.run.get("threads", 1))


def _write(out: Path, record: Record) -> None:
    document = {
        "format": FORMAT,
        "plans": [asdict(plan) for plan in record.plans],
        "precision": record.precision,
        "versions": dict(record.versions),
    }
    write_atomically(out / FILE, (json.dumps(document, indent=1, ensure_ascii=False) + "\n").encode())


@contextmanager
def _held(out: Path) -> Iterator[None]:
    """Lock a study's folder, creating it if missing, because jobs of one array may start at once.

    Raises:
        StorageError: the folder can't be made.
    """
    with storing(out):
        out.mkdir(parents=True, exist_ok=True)
    handle = lock_file(out / LOCK, wait=True)
    assert handle is not None
    try:
        yield
    finally:
        os.close(handle)
