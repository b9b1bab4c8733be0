"""What all exported policies share: a perceptron as ONNX nodes, the file around it, and its error bound."""

from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import NDArray

from virel_common.errors import InputError
from virel_deep.data.moments import LIMIT, Scaling

OPSET, IR = 17, 8
"""Versions of ONNX from 2022: the graph needs nothing newer, and older runtimes load it."""
OBSERVATIONS = 1000
EPS = float(np.finfo(np.float32).eps)
Arrays = Mapping[str, NDArray[Any]]
Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]
Layers = list[tuple[Floats, Floats]]


class ExportError(RuntimeError):
    """The exported graph does not compute the same actions as the policy; no file was written."""


def onnx_module(name: str) -> Any:
    """Import a module of the extra `export`.

    Raises:
        InputError: it is not installed.
    """
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        raise InputError(
            f"found no {error.name}; it comes with `make deep` in the toolkit's folder, "
            "or `pip install '.[export]'` there"
        ) from None


def affine_nodes(
    layers: Layers, output: str, scaling: Scaling | None = None
) -> tuple[list[Any], dict[str, NDArray[Any]]]:
    """Nodes of a perceptron with ReLU from `observation` to the last layer's `output`, and their tensors.

    With a `scaling`, observations are normalised first.
    """
    make, nodes, h = onnx_module("onnx").helper.make_node, [], "observation"
    tensors: dict[str, NDArray[Any]] = {}
    if scaling is not None:
        bounds = (np.full(1, -LIMIT, np.float32), np.full(1, LIMIT, np.float32))
        steps = (("Sub", "mean"), ("Mul", "factor"), ("Max", "least"), ("Min", "most"))
        for (op, name), values in zip(steps, (*scaling, *bounds), strict=True):
            tensors[name] = values
            nodes.append(make(op, [h, name], [f"by_{name}"]))
            h = f"by_{name}"
    for i, (weight, bias) in enumerate(layers):
        tensors |= {f"weight_{i}": weight, f"bias_{i}": bias}
        last = i == len(layers) - 1
        out = output if last else f"affine_{i}"
        nodes.append(make("Gemm", [h, f"weight_{i}", f"bias_{i}"], [out]))
        if not last:
            h = f"hidden_{i}"
            nodes.append(make("Relu", [out], [h]))
    return nodes, tensors


def serialised_model(
    nodes: Sequence[Any],
    tensors: Arrays,
    n_observation: int,
    outputs: Sequence[Any],
    metadata: dict[str, str],
) -> bytes:
    """Assemble nodes and tensors into a checked ONNX file: `observation [N, O]` in, `outputs` out."""
    onnx = onnx_module("onnx")
    seen = onnx.helper.make_tensor_value_info("observation", onnx.TensorProto.FLOAT, ["N", n_observation])
    constants = [onnx.numpy_helper.from_array(np.ascontiguousarray(x), name) for name, x in tensors.items()]
    graph = onnx.helper.make_graph(nodes, "policy", [seen], outputs, constants)
    model = onnx.helper.make_model(
        graph, opset_imports=[onnx.helper.make_opsetid("", OPSET)], ir_version=IR, producer_name="virel"
    )
    onnx.helper.set_model_props(model, metadata)
    onnx.checker.check_model(model, full_check=True)
    serialised: bytes = model.SerializeToString()
    return serialised


def random_observations(n_observation: int, scaling: Scaling | None = None) -> Floats:
    """Observations `[1000, O]`, normal once normalised, with scales from 0.1 to 10; always the same."""
    rng = np.random.default_rng(0)
    scale = 10 ** rng.uniform(-1, 1, size=(OBSERVATIONS, 1))
    x = (scale * rng.standard_normal((OBSERVATIONS, n_observation))).astype(np.float32)
    return x if scaling is None else (scaling.mean + x / scaling.factor).astype(np.float32)


def outputs_of(model: bytes, names: list[str], observation: Floats) -> list[NDArray[Any]]:
    """Outputs of an ONNX file by name under onnxruntime, on the CPU."""
    session = onnx_module("onnxruntime").InferenceSession(model, providers=["CPUExecutionProvider"])
    found: list[NDArray[Any]] = session.run(names, {"observation": observation})
    return found


def reference_outputs(
    layers: Layers, observation: Floats, scaling: Scaling | None = None
) -> tuple[Doubles, Doubles]:
    r"""Outputs `[N, n]` of a perceptron in float64, with a bound on float32 rounding errors.

    A float32 sum of n products and a bias, in any order, errs by at most $\gamma_{n+1} (|h| |W| + |b|)$ with
    $\gamma_m = m u / (1 - m u)$, $u = 2^{-24}$ (Higham 2002, Section 3.1); errors of its input pass through
    $|W|$. ReLU doesn't enlarge an error. Normalising makes two roundings, of difference and product.
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
        if i < len(layers) - 1:
            h = np.maximum(h, 0)
    return h, error
