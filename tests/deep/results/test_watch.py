"""`virel watch`: frames of the whole episode in a file that is whole or absent, or one clear error."""

import os
import re
import resource
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from gymnasium.spaces import Box, Discrete
from PIL import Image

from tests.support.runs import random_layers, write_checkpoint, write_run
from virel_common.errors import InputError
from virel_common.files import StorageError
from virel_deep.design.environment import EnvSpec
from virel_deep.results import watch
from virel_deep.run.actors import GreedyPerceptron, TanhPerceptron
from virel_deep.run.policy import Policy

pytestmark = pytest.mark.mujoco


class Painted:
    """An environment that draws its step as a grey level; ends after 6 steps."""

    action_space, observation_space = Box(-2, 2, (1,), np.float64), Box(-1, 1, (1,), np.float64)

    def __init__(self):
        self.broken, self.closed = False, False
        self.unwrapped, self.metadata = self, {"render_fps": 100}

    def reset(self, *, seed):
        self.t, self.seed, self.actions = 0, seed, []
        return np.zeros(1), {}

    def step(self, action):
        self.t += 1
        self.actions.append(float(action[0]))
        return np.zeros(1), 0.5, self.t == 6, False, {}

    def render(self):
        if self.broken:
            raise RuntimeError("no display\nat all")
        return np.full((32, 48, 3), 40 * self.t, np.uint8)

    def close(self):
        self.closed = True


@pytest.fixture
def painted(monkeypatch):
    env = Painted()
    monkeypatch.setattr(watch, "_make", lambda _: env)
    return env


def half(bias=0.5493061):
    """Acts tanh(bias) always, by default 1/2."""
    layers = [(np.zeros((1, 1), np.float32), np.array([bias], np.float32))]
    return Policy(TanhPerceptron(layers), EnvSpec("Painted-v0"), 0)


def seed():
    return np.random.SeedSequence(3)


def test_a_gif_shows_every_nth_state_in_real_time(painted, tmp_path):
    video = watch.record(half(), tmp_path / "video.gif", seed())
    # 100 states a second: every second one, at 50.
    assert video == watch.Video(frames=4, fps=50.0, return_=3.0, steps=6)
    with Image.open(tmp_path / "video.gif") as image:
        assert image.n_frames == 4
        levels = []
        for i in range(4):
            image.seek(i)
            levels.append(int(np.asarray(image.convert("L")).mean()))
            assert image.info["duration"] == 20
    # A palette of 64 colours moves a grey level by less than 4.
    assert levels == pytest.approx([0, 80, 160, 240], abs=4)
    assert painted.closed
    assert painted.actions == pytest.approx([1.0] * 6)  # 1/2 of the range [-2, 2]


def gif_lengths(path):
    """Milliseconds of each frame in the file."""
    with Image.open(path) as image:
        return [image.info["duration"] for i in range(image.n_frames) if image.seek(i) is None]


@pytest.mark.parametrize("fps", [33.5, 125 / 3, 30.0, 0.7])
def test_a_gif_keeps_time_at_rates_that_do_not_divide_100(tmp_path, fps):
    frames = (np.full((4, 4, 3), 40 * (i % 2), np.uint8) for i in range(200))
    watch._write_gif(tmp_path / "video.gif", frames, fps)
    ends = np.cumsum(gif_lengths(tmp_path / "video.gif"))
    # GIF counts centiseconds: no frame ends further than half a one from when it should.
    np.testing.assert_allclose(ends, 1000 / fps * np.arange(1, 201), rtol=0, atol=5 + 1e-9)


def test_a_state_that_looks_like_the_one_before_keeps_its_time_in_a_gif(tmp_path):
    frames = (np.full((4, 4, 3), level, np.uint8) for level in (0, 0, 0, 80))
    watch._write_gif(tmp_path / "video.gif", frames, 33.5)
    assert gif_lengths(tmp_path / "video.gif") == [90, 30]  # PIL makes one frame of the three


@pytest.mark.usefixtures("painted")
def test_an_mp4_is_one_that_ffmpeg_reads(tmp_path):
    imageio_ffmpeg = pytest.importorskip("imageio_ffmpeg")
    watch.record(half(), tmp_path / "new" / "video.mp4", seed())
    n_frames, seconds = imageio_ffmpeg.count_frames_and_secs(str(tmp_path / "new" / "video.mp4"))
    assert n_frames == 4
    assert seconds == pytest.approx(4 / 50, abs=0.03)  # container times are rounded to centiseconds
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["video.mp4"]


