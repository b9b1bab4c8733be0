"""Export of a policy as an ONNX file, from observations to actions in the environment's own range.

The graph is the deterministic policy, tanh and rescaling included, so the file needs no code of virel. Before
the file gets its name, onnxruntime runs it on random observations and must agree with the policy in float64,
up to the rounding of float32.
"""

from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from virel_common.errors import InputError, require
from virel_common.files import write_atomically
from virel_deep.data.actions import ActionRange, Numbers
from virel_deep.data.making import close_quietly, make_env
from virel_deep.data.moments import LIMIT, Scaling
from virel_deep.run.actors import Normalised, TanhPerceptron
from virel_deep.run.policy import Floats, Policy
from virel_deep.versions import run_versions

OPSET, IR = 17, 8
"""Versions of ONNX from 2022: the graph needs nothing newer, and older runtimes load it."""
OBSERVATIONS = 1000
EPS = float(np.finfo(np.float32).eps)
Doubles = NDArray[np.float64]


class ExportError(RuntimeError):
    """The exported graph does not compute the same actions as the policy; no file was written."""


def export_policy(policy: Policy, path: Path, *, about: dict[str, str]) -> float:
    """Write a deterministic policy as an ONNX file, after comparing its actions under onnxruntime.

    Input `observation [N, O]`, output `action [N, A]`, both float32, for any N.

    Args:
        policy: policy to export.
        path: file to write, whole or not at all.
        about: metadata for the file, beside environment, step and versions.

    Returns:
        The largest difference from the policy in float64, in units of the action.

    Raises:
        InputError: `path` is a folder, or onnx or onnxruntime is not installed.
        ExportError: onnxruntime computes other actions.
        StorageError: the file can't be written.
    """
    require(not path.is_dir(), "out", str(path), "must be a file, not a folder")
    actor = policy.actor
    scaling = actor.scaling if isinstance(actor, Normalised) else None
    actor = actor.actor if isinstance(actor, Normalised) else actor
    if not isinstance(actor, TanhPerceptron):
        raise InputError(
            f"`run` must have a policy that is one network, to be exported; found {type(actor).__name__}"
        )
    env = make_env(policy.env)
    actions = ActionRange(env.action_space)
    close_quietly(env)
    low, high = inside(actions.low, actions.high)
    metadata = {"env": policy.env.id, "step": str(policy.step), **run_versions(), **about}
    model = build_model(actor.layers, low, high, metadata=metadata, scaling=scaling)
    difference = check_model(model, actor.layers, low, high, scaling=scaling)
    write_atomically(path, model)
    return difference


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
    layers: list[tuple[Floats, Floats]],
    low: Floats,
    high: Floats,
    *,
    metadata: dict[str, str],
    scaling: Scaling | None = None,
) -> bytes:
    """Build a policy's ONNX graph: perceptron with ReLU, tanh, affine map from [-1, 1] to [low, high].

    With a `scaling`, observations are normalised first.
    """
    onnx = _module("onnx")
    tensors: dict[str, Floats] = {}
    nodes, h = [], "observation"
    if scaling is not None:
        bounds = (np.full(1, -LIMIT, np.float32), np.full(1, LIMIT, np.float32))
        steps = (("Sub", "mean"), ("Mul", "factor"), ("Max", "least"), ("Min", "most"))
        for (op, name), values in zip(steps, (*scaling, *bounds), strict=True):
            tensors[name] = values
            nodes.append(onnx.helper.make_node(op, [h, name], [f"by_{name}"]))
            h = f"by_{name}"
    for i, (weight, bias) in enumerate(layers):
        tensors |= {f"weight_{i}": weight, f"bias_{i}": bias}
        nodes.append(onnx.helper.make_node("Gemm", [h, f"weight_{i}", f"bias_{i}"], [f"affine_{i}"]))
        last = i == len(layers) - 1
        h = "unit" if last else f"hidden_{i}"
        nodes.append(onnx.helper.make_node("Tanh" if last else "Relu", [f"affine_{i}"], [h]))
    two = np.float32(2)
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
    value = onnx.helper.make_tensor_value_info
    graph = onnx.helper.make_graph(
        nodes,
        "policy",
        [value("observation", onnx.TensorProto.FLOAT, ["N", layers[0][0].shape[0]])],
        [value("action", onnx.TensorProto.FLOAT, ["N", low.size])],
        [onnx.numpy_helper.from_array(np.ascontiguousarray(x), name) for name, x in tensors.items()],
    )
    model = onnx.helper.make_model(
        graph, opset_imports=[onnx.helper.make_opsetid("", OPSET)], ir_version=IR, producer_name="virel"
    )
    onnx.helper.set_model_props(model, metadata)
    onnx.checker.check_model(model, full_check=True)
    serialised: bytes = model.SerializeToString()
    return serialised


