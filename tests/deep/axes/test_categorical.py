"""Categorical policies by hand: drawing, probabilities, divergence; what is not finite is no choice."""

import math

import numpy as np
import pytest
import torch

from virel_deep.axes import categorical

HEAD = np.log(np.array([[0.5, 0.2, 0.3]], np.float32))
U = 2.0**-24


def drawn(u, head=HEAD):
    return categorical.explore(np.repeat(head, len(u), axis=0), np.array(u, np.float32)[:, None])


def test_a_uniform_number_chooses_by_the_cumulative_probabilities():
    u = [0.0, 0.49, 0.51, 0.69, 0.71, 1 - U]
    assert drawn(u).argmax(-1).tolist() == [0, 0, 1, 1, 2, 2]
    assert (drawn(u).sum(-1) == 1).all()


def test_actions_are_drawn_as_often_as_they_are_probable():
    u = (np.arange(1000) + 0.5) / 1000  # a grid: shares are exact to one of 1000
    np.testing.assert_allclose(drawn(u).mean(0), [0.5, 0.2, 0.3], atol=1e-3 + 8 * U)


def test_an_impossible_action_is_not_drawn():
    head = np.array([[0.0, -200.0, 0.0]], np.float32)  # e^-200 is 0 in float32
    assert drawn([0.0, 0.5, 1 - U], head).argmax(-1).tolist() == [0, 2, 2]


def test_the_density_of_an_action_is_its_log_probability_at_any_scale():
    rng = np.random.default_rng(0)
    head = rng.normal(0, 30, (200, 4)).astype(np.float32)
    found = categorical.behave(head, rng.uniform(size=(200, 1)).astype(np.float32))
    exact = torch.from_numpy(head).double().log_softmax(-1).numpy()
    wanted = (exact * found.action).sum(-1)
    # Outputs below 200 are exact; a difference, a logarithm of a sum of 4 and another difference follow.
    np.testing.assert_allclose(found.log_density, wanted, rtol=0, atol=4 * 400 * U)
    assert found.pre is found.action
    tensors = categorical.log_probability(
        categorical.log_probabilities(torch.from_numpy(head)), torch.from_numpy(found.action)
    )
    np.testing.assert_allclose(tensors.numpy(), wanted, rtol=0, atol=4 * 400 * U)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
@pytest.mark.filterwarnings("error")
def test_outputs_that_are_not_finite_choose_nothing(bad):
    head = np.array([[0.0, bad, 1.0], [0.0, 2.0, 1.0]], np.float32)
    for found in (categorical.explore(head, np.zeros((2, 1), np.float32)), categorical.greedy(head)):
        assert np.isnan(found[0]).all()
        assert found[1].sum() == 1


def test_the_greedy_action_is_the_first_of_the_most_probable():
    head = np.array([[1.0, 3.0, 3.0], [5.0, 3.0, -3.0]], np.float32)
    assert categorical.greedy(head).tolist() == [[0, 1, 0], [1, 0, 0]]


def test_uniform_actions_have_the_density_of_uniform_ones_and_each_its_share():
    numbers = np.random.default_rng(0).uniform(-1, 1, (3000, 3)).astype(np.float32)
    found = categorical.behave_uniformly(numbers)
    # 3000 draws: a share's standard deviation is 0.0086, and 4 of them leave 6e-5 for each to fail.
    np.testing.assert_allclose(found.action.mean(0), 1 / 3, atol=0.035)
    assert (found.action.sum(-1) == 1).all()
    np.testing.assert_allclose(found.log_density, -math.log(3), rtol=2 * U)
    assert found.log_density.dtype == np.float32


def test_the_divergence_and_its_slope_are_those_of_torch():
    rng = torch.Generator().manual_seed(0)
    p, head = torch.randn(2, 6, 4, generator=rng, dtype=torch.float64).unbind()
    head.requires_grad_()
    ours = categorical.kl(p.log_softmax(-1), head.log_softmax(-1)).sum()
    old, new = (torch.distributions.Categorical(logits=x) for x in (p, head))
    theirs = torch.distributions.kl_divergence(old, new).sum()
    # Sums of 24 terms of size 1 in float64; an entry of the gradient is a difference of two probabilities.
    torch.testing.assert_close(ours, theirs, rtol=0, atol=24 * 8 * 2.0**-53)
    slopes = (torch.autograd.grad(x, head)[0] for x in (ours, theirs))
    torch.testing.assert_close(*slopes, rtol=0, atol=16 * 2.0**-53)
    assert (categorical.kl(p.log_softmax(-1), p.log_softmax(-1)) == 0).all()