@pytest.mark.usefixtures("painted")
def test_the_progress_is_told_for_each_frame(tmp_path):
    seen = []
    watch.record(half(), tmp_path / "video.gif", seed(), seen=seen.append)
    assert seen == [2, 4, 6]


@pytest.mark.parametrize(
    ("attributes", "message"),
    [
        (
            {"mujoco_renderer": None},
            r"here \(MUJOCO_GL is .*\): RuntimeError: no display at all; try MUJOCO_GL",
        ),
        ({}, "can't be rendered here: RuntimeError: no display at all$"),
    ],
    ids=["mujoco", "another"],
)
def test_an_environment_that_cannot_draw_is_one_clear_error_and_no_file(
    painted, tmp_path, attributes, message
):
    vars(painted).update(attributes, broken=True)
    with pytest.raises(InputError, match=message):
        watch.record(half(), tmp_path / "video.gif", seed())
    assert list(tmp_path.iterdir()) == []
    assert painted.closed


@pytest.mark.usefixtures("painted")
def test_a_failure_in_the_middle_leaves_no_file(tmp_path):
    def fail(_):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        watch.record(half(), tmp_path / "video.mp4", seed(), seen=fail)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("painted")
def test_an_mp4_that_does_not_fit_on_the_disk_is_one_clear_error_and_leaves_nothing(tmp_path, capfd):
    pytest.importorskip("imageio_ffmpeg")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (256, before[1]))  # ffmpeg has it from us
    try:
        with pytest.raises(StorageError, match="ffmpeg could not write the whole video; is the disk full"):
            watch.record(half(), tmp_path / "video.mp4", seed())
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert list(tmp_path.iterdir()) == []
    assert capfd.readouterr().err == ""  # nothing by ffmpeg itself


@pytest.mark.parametrize("name", ["file/video.gif", "file/new/video.mp4", "file/video.mp4"])
def test_a_file_where_a_folder_must_be_is_one_clear_error(painted, tmp_path, name):
    (tmp_path / "file").write_text("kept")
    with pytest.raises(StorageError, match=rf"can't write .*{name}: Not a directory"):
        watch.record(half(), tmp_path / name, seed())
    assert (tmp_path / "file").read_text() == "kept"
    assert painted.closed


@pytest.mark.usefixtures("painted")
def test_another_suffix_is_named(tmp_path):
    with pytest.raises(InputError, match=r"`out` must end with .mp4 or .gif; found '.*video.avi'"):
        watch.record(half(), tmp_path / "video.avi", seed())


@pytest.mark.usefixtures("painted")
def test_without_imageio_ffmpeg_the_extra_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "imageio_ffmpeg", None)
    with pytest.raises(InputError, match=r"'\.\[export\]'"):
        watch.record(half(), tmp_path / "video.mp4", seed())
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("painted")
def test_a_policy_of_nan_is_one_clear_error(tmp_path):
    with pytest.raises(InputError, match=r"found.*nan"):
        watch.record(half(np.nan), tmp_path / "video.gif", seed())


def run_watch(*arguments, gl):
    """The command in a process of its own: MuJoCo reads MUJOCO_GL once."""
    code = (
        "import sys; from virel_deep.commands.results import main_watch; sys.exit(main_watch(sys.argv[1:]))"
    )
    environment = {name: value for name, value in os.environ.items() if name != "MUJOCO_GL"}
    return subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        env=environment | ({} if gl is None else {"MUJOCO_GL": gl}),
        cwd=Path(__file__).resolve().parents[3],
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def run(tmp_path):
    folder = write_run(tmp_path / "run", "sac", "InvertedPendulum-v5", np.ones((2, 1)))
    write_checkpoint(folder, 1, random_layers(np.random.default_rng(0), (4, 8, 1)))
    return folder


def test_the_command_records_the_episode_of_a_seed_without_a_screen(run):
    done = run_watch(run, "--seed", "1", "--out", run / "video.gif", gl=None)
    if done.returncode == 2 and "can't be rendered here" in done.stderr:
        pytest.skip(f"no headless renderer on this machine: {done.stderr}")
    assert done.returncode == 0, done.stderr
    with Image.open(run / "video.gif") as image:
        assert image.size == (480, 480)
        assert np.asarray(image.convert("RGB")).std() > 10  # something is drawn
    n_states, fps = re.search(r"\((\d+) states, (\d+) per second\)", done.stdout).groups()
    assert sum(gif_lengths(run / "video.gif")) == pytest.approx(1000 * int(n_states) / int(fps), abs=5)


def test_a_renderer_that_is_not_there_is_one_line_and_status_2(run):
    done = run_watch(run, "--seed", "1", "--out", run / "video.gif", gl="no-such-library")
    assert done.returncode == 2
    (line,) = done.stderr.strip().splitlines()
    assert "can't be rendered here (MUJOCO_GL is no-such-library)" in line
    assert not (run / "video.gif").exists()


