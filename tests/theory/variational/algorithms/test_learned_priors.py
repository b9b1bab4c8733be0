"""Distral, IADP, HDP and iterative inference: by hand, monotone objectives, limits, tasks that do not fit."""

from itertools import islice

import numpy as np
import pytest

from virel_common.errors import InputError
from virel_theory.mdp.tabular import TabularMDP
from virel_theory.models.draw import garnet, gridworld
from virel_theory.solvers.solve import value_iteration
from virel_theory.variational.algorithms.distral import distral
from virel_theory.variational.algorithms.hdp import hdp
from virel_theory.variational.algorithms.iadp import iadp, within
from virel_theory.variational.algorithms.iterative import sac_iterative
from virel_theory.variational.core.e_step import posterior_policy
from virel_theory.variational.core.regularised import regularised_action_value, regularised_objective

BANDIT = TabularMDP([[[1.0], [1.0]]], [[1.0, 0.0]], 0.0)
E = float(np.exp(1.0))


def tasks(seed=0, *, n=2, missing=0.0):
    """Tasks with one set of actions and different rewards and dynamics."""
    first = garnet(5, 3, 2, gamma=0.8, rng=np.random.default_rng(seed), missing=missing)
    out = [first]
    for k in range(1, n):
        rng = np.random.default_rng(100 * seed + k)
        transition = first.dense_transition[:, :, rng.permutation(5)]
        out.append(
            TabularMDP(transition, rng.normal(size=first.shape), 0.8, rng.dirichlet(np.ones(5)), first.mask)
        )
    return out


def take(iterates, n):
    return list(islice(iterates, n))


def rising(values):
    return (np.diff(values) >= -1e-12 * (1 + np.abs(values).max())).all()


ALGORITHMS = {
    "distral": lambda mdp, **s: distral([mdp], **s),
    "iadp": iadp,
    "hdp": hdp,
    "sac-iterative": sac_iterative,
}


@pytest.mark.parametrize("name", ALGORITHMS)
def test_the_first_step_of_a_bandit_by_hand(name):
    settings = {"distral": {"exponent": 1.0}, "hdp": {"latents": 1}, "sac-iterative": {"step": 1.0}}.get(
        name, {}
    )
    (first,) = take(ALGORITHMS[name](BANDIT, alpha=1.0, **settings), 1)
    np.testing.assert_allclose(np.squeeze(first.policy), [E / (1 + E), 1 / (1 + E)], rtol=1e-14)
    assert first.value == pytest.approx(E / (1 + E), rel=1e-14)
    assert first.error < 1e-13
    assert first.bound == pytest.approx(1 / (1 + E), abs=1e-13)
    assert (first.step, first.temperature) == (1, 1.0)


@pytest.mark.parametrize("name", ALGORITHMS)
@pytest.mark.parametrize("sweeps", [None, 2])
def test_bounds_hold_and_sparse_masked_mdps_agree_with_dense_ones(name, sweeps):
    mdp = garnet(6, 3, 2, gamma=0.9, rng=np.random.default_rng(3), missing=0.4)
    best = value_iteration(mdp, atol=1e-12).value
    dense, sparse = (take(ALGORITHMS[name](x, alpha=0.5, sweeps=sweeps), 5) for x in (mdp, mdp.to_sparse()))
    for x, y in zip(dense, sparse, strict=True):
        np.testing.assert_allclose(x.policy, y.policy, atol=1e-11)
        policy = x.policy.reshape(mdp.shape)
        assert (policy[~mdp.available] == 0).all()
        p_pi = np.einsum("sa,sat->st", policy, mdp.dense_transition)
        v = np.linalg.solve(np.eye(6) - 0.9 * p_pi, (policy * mdp.reward).sum(axis=1))
        assert abs(mdp.initial @ v - x.value) <= x.error + 1e-12
        assert (best - v).max() <= x.bound + 1e-9


@pytest.mark.parametrize("name", ALGORITHMS)
def test_a_cold_temperature_on_a_gridworld_neither_overflows_nor_breaks(name):
    mdp = gridworld(3, 3, gamma=0.95)
    last = take(ALGORITHMS[name](mdp, alpha=0.05), 30)[-1]
    assert np.isfinite(last.value)
    assert last.bound < 0.3


@pytest.mark.parametrize("exponent", [0.0, 0.5, 1.0])
def test_distral_never_lowers_its_objective(exponent):
    mdps = tasks(n=3, missing=0.3)
    prior, values = mdps[0].available / mdps[0].available.sum(axis=1, keepdims=True), []
    for x in take(distral(mdps, alpha=0.7, exponent=exponent), 8):
        pairs = list(zip(mdps, x.policy, strict=True))
        values += [
            sum(regularised_objective(m, pi=pi, prior=p, alpha=0.7, exponent=exponent) for m, pi in pairs)
            for p in (prior, x.prior)
        ]
        prior = x.prior
    assert rising(values)


