"""The rows of `metrics.jsonl` and the scalars of TensorBoard: what kills, resumes and full disks leave."""

import errno
import json
import math
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from virel_common.errors import InputError
from virel_common.files import StorageError
from virel_deep.run import metrics
from virel_deep.run.metrics import SeedLog, check_rows, read_rows

ROOT = Path(__file__).parents[3]


def write_steps(folder, steps, *, resume_step=None, value=float):
    log = SeedLog(folder, resume_step=resume_step)
    for step in steps:
        log.write(step, "train", {"q": value(step), "return": None})
        log.write(step, "eval", {"returns": [1.0, 2.0], "return": 1.5})
    log.close()


def scalars(folder, tag):
    events = EventAccumulator(str(folder)).Reload()
    return [(event.step, event.value) for event in events.Scalars(tag)]


def test_rows_come_back_by_kind_with_their_step_and_values(tmp_path):
    log = SeedLog(tmp_path / "seed-0", resume_step=None)
    log.write(10, "episode", {"return": 3.5, "length": 10})
    log.write(10, "train", {"return": None, "q": 0.1})
    log.write(20, "event", {"what": "failed", "detail": "ω\nsecond line"})
    log.close()
    path = tmp_path / "seed-0" / "metrics.jsonl"
    (episode,), (train,), (event,) = (read_rows(path, kind) for kind in ("episode", "train", "event"))
    assert episode.items() >= {"step": 10, "kind": "episode", "return": 3.5, "length": 10}.items()
    assert train.items() >= {"return": None, "q": 0.1}.items()
    assert event["detail"] == "ω\nsecond line"
    assert read_rows(path, "eval") == []
    assert [len(line.split(b"\n")) for line in path.read_bytes().splitlines()] == [1, 1, 1]


def test_a_row_can_be_read_as_soon_as_it_is_written(tmp_path):
    log = SeedLog(tmp_path, resume_step=None)
    log.write(1, "train", {"q": 2.0})
    assert read_rows(tmp_path / "metrics.jsonl", "train")[0]["q"] == 2.0
    assert scalars(tmp_path, "train/q") == [(1, 2.0)]
    log.close()


def test_numbers_go_to_tensorboard_and_nothing_else_does(tmp_path):
    log = SeedLog(tmp_path, resume_step=None)
    log.write(5, "train", {"q": 1, "return": None, "warm": True, "note": "x", "returns": [1.0]})
    log.write(5, "eval", {"return": 2.5, "tasks": {"goal=0": 2.0, "goal=1": 3.0}})
    log.close()
    found = EventAccumulator(str(tmp_path)).Reload().Tags()["scalars"]
    assert found == ["train/q", "eval/return", "eval/tasks/goal=0", "eval/tasks/goal=1"]
    assert scalars(tmp_path, "eval/tasks/goal=1") == [(5, 3.0)]
    assert scalars(tmp_path, "eval/return") == [(5, 2.5)]


def test_what_is_not_finite_is_null_in_strict_json_and_itself_in_tensorboard(tmp_path):
    log = SeedLog(tmp_path, resume_step=None)
    log.write(
        1,
        "train",
        {"q": math.nan, "td_error": math.inf, "big": 1e300, "some": [1.0, -math.inf], "in": {"it": math.nan}},
    )
    log.close()
    (line,) = (tmp_path / "metrics.jsonl").read_text().splitlines()
    row = json.loads(line, parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))
    assert row.items() >= {"q": None, "td_error": None, "some": [1.0, None], "in": {"it": None}}.items()
    assert row["big"] == 1e300
    assert scalars(tmp_path, "train/td_error") == [(1, math.inf)]
    assert scalars(tmp_path, "train/big") == [(1, math.inf)]  # float32 there


def test_a_resume_cuts_off_later_rows_and_the_rest_stays_byte_for_byte(tmp_path):
    write_steps(tmp_path, range(0, 60, 10))
    path = tmp_path / "metrics.jsonl"
    before = path.read_bytes().splitlines(keepends=True)
    SeedLog(tmp_path, resume_step=30).close()
    assert path.read_bytes().splitlines(keepends=True) == before[:8]
    write_steps(tmp_path, (40, 50), resume_step=30, value=lambda step: -step)
    assert [(row["step"], row["q"]) for row in read_rows(path, "train")] == [
        (0, 0), (10, 10), (20, 20), (30, 30), (40, -40), (50, -50),
    ]  # fmt: skip
    assert scalars(tmp_path, "train/q") == [(0, 0), (10, 10), (20, 20), (30, 30), (40, -40), (50, -50)]


