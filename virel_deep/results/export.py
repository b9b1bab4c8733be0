"""Export of a policy as an ONNX file, from observations to actions in the environment's own range.

The graph is the deterministic policy, tanh and rescaling or the choice included, so the file needs no code
of virel. Before the file gets its name, onnxruntime runs it on random observations and must agree with the
policy in float64, up to the rounding of float32.
"""

from pathlib import Path

import numpy as np

from virel_common.errors import InputError, require
from virel_common.files import write_atomically
from virel_deep.axes.posterior.latent import Hierarchy
from virel_deep.data.actions import ActionChoice, Numbers, actions_of
from virel_deep.data.making import close_quietly, make_env
from virel_deep.data.moments import Scaling
from virel_deep.results.export_choice import build_choice_model, check_choice_model
from virel_deep.results.onnx_graph import (
    EPS,
    Doubles,
    ExportError,
    Layers,
    affine_nodes,
    onnx_module,
    outputs_of,
    random_observations,
    reference_outputs,
    serialised_model,
)
from virel_deep.run.actors import (
    Actor,
    DeliberateActor,
    GreedyPerceptron,
    Normalised,
    PlanningActor,
    TanhPerceptron,
)
from virel_deep.run.policy import Floats, Policy
from virel_deep.versions import run_versions

SUFFIX = ".onnx"


def export_policy(policy: Policy, path: Path, *, about: dict[str, str]) -> float:
    """Write a deterministic policy as an ONNX file, after comparing its actions under onnxruntime.

    Input `observation [N, O]`, output `action [N, A]`, both float32, for any N. Of a discrete space actions
    are `[N]`, int64, beside a second output `logits [N, A]`; a discrete observation is a one-hot vector.

    Args:
        policy: policy to export.
        path: file to write, `.onnx`, whole or not at all.
        about: metadata for the file, beside environment, step and versions.

    Returns:
        The largest difference from the policy in float64, in units of the action.

    Raises:
        InputError: `path` is a folder or has another suffix, or onnx or onnxruntime is not installed.
        ExportError: onnxruntime computes other actions.
        StorageError: the file can't be written.
    """
    require(not path.is_dir(), "out", str(path), "must be a file, not a folder")
    require(path.suffix == SUFFIX, "out", str(path), f"must end with {SUFFIX}")
    actor = policy.actor
    scaling = actor.scaling if isinstance(actor, Normalised) else None
    actor = actor.actor if isinstance(actor, Normalised) else actor
    if not isinstance(actor, TanhPerceptron | GreedyPerceptron):
        rule = "must have a policy that is one network, to be exported"
        raise InputError(f"`run` {rule}; found {_more_than_one_network(actor)}")
    env = make_env(policy.env)
    actions = actions_of(env.action_space)
    close_quietly(env)
    metadata = {"env": policy.env.id, "step": str(policy.step), **run_versions(), **about}
    if isinstance(actions, ActionChoice):
        model = build_choice_model(actor.layers, actions.start, metadata=metadata, scaling=scaling)
        difference = check_choice_model(model, actor.layers, actions.start, scaling=scaling)
    else:
        low, high = inside(actions.low, actions.high)
        model = build_model(actor.layers, low, high, metadata=metadata, scaling=scaling)
        difference = check_model(model, actor.layers, low, high, scaling=scaling)
    write_atomically(path, model)
    return difference


def _more_than_one_network(actor: Actor) -> str:
    """What acts in the place of a single network, in words."""
    if isinstance(actor, PlanningActor):
        return "one that plans"
    if isinstance(actor, DeliberateActor) and isinstance(actor.posterior, Hierarchy):
        return "one of two networks, the first of which chooses the second one's latent"
    return "one that infers actions by its critics"


def inside(low: Numbers, high: Numbers) -> tuple[Floats, Floats]:
    """Round an action range inwards to float32, so that no float32 within the result lies outside the range.

    Example:
        >>> low, high = inside(np.array([-0.1]), np.array([0.1]))
        >>> bool(low[0] >= -0.1), bool(high[0] <= 0.1)
        (True, True)
    """
    lower, upper = low.astype(np.float32), high.astype(np.float32)
    infinity = np.float32(np.inf)
    lower = np.where(lower < low, np.nextafter(lower, infinity), lower)
    upper = np.where(upper > high, np.nextafter(upper, -infinity), upper)
    return lower, upper


def build_model(
    layers: Layers, low: Floats, high: Floats, *, metadata: dict[str, str], scaling: Scaling | None = None
) -> bytes:
    """Build a policy's ONNX graph: perceptron with ReLU, tanh, affine map from [-1, 1] to [low, high].

    With a `scaling`, observations are normalised first.
    """
    onnx = onnx_module("onnx")
    nodes, tensors = affine_nodes(layers, "output", scaling)
    two, h = np.float32(2), "unit"
    nodes.append(onnx.helper.make_node("Tanh", ["output"], [h]))
    tensors |= {"half": (high - low) / two, "centre": (high + low) / two, "low": low, "high": high}
    # A rounding error must not leave the range: Min and Max as in training.
    for op, second, out in (
        ("Mul", "half", "scaled"),
        ("Add", "centre", "shifted"),
        ("Max", "low", "above"),
        ("Min", "high", "action"),
    ):
        nodes.append(onnx.helper.make_node(op, [h, second], [out]))
        h = out
    action = onnx.helper.make_tensor_value_info("action", onnx.TensorProto.FLOAT, ["N", low.size])
    return serialised_model(nodes, tensors, len(layers[0][0]), [action], metadata)


def check_model(
    model: bytes, layers: Layers, low: Floats, high: Floats, *, scaling: Scaling | None = None
) -> float:
    """Compare an ONNX graph with the policy in float64 on random observations; return the largest difference.

    Observations, once they are normalised, are normal with scales from 0.1 to 10. The difference must lie
    within the a-priori bound of `reference`, entry by entry.

    Raises:
        ExportError: a difference exceeds its bound, or an action is out of range.
    """
    x = random_observations(len(layers[0][0]), scaling)
    (action,) = outputs_of(model, ["action"], x)
    exact, bound = reference(layers, low, high, x, scaling=scaling)
    if not (np.abs(action - exact) <= bound).all():  # NaN fails it
        i = int(np.argmax(np.max(np.abs(action - exact) - bound, axis=1)))
        raise ExportError(
            f"for one observation onnxruntime gives the action {action[i].tolist()}, "
            f"but the policy {exact[i].tolist()}; no file written"
        )
    if not ((low <= action) & (action <= high)).all():
        raise ExportError(
            f"onnxruntime gives an action outside {low.tolist()} to {high.tolist()}; no file written"
        )
    return float(np.abs(action - exact).max())


def reference(
    layers: Layers, low: Floats, high: Floats, observation: Floats, *, scaling: Scaling | None = None
) -> tuple[Doubles, Doubles]:
    r"""Actions of a policy in float64, with a bound on float32 rounding errors, `[N, A]` each.

    Tanh, minimum and maximum don't enlarge the error of `reference_outputs`. A float32 tanh may err by 4
    units in its last place, the last product and sum by half a unit each.
    """
    h, error = reference_outputs(layers, observation, scaling)
    half, centre = (high.astype(np.float64) - low) / 2, (high.astype(np.float64) + low) / 2
    # `half` and `centre` are themselves rounded to float32: one more half unit each.
    rounding = EPS * (np.abs(half) + np.abs(centre))
    return np.clip(half * np.tanh(h) + centre, low, high), half * (error + 4 * EPS) + 2 * rounding
