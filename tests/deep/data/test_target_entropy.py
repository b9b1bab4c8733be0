"""A target entropy that no policy of an environment has is refused before a run begins."""

import re

import pytest
from scipy.stats import randint, uniform

from virel_common.errors import InputError
from virel_deep.data.first_look import first_look
from virel_deep.design.adapt import discrete_form
from virel_deep.design.presets import algorithm, run_config

ONE = float(uniform(-1, 2).entropy())
"""Entropy of uniform actions in [-1, 1]; Reacher-v5 has two."""
COIN = float(randint(0, 2).entropy())


def look(env, target):
    chosen = algorithm("sac", env, {"temperature.target_entropy": target})
    if env == "CartPole-v1":
        chosen = discrete_form(chosen)
    return first_look(run_config("sac", env, steps=10, seeds=(0,), algorithm=chosen))


@pytest.mark.parametrize(
    ("env", "target", "rule"),
    [
        ("Pendulum-v1", ONE + 1e-9, "below 0.6931"),
        ("Reacher-v5", 2 * ONE + 1e-9, "below 1.386"),
        ("CartPole-v1", COIN + 1e-9, "above 0 and below 0.6931"),
        ("CartPole-v1", 0.0, "above 0 and below 0.6931"),
        ("CartPole-v1", -1.0, "above 0 and below 0.6931"),
    ],
)
def test_one_that_no_policy_has_is_refused(env, target, rule):
    message = f"`temperature.target_entropy` must be {rule}, the entropy of uniform actions in {env}; found "
    with pytest.raises(InputError, match=re.escape(message + str(target))):
        look(env, target)


@pytest.mark.parametrize(
    ("env", "target"),
    [
        ("Pendulum-v1", ONE - 1e-9),
        ("Pendulum-v1", -8.0),
        ("Pendulum-v1", None),
        ("Reacher-v5", 2 * ONE - 1e-9),
        ("CartPole-v1", COIN - 1e-9),
        ("CartPole-v1", 1e-9),
    ],
)
def test_one_that_some_policy_has_is_accepted(env, target):
    assert look(env, target).record