def test_distral_without_the_prior_solves_each_task_alone():
    mdps = tasks()
    together = take(distral(mdps, exponent=0.0), 3)[-1]
    alone = [take(distral([m], exponent=0.0), 1)[0].policy[0] for m in mdps]
    np.testing.assert_allclose(together.policy, alone, atol=1e-13)


def test_distral_weighs_tasks_by_their_visits():
    # task 0 stays in state 0 with probability 1, task 1 leaves it: visits 1 and 1/2 of state 0
    stay, leave = [[[1.0, 0.0]] * 2, [[0.0, 1.0]] * 2], [[[0.0, 1.0]] * 2, [[0.0, 1.0]] * 2]
    mdps = [TabularMDP(p, [[r, 0.0], [0.0, 0.0]], 0.5, [1.0, 0.0]) for p, r in ((stay, 1.0), (leave, 0.0))]
    (first,) = take(distral(mdps, alpha=1.0, exponent=0.0), 1)
    share = (1.0 * E / (1 + E) + 0.5 * 0.5) / 1.5
    assert first.prior[0, 0] == pytest.approx(share, rel=1e-13)
    (given,) = take(distral(mdps, alpha=1.0, exponent=0.0, d=[0.5, 0.5]), 1)
    assert given.prior[0, 0] == pytest.approx((E / (1 + E) + 0.5) / 2, rel=1e-13)
    assert first.kl == pytest.approx((np.log(2) - _entropy(E / (1 + E))) / 2, rel=1e-12)


def _entropy(p):
    return -p * np.log(p) - (1 - p) * np.log(1 - p)


@pytest.mark.parametrize("observation", [None, "0,0,1,1,2"])
def test_iadp_never_lowers_its_objective(observation):
    (mdp,) = tasks(n=1)
    prior, values = np.full(mdp.shape, 1 / 3), []
    for x in take(iadp(mdp, alpha=0.4, observation=observation), 10):
        values += [regularised_objective(mdp, pi=x.policy, prior=p, alpha=0.4) for p in (prior, x.prior)]
        prior = x.prior
    assert rising(values)


def test_iadp_that_hides_nothing_is_mpo_with_a_fixed_temperature():
    (mdp,) = tasks(n=1, missing=0.3)
    pi = mdp.available / mdp.available.sum(axis=1, keepdims=True)
    for x in take(iadp(mdp, alpha=0.5), 5):
        q = regularised_action_value(mdp, pi=pi, prior=pi, alpha=0.0)
        pi = posterior_policy(q, prior=pi, alpha=0.5)
        np.testing.assert_allclose(x.policy, pi, atol=1e-12)
        np.testing.assert_allclose(x.prior, pi, atol=1e-12)


def test_hdp_with_one_latent_is_iadp_that_hides_nothing():
    (mdp,) = tasks(n=1, missing=0.3)
    for x, y in zip(take(hdp(mdp, alpha=0.5, latents=1), 5), take(iadp(mdp, alpha=0.5), 5), strict=True):
        np.testing.assert_allclose(x.policy, y.policy, atol=1e-12)
        assert x.kl == 0


def test_hdp_whose_latents_are_actions_is_iadp():
    (mdp,) = tasks(n=1)
    low = np.broadcast_to(np.eye(3)[:, None, :], (3, 5, 3))
    settings = {"alpha": 0.5, "observation": "0,0,1,1,2"}
    for x, y in zip(take(hdp(mdp, low=low, **settings), 5), take(iadp(mdp, **settings), 5), strict=True):
        np.testing.assert_allclose(x.policy, y.policy, atol=1e-12)
        np.testing.assert_allclose(x.prior, y.prior, atol=1e-12)
        assert x.kl == pytest.approx(y.kl, abs=1e-12)


def test_hdp_that_hides_nothing_never_lowers_its_return():
    # one observation per state: the default is the high level, so that J is the return of the policy
    (mdp,) = tasks(n=1)
    values = [x.value for x in take(hdp(mdp, alpha=0.5, latents=3), 12)]
    assert rising(values)


def test_a_frozen_low_level_stays():
    (mdp,) = tasks(n=1)
    low = np.random.default_rng(0).dirichlet(np.ones(3), size=(2, 5))
    last = take(hdp(mdp, low=low, low_step=0.0, alpha=1e-3), 40)[-1]
    assert (last.policy >= low.min(axis=0) - 1e-12).all()
    assert (last.policy <= low.max(axis=0) + 1e-12).all()


