"""`virel export` of policies over discrete actions: the file chooses as the policy does, or there is none."""

import numpy as np
import pytest

from tests.support.runs import random_layers
from virel_deep.design.environment import EnvSpec
from virel_deep.results import export
from virel_deep.results.export import export_policy
from virel_deep.results.export_choice import build_choice_model, check_choice_model
from virel_deep.results.onnx_graph import ExportError, outputs_of, reference_outputs
from virel_deep.run.actors import GreedyPerceptron
from virel_deep.run.policy import Policy

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
LAYERS = random_layers(np.random.default_rng(0), (4, 16, 2))


def test_the_file_gives_the_numbers_that_the_environment_would_get(tmp_path):
    policy, path = Policy(GreedyPerceptron(LAYERS), EnvSpec("CartPole-v1"), 7), tmp_path / "policy.onnx"
    difference = export_policy(policy, path, about={"seed": "3"})
    x = np.random.default_rng(1).standard_normal((50, 4)).astype(np.float32)
    action, logits = outputs_of(path.read_bytes(), ["action", "logits"], x)
    exact, bound = reference_outputs(LAYERS, x)
    clear = np.abs(exact[:, 0] - exact[:, 1]) > 2 * bound.max(1)
    assert clear.sum() > 40
    assert (action == policy.act(x).argmax(1))[clear].all()
    assert (action.dtype, action.shape) == (np.int64, (50,))
    assert 0 < difference < 1e-5
    assert (np.abs(logits - exact) <= bound).all()


def test_the_first_action_of_a_space_need_not_be_zero():
    model = build_choice_model(LAYERS, -3, metadata={})
    check_choice_model(model, LAYERS, -3)
    (action,) = outputs_of(model, ["action"], np.eye(4, dtype=np.float32))
    assert set(action) <= {-3, -2}
    with pytest.raises(
        ExportError, match=r"onnxruntime gives the action -[23], but the policy [01]; no file"
    ):
        check_choice_model(model, LAYERS, 0)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda layers: [(layers[0][0] * 1.01, layers[0][1]), layers[1]],
        lambda layers: [layers[0], (layers[1][0][:, ::-1], layers[1][1][::-1])],
        lambda layers: [layers[0], (layers[1][0] * np.nan, layers[1][1])],
    ],
    ids=["weights-1-percent-off", "actions-swapped", "nan"],
)
def test_a_graph_of_other_layers_is_found_and_leaves_no_file(tmp_path, monkeypatch, spoil):
    wrong = build_choice_model(spoil(LAYERS), 0, metadata={})
    with pytest.raises(ExportError, match="onnxruntime gives the logits"):
        check_choice_model(wrong, LAYERS, 0)
    monkeypatch.setattr(export, "build_choice_model", lambda *_, **__: wrong)
    policy = Policy(GreedyPerceptron(LAYERS), EnvSpec("CartPole-v1"), 7)
    with pytest.raises(ExportError):
        export_policy(policy, tmp_path / "policy.onnx", about={})
    assert list(tmp_path.iterdir()) == []
