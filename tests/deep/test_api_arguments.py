"""Wrong arguments of the functions from Python: one `InputError` in one line, before anything is written."""

import re

import numpy as np
import pytest

import virel_deep
from virel_common.errors import InputError
from virel_deep.design.environment import EnvSpec

OPTIONS = [
    ({"env_arg": (("g=9.0",),)}, "`env_arg` must be left out: .* an `EnvSpec`"),
    ({"set": (("gamma=0.5",),)}, "`set` must be left out: settings of the algorithm go into `settings`"),
    ({"resume": ("run",)}, "`resume` must be left out: `virel_deep.resume`"),
    ({"bogus": 3}, "`bogus` must be an option of `virel train`"),
    ({"steps": "5"}, "`steps` must be a number"),
    ({"steps": True}, "`steps` must be a number"),
    ({"seeds": "2"}, "`seeds` must be a whole number; found '2'"),
    ({"seeds": None}, "`seeds` must be a whole number; found None"),
    ({"seeds": 1.5}, "`seeds` must be a whole number; found 1.5"),
    ({"first_seed": -1}, "`first_seed` must be at least 0; found -1"),
    ({"out": 5}, "`out` must be the path of a file or folder"),
    ({"out": b"x"}, "`out` must be the path of a file or folder"),
    ({"out": ""}, "`out` must be the path of a file or folder"),
    ({"settings": 5}, "`settings` must be a dictionary"),
    ({"settings": ["a"]}, "`settings` must be a dictionary"),
    ({"settings": {5: 1}}, "`settings` must be a dictionary"),
    ({"jobs": "a"}, "`jobs` must be a positive integer"),
    ({"jobs": 1.5}, "`jobs` must be a positive integer"),
    ({"copies": "2"}, "`copies` must be a whole number or None"),
    ({"task": 5}, "`task` must be tuples of texts"),
    ({"task": ("goal=0",)}, "`task` must be tuples of texts"),
    ({"eval_env": 5}, "`eval_env` must be text or None"),
    ({"eval_env": "Nope-v0"}, "`eval_env` must be a Gymnasium id; found 'Nope-v0'"),
    ({"prior": 5}, "`prior` must be the path of a file or folder"),
    ({"stop_return": "a"}, "`stop_return` must be a number or None"),
    ({"normalize": 1}, "`normalize` must be True or False"),
    ({"precision": "exact"}, "`precision` must be one of"),
    ({"max_episode_steps": "a"}, "`max_episode_steps` must be a whole number or None"),
]


@pytest.mark.parametrize(("options", "message"), OPTIONS, ids=[str(o) for o, _ in OPTIONS])
def test_a_wrong_argument_of_a_training_is_one_line_and_writes_nothing(
    tmp_path, monkeypatch, options, message
):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=message) as found:
        virel_deep.train("sac", "Pendulum-v1", **{"steps": 20, "out": tmp_path / "run", **options})
    assert "\n" not in str(found.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("preset", "env", "message"),
    [
        (5, "Pendulum-v1", "`preset` must be text"),
        (None, "Pendulum-v1", "`preset` must be one of virel"),
        ("sac", 5, "`env` must be a Gymnasium id, an EnvSpec, or a function"),
        ("sac", EnvSpec("Pendulum-v1", {"g": "abc"}), "`g` must be a number, as its default is; found 'abc'"),
        ("sql", EnvSpec("FrozenLake-v1", {"is_slippery": "no"}), "`is_slippery` must be True or False"),
        ("td3", "CartPole-v1", "`posterior` must be .* so that td3 has no form for discrete actions"),
        (
            "sac",
            "virel_deep:Nope",
            "`env` must be a Gymnasium id; .* virel_deep has no function or id 'Nope'",
        ),
    ],
)
def test_a_wrong_preset_or_environment_is_one_line_and_writes_nothing(tmp_path, preset, env, message):
    with pytest.raises(InputError, match=message):
        virel_deep.train(preset, env, steps=20, out=tmp_path / "run")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("arguments", [(5,), ("Pendulum-v1", 5), ("Pendulum-v1", {5: 1})])
def test_a_specification_has_an_id_and_named_arguments(arguments):
    with pytest.raises(InputError, match=r"must be a Gymnasium id|must be a dictionary"):
        EnvSpec(*arguments)


@pytest.mark.parametrize("run", [None, 5, ""])
@pytest.mark.parametrize("function", ["load_policy", "evaluate", "resume", "compare"])
def test_a_run_is_a_path(function, run):
    with pytest.raises(InputError, match=r"`runs?` must be (the path|run folders)"):
        getattr(virel_deep, function)(run)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    settings = {"gamma": np.float32(0.5), "data.batch": np.int64(8), "hidden": (4,)}
    out = tmp_path_factory.mktemp("run") / "run"
    return virel_deep.train(
        "sac", "Pendulum-v1", steps=np.int64(20), seeds=np.int64(1), out=out, settings=settings
    )


def test_numbers_of_numpy_are_numbers(run):
    from virel_deep.run.folder import read_config  # noqa: PLC0415

    config = read_config(run)
    assert (config.steps, config.algorithm.gamma, config.algorithm.data.batch) == (20, 0.5, 8)


@pytest.mark.parametrize(
    ("function", "options", "message"),
    [
        ("load_policy", {"noise_seed": "a"}, "`noise_seed` must be an integer of at least 0"),
        ("load_policy", {"seed": "a"}, "`seed` must be an integer of at least 0"),
        ("evaluate", {"episodes": "a"}, "`episodes` must be a positive integer"),
        ("evaluate", {"episodes": 1.5}, "`episodes` must be a positive integer"),
        ("evaluate", {"seed": -1}, "`seed` must be an integer of at least 0"),
        ("resume", {"steps": "a"}, "`steps` must be a whole number from 1"),
        ("resume", {"seeds": "a"}, "`seeds` must be from 1 to"),
        ("compare", {"steps": "a"}, "`steps` must be a positive integer"),
    ],
)
def test_a_wrong_argument_about_a_run_is_one_line(run, function, options, message):
    with pytest.raises(InputError, match=message):
        getattr(virel_deep, function)(run, **options)


@pytest.mark.parametrize("observation", ["a", np.zeros((0, 3)), [[1, 2, 3], [1]], [np.nan, 0, 0], None, {}])
def test_what_is_no_observation_is_one_line(run, observation):
    with pytest.raises(InputError, match="`observation` must") as found:
        virel_deep.load_policy(run).act(observation)
    assert "\n" not in str(found.value)


@pytest.mark.parametrize(
    ("observation", "rule"),
    [([1e39, 0, 0], "finite in float32; found [1e+39"), ([np.inf, 0, 0], "finite; found [inf")],
)
def test_an_observation_beyond_float32_is_shown_as_it_was_given(run, observation, rule):
    with pytest.raises(InputError, match=re.escape(f"`observation` must be {rule}")):
        virel_deep.load_policy(run).act(observation)


def test_one_run_is_compared_without_a_list(run):
    assert virel_deep.compare(run) == virel_deep.compare([run])
