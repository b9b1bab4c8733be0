"""Callbacks of a training: what they see, how they stop it, and that nothing is lost by it."""

import signal
import threading

import numpy as np
import pytest

import virel_deep
from tests.support.deep import differing, metrics
from virel_common.errors import InputError
from virel_deep.run.callbacks import Callbacks
from virel_deep.run.metrics import read_rows
from virel_deep.storage.checkpoint import load

SETTINGS = {"hidden": (8, 8), "data.warmup": 20, "data.batch": 16}
EVERY = {"eval_every": 30, "checkpoint_every": 1000, "precision": "highest"}
ENV = "InvertedPendulum-v5"


@pytest.fixture(autouse=True)
def frequent_rows(monkeypatch):
    monkeypatch.setattr("virel_deep.commands.run_folders.LOG_EVERY", 20)


def train(folder, **more):
    given = {"steps": 120, "seeds": 2, "settings": SETTINGS, "out": folder} | EVERY | more
    return virel_deep.train("sac", given.pop("env", ENV), **given)


def assert_same(run, other):
    for seed in ("seed-0", "seed-1"):
        assert metrics(run / seed) == metrics(other / seed)
        states = [load(folder / seed / "checkpoints").state for folder in (run, other)]
        assert differing(*states) == []


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A run that nothing stopped, and what its callbacks saw."""
    seen = {"log": [], "evaluation": []}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("virel_deep.commands.run_folders.LOG_EVERY", 20)
        run = train(
            tmp_path_factory.mktemp("whole") / "run",
            on_log=lambda step, row: seen["log"].append((step, row)),
            on_evaluation=lambda step, returns: seen["evaluation"].append((step, returns)),
        )
    return run, seen


def test_callbacks_see_what_the_log_files_hold(whole):
    run, seen = whole
    rows = {
        kind: [read_rows(run / f"seed-{s}/metrics.jsonl", kind) for s in (0, 1)] for kind in ("train", "eval")
    }
    logged = list(zip(*rows["train"], strict=True))
    assert [step for step, _ in seen["log"]] == [of[0]["step"] for of in logged] == [20, 40, 60, 80, 100, 120]
    for (_, row), of in zip(seen["log"], logged, strict=True):
        assert row["seeds"] == [0, 1]
        for name in {"q", "entropy", "temperature"} & of[0].keys():
            assert row[name] == np.mean([one[name] for one in of])
    evaluated = [(a["step"], {0: a["return"], 1: b["return"]}) for a, b in zip(*rows["eval"], strict=True)]
    assert seen["evaluation"] == evaluated
    assert [step for step, _ in evaluated] == [30, 60, 90, 120]


def raising(error):
    def callback(*_):
        raise error

    return callback


def at(step, act):
    return lambda now, _: act() if now == step else None


STOPS = {
    "log": ({"on_log": at(60, lambda: True)}, None, 60),
    "evaluation": ({"on_evaluation": at(30, lambda: np.bool_(True))}, None, 30),
    "both": ({"on_log": at(60, lambda: True), "on_evaluation": at(60, lambda: True)}, None, 60),
    "exception": ({"on_log": at(60, raising(KeyError("mine")))}, KeyError, 60),
    "exception of ours": ({"on_evaluation": at(60, raising(InputError("mine")))}, InputError, 60),
    "Ctrl-C inside": ({"on_log": at(60, raising(KeyboardInterrupt()))}, KeyboardInterrupt, 60),
    "exit inside": ({"on_evaluation": at(90, raising(SystemExit(3)))}, SystemExit, 90),
    "an answer that is neither": ({"on_log": at(40, lambda: "stop")}, InputError, 40),
}  # fmt: skip


@pytest.mark.parametrize("kind", STOPS)
def test_a_callback_stops_the_run_with_everything_saved(tmp_path, whole, kind):
    callbacks, error, step = STOPS[kind]
    folder = tmp_path / "run"
    if error is None:
        assert train(folder, **callbacks) == folder
    else:
        with pytest.raises(error) as raised:
            train(folder, **callbacks)
        assert "mine" in str(raised.value) or kind not in {"exception", "exception of ours"}
    assert [load(folder / f"seed-{s}/checkpoints").step for s in (0, 1)] == [step, step]
    if kind in {"log", "evaluation", "exception"}:
        virel_deep.resume(folder)
        assert_same(folder, whole[0])


def test_after_a_stop_no_callback_is_called_again():
    seen = []
    callbacks = Callbacks(lambda step, _: seen.append(step) or True, lambda step, _: seen.append(step))
    assert [callbacks.log(1, {}), callbacks.log(2, {}), callbacks.evaluation(2, {})] == [True] * 3
    assert seen == [1]


def test_a_stop_in_the_last_step_is_the_end(tmp_path):
    run = train(tmp_path / "run", seeds=1, steps=40, on_log=at(40, lambda: True))
    assert (run / "seed-0/done.json").exists()


def test_a_signal_is_told_apart_from_a_callback_that_stops(tmp_path):
    kill = at(60, lambda: signal.raise_signal(signal.SIGTERM))
    with pytest.raises(virel_deep.TrainingStopped, match="it was stopped") as error:
        train(tmp_path / "run", on_log=kill)
    assert error.value.status == 130


@pytest.mark.parametrize("name", ["on_log", "on_evaluation"])
def test_what_is_no_function_is_refused_before_anything_is_written(tmp_path, name):
    with pytest.raises(InputError, match=f"`{name}` must be a function"):
        train(tmp_path / "run", **{name: 3})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_with_several_jobs_callbacks_run_in_this_process_also_in_a_thread(tmp_path, whole):
    seen, folder = [], tmp_path / "run"

    def stop(step, returns):
        seen.append((threading.get_ident(), step, *returns))
        return step >= 60 and {one[2] for one in seen} == {0, 1}

    thread = threading.Thread(
        target=train,
        args=(folder,),
        kwargs={"jobs": 2, "on_evaluation": stop, "steps": 20_000, "eval_every": 30},
    )
    thread.start()
    thread.join()
    assert {one[0] for one in seen} == {thread.ident}
    assert {one[2] for one in seen} == {0, 1}
    steps = [load(folder / f"seed-{s}/checkpoints").step for s in (0, 1)]
    assert all(0 < step < 20_000 for step in steps)
    rows = {s: [r["step"] for r in read_rows(folder / f"seed-{s}/metrics.jsonl", "eval")] for s in (0, 1)}
    assert max(rows[0]) >= 60 or max(rows[1]) >= 60
    for seed in (0, 1):  # a seed's rows are those of the run in one process
        both = list(
            zip(
                read_rows(folder / f"seed-{seed}/metrics.jsonl", "eval"),
                read_rows(whole[0] / f"seed-{seed}/metrics.jsonl", "eval"),
                strict=False,
            )
        )
        assert both
        assert all(mine["returns"] == theirs["returns"] for mine, theirs in both)
