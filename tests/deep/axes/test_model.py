"""Learned models by hand: likelihood, scales, elites, and values on a problem in closed form."""

import numpy as np
import pytest
import torch
from torch.distributions import Bernoulli, Normal

from tests.support.deep import default_dtype
from tests.support.linear_gaussian import DISCOUNT, LinearGaussian, fitted
from virel_deep.axes.model.ensemble import Ensemble
from virel_deep.axes.model.gaussian_model import LOG_VARIANCE, fit_loss, negative_log_likelihood, predicted
from virel_deep.axes.model.normaliser import Normaliser
from virel_deep.data.replay import HOLD_OUT, Replay, held_out
from virel_deep.networks.network import Network

CPU = torch.device("cpu")
N, A, B, H = 3, 2, 6, 3
SIZES = {"hidden": (12, 8), "data.batch": 20, "value.members": 3, "value.horizon": H}


def test_the_likelihood_is_that_of_the_distributions():
    out, target = torch.randn(5, 2 * 4 + 1), torch.randn(5, 4)
    ended = torch.tensor([0.0, 1.0, 0.0, 1.0, 0.0])
    of = predicted(out)
    normal = Normal(of.mean, (of.log_variance / 2).exp()).log_prob(target).sum(-1)
    exact = -normal - 2 * np.log(2 * np.pi) - Bernoulli(logits=of.ends).log_prob(ended)
    torch.testing.assert_close(negative_log_likelihood(of, target, ended), exact)


def test_log_variances_stay_within_their_bounds_and_move_freely_inside():
    raw = torch.tensor([[0.0, -1e4, 0.0], [0.0, 1e4, 0.0], [0.0, -4.0, 0.0]])
    low, high, inside = predicted(raw).log_variance[:, 0].tolist()
    assert (low, high) == pytest.approx(LOG_VARIANCE, abs=1e-4)
    assert inside == pytest.approx(-4.0, abs=0.02)


def test_scales_are_the_moments_of_all_rows_so_far_and_nothing_before_the_first():
    normaliser, rng = Normaliser(2, 3, device=CPU), np.random.default_rng(0)
    assert (normaliser.shift.abs().max(), normaliser.size.min(), normaliser.most.min()) == (0, 1, torch.inf)
    rows = rng.normal(1e3, 2.0, size=(2, 50, 3))
    for piece in np.split(rows, 10, axis=1):
        normaliser.observe(torch.from_numpy(piece))
    # Sums of 50 numbers of size 1e3 in float64: 50 roundings of 1.1e-16 relative, then one of float32.
    np.testing.assert_allclose(normaliser.mean.numpy(), rows.mean(1), rtol=1e-13)
    np.testing.assert_allclose(normaliser.squares.numpy() / 50, rows.var(1), rtol=1e-8)
    np.testing.assert_allclose(normaliser.least[:, 0].numpy(), rows.min(1), rtol=1e-7)
    np.testing.assert_allclose(normaliser.most[:, 0].numpy(), rows.max(1), rtol=1e-7)


@pytest.mark.parametrize("copies", [1, 2, 3, 5, 8, 10])
def test_every_fifth_row_of_every_copy_is_held_out(copies):
    held = np.stack([held_out(step * copies, copies) for step in range(20)])
    assert held.sum(0).tolist() == [4] * copies
    for copy in held.T:
        assert np.diff(np.flatnonzero(copy)).tolist() == [5] * 3
    assert HOLD_OUT == 5
    assert Replay(1, 10, 3, device=CPU).added == 0


def test_rows_that_are_held_out_move_no_member_but_its_error():
    out, target = torch.randn(2, 6, 2 * 4 + 1), torch.randn(6, 4)
    held, other = torch.tensor([0.0, 0, 1, 0, 0, 1]), target.clone()
    other[held > 0] += 1.0
    loss, error = fit_loss(out, target, torch.zeros(6), held)
    again, moved = fit_loss(out, other, torch.zeros(6), held)
    assert torch.equal(loss, again)
    assert not torch.equal(error, moved)
    by_hand = (target[held > 0] - out[:, held > 0, :4]).square().mean((1, 2))
    torch.testing.assert_close(error, by_hand)


def test_elites_are_the_members_with_the_least_hold_out_error():
    world = Ensemble(Network(1, 4, (N + A, 4, 2 * (N + 1) + 1), device=CPU), N, elites=2)
    world.error.copy_(torch.tensor([[3.0, 1.0, 4.0, 2.0]]))
    assert sorted(world.elites[0].tolist()) == [1, 3]
    members = world.member(torch.linspace(0, 1, 100)[None, :-1])
    assert set(members[0].tolist()) == {1, 3}


def test_values_on_a_linear_gaussian_problem_are_those_of_the_closed_form():
    # The model is linear and fitted by maximum likelihood, which is least squares. Its coefficients are off
    # by normal errors with covariance s^2 (X'X)^-1, s the noise's deviation: the value, a smooth function of
    # them, by the deviation of its linear part (delta method). The mean over n rollouts is off by their
    # deviation over sqrt(n). Five deviations of both: one false alarm in a million. The first reward is
    # exact, as it has no noise: each step rounds some 20 numbers of size at most 4, in float64.
    problem = LinearGaussian(slope=0.9, push=0.5, noise=0.1)
    with default_dtype(torch.float64):
        model = fitted(problem, rows=2000)
        for h in (1, 2, 3, 5):
            mean, of_rollouts = model.values(h, start=0.5, action=-0.3, rollouts=20_000)
            tolerance = 5 * (model.deviation(h, start=0.5, action=-0.3) + of_rollouts) + 20 * h * 4 * 2.0**-53
            assert abs(mean - problem.value(h, start=0.5, action=-0.3)) <= tolerance, h
            if h == 1:
                continue  # one reward is not discounted
            wrong = problem.value(h, start=0.5, action=-0.3, discount=0.8 * DISCOUNT)
            assert abs(mean - wrong) > tolerance, h
