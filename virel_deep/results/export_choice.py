"""ONNX files of policies that choose among discrete actions: the most probable one, as a whole number."""

import numpy as np

from virel_deep.data.moments import Scaling
from virel_deep.results.onnx_graph import (
    ExportError,
    Layers,
    affine_nodes,
    onnx_module,
    outputs_of,
    random_observations,
    reference_outputs,
    serialised_model,
)


def build_choice_model(
    layers: Layers, start: int, *, metadata: dict[str, str], scaling: Scaling | None = None
) -> bytes:
    """Build a policy's ONNX graph: perceptron with ReLU, `logits [N, A]`, and their largest as `action [N]`.

    Actions are whole numbers (int64) from `start` on; of equal logits the first counts.
    """
    onnx = onnx_module("onnx")
    nodes, tensors = affine_nodes(layers, "logits", scaling)
    make, value = onnx.helper.make_node, onnx.helper.make_tensor_value_info
    nodes += [
        make("ArgMax", ["logits"], ["index"], axis=1, keepdims=0),
        make("Add", ["index", "start"], ["action"]),
    ]
    tensors["start"] = np.array(start, np.int64)
    outputs = [
        value("action", onnx.TensorProto.INT64, ["N"]),
        value("logits", onnx.TensorProto.FLOAT, ["N", len(layers[-1][1])]),
    ]
    return serialised_model(nodes, tensors, len(layers[0][0]), outputs, metadata)


def check_choice_model(model: bytes, layers: Layers, start: int, *, scaling: Scaling | None = None) -> float:
    """Compare an ONNX graph with the policy in float64 on random observations.

    The logits must lie within the a-priori bound of `reference_outputs`. An action must be that of the
    largest logit, but for logits that are equal within these bounds.

    Returns:
        The largest difference of the logits, nats.

    Raises:
        ExportError: a difference exceeds its bound, or an action is another one.
    """
    x = random_observations(len(layers[0][0]), scaling)
    action, logits = outputs_of(model, ["action", "logits"], x)
    exact, bound = reference_outputs(layers, x, scaling)
    if not (np.abs(logits - exact) <= bound).all():  # NaN fails it
        i = int(np.argmax(np.max(np.abs(logits - exact) - bound, axis=1)))
        raise ExportError(
            f"for one observation onnxruntime gives the logits {logits[i].tolist()}, "
            f"but the policy {exact[i].tolist()}; no file written"
        )
    index = action - start
    within = (index >= 0) & (index < exact.shape[1])
    chosen = np.where(within, index, 0)[:, None]
    upper, lower = (np.take_along_axis(exact + bound, chosen, 1)[:, 0], (exact - bound).max(axis=1))
    if not (within & (upper >= lower)).all():
        i = int(np.argmin(within & (upper >= lower)))
        raise ExportError(
            f"for one observation onnxruntime gives the action {int(action[i])}, "
            f"but the policy {start + int(exact[i].argmax())}; no file written"
        )
    return float(np.abs(logits - exact).max())
