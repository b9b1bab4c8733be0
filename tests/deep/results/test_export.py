"""`virel export`: the file computes the policy, in the environment's range; a wrong graph gets no file."""

import re
import sys
from pathlib import Path

import gymnasium
import numpy as np
import pytest

from tests.support.runs import random_layers, write_checkpoint, write_run
from virel_common.errors import InputError
from virel_common.files import StorageError
from virel_deep.commands.results import main_export
from virel_deep.data.actions import ActionRange
from virel_deep.design.environment import EnvSpec
from virel_deep.design.presets import PRESETS
from virel_deep.results import export
from virel_deep.results.export import build_model, check_model, export_policy, inside, reference
from virel_deep.results.onnx_graph import ExportError
from virel_deep.run.actors import ACTORS, TanhPerceptron
from virel_deep.run.policy import Policy

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")
pytestmark = pytest.mark.mujoco

U = 2.0**-24


def unit(n):
    return -np.ones(n, np.float32), np.ones(n, np.float32)


def test_the_guide_names_the_presets_whose_policy_is_more_than_one_network():
    guide = (Path(__file__).resolve().parents[3] / "docs/guide/your_environment.md").read_text()
    [sentence] = re.findall(
        r"^A policy that is more than one network.*?\n\n", guide, re.MULTILINE | re.DOTALL
    )
    makers = {name: ACTORS[type(row.algorithm.posterior)].__name__ for name, row in PRESETS.items()}
    several = {name for name, maker in makers.items() if maker in {"_settling", "_planning", "_tilted"}}
    assert set(re.findall("`([a-z-]+)`", sentence)) == several


def run_model(model, observation):
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    return session.run(None, {"observation": observation.astype(np.float32)})[0]


def small():
    """2 -> 2 -> 1, by hand: h = relu(x), u = tanh(h0 - h1 + 1/2)."""
    return [
        (np.eye(2, dtype=np.float32), np.zeros(2, np.float32)),
        (np.array([[1.0], [-1.0]], np.float32), np.array([0.5], np.float32)),
    ]


def test_the_graph_computes_a_policy_by_hand_in_an_asymmetric_range():
    model = build_model(small(), np.array([-1.0], np.float32), np.array([3.0], np.float32), metadata={})
    action = run_model(model, np.array([[0.0, 0.0], [1.0, -7.0], [-2.0, 0.25], [-9.0, 50.0]]))
    expected = 1 + 2 * np.tanh([[0.5], [1.5], [0.25], [-49.5]])
    # tanh to 4 units in the last place, two more roundings of numbers up to 3
    np.testing.assert_allclose(action, expected, rtol=0, atol=2 * 8 * U + 2 * 3 * U)


@pytest.mark.parametrize("env", ["Humanoid-v5", "Pusher-v5", "HalfCheetah-v5"])
def test_the_file_gives_the_actions_that_the_environment_would_get(tmp_path, env):
    made = gymnasium.make(env)
    n_observation, space = made.observation_space.shape[0], made.action_space
    made.close()
    rng = np.random.default_rng(0)
    policy = Policy(TanhPerceptron(random_layers(rng, (n_observation, 16, space.shape[0]))), EnvSpec(env), 7)
    difference = export_policy(policy, tmp_path / "policy.onnx", about={"seed": "3"})
    x = rng.standard_normal((5, n_observation)).astype(np.float32)
    ours = ActionRange(space).from_unit(policy.act(x))
    theirs = run_model(str(tmp_path / "policy.onnx"), x)
    _, bound = reference(policy.actor.layers, space.low, space.high, x)
    assert (np.abs(theirs - ours) <= 2 * bound).all()  # each of the two is that near to float64
    assert 0 < difference < 1e-5
    assert (np.abs(theirs) <= space.high).all()


def test_the_file_says_what_it_is(tmp_path):
    policy = Policy(
        TanhPerceptron(random_layers(np.random.default_rng(0), (11, 8, 3))), EnvSpec("Hopper-v5"), 7
    )
    export_policy(policy, tmp_path / "policy.onnx", about={"seed": "3"})
    model = onnx.load(tmp_path / "policy.onnx")
    said = {entry.key: entry.value for entry in model.metadata_props}
    assert said["env"] == "Hopper-v5"
    assert (said["step"], said["seed"]) == ("7", "3")
    assert said.keys() >= {"virel", "torch", "gymnasium", "mujoco"}
    assert [one.name for one in (*model.graph.input, *model.graph.output)] == ["observation", "action"]


@pytest.mark.parametrize(
    "spoil",
    [
        lambda layers: [(layers[0][0], layers[0][1] * 0), *layers[1:]],
        lambda layers: [(layers[0][0] * 1.01, layers[0][1]), *layers[1:]],
        lambda layers: [*layers[:-1], (layers[-1][0], -layers[-1][1])],
        lambda layers: [*layers[:-1], (layers[-1][0] * np.nan, layers[-1][1])],
    ],
    ids=["no-bias", "weights-1-percent-off", "sign-of-the-last-bias", "nan"],
)
def test_a_graph_of_other_layers_is_found(spoil):
    layers = random_layers(np.random.default_rng(1), (11, 64, 64, 3))
    low, high = unit(3)
    with pytest.raises(ExportError, match="onnxruntime gives"):
        check_model(build_model(spoil(layers), low, high, metadata={}), layers, low, high)


def test_a_graph_with_another_range_is_found():
    layers = random_layers(np.random.default_rng(1), (11, 64, 64, 3))
    low, high = unit(3)
    with pytest.raises(ExportError):
        check_model(build_model(layers, 0.4 * low, 0.4 * high, metadata={}), layers, low, high)


