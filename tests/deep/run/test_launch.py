"""Starting a run: what trains together, how a stop is asked for, what is said and returned at the end."""

import errno
import json
import os
import signal
from multiprocessing import Pipe

import pytest
import torch
from threadpoolctl import threadpool_info, threadpool_limits

from tests.support.deep import differing, metrics, small_run
from tests.support.envs import Script, registered
from tests.support.stored_run import said
from virel_common.files import LOCK
from virel_common.signals import WARNINGS
from virel_common.terminal import DONE, FAILED, INTERRUPTED
from virel_deep.data import presence
from virel_deep.networks.threads import computing_threads
from virel_deep.run import launch
from virel_deep.run.apart import Channel, Death, Work
from virel_deep.run.launch import train, train_bundle
from virel_deep.run.signals import (
    STOP,
    STOP_CHILD,
    Children,
    signals_left_to,
    stop_requests,
)
from virel_deep.run.survey import bundles, survey
from virel_deep.run.trainer import Trainer
from virel_deep.run.training import checkpoints
from virel_deep.storage.checkpoint import CheckpointError, load, save

PENDULUM = "InvertedPendulum-v5"
OUTSIDE = "tests.support.envs:Dice"


def reach(run, seed, step, *, done=False):
    """A checkpoint of a seed at a step, and the record that it is done."""
    save(run / f"seed-{seed}/checkpoints", step, {}, rows=None)
    if done:
        (run / f"seed-{seed}/done.json").write_text(json.dumps({"step": step}))


def quiet(*_):
    pass


def bundle(run, config, *, resume=False, report=quiet):
    return train_bundle(run, config, list(config.seeds), resume, report=report)


# --- what trains together


@pytest.mark.parametrize(
    ("jobs", "wanted"),
    [(1, [[0, 1, 2, 3, 4]]), (2, [[0, 2, 4], [1, 3]]), (9, [[0], [1], [2], [3], [4]])],
)
def test_seeds_from_scratch_are_split_over_the_jobs(tmp_path, jobs, wanted):
    config = small_run(tmp_path, "sac", PENDULUM, steps=80, seeds=range_of(5))
    assert bundles(survey(tmp_path, config), jobs) == [(seeds, False) for seeds in wanted]


def range_of(n):
    return tuple(range(n))


def test_seeds_go_on_together_where_they_are_at_the_same_step(tmp_path):
    config = small_run(tmp_path, "sac", PENDULUM, steps=80, seeds=range_of(7))
    for seed, step in ((0, 40), (2, 40), (3, 60), (6, 40)):
        reach(tmp_path, seed, step)
    reach(tmp_path, 4, 80, done=True)
    reach(tmp_path, 5, 80)  # killed before it was recorded
    assert bundles(survey(tmp_path, config), 2) == [
        ([5], True),
        ([3], True),
        ([0, 6], True),
        ([2], True),
        ([1], False),
    ]


def test_a_seed_that_was_done_goes_on_towards_a_new_goal(tmp_path):
    config = small_run(tmp_path, "sac", PENDULUM, steps=120, seeds=(0, 1))
    reach(tmp_path, 0, 80, done=True)
    reach(tmp_path, 1, 120, done=True)
    assert bundles(survey(tmp_path, config), 1) == [([0], True)]


def test_a_seed_with_a_damaged_replay_falls_back_to_an_earlier_step_and_trains_after_the_others(tmp_path):
    config = small_run(tmp_path, "sac", PENDULUM, steps=120, seeds=(0, 1))
    trainer = Trainer(tmp_path, config, (0, 1), resume=False)
    while trainer.step < 80:
        trainer.advance(quiet)
    trainer.close()
    newest = max((tmp_path / "seed-0/replay").glob("rows-*"))
    newest.write_bytes(bytes(len(newest.read_bytes())))
    ((group, resume),) = bundles(survey(tmp_path, config), 1)
    assert (group, resume) == ([0, 1], True)  # it is read later, once, by the process that trains
    with said("damaged: its SHA-256 differs .* using step-000000040 instead"):
        trainer = Trainer(tmp_path, config, group, resume=True)
    assert ([run.seed for run in trainer.runs], trainer.step, trainer.behind) == ([1], 80, [[0]])
    trainer.close()


