"""What a run folder lost, or what was changed in it, is said on the next resume; healthy seeds go on."""

import json
import re
import shutil

import pytest

from tests.support.deep import differing, metrics
from virel_deep.commands.results import main_evaluate
from virel_deep.commands.train import main_train
from virel_deep.run.folder import locked, read_config, set_steps
from virel_deep.storage.checkpoint import load

ENV = "InvertedPendulum-v5"
TINY = ("--set", "hidden=[8,8]", "data.batch=16", "data.warmup=20")


def train(out, seeds=2, steps=40, *more):
    argv = ["--preset", "sac", "--env", ENV, "--steps", str(steps), "--seeds", str(seeds), "--jobs", "1"]
    argv += ["--out", str(out), "--eval-every", "20", "--checkpoint-every", "20", "--precision", "highest"]
    assert main_train([*argv, *more, *TINY]) == 0
    return out


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    return train(tmp_path_factory.mktemp("survey") / "run")


@pytest.fixture(scope="module")
def beyond(original, tmp_path_factory):
    """The same run, 20 steps further, with nothing lost on the way."""
    run = tmp_path_factory.mktemp("beyond") / "run"
    shutil.copytree(original, run)
    assert main_train(["--resume", str(run), "--steps", "60", "--jobs", "1"]) == 0
    return run


@pytest.fixture
def run(original, tmp_path):
    return shutil.copytree(original, tmp_path / "run")


def resumed(run, capsys, *more):
    """Status and lines on stderr of `virel train --resume`, progress left out."""
    capsys.readouterr()
    status = main_train(["--resume", str(run), "--steps", "60", "--jobs", "1", *more])
    return status, [
        line
        for line in capsys.readouterr().err.splitlines()
        if "steps/s" not in line and " is done: " not in line
    ]


def assert_same(run, other, seed):
    folders = [one / f"seed-{seed}" for one in (run, other)]
    assert metrics(folders[0]) == metrics(folders[1])
    assert differing(*(load(folder / "checkpoints").state for folder in folders)) == []


# --- one seed's damage


def truncate_states(seed):
    for path in seed.glob("checkpoints/step-*/state.json"):
        path.write_text("{}")


def damage_manifests(seed):
    for path in seed.glob("checkpoints/step-*/manifest.json"):
        path.write_text("[" * 100_000)  # deeper than a JSON reader goes


def lose_replay(seed):
    shutil.rmtree(seed / "replay")


def lose_checkpoints(seed):
    shutil.rmtree(seed / "checkpoints")


def damage_a_row(seed):
    path = seed / "metrics.jsonl"
    path.write_bytes(b"{\n" + path.read_bytes())


DAMAGES = {
    truncate_states: "state.json",
    damage_manifests: "manifest.json",
    lose_replay: "replay",
    lose_checkpoints: "its checkpoints are gone, although it was trained to step 40",
    damage_a_row: "metrics.jsonl:1: not JSON",
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_one_seeds_damage_is_said_and_the_others_train_on(run, beyond, capsys, damage):
    damage(run / "seed-0")
    status, said = resumed(run, capsys)
    assert status == 1
    assert [DAMAGES[damage] in line for line in said] == [True]
    assert said[0].startswith("virel train: left out: ")
    assert_same(run, beyond, 1)
    assert (run / "seed-0/metrics.jsonl").read_bytes()


@pytest.mark.parametrize("damage", DAMAGES)
def test_where_every_seed_is_damaged_nothing_begins_anew(run, capsys, damage):
    for seed in ("seed-0", "seed-1"):
        damage(run / seed)
    before = (run / "seed-0/metrics.jsonl").read_bytes()
    status, said = resumed(run, capsys)
    assert (status, len(said)) == (2, 1)
    assert DAMAGES[damage] in said[0]
    assert (run / "seed-0/metrics.jsonl").read_bytes() == before


# --- what was changed or lost


def edit(run, **changes):
    document = json.loads((run / "config.json").read_text())
    document["config"] |= changes
    (run / "config.json").write_text(json.dumps(document))


def drop_row(run):
    path = run / "seed-1/metrics.jsonl"
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[1:]))


def change_return(run):
    path = run / "seed-1/metrics.jsonl"
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    next(row for row in rows if row["kind"] == "eval")["return"] += 1
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


CHANGES = {
    "eval_every": (lambda run: edit(run, eval_every=10), "`eval_every` in .* was 20 .* is 10 now"),
    "cadence": (lambda run: edit(run, checkpoint_every=10), "`checkpoint_every` in .* was 20 .* is 10 now"),
    "preset": (lambda run: edit(run, preset="mine"), "`preset` in .* was 'sac' .* is 'mine' now"),
    "no log": (lambda run: (run / "seed-1/metrics.jsonl").unlink(), "seed-1/metrics.jsonl lost or changed"),
    "fewer rows": (drop_row, "seed-1/metrics.jsonl lost or changed rows"),
    "a return": (change_return, "seed-1/metrics.jsonl lost or changed rows"),
}  # fmt: skip