def test_the_first_low_level_prefers_one_action_per_latent():
    mask = np.array([[True, False, True]])
    mdp = TabularMDP([[[1.0], [0.0], [1.0]]], [[0.0, 0.0, 5.0]], 0.0, mask=mask)
    (first,) = take(hdp(mdp, latents=2, low_step=0.0, alpha=1e-6), 1)
    assert first.policy.tolist() == [[0.25, 0.0, 0.75]]  # the latent whose action pays


def test_iterative_inference_with_an_exact_step_is_soft_policy_iteration():
    (mdp,) = tasks(n=1)
    prior = np.random.default_rng(0).dirichlet(np.ones(3), size=5)
    pi = prior
    for x in take(sac_iterative(mdp, alpha=0.5, iterations=1, step=2.0, prior=prior), 4):
        q = regularised_action_value(mdp, pi=pi, prior=prior, alpha=0.5)
        np.testing.assert_allclose(x.q, q, atol=1e-12)
        pi = posterior_policy(q, prior=prior, alpha=0.5)
        np.testing.assert_allclose(x.policy, pi, atol=1e-12)


def test_without_inference_steps_the_prior_acts():
    (mdp,) = tasks(n=1)
    assert take(sac_iterative(mdp, iterations=0), 2)[-1].policy.tolist() == np.full((5, 3), 1 / 3).tolist()


def test_a_policy_within_a_prior_loses_only_what_the_prior_lacks():
    pi, prior = (
        np.array([[0.5, 0.5], [0.25, 0.75], [1.0, 0.0]]),
        np.array([[1.0, 0.0], [0.5, 0.5], [0.0, 1.0]]),
    )
    assert within(pi, prior).tolist() == [[1.0, 0.0], [0.25, 0.75], [0.0, 1.0]]


TERMINAL = TabularMDP([[[0.0, 1.0]] * 2, [[0.0, 1.0]] * 2], [[1.0, 0.0], [0.0, 0.0]], 0.9, [1.0, 0.0])
OTHER = TabularMDP([[[1.0], [1.0], [1.0]]], [[1.0, 0.0, 0.0]], 0.0)
MASKED = TabularMDP([[[1.0], [0.0]]], [[1.0, 0.0]], 0.0, mask=np.array([[True, False]]))
SLOW = TabularMDP([[[1.0], [1.0]]], [[1.0, 0.0]], 0.5)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: distral([]), "`mdps` must have at least one task"),
        (lambda: distral([BANDIT, OTHER]), r"`mdps\[1\]` must have the shape .*\(1, 3\)"),
        (lambda: distral([BANDIT, MASKED]), r"`mdps\[1\]` must have the actions"),
        (lambda: distral([BANDIT, SLOW]), r"`mdps\[1\]` must have the discount .*0.5"),
        (lambda: distral([BANDIT], alpha=0.0), "`alpha`"),
        (lambda: distral([BANDIT], exponent=2.0), "`exponent` must lie"),
        (lambda: distral([BANDIT], sweeps=0), "`sweeps`"),
        (lambda: distral([BANDIT], prior=[[1.0, 1.0]]), "`prior`"),
        (lambda: distral([BANDIT], d=[0.5]), "`d` must sum"),
        (lambda: iadp(TERMINAL, prior=[[0.5, 0.5], [1.0, 0.0]], observation="0,0"), "`prior` must be equal"),
        (lambda: iadp(TERMINAL, observation="0,a"), "`observation` must be one integer"),
        (lambda: iadp(TERMINAL, observation="0"), "`observation` must have shape"),
        (lambda: hdp(BANDIT, latents=0), "`latents` must be a positive integer"),
        (lambda: hdp(BANDIT, prior=[[1.0, 0.0]]), "`prior` must use every latent; found latent 1"),
        (lambda: hdp(BANDIT, prior=[[1.0]]), "`prior` must have shape"),
        (lambda: hdp(BANDIT, low=[[[0.5, 0.5, 0.0]]]), "`low` must have shape"),
        (lambda: hdp(MASKED, low=[[[0.5, 0.5]]]), "`low` must be 0"),
        (lambda: hdp(BANDIT, low_step=-1.0), "`low_step`"),
        (
            lambda: sac_iterative(BANDIT, prior=[[1.0, 0.0]]),
            "`prior` must be positive on every existing action",
        ),
        (lambda: sac_iterative(BANDIT, iterations=-1), "`iterations`"),
        (lambda: sac_iterative(BANDIT, step=3.0), "`step` must be at most 1/alpha"),
        (lambda: sac_iterative(BANDIT, form="newton"), "`form`"),
        (lambda: sac_iterative(BANDIT, gate=2.0), "`gate`"),
    ],
)
def test_bad_input_is_refused_at_the_call(call, message):
    with pytest.raises(InputError, match=message):
        call()