# --- stops


@pytest.mark.parametrize("number", WARNINGS)
def test_a_schedulers_warning_asks_for_a_stop_however_often_it_comes(number):
    before = signal.signal(number, signal.SIG_DFL)  # these tests may run under `nohup`
    try:
        with stop_requests() as stopped:
            assert not stopped()
            for _ in range(3):
                os.kill(os.getpid(), number)
            assert stopped()
        assert signal.getsignal(number) is signal.SIG_DFL
    finally:
        signal.signal(number, before)


def test_a_closing_terminal_is_no_stop_under_nohup():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with stop_requests() as stopped:
            os.kill(os.getpid(), signal.SIGHUP)
            assert not stopped()
            os.kill(os.getpid(), signal.SIGUSR1)
            assert stopped()
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_is_a_question_and_a_second_one_would_act(number):
    before = signal.getsignal(number)
    with stop_requests() as stopped:
        assert not stopped()
        os.kill(os.getpid(), number)
        assert stopped()
        assert signal.getsignal(number) is signal.SIG_DFL
    assert signal.getsignal(number) is before


def test_signals_of_two_kinds_are_one_stop():
    # A terminal's Ctrl-C and what the parent passes on both arrive.
    with stop_requests() as stopped:
        for number in (signal.SIGTERM, STOP_CHILD):
            os.kill(os.getpid(), number)
        assert stopped()


@pytest.mark.parametrize(
    ("numbers", "sent"),
    [
        ([signal.SIGINT], [STOP_CHILD]),
        ([signal.SIGINT, signal.SIGINT], [STOP_CHILD, signal.SIGKILL]),
        ([signal.SIGTERM, signal.SIGINT], [STOP_CHILD, STOP_CHILD]),
        ([signal.SIGUSR1, signal.SIGUSR1], [STOP_CHILD, STOP_CHILD]),
    ],
    ids=str,
)
def test_a_parent_passes_stops_on_and_kills_when_an_impatient_one_comes_again(monkeypatch, numbers, sent):
    children, got = Children(), []
    monkeypatch.setattr(children, "stop", got.append)
    before = [signal.getsignal(number) for number in STOP]
    with signals_left_to(children):
        for number in numbers:
            os.kill(os.getpid(), number)
    assert got == sent
    assert [signal.getsignal(number) for number in STOP] == before


def test_a_stop_saves_says_how_to_go_on_and_loses_nothing(tmp_path, capsys):
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    config = small_run(whole, "sac", PENDULUM, steps=90, seeds=(0, 1))
    assert bundle(whole, config) == DONE
    assert capsys.readouterr().err == ""
    small_run(parts, "sac", PENDULUM, steps=90, seeds=(0, 1))

    def interrupt(step, _):
        if step == 60:
            os.kill(os.getpid(), signal.SIGINT)

    assert bundle(parts, config, report=interrupt) == INTERRUPTED
    said = f"seeds 0,1 stopped at step 60; to continue: virel train --resume {parts}\n"
    assert capsys.readouterr().err == said
    assert load(parts / "seed-1/checkpoints").step == 60
    assert bundle(parts, config, resume=True) == DONE
    for seed in ("seed-0", "seed-1"):
        assert metrics(parts / seed) == metrics(whole / seed)
        states = [load(run / seed / "checkpoints").state for run in (parts, whole)]
        assert differing(*states) == []


def test_a_stop_in_the_last_step_is_the_end(tmp_path, capsys):
    config = small_run(tmp_path, "sac", PENDULUM, steps=40)

    def interrupt(step, _):
        if step == 40:
            os.kill(os.getpid(), signal.SIGTERM)

    assert bundle(tmp_path, config, report=interrupt) == DONE
    assert capsys.readouterr().err == ""