@pytest.mark.parametrize("kind", CHANGES)
def test_what_was_changed_or_lost_is_one_line(run, capsys, kind):
    change, said = CHANGES[kind]
    change(run)
    status, lines = resumed(run, capsys)
    assert (status, len(lines)) == (0, 1)
    assert lines[0].startswith("note: ")
    assert re.search(said, lines[0]), lines
    assert resumed(run, capsys, "--steps", "80") == (0, [])  # once is enough


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda run: edit(run, env="Pendulum-v1"), "`env`"),
        (lambda run: edit(run, copies=2), "`copies` in"),
        (lambda run: edit(run, capacity=30), "`capacity` in"),
        (lambda run: (run / "config.json").write_text("[" * 100_000), "not JSON"),
        (lambda run: (run / "config.json").unlink(), "must be a run folder"),
    ],
)
def test_what_makes_another_run_is_refused(run, capsys, change, said):
    before = {path: path.read_bytes() for path in run.glob("seed-*/**/*") if path.is_file()}
    change(run)
    status, lines = resumed(run, capsys)
    assert status in {1, 2}
    assert any(said in line for line in lines), lines
    kept = {path: path.read_bytes() for path in before if "tfevents" not in path.name}
    assert kept == {path: data for path, data in before.items() if "tfevents" not in path.name}


def test_a_reason_that_seeds_share_is_said_once(run, capsys):
    edit(run, copies=2)
    _, (line,) = resumed(run, capsys)
    assert line.count("`copies` in") == 1


def test_foreign_files_stay_and_nothing_is_said(run, beyond, capsys):
    foreign = [
        "notes.txt",
        "seed-0/notes.txt",
        "seed-0/checkpoints/mine.txt",
        "seed-0/replay/mine.npy",
        "seed-9/x",
    ]
    for name in foreign:
        (run / name).parent.mkdir(exist_ok=True)
        (run / name).write_text(name)
    assert resumed(run, capsys) == (0, [])
    assert [(run / name).read_text() for name in foreign] == foreign
    assert_same(run, beyond, 0)


def test_a_run_that_nothing_happened_to_says_nothing(run, beyond, capsys):
    assert resumed(run, capsys) == (0, [])
    for seed in (0, 1):
        assert_same(run, beyond, seed)


# --- seeds that differ alone


def test_seeds_that_are_added_have_the_bits_of_those_that_start_together(tmp_path, beyond, capsys):
    grown = train(tmp_path / "grown", 1, 40)
    status, lines = resumed(grown, capsys, "--seeds", "2")
    assert (status, lines) == (0, [])
    assert read_config(grown).seeds == (0, 1)
    for seed in (0, 1):
        assert_same(grown, beyond, seed)


@pytest.mark.parametrize(
    ("more", "said"), [(["--seeds", "1"], "`seeds` must be at least 2"), (["--seeds", "0"], "`seeds`")]
)
def test_seeds_cannot_be_taken_away(run, capsys, more, said):
    before = (run / "config.json").read_bytes()
    status, lines = resumed(run, capsys, *more)
    assert (status, len(lines)) == (2, 1)
    assert said in lines[0]
    assert (run / "config.json").read_bytes() == before


@pytest.fixture(scope="module")
def apart(tmp_path_factory):
    """One seed per folder, as an array job writes them."""
    out = tmp_path_factory.mktemp("apart")
    return [train(out / f"s{seed}", 1, 40, "--first-seed", str(seed)) for seed in (0, 1)]


def test_runs_apart_are_continued_and_evaluated_as_one(apart, beyond, tmp_path, capsys):
    runs = [shutil.copytree(run, tmp_path / run.name) for run in apart]
    names = [str(run) for run in runs]
    assert main_train(["--resume", *names, "--steps", "60", "--jobs", "1"]) == 0
    for seed, run in enumerate(runs):
        assert_same(run, beyond, seed)
    capsys.readouterr()
    assert main_evaluate([*names, "--episodes", "1"]) == 0
    table = capsys.readouterr().out
    assert [line.split()[0] for line in table.splitlines() if line.strip()[:1].isdigit()] == ["0", "1"]
    assert all((run / "evaluation.json").exists() for run in runs)


def test_a_goal_of_several_runs_is_raised_in_all_of_them_or_in_none(apart, tmp_path, capsys):
    runs = [shutil.copytree(run, tmp_path / run.name) for run in apart]
    together = ["--resume", *map(str, runs), "--jobs", "1"]
    with locked(runs[1], [1]):
        assert main_train([*together, "--steps", "60"]) == 2
    assert "s1/seed-1: another process trains this seed" in capsys.readouterr().err
    assert [read_config(run).steps for run in runs] == [40, 40]
    set_steps(runs[1], 60)  # a kill may fall between the two
    assert main_train(together) == 2
    assert "in seeds alone (`steps` is 60 and 40)" in capsys.readouterr().err
    assert main_train([*together, "--steps", "50"]) == 2
    assert "`steps` must be at least 60, the runs' goal so far; found 50" in capsys.readouterr().err
    assert [read_config(run).steps for run in runs] == [40, 60]
    assert main_train([*together, "--steps", "60"]) == 0
    assert [read_config(run).steps for run in runs] == [60, 60]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda run: edit(run, steps=50), "`steps` is 50 and 40"),
        (lambda run: edit(run, eval_episodes=3), "`eval_episodes` is 3 and 1"),
        (lambda run: edit(run, seeds=[0]), r"must not have seeds of the runs before it ([0])"),
    ],
)
def test_runs_that_differ_in_more_are_not_taken_for_one(apart, tmp_path, capsys, change, said):
    runs = [str(shutil.copytree(run, tmp_path / run.name)) for run in apart]
    change(tmp_path / "s1")
    for command, argv in ((main_train, ["--resume", *runs]), (main_evaluate, runs)):
        capsys.readouterr()
        assert command(argv) == 2
        line = capsys.readouterr().err
        assert line.count("\n") == 1
        assert said in line


def test_a_folder_given_twice_is_refused(run, capsys):
    assert main_train(["--resume", str(run), str(run)]) == 2
    assert "`runs` must be different" in capsys.readouterr().err
