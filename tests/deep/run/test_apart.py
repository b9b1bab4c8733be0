"""Seeds in processes of their own: what a process that dies inside of an environment costs."""

import json
import signal
from types import SimpleNamespace

import pytest

from tests.support.deep import assert_same, small_run, train
from virel_common.terminal import DONE, FAILED, INTERRUPTED
from virel_deep.data.presence import Presence
from virel_deep.run import apart, launch
from virel_deep.run.apart import Death, Work
from virel_deep.run.signals import Children

DEADLY = "tests.support.deadly:Deadly"
OUTSIDE = Presence(0, 0, "")


def ended(code, *, said=None, stopped=False, killed=False, last=(0, 0, 0)):
    """Status of a process that ended with a code, and the deaths that were told."""
    deaths = []
    channel = SimpleNamespace(presence=list(last))
    one = SimpleNamespace(process=SimpleNamespace(exitcode=code), status=said, channel=channel, work="work")
    children = Children(stopped=stopped, killed=killed)
    status, _ = apart._ended(one, children, lambda death: deaths.append(death) or [])
    return status, deaths


def test_the_status_that_a_process_has_said_counts_whatever_happens_at_its_exit():
    assert ended(-signal.SIGSEGV, said=DONE) == (DONE, [])
    assert ended(1, said=FAILED) == (FAILED, [])


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGTERM, signal.SIGUSR1])
def test_a_process_that_was_stopped_before_it_could_listen_has_stopped(number):
    assert ended(-number, stopped=True) == (INTERRUPTED, [])


@pytest.mark.parametrize(
    ("code", "how"),
    [
        (0, "with status 0"),
        (7, "with status 7"),
        (-signal.SIGABRT, "by SIGABRT"),
        (-signal.SIGKILL, "by SIGKILL (out of memory, or killed from outside)"),
    ],
)
def test_a_process_that_says_no_status_has_died_where_it_was(code, how):
    status, [death] = ended(code, last=(3, 40, 2))
    assert (status, death) == (FAILED, Death("work", how, Presence(3, 40, "training: step")))


def test_what_an_impatient_user_kills_is_no_fault_of_the_environment():
    status, [death] = ended(-signal.SIGKILL, stopped=True, killed=True, last=(3, 40, 2))
    assert (status, death.last, death.how) == (FAILED, OUTSIDE, "by the second signal")


def test_memory_that_runs_out_while_a_run_is_saved_is_not_taken_for_a_second_signal():
    _, [death] = ended(-signal.SIGKILL, stopped=True)
    assert death.how == "by SIGKILL (out of memory, or killed from outside)"


def test_a_death_outside_of_environments_is_one_line_and_blames_no_seed(tmp_path, capsys):
    work = Work("seeds 0,2", tmp_path, None, [0, 2], True)
    assert launch._bury(Death(work, "by SIGABRT", OUTSIDE)) == []
    what = "virel train: the process of seeds 0,2 ended by SIGABRT"
    assert capsys.readouterr().err == f"{what}; virel train --resume {tmp_path} continues it\n"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_an_environment_that_ends_its_process_stops_its_own_seed_alone(tmp_path, capfd):
    deaths, run, sound = tmp_path / "deaths", tmp_path / "run", tmp_path / "sound"
    deaths.mkdir()
    arguments = {"folder": str(deaths)}
    small_run(run, "sac", DEADLY, steps=60, seeds=(0, 1, 2), env_arguments=arguments, checkpoint_every=60)
    for name in ("exit", "segfault", "when it exits"):
        (deaths / name).touch()
    assert launch.train(run, jobs=1, survive=True) == FAILED
    said = [line for line in capfd.readouterr().err.splitlines() if "steps/s" not in line]
    ways = ("with status 0", "by SIGSEGV")
    for seed, how in enumerate(ways):
        failure = json.loads((run / f"seed-{seed}/failure.json").read_text())
        assert failure == {
            "step": 30, "what": "environment", "where": "training: step, process",
            "detail": f"{DEADLY} ended its process {how}, at step 30",
        }  # fmt: skip
        line = f"virel train: seed-{seed} failed at step 30: training: step: {failure['detail']}"
        rest = ("seeds 1,2 continue", "seed 2 continues")[seed]
        assert said[2 * seed : 2 * seed + 2] == [line, f"{rest} from the newest checkpoint in a new process"]
    config = small_run(
        sound, "sac", DEADLY, steps=60, seeds=(0, 1, 2), env_arguments=arguments, checkpoint_every=60
    )
    train(sound, config)
    assert len(said) == 2 * len(ways)  # the process of seed 2 aborted after its work was done: no word of it
    assert_same(run, sound, (2,))
    assert launch.train(run, jobs=1) == DONE  # both are tried again
    assert_same(run, sound, (0, 1))


@pytest.mark.slow
def test_an_environment_of_evaluations_that_ends_its_process_stops_its_own_seed_alone(tmp_path, monkeypatch):
    deaths, run, name = tmp_path / "deaths", tmp_path / "run", "tests.support.deadly:deadly_at_once"
    deaths.mkdir()
    (deaths / "exit").touch()
    monkeypatch.setenv("VIREL_TEST_DEATHS", str(deaths))
    small_run(run, "sac", "MountainCarContinuous-v0", steps=40, seeds=(0, 1), eval_env=name, eval_every=20)
    assert launch.train(run, jobs=1, survive=True) == FAILED
    failure = json.loads((run / "seed-0/failure.json").read_text())
    assert failure["where"] == "evaluation, process"
    assert failure["detail"] == f"{name} ended its process with status 0, at step 20"
    assert json.loads((run / "seed-1/done.json").read_text()) == {"step": 40}