def test_a_child_hears_what_its_parent_and_others_send_but_no_ctrl_c(monkeypatch, tmp_path):
    heard = []

    def trained(*_, **__):
        heard.append(signal.pthread_sigmask(signal.SIG_BLOCK, ()))
        return DONE

    monkeypatch.setattr(launch, "train_bundle", trained)
    monkeypatch.setattr("virel_deep.run.signals.signal_when_parent_dies", quiet)
    monkeypatch.setattr(launch, "_keep_freed_memory", quiet)
    before = signal.pthread_sigmask(signal.SIG_BLOCK, STOP)  # as it is started
    ours, theirs = Pipe(duplex=False)
    try:
        with pytest.raises(SystemExit):
            launch._child(
                Work("seed 0", tmp_path, None, [0], False), Channel(theirs, [0, 0, 0]), os.getppid()
            )
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        presence._notes.clear()
    assert set(STOP) & heard[0] == {signal.SIGINT}
    assert ours.recv() == ("status", DONE, None)


# --- failures


class Doomed(Script):
    """Crashes in step 30."""

    def step(self, action):
        if len(self.actions) == 29:
            raise RuntimeError("broken")
        return super().step(action)


class Unborn(Script):
    def reset(self, **_):
        raise RuntimeError("no power")


def test_when_every_seed_fails_the_status_says_so_with_a_line_for_each(tmp_path, capsys):
    env = registered(Doomed, length=100)
    config = small_run(tmp_path, "sac", env, steps=60, seeds=(0, 1))
    assert bundle(tmp_path, config) == FAILED
    said = [
        f"virel train: seed-{seed} failed at step 30: "
        f"{env}, step 30: its step() raised RuntimeError: broken\n"
        for seed in (0, 1)
    ]
    assert capsys.readouterr().err == "".join(said)


class DoomedSecond(Script):
    """Of a process's environments, the second to be made crashes in step 30."""

    made = 0

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        type(self).made += 1
        self.number = type(self).made

    def step(self, action):
        if self.number == 2 and len(self.actions) == 29:
            raise RuntimeError("broken")
        return super().step(action)


def test_a_failure_is_said_when_it_happens_and_the_stop_names_who_stopped(tmp_path, capsys):
    env = registered(DoomedSecond, length=100)
    config = small_run(tmp_path, "sac", env, steps=90, seeds=(0, 1), eval_every=90)
    said = []

    def interrupt(step, _):
        said.append(capsys.readouterr().err)
        if step == 60:
            os.kill(os.getpid(), signal.SIGINT)

    assert bundle(tmp_path, config, report=interrupt) == INTERRUPTED
    failure = (
        f"virel train: seed-1 failed at step 30: {env}, step 30: its step() raised RuntimeError: broken\n"
    )
    assert said == ["", failure, ""]
    stop = f"seed 0 stopped at step 60; to continue: virel train --resume {tmp_path}\n"
    assert capsys.readouterr().err == stop


def test_a_failed_seed_is_a_failure_whatever_becomes_of_its_record(tmp_path):
    env = registered(Doomed, length=100)
    config = small_run(tmp_path, "sac", env, steps=60)
    trainer = Trainer(tmp_path, config, (0,), resume=False)
    while not trainer.done:
        trainer.advance(quiet)
    trainer.close()
    (tmp_path / "seed-0/failure.json").unlink()
    assert trainer.failed == [0]


def test_an_environment_that_cannot_start_is_one_line(tmp_path, capsys):
    env = registered(Unborn)
    config = small_run(tmp_path, "sac", env, steps=60)
    assert bundle(tmp_path, config) == FAILED
    said = f"{env}, step 0: its reset() raised RuntimeError: no power"
    assert capsys.readouterr().err == f"virel train: seed-0 failed at step 0: {said}\n"
    assert json.loads((tmp_path / "seed-0/failure.json").read_text())["detail"] == said


def test_a_full_disk_is_one_line_and_the_checkpoints_before_stay(tmp_path, capsys, monkeypatch):
    config = small_run(tmp_path, "sac", PENDULUM, steps=120)

    def full(folder, step, *args, **kwargs):
        if step > 40:
            raise CheckpointError(f"can't save step {step}: No space left on device")
        return save(folder, step, *args, **kwargs)

    monkeypatch.setattr(checkpoints, "save", full)
    assert bundle(tmp_path, config) == FAILED
    assert capsys.readouterr().err == "virel train: can't save step 80: No space left on device\n"
    assert load(tmp_path / "seed-0/checkpoints").step == 40
    monkeypatch.undo()
    assert bundle(tmp_path, config, resume=True) == DONE


