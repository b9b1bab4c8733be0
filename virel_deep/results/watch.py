"""Record a video of one episode, rendered without a screen.

MuJoCo draws through the library that the variable `MUJOCO_GL` names, and reads the variable when it is
imported. So call `render_headless` before anything imports MuJoCo; this module imports it late.
"""

import os
import sys
from collections.abc import Callable, Iterator
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from virel_common.errors import InputError, in_one_line, require
from virel_common.files import StorageError, replacing
from virel_deep.data.actions import actions_of
from virel_deep.data.global_generators import GlobalGenerators
from virel_deep.data.returned import described
from virel_deep.design.environment import EnvSpec
from virel_deep.run.policy import Policy

T = TypeVar("T")
Frame = NDArray[np.uint8]
"""Picture, `[height, width, 3]`."""

MAX_FPS = 50
"""Most pictures per second. Of a faster environment every n-th state is shown, still in real time."""
LONGEST = 10_000
"""Steps after which the recording stops, if the episode has not ended."""


class Video(NamedTuple):
    """Facts about a recorded video: its length, its frames and the episode's return."""

    frames: int
    """Number of states shown. A GIF stores repeated states as one picture that is shown for longer."""
    fps: float
    """States shown per second."""
    return_: float
    """Unscaled return of the episode."""
    steps: int
    """Length of the episode."""


def render_headless() -> None:
    """Let MuJoCo draw through EGL, which needs no screen, unless the user has chosen another library."""
    if sys.platform == "linux":
        os.environ.setdefault("MUJOCO_GL", "egl")


def record(
    policy: Policy, path: Path, seed: np.random.SeedSequence, *, seen: Callable[[int], object] = int
) -> Video:
    """Record one episode, without exploring, as MP4 (H.264) or GIF.

    Args:
        policy: policy that acts.
        path: file to write, `.mp4` or `.gif`, whole or not at all.
        seed: seed of the episode.
        seen: called for each frame with the number of steps so far.

    Raises:
        InputError: `path` has another suffix, the environment can't be rendered here, or imageio-ffmpeg is
            not installed.
        StorageError: the file can't be written.
    """
    require(path.suffix in WRITERS, "out", str(path), f"must end with {' or '.join(WRITERS)}")

    path, generators = path.absolute(), GlobalGenerators(seed)
    with generators.lent():
        env = _make(policy.env)
    try:
        fps = _fps(policy.env.id, env)
        every = int(np.ceil(fps / MAX_FPS))
        episode = _Episode(env, policy, seed, generators, seen)
        if not path.parent.exists():
            path.parent.mkdir(parents=True)
        with replacing(path) as temporary:
            temporary.touch()  # if this fails, the message is clearer than ffmpeg's
            WRITERS[path.suffix](temporary, episode.frames(every), fps / every)
        return Video(episode.n_frames, fps / every, episode.return_, episode.steps)
    except OSError as error:
        what = (error.strerror or str(error)).partition("\n")[0]  # the next line is ffmpeg's command
        raise StorageError(f"can't write {path}: {what}") from error
    finally:
        _close(env)


class _Episode:
    """Episode that yields a frame every few steps while it is played, and sums up its return."""

    def __init__(
        self,
        env: Any,
        policy: Policy,
        seed: np.random.SeedSequence,
        generators: GlobalGenerators,
        seen: Callable[[int], object],
    ) -> None:
        self.env, self.policy, self.seed, self.seen = env, policy, seed, seen
        self.generators = generators
        self.steps, self.n_frames, self.return_ = 0, 0, 0.0
        self.shape: tuple[int, ...] = ()
        """Shape of the first picture, which all must have."""

    def frames(self, every: int) -> Iterator[Frame]:
        """Yield an image of the first state, then of every n-th state of the episode."""
        from virel_deep.data.guarded import GuardedEnvs  # noqa: PLC0415

        actions = actions_of(self.env.action_space)
        guarded = GuardedEnvs([self.policy.env], self.generators, folder=None, lent=[self.env])
        env_seed = int(self.seed.generate_state(1)[0])
        observation = _called(partial(guarded.reset, [env_seed], np.ones(1, np.bool_)))
        self._drawn()  # creates the viewer, whose settings come next
        _draw_plainly(self.env)
        ended = False
        self.n_frames = 1
        yield self._drawn()
        while not ended and self.steps < LONGEST:
            unit = self.policy.act(observation)
            if not (np.abs(unit) <= 1).all():  # NaN fails it
                raise InputError(f"the policy's action must be in [-1, 1]; found {unit.tolist()}")
            command = actions.from_unit(unit)
            outcome = _called(partial(guarded.step, command))
            observation = outcome.observation
            self.steps, self.return_ = self.steps + 1, self.return_ + float(outcome.reward[0])
            ended = bool(outcome.terminated[0] or outcome.truncated[0])
            if self.steps % every == 0:
                self.n_frames += 1
                self.seen(self.steps)
                yield self._drawn()

    def _drawn(self) -> Frame:
        try:
            with self.generators.lent():
                frame = self.env.render()
        except BaseException as error:
            _raise_if_asked(error)
            mujoco = hasattr(self.env.unwrapped, "mujoco_renderer")
            raise _no_renderer(self.policy.env.id, error, mujoco=mujoco) from error
        picture = _picture(self.policy.env.id, frame)
        self.shape = self.shape or picture.shape
        rule = f"its render() must return images of one size, {list(self.shape)}"
        if picture.shape != self.shape:
            raise InputError(f"{self.policy.env.id}: {rule}; it returned {list(picture.shape)}")
        return picture