def test_a_run_without_a_checkpoint_of_the_seed_is_bad_input(run):
    done = run_watch(run, gl=None)
    assert done.returncode == 2
    assert "checkpoint" in done.stderr


class Numbered(Painted):
    """As `Painted`, with whole numbers from 5 on as actions and observations."""

    action_space, observation_space = Discrete(3, start=5), Discrete(7, start=5)

    def reset(self, *, seed):
        super().reset(seed=seed)
        return 5, {}

    def step(self, action):
        _, *rest = super().step([action])
        return 5 + self.t, *rest


def test_discrete_actions_and_observations_are_the_environments_own_numbers(tmp_path, monkeypatch):
    env = Numbered()
    monkeypatch.setattr(watch, "_make", lambda _: env)
    chosen = np.array([2, 0, 1, 1, 0, 2, 0])  # at 5, 6, ...
    layers = [(np.eye(3, dtype=np.float32)[chosen], np.zeros(3, np.float32))]
    policy = Policy(GreedyPerceptron(layers), EnvSpec("E-v0"), 0)
    watch.record(policy, tmp_path / "w.gif", np.random.SeedSequence(0))
    assert env.actions == [7, 5, 6, 6, 5, 7]


@pytest.mark.parametrize(
    ("frame", "returned"),
    [
        (None, "NoneType 'None'"),
        (np.zeros((64, 64, 4), np.uint8), "an array of shape [64, 64, 4]"),
        (np.zeros((3, 64, 64)), "an array of shape [3, 64, 64]"),
        (np.zeros((64, 64), np.uint8), "an array of shape [64, 64]"),
        (np.zeros((0, 64, 3), np.uint8), "ndarray '[]'"),
        (np.full((8, 8, 3), 256), "an array of shape [8, 8, 3]"),
        (np.full((8, 8, 3), np.nan), "an array of shape [8, 8, 3]"),
        (np.full((8, 8, 3), -0.5), "an array of shape [8, 8, 3]"),
        (np.full((8, 8, 3), "a"), "an array of shape [8, 8, 3]"),
        ("text", "str 'text'"),
        ([[1], [1, 2]], "list '[[1], [1, 2]]'"),
    ],
)
@pytest.mark.parametrize("suffix", [".gif", ".mp4"])
def test_what_is_no_image_is_one_clear_error_and_no_file(painted, tmp_path, frame, returned, suffix):
    painted.render = lambda: frame
    rule = "its render() must return an image [height, width, 3] of numbers from 0 to 255"
    with pytest.raises(InputError, match=re.escape(f"Painted-v0: {rule}; it returned {returned}")):
        watch.record(half(), tmp_path / f"video{suffix}", seed())
    assert list(tmp_path.iterdir()) == []


def test_images_of_several_sizes_are_one_clear_error(painted, tmp_path):
    painted.render = lambda: np.zeros((32, 48 + painted.t, 3), np.uint8)
    what = "its render() must return images of one size, [32, 48, 3]; it returned [32, 50, 3]"
    with pytest.raises(InputError, match=re.escape(f"Painted-v0: {what}")):
        watch.record(half(), tmp_path / "video.mp4", seed())


@pytest.mark.parametrize("dtype", [np.float64, np.int64, np.float32])
def test_images_of_other_numbers_are_taken(painted, tmp_path, dtype):
    painted.render = lambda: np.full((32, 48, 3), 200, dtype)
    watch.record(half(), tmp_path / "video.gif", seed())
    with Image.open(tmp_path / "video.gif") as image:
        assert int(np.asarray(image.convert("L")).mean()) == pytest.approx(200, abs=4)


@pytest.mark.parametrize("metadata", [None, {}, {"render_fps": None}, {"render_fps": 0}])
def test_an_environment_that_tells_no_rate_is_shown_at_the_highest(painted, tmp_path, metadata):
    painted.metadata = metadata
    assert watch.record(half(), tmp_path / "video.gif", seed()).fps == watch.MAX_FPS


@pytest.mark.parametrize("fps", [-1, np.nan, np.inf, "fast", [30]])
def test_a_rate_that_is_none_is_one_clear_error(painted, tmp_path, fps):
    painted.metadata = {"render_fps": fps}
    rule = f"Painted-v0: its metadata must give a positive `render_fps`; found {fps!r}"
    with pytest.raises(InputError, match=re.escape(rule)):
        watch.record(half(), tmp_path / "video.gif", seed())
    assert painted.closed