def test_a_resume_before_the_first_checkpoint_starts_over(tmp_path):
    write_steps(tmp_path, (0, 10))
    write_steps(tmp_path, (0,), resume_step=-1)
    assert [row["step"] for row in read_rows(tmp_path / "metrics.jsonl", "train")] == [0]
    assert scalars(tmp_path, "train/q") == [(0, 0)]


def test_a_resume_of_a_run_without_rows_begins_a_file(tmp_path):
    write_steps(tmp_path, (40,), resume_step=30)
    assert [row["step"] for row in read_rows(tmp_path / "metrics.jsonl", "train")] == [40]


def test_wall_time_goes_on_from_the_last_row_that_stays(tmp_path, monkeypatch):
    now = 1000.0
    monkeypatch.setattr(metrics.time, "monotonic", lambda: now)
    log = SeedLog(tmp_path, resume_step=None)
    for now in (1002.5, 1007.0):
        log.write(int(now) - 1000, "train", {})
    log.close()
    now = 5000.0
    log = SeedLog(tmp_path, resume_step=2)
    now = 5001.0
    log.write(7, "train", {})
    log.close()
    assert [row["wall"] for row in read_rows(tmp_path / "metrics.jsonl", "train")] == [2.5, 3.5]


def test_a_new_run_does_not_touch_the_rows_of_another(tmp_path):
    write_steps(tmp_path, (0, 10))
    before = (tmp_path / "metrics.jsonl").read_bytes()
    with pytest.raises(
        InputError, match=r"`folder` must be new, without the metrics\.jsonl of another run; found"
    ):
        SeedLog(tmp_path, resume_step=None)
    assert (tmp_path / "metrics.jsonl").read_bytes() == before


@pytest.mark.parametrize("left", [1, 10, -1])
def test_a_half_written_last_line_is_passed_over_and_gone_after_a_resume(tmp_path, left):
    write_steps(tmp_path, (0, 10))
    path = tmp_path / "metrics.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:-1]) + lines[-1][:left])
    assert [len(read_rows(path, kind)) for kind in ("train", "eval")] == [2, 1]
    write_steps(tmp_path, (20,), resume_step=10)
    assert [row["step"] for row in read_rows(path, "eval")] == [0, 20]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "not JSON"),
        ("[1]", "must be a row with valid `step`, `kind` and `wall`; found"),
        ('{"step": 1.5, "kind": "train", "wall": 0}', "must be a row"),
        ('{"step": 1, "kind": "trian", "wall": 0}', "must be a row"),
        ('{"step": 1, "kind": "train"}', "must be a row"),
        ("\x00\x00", "not JSON"),
    ],
)
def test_a_broken_line_is_named_by_file_and_number(tmp_path, line, message):
    write_steps(tmp_path, (0, 10))
    path = tmp_path / "metrics.jsonl"
    lines = path.read_text().splitlines()
    path.write_text("\n".join([*lines[:2], line, *lines[2:]]) + "\n")
    with pytest.raises(InputError, match=rf"metrics\.jsonl:3: {message}"):
        read_rows(path, "train")
    with pytest.raises(InputError, match=r"metrics\.jsonl:3: "):
        SeedLog(tmp_path, resume_step=10)
    SeedLog(tmp_path, resume_step=-1).close()  # what goes anyway need not be read


def test_damage_after_the_rows_that_stay_does_not_matter(tmp_path):
    write_steps(tmp_path, (0, 10))
    path = tmp_path / "metrics.jsonl"
    before = path.read_bytes()
    path.write_bytes(before + b"\x00\x00\n{\n")
    with pytest.raises(InputError, match=r"metrics\.jsonl:\d+: not JSON"):
        read_rows(path, "train")
    check_rows(tmp_path, 10)
    SeedLog(tmp_path, resume_step=10).close()
    assert path.read_bytes() == before


def test_a_missing_file_and_an_unknown_kind_are_named(tmp_path):
    with pytest.raises(InputError, match=r"metrics\.jsonl: No such file"):
        read_rows(tmp_path / "metrics.jsonl", "train")
    with pytest.raises(InputError, match="`kind` must be one of train, eval, episode, event; found 'Train'"):
        read_rows(tmp_path / "metrics.jsonl", "Train")
    log = SeedLog(tmp_path, resume_step=None)
    with pytest.raises(InputError, match="`kind` must be one of"):
        log.write(1, "loss", {})
    with pytest.raises(InputError, match=r"`values` must be JSON values; .*set"):
        log.write(1, "train", {"q": {1}})
    log.close()
    assert (tmp_path / "metrics.jsonl").read_bytes() == b""