def check_model(
    model: bytes,
    layers: list[tuple[Floats, Floats]],
    low: Floats,
    high: Floats,
    *,
    scaling: Scaling | None = None,
) -> float:
    """Compare an ONNX graph with the policy in float64 on random observations; return the largest difference.

    Observations, once they are normalised, are normal with scales from 0.1 to 10. The difference must lie
    within the a-priori bound of `reference`, entry by entry.

    Raises:
        ExportError: a difference exceeds its bound, or an action is out of range.
    """
    rng = np.random.default_rng(0)
    scale = 10 ** rng.uniform(-1, 1, size=(OBSERVATIONS, 1))
    x = (scale * rng.standard_normal((OBSERVATIONS, layers[0][0].shape[0]))).astype(np.float32)
    if scaling is not None:
        x = (scaling.mean + x / scaling.factor).astype(np.float32)
    session = _module("onnxruntime").InferenceSession(model, providers=["CPUExecutionProvider"])
    (action,) = session.run(["action"], {"observation": x})
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
    layers: list[tuple[Floats, Floats]],
    low: Floats,
    high: Floats,
    observation: Floats,
    *,
    scaling: Scaling | None = None,
) -> tuple[Doubles, Doubles]:
    r"""Actions of a policy in float64, with a bound on float32 rounding errors, `[N, A]` each.

    A float32 sum of n products and a bias, in any order, errs by at most $\gamma_{n+1} (|h| |W| + |b|)$ with
    $\gamma_m = m u / (1 - m u)$, $u = 2^{-24}$ (Higham 2002, Section 3.1); errors of its input pass through
    $|W|$. ReLU, tanh, minimum and maximum don't enlarge an error. A float32 tanh may err by 4 units in its
    last place, the last product and sum by half a unit each. Normalising makes two roundings, of difference
    and product.
    """
    h: Doubles = observation.astype(np.float64)
    error = np.zeros_like(h)
    if scaling is not None:
        h = (h - scaling.mean) * scaling.factor
        error = EPS / (1 - EPS) * np.abs(h)  # gamma_2 |h|
        h = np.clip(h, -LIMIT, LIMIT)
    for i, (weight, bias) in enumerate(layers):
        w, b = weight.astype(np.float64), bias.astype(np.float64)
        m = (len(w) + 1) * EPS / 2
        size = (np.abs(h) + error) @ np.abs(w) + np.abs(b)
        error = error @ np.abs(w) + m / (1 - m) * size
        h = h @ w + b
        h = np.tanh(h) if i == len(layers) - 1 else np.maximum(h, 0)
    half, centre = (high.astype(np.float64) - low) / 2, (high.astype(np.float64) + low) / 2
    # `half` and `centre` are themselves rounded to float32: one more half unit each.
    rounding = EPS * (np.abs(half) + np.abs(centre))
    return np.clip(half * h + centre, low, high), half * (error + 4 * EPS) + 2 * rounding


def _module(name: str) -> Any:
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        raise InputError(f"found no {error.name}; it comes with `pip install 'virel[export]'`") from None