def test_a_folder_that_became_read_only_is_one_line_and_stays_as_it_is(tmp_path, capsys, monkeypatch):
    config = small_run(tmp_path, "sac", PENDULUM, steps=120)

    def read_only(folder):
        raise OSError(errno.EROFS, "Read-only file system", str(folder))

    monkeypatch.setattr("virel_deep.run.training.seed.remove_temporary", read_only)
    assert bundle(tmp_path, config) == FAILED
    assert capsys.readouterr().err == f"virel train: {tmp_path / 'seed-0'}: Read-only file system\n"
    assert [path.name for path in (tmp_path / "seed-0").iterdir()] == [LOCK]


def test_a_seed_of_another_process_is_one_line(tmp_path, capsys):
    config = small_run(tmp_path, "sac", PENDULUM, steps=120)
    trainer = Trainer(tmp_path, config, (0,), resume=False)
    assert bundle(tmp_path, config) == FAILED
    line = f"virel train: {tmp_path / 'seed-0'}: another process trains this seed; wait for it, or stop it\n"
    assert capsys.readouterr().err == line
    trainer.close()


def test_a_run_that_is_done_says_so(tmp_path, capsys):
    small_run(tmp_path, "sac", PENDULUM, steps=80)
    reach(tmp_path, 0, 80, done=True)
    assert train(tmp_path, jobs=1) == DONE
    assert capsys.readouterr().err.startswith(
        f"every seed of {tmp_path} has already reached step 80; pass --steps"
    )


RULE = "return >= 5 on 1 evaluation"
BY_RULE = f"was stopped by its rule ({RULE}) at step 40"


@pytest.mark.parametrize(
    ("ends", "said"),
    [
        ((40, 40), f"{BY_RULE}; nothing is left to train"),
        ((40, 60), f"{BY_RULE} or 60; nothing is left to train"),
        ((80, 40), f"has already reached step 80, or {BY_RULE}; pass --steps to train the others further"),
    ],
)
def test_a_run_with_seeds_that_stopped_early_says_so(tmp_path, capsys, ends, said):
    small_run(tmp_path, "sac", PENDULUM, steps=80, seeds=(0, 1), stop_return=5.0)
    for seed, step in enumerate(ends):
        reach(tmp_path, seed, step)
        rule = {"stopped": RULE} if step < 80 else {}
        (tmp_path / f"seed-{seed}/done.json").write_text(json.dumps({"step": step} | rule))
    assert train(tmp_path, jobs=1) == DONE
    assert capsys.readouterr().err.startswith(f"every seed of {tmp_path} {said}")


# --- threads


def threads():
    return torch.get_num_threads(), [(one["filepath"], one["num_threads"]) for one in threadpool_info()]


@pytest.fixture
def several_threads():
    """Two threads of torch and of every BLAS that counts its own."""
    before = torch.get_num_threads()
    with threadpool_limits(2, user_api="blas"):
        torch.set_num_threads(2)
        yield threads()
    torch.set_num_threads(before)


@pytest.mark.parametrize("interrupted", [False, True])
def test_a_training_leaves_the_number_of_threads_as_it_was(tmp_path, several_threads, interrupted):
    config, seen = small_run(tmp_path, "sac", PENDULUM, steps=80), []

    def report(*_):
        seen.append(threads())
        if interrupted:
            raise RuntimeError("a callback's")

    if interrupted:
        with pytest.raises(RuntimeError, match="a callback's"):
            bundle(tmp_path, config, report=report)
    else:
        assert bundle(tmp_path, config, report=report) == DONE
    assert threads() == several_threads
    assert {seen[0][0], *(number for _, number in seen[0][1])} == {1}


