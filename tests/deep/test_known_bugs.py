"""What other codes got wrong: docs/deep/known_bugs.md names a test for each; here are the remaining ones."""

import math
import re
from pathlib import Path

import pytest
import torch

from tests.support.deep import agent_of, algorithm_of, discrete_of, feed, update_data
from virel_deep.axes.posterior.particles import stein_direction
from virel_deep.data.replay import Columns
from virel_deep.design.presets import PRESETS

ROOT = Path(__file__).resolve().parents[2]
TAILS = dict.fromkeys(("mpo", "mpo-parametric", "iadp", "vmpo", "erpg"), (2, 1))
TAILS |= dict.fromkeys(
    ("mb-sac", "mb-iadp", "mb-mpo", "smcp"), (1, 0)
)  # whether a model's fit leaves the row out
"""Numbers that a row of the replay has beside those of `sac`: single ones, and as many as an action has."""


def test_every_known_bug_has_a_test_that_exists():
    named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", (ROOT / "docs/deep/known_bugs.md").read_text())
    assert len(named) >= 14
    for file, name in named:
        assert re.search(rf"^(def {name}\b|{name} = )", (ROOT / file).read_text(), re.MULTILINE), (file, name)


def test_soft_q_learning_has_no_target_copy_of_its_sampler():
    # softqlearning#4: the published text has one; its authors call it an error.
    for algorithm in (algorithm_of("sql", hidden=(4,)), discrete_of("sql", hidden=(4,))):
        assert set(agent_of(algorithm, 3, 2).targets) == {"critic"}


def test_particles_move_by_the_score_of_the_fixed_ones_and_not_by_their_own():
    # softlearning#23: a port with the two axes of the kernel exchanged. Three fixed and two moving particles.
    rng = torch.Generator().manual_seed(0)
    fixed, moved, score = (torch.randn(n, 2, generator=rng, dtype=torch.float64) for n in (3, 2, 3))
    found = stein_direction(fixed, moved, score, torch.full((1, 1), 0.7, dtype=torch.float64))
    for i in range(2):
        total = torch.zeros(2, dtype=torch.float64)
        for j in range(3):
            apart = fixed[j] - moved[i]
            kernel = math.exp(-float(apart.square().sum()) / 0.7)
            total += kernel * score[j] - 2 / 0.7 * kernel * apart
        # Sums of 3 terms of size 1: some roundings of 1.1e-16.
        torch.testing.assert_close(found[i], total / 3, rtol=0, atol=1e-14)


@pytest.mark.parametrize("n_action", [2, 3])
def test_the_uniform_prior_pays_the_entropy_bonus_alone_and_no_constant_per_step(n_action):
    # Schulman et al. 2017: a divergence from the uniform policy and an entropy bonus differ by alpha log A a
    # step, which counts where episodes end. Ours is the bonus: a uniform policy earns alpha log A a step.
    algorithm = discrete_of("erpg", **{"hidden": (4,), "data.length": 8, "value.steps": 1, "gamma": 0.0})
    agent = agent_of(algorithm, 3, n_action)
    for network in agent.networks.values():
        network.flat.zero_()
    [(batch, noise, own)] = update_data(algorithm, 3, n_action, updates=1, seed=0)
    batch[..., agent.columns.reward] = 0.0
    feed(agent, [(batch, noise, own)])
    [report] = agent.report()
    bonus = algorithm.temperature.alpha * math.log(n_action)
    assert report["v_loss"] == pytest.approx(bonus**2 / 2, rel=1e-5)  # V is 0: a few roundings of 2^-24


@pytest.mark.parametrize("preset", PRESETS)
def test_a_row_of_the_replay_takes_what_that_of_sac_takes_and_the_tails(preset):
    # The replay takes what that of `sac` takes, and the tails: truncation, density, action before the tanh,
    # or whether it is held out.
    single, per_action = TAILS.get(preset, (0, 0))
    for n_observation, n_action in ((17, 6), (3, 1)):
        plain = Columns.of(n_observation, n_action, PRESETS["sac"].algorithm.tails).width
        assert plain == 2 * n_observation + n_action + 2
        mine = Columns.of(n_observation, n_action, PRESETS[preset].algorithm.tails).width
        assert 4 * mine == 4 * (plain + single + per_action * n_action)
