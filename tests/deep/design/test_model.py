"""Settings of models and planners: what they refuse, in one line each."""

import pytest

from tests.support.deep import algorithm_of, discrete_of
from virel_common.errors import InputError
from virel_deep.design.algorithm import Algorithm
from virel_deep.design.records import decode, encode

FEW = "at least 1 and at most `value.members`, 4"
BAD = [
    ("mb-sac", "value.horizon", 0, "at least 1 for a tanh-gaussian posterior, which does not plan"),
    ("mb-mpo", "value.horizon", -1, "at least 0"),
    ("smcp", "value.members", 0, "at least 1"),
    ("mb-sac", "value.elites", 5, FEW),
    ("mb-sac", "value.elites", 0, FEW),
    ("mb-sac", "value.model_rate", 0.0, "finite and positive"),
    ("smcp", "posterior.particles", 0, "at least 1"),
    ("smcp", "posterior.steps", 0, "at least 1"),
    ("smcp", "value", "target-q", "'model' for an smc posterior, which plans"),
    ("smcp", "temperature", "residual", "'dual' or a positive 'constant' for an smc posterior"),
]


@pytest.mark.parametrize(("preset", "name", "value", "rule"), BAD, ids=str)
def test_a_setting_that_makes_no_sense_is_refused_in_one_line(preset, name, value, rule):
    with pytest.raises(InputError) as caught:
        algorithm_of(preset, **{name: value})
    assert str(caught.value) == f"`{name}` must be {rule}; found {value!r}"


@pytest.mark.parametrize(
    ("preset", "settings", "message"),
    [
        (
            "mb-sac",
            {"value.members": 1, "value.elites": 1},
            "`value.elites` must be None for one member, which nothing competes with; found 1",
        ),
        (
            "mb-sac",
            {"value.evaluation": "optimal", "temperature": "constant"},
            "`value.evaluation` must be 'hard' or 'soft' for a model; found 'optimal'",
        ),
        (
            "mb-sac",
            {"prior": "previous", "temperature": "constant"},
            (
                "`prior` must be 'uniform', 'fixed' or 'asymmetric' for a model: a policy's gradient does "
                "not reach other priors; found 'previous'"
            ),
        ),
        (
            "mb-sac",
            {"value.rollout": "prior"},
            "`prior` must be 'asymmetric' for its rollouts; found 'uniform'",
        ),
        (
            "sac-iterative",
            {"value": "model"},
            (
                "`posterior` must be one of 'smc', 'tanh-gaussian', 'weighted' for a model, "
                "whose actions are continuous; found 'iterative'"
            ),
        ),
    ],
    ids=str,
)
def test_settings_that_do_not_fit_together_are_refused_in_one_line(preset, settings, message):
    with pytest.raises(InputError) as caught:
        algorithm_of(preset, **settings)
    assert str(caught.value) == message


def test_a_row_that_does_not_plan_has_no_settings_of_plans():
    with pytest.raises(InputError, match=r"`settings` must name one of .*; found 'posterior.particles'"):
        algorithm_of("mb-sac", **{"posterior.particles": 64})


@pytest.mark.parametrize("preset", ["mb-sac", "mb-iadp", "mb-mpo", "smcp"])
def test_discrete_actions_are_refused_in_one_line(preset):
    with pytest.raises(
        InputError, match=r"^`value` must be one with a counterpart .*rollouts.*; found 'model'"
    ):
        discrete_of(preset)


@pytest.mark.parametrize("preset", ["mb-sac", "mb-iadp", "mb-mpo", "smcp"])
def test_settings_go_through_json_and_back(preset):
    algorithm = algorithm_of(preset, **{"value.members": 3, "value.elites": 2})
    assert decode(Algorithm, encode(algorithm), "algorithm") == algorithm