def test_trainings_that_overlap_leave_the_number_of_threads_as_it_was_before_all(several_threads):
    first, second = computing_threads(1), computing_threads(1)
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    assert {one["num_threads"] for one in threadpool_info() if one["user_api"] == "blas"} == {1}
    second.__exit__(None, None, None)
    assert threads() == several_threads


# --- environments that may end the process


@pytest.mark.parametrize(
    ("more", "apart"),
    [({}, False), ({"eval_env": OUTSIDE}, True), ({"tasks": (PENDULUM, OUTSIDE), "copies": 2}, True)],
)
def test_an_environment_from_outside_trains_apart_whatever_it_is_for(tmp_path, monkeypatch, more, apart):
    of_tasks = {"tasks": tuple({"id": x, "arguments": {}} for x in more["tasks"])} if "tasks" in more else {}
    small_run(tmp_path, "sac", PENDULUM, steps=80, **more | of_tasks)
    for name, status in (("_here", DONE), ("_apart", FAILED)):
        monkeypatch.setattr(launch, name, lambda *_, status=status: status)
    assert train(tmp_path, jobs=1, survive=True) == (FAILED if apart else DONE)
    assert train(tmp_path, jobs=1) == DONE


@pytest.mark.parametrize(
    ("place", "named"),
    [("training: step", f"{PENDULUM} or {OUTSIDE}"), ("training: close", f"{PENDULUM} or {OUTSIDE}")],
)
def test_a_death_in_one_of_several_tasks_names_their_environments(tmp_path, capsys, place, named):
    tasks = tuple({"id": x, "arguments": {}} for x in (PENDULUM, OUTSIDE))
    config = small_run(tmp_path, "sac", PENDULUM, steps=80, tasks=tasks, copies=2)
    work = Work("seed 0", tmp_path, config, [0], resume=False)
    reach(tmp_path, 0, 3)
    assert launch._bury(Death(work, "by SIGABRT", presence.Presence(0, 3, place))) == []
    assert f"{place}: {named} ended its process by SIGABRT" in capsys.readouterr().err


def test_a_death_in_an_evaluation_names_its_environment(tmp_path, capsys):
    config = small_run(tmp_path, "sac", PENDULUM, steps=80, eval_env=OUTSIDE)
    work = Work("seed 0", tmp_path, config, [0], resume=False)
    reach(tmp_path, 0, 40)
    assert launch._bury(Death(work, "by SIGABRT", presence.Presence(0, 40, presence.EVALUATION))) == []
    assert f"evaluation: {OUTSIDE} ended its process by SIGABRT" in capsys.readouterr().err


# --- before the first step


@pytest.mark.parametrize("jobs", [1, 2])
@pytest.mark.parametrize("what", ["stopped before the first step", "interrupted"])
def test_a_run_that_is_interrupted_while_it_starts_says_how_it_goes_on(tmp_path, monkeypatch, jobs, what):
    small_run(tmp_path, "sac", PENDULUM, steps=80, seeds=(0, 1))
    if what == "interrupted":
        reach(tmp_path, 0, 10)

    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(launch, "_here", interrupted)
    monkeypatch.setattr(launch, "_apart", interrupted)
    with said(f"^{what}; to continue: virel train --resume "), pytest.raises(KeyboardInterrupt):
        train(tmp_path, jobs=jobs)


def test_a_folder_whose_name_has_a_space_is_quoted_in_the_command_that_continues_it(tmp_path, capsys):
    run = tmp_path / "w 7"
    work = Work("seed 0", run, None, [0], resume=True)
    assert launch._bury(Death(work, "by SIGABRT", presence.Presence(0, 0, ""))) == []
    assert f"; virel train --resume '{run}' continues it\n" in capsys.readouterr().err


def test_a_run_that_has_begun_does_not_say_it(tmp_path, monkeypatch, capsys):
    small_run(tmp_path, "sac", PENDULUM, steps=80, seeds=(0, 1))
    monkeypatch.setattr(launch, "_here", lambda *_: reach(tmp_path, 0, 10) or INTERRUPTED)
    assert train(tmp_path, jobs=1) == INTERRUPTED
    assert "first step" not in capsys.readouterr().err