def _picture(env_id: str, frame: Any) -> Frame:
    """Picture that `render()` returned; raise `InputError` if it is none."""
    try:
        values = np.asarray(frame)
    except ValueError:  # a ragged list
        values = np.array(None)
    image = values.ndim == 3 and values.shape[2] == 3 and values.size > 0 and values.dtype.kind in "biuf"
    if not (image and values.min() >= 0 and values.max() <= 255):  # NaN fails it
        rule = "its render() must return an image [height, width, 3] of numbers from 0 to 255"
        raise InputError(f"{env_id}: {rule}; it returned {described(frame)}")
    return np.ascontiguousarray(values, np.uint8)


def _fps(env_id: str, env: Any) -> float:
    """States per second of an environment, by its metadata; `MAX_FPS` where they don't tell."""
    fps = (env.metadata or {}).get("render_fps") or MAX_FPS
    try:
        number = float(fps)
    except (TypeError, ValueError):
        number = 0.0
    if not 0 < number < np.inf:
        raise InputError(f"{env_id}: its metadata must give a positive `render_fps`; found {fps!r}")
    return number


def _called(call: Callable[[], T]) -> T:
    """What a call of a guarded environment returns; its failure is an `InputError`."""
    from virel_deep.data.guarded import EnvironmentFailure  # noqa: PLC0415  (brings MuJoCo)

    try:
        return call()
    except EnvironmentFailure as failure:
        raise InputError(str(failure)) from failure


def _raise_if_asked(error: BaseException) -> None:
    from virel_deep.data.making import raise_if_asked  # noqa: PLC0415  (brings MuJoCo)

    raise_if_asked(error)


def _close(env: Any) -> None:
    from virel_deep.data.making import close_quietly  # noqa: PLC0415  (brings MuJoCo)

    close_quietly(env)


def _draw_plainly(env: Any) -> None:
    """Switch off shadows and reflections, which take three quarters of the time without a graphics card."""
    viewer = getattr(getattr(env.unwrapped, "mujoco_renderer", None), "viewer", None)
    if viewer is not None:
        import mujoco  # noqa: PLC0415

        for flag in (mujoco.mjtRndFlag.mjRND_SHADOW, mujoco.mjtRndFlag.mjRND_REFLECTION):
            viewer.scn.flags[flag] = 0


def _make(env: EnvSpec) -> Any:
    """Make an environment that renders frames as arrays, without a screen."""
    try:
        from virel_deep.data.making import make_env  # noqa: PLC0415
    except Exception as error:  # raised by MuJoCo, which loads its drawing library here
        raise _no_renderer(env.id, error, mujoco=True) from error
    _close(make_env(env))  # for its checks and messages
    try:
        return make_env(env, render_mode="rgb_array")
    except Exception as error:
        raise _no_renderer(env.id, error, mujoco=False) from error


def _no_renderer(env_id: str, error: BaseException, *, mujoco: bool) -> InputError:
    what = in_one_line(error)
    if not mujoco:
        return InputError(f"{env_id} can't be rendered here: {what}")
    chosen = os.environ.get("MUJOCO_GL", "not set")
    return InputError(
        f"{env_id} can't be rendered here (MUJOCO_GL is {chosen}): {what}; "
        "try MUJOCO_GL=egl (libegl1) or MUJOCO_GL=osmesa (libosmesa6)"
    )


def _write_mp4(path: Path, frames: Iterator[Frame], fps: float) -> None:
    try:
        import imageio_ffmpeg  # noqa: PLC0415
    except ModuleNotFoundError:
        raise InputError(
            "found no imageio_ffmpeg, which writes .mp4; it comes with `make deep` in the toolkit's folder, "
            "or `pip install '.[export]'` there"
        ) from None
    first = next(frames)
    height, width = first.shape[:2]
    writer = imageio_ffmpeg.write_frames(
        str(path), (width, height), fps=fps, codec="libx264", quality=7, output_params=["-f", "mp4"],
        ffmpeg_log_level="quiet",  # what went wrong is one line below
    )  # fmt: skip
    writer.send(None)
    try:
        sent = _sent(writer, chain((first,), frames))
    finally:
        writer.close()  # does not tell whether ffmpeg could write everything
    try:
        whole = imageio_ffmpeg.count_frames_and_secs(str(path))[0] == sent
    except RuntimeError:
        whole = False
    if not whole:
        raise OSError("ffmpeg could not write the whole video; is the disk full?")


def _sent(writer: Any, frames: Iterator[Frame]) -> int | None:
    """Number of frames that ffmpeg took; None if it ended before it had all."""
    count = 0
    for frame in frames:
        try:
            writer.send(frame)
        except OSError:
            return None
        count += 1
    return count


def _write_gif(path: Path, frames: Iterator[Frame], fps: float) -> None:
    from PIL import Image  # noqa: PLC0415  (comes with matplotlib)

    def timed() -> Iterator[Image.Image]:
        for i, frame in enumerate(frames):
            image = Image.fromarray(frame).quantize(64)
            image.info["duration"] = 10 * (_centiseconds(i + 1, fps) - _centiseconds(i, fps))
            yield image

    images = timed()
    next(images).save(path, format="GIF", save_all=True, append_images=images, loop=0)


def _centiseconds(frames: int, fps: float) -> int:
    """End time of a number of frames in hundredths of a second, the unit of GIF.

    Ends are rounded, not lengths, so that errors don't add up.
    """
    return round(100 * frames / fps)


WRITERS: dict[str, Callable[[Path, Iterator[Frame], float], None]] = {".mp4": _write_mp4, ".gif": _write_gif}