def test_a_policy_that_fails_the_check_leaves_no_file_and_the_old_one_as_it_was(tmp_path, monkeypatch):
    layers = random_layers(np.random.default_rng(0), (11, 8, 3))
    path = tmp_path / "policy.onnx"
    path.write_bytes(b"old")
    wrong = build_model([(2 * layers[0][0], layers[0][1]), layers[1]], *unit(3), metadata={})
    monkeypatch.setattr(export, "build_model", lambda *_, **__: wrong)
    with pytest.raises(ExportError):
        export_policy(Policy(TanhPerceptron(layers), EnvSpec("Hopper-v5"), 0), path, about={})
    assert [p.name for p in tmp_path.iterdir()] == ["policy.onnx"]
    assert path.read_bytes() == b"old"


@pytest.mark.parametrize("scale", [0.1, 1.0, 10.0])
def test_the_bound_holds_for_numpys_float32_too_and_is_not_idle(scale):
    rng = np.random.default_rng(2)
    layers = random_layers(rng, (17, 64, 64, 6), scale)
    x = rng.standard_normal((200, 17)).astype(np.float32)
    exact, bound = reference(layers, *unit(6), x)
    error = np.abs(Policy(TanhPerceptron(layers), EnvSpec("-"), 0).act(x) - exact)
    assert (error <= bound).all()
    assert (error > 0).any()


def test_a_range_in_float64_is_rounded_inwards():
    low, high = inside(np.array([-0.1, -1.0]), np.array([0.3, 1.0]))
    assert (low.astype(np.float64) >= [-0.1, -1.0]).all()
    assert (high.astype(np.float64) <= [0.3, 1.0]).all()
    assert np.array_equal(np.array([low[1], high[1]]), [-1, 1])


def test_the_command_exports_a_seed_of_a_run(tmp_path, capsys):
    run = write_run(tmp_path / "run", "sac", "InvertedPendulum-v5", np.ones((2, 1)))
    write_checkpoint(run, 1, random_layers(np.random.default_rng(0), (4, 8, 1)))
    assert main_export([str(run), str(tmp_path / "policy.onnx"), "--seed", "1"]) == 0
    assert (tmp_path / "policy.onnx").exists()
    assert "onnxruntime agrees" in capsys.readouterr().out
    assert main_export([str(run), str(tmp_path / "other.onnx")]) == 2  # seed 0 has no checkpoint
    assert main_export([str(run), str(tmp_path / "other.onnx"), "--seed", "5"]) == 2
    assert "`seed` must be one of [0, 1]; found 5" in capsys.readouterr().err


def test_a_run_named_from_inside_is_recorded_under_its_folders_name(tmp_path, monkeypatch):
    run = write_run(tmp_path / "run", "sac", "InvertedPendulum-v5", np.ones((1, 1)))
    write_checkpoint(run, 0, random_layers(np.random.default_rng(0), (4, 8, 1)))
    monkeypatch.chdir(run)
    assert main_export([".", "policy.onnx"]) == 0
    said = {entry.key: entry.value for entry in onnx.load("policy.onnx").metadata_props}
    assert said["run"] == "run"


@pytest.mark.parametrize("out", [".", "/", ""])
def test_a_folder_instead_of_a_file_is_one_line_and_status_2(tmp_path, capsys, out):
    run = write_run(tmp_path / "run", "sac", "InvertedPendulum-v5", np.ones((1, 1)))
    write_checkpoint(run, 0, random_layers(np.random.default_rng(0), (4, 8, 1)))
    assert main_export([str(run), out]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line == f"virel export: `out` must be a file, not a folder; found {out or '.'!r}"


@pytest.mark.parametrize("name", ["policy.pt", "policy", "policy.onnx.bak", "policy.ONNX"])
def test_another_suffix_is_one_line_and_nothing_is_written(tmp_path, capsys, name):
    run = write_run(tmp_path / "run", "sac", "InvertedPendulum-v5", np.ones((1, 1)))
    write_checkpoint(run, 0, random_layers(np.random.default_rng(0), (4, 8, 1)))
    assert main_export([str(run), str(tmp_path / name)]) == 2
    said = capsys.readouterr()
    assert said.err == f"virel export: `out` must end with .onnx; found {str(tmp_path / name)!r}\n"
    assert said.out == ""
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_a_failed_check_is_one_line_and_status_1(tmp_path, capsys, monkeypatch):
    run = write_run(tmp_path / "run", "sac", "InvertedPendulum-v5", np.ones((1, 1)))
    write_checkpoint(run, 0, random_layers(np.random.default_rng(0), (4, 8, 1)))
    wrong = build_model(random_layers(np.random.default_rng(1), (4, 8, 1)), *unit(1), metadata={})
    monkeypatch.setattr(export, "build_model", lambda *_, **__: wrong)
    assert main_export([str(run), str(tmp_path / "policy.onnx")]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("virel export: for one observation onnxruntime gives")


def test_a_folder_that_is_not_there_is_named(tmp_path):
    policy = Policy(
        TanhPerceptron(random_layers(np.random.default_rng(0), (11, 8, 3))), EnvSpec("Hopper-v5"), 0
    )
    with pytest.raises(StorageError, match=r"policy\.onnx"):
        export_policy(policy, tmp_path / "no" / "policy.onnx", about={})


def test_without_onnx_the_extra_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnx", None)
    policy = Policy(
        TanhPerceptron(random_layers(np.random.default_rng(0), (11, 8, 3))), EnvSpec("Hopper-v5"), 0
    )
    with pytest.raises(InputError, match=r"found no onnx; it comes with .*'\.\[export\]'"):
        export_policy(policy, tmp_path / "policy.onnx", about={})