@pytest.mark.parametrize("name", ["step", "kind", "wall"])
def test_a_value_may_not_take_the_name_of_a_row_s_own_entry(tmp_path, name):
    log = SeedLog(tmp_path, resume_step=None)
    with pytest.raises(InputError, match=rf"`values` must not contain .*found .*{name}"):
        log.write(1, "train", {name: 3})
    log.close()


class FullDisk:
    """A file on a disk that has room for a few bytes more."""

    def __init__(self, file, room):
        self._file, self._room = file, room

    def write(self, data):
        if self._room == 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        written = self._file.write(data[: self._room])
        self._room -= written
        return written

    def __getattr__(self, name):
        return getattr(self._file, name)


@pytest.mark.parametrize("room", [0, 1, 30])
@pytest.mark.parametrize("full", ["rows", "tensorboard"])
def test_a_full_disk_is_one_error_and_leaves_whole_rows(tmp_path, full, room):
    log = SeedLog(tmp_path, resume_step=None)
    log.write(1, "train", {"q": 1.0})
    appender = log._file if full == "rows" else log._board._file
    whole = appender._file
    for _ in range(2):
        appender._file = FullDisk(whole, room)
        with pytest.raises(StorageError, match=r"can't write .*: No space left on device"):
            log.write(2, "train", {"q": 2.0})
    appender._file = whole
    log.write(3, "train", {"q": 3.0})  # once there is room
    log.close()
    steps = [row["step"] for row in read_rows(tmp_path / "metrics.jsonl", "train")]
    assert steps == ([1, 3] if full == "rows" else [1, 2, 2, 3])
    assert scalars(tmp_path, "train/q") == [(1, 1.0), (3, 3.0)]


WRITER = """
import sys
from itertools import count
from pathlib import Path
from virel_deep.run.metrics import SeedLog
log = SeedLog(Path(sys.argv[1]), resume_step=int(sys.argv[2]))
for step in count(int(sys.argv[2]) + 1):
    log.write(step, "train", {"q": float(step)})
    print(step, flush=True)
"""


def test_a_kill_loses_no_row_whose_write_returned_and_a_resume_goes_on(tmp_path):
    path, last = tmp_path / "metrics.jsonl", -1
    for _ in range(2):
        command = [sys.executable, "-W", "error", "-c", WRITER, str(tmp_path), str(last)]
        environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
        child = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
        for line in child.stdout:
            if int(line) >= last + 200:
                break
        child.send_signal(signal.SIGKILL)
        written = max(map(int, child.communicate()[0].split()), default=int(line))
        steps = [row["step"] for row in read_rows(path, "train")]
        assert steps == list(range(len(steps)))
        assert len(steps) > written
        last = written - 50  # as if the last checkpoint were 50 steps back
    SeedLog(tmp_path, resume_step=last).close()
    assert scalars(tmp_path, "train/q")[: last + 1] == [(step, float(step)) for step in range(last + 1)]


def test_reading_rows_does_not_import_torch():
    code = "import sys, virel_deep.run.metrics; assert not {'torch'} & sys.modules.keys()"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)


def test_an_edited_distance_of_evaluations_removes_none_that_stand_there(tmp_path):
    log = SeedLog(tmp_path, resume_step=None, eval_every=100)
    for step in (100, 200, 300, 350):  # 350 is the end of the run
        log.write(step, "eval", {"return": float(step)})
    log.close()
    SeedLog(tmp_path, resume_step=350, eval_every=250).close()
    assert [row["step"] for row in read_rows(tmp_path / "metrics.jsonl", "eval")] == [100, 200, 300]


@pytest.mark.parametrize("wall", ["null", '"late"', "true", "NaN", "[1.0]"])
def test_a_row_whose_clock_is_not_a_number_is_refused(tmp_path, wall):
    row = '{{"step": {}, "kind": "train", "wall": {}}}\n'
    (tmp_path / "metrics.jsonl").write_text(row.format(10, wall) + row.format(20, 1))
    named = r"metrics\.jsonl:1: must be a row with valid `step`, `kind` and `wall`"
    with pytest.raises(InputError, match=named):
        SeedLog(tmp_path, resume_step=30)
