"""Errors of V along rollouts: against sums written out, across the ends of episodes; weights of pairs."""

import math

import pytest
import torch

from tests.support.deep import default_dtype
from virel_deep.axes.posterior.taken import pair_weights
from virel_deep.axes.rollout import discounted_sums, rollout_errors
from virel_deep.axes.weights import d_budget


def chain(length, seed, ends=0.2):
    """Rewards, ends and values of 6 rollouts in float64; in an episode, V(s') is V of the next s."""
    rng = torch.Generator().manual_seed(seed)
    reward, v, v_next = torch.randn(3, 6, length, generator=rng, dtype=torch.float64)
    terminated, truncated = (torch.rand(2, 6, length, generator=rng) < ends / 2).double()
    goes_on = (terminated + truncated == 0)[:, :-1]
    v_next[:, :-1] = torch.where(goes_on, v[:, 1:], v_next[:, :-1])
    return reward, terminated, truncated, v, v_next


def written_out(reward, terminated, truncated, v, v_next, *, gamma, steps, t):
    """The n-step return of V-MPO's Eq. (6) from t on, minus V: rewards, then the value of where it stops."""
    end, total = len(reward) if steps is None else min(len(reward), t + steps), 0.0
    for i in range(t, end):
        total += gamma ** (i - t) * float(reward[i])
        if terminated[i]:
            break
        if truncated[i] or i == end - 1:
            total += gamma ** (i - t + 1) * float(v_next[i])
            break
    return total - float(v[t])


@pytest.mark.parametrize("length", [1, 2, 7, 16])
@pytest.mark.parametrize("steps", [1, 2, 3, 5, 11, None])
def test_errors_are_returns_written_out_for_every_entry(length, steps):
    data = chain(length, seed=length)
    found = rollout_errors(*data, gamma=0.9, steps=steps)
    for e in range(6):
        for t in range(length):
            expected = written_out(*(x[e] for x in data), gamma=0.9, steps=steps, t=t)
            # Sums of at most 3 x 16 terms below 5 in another order: fewer than 50 roundings of 1.1e-16 x 30.
            assert found[e, t].item() == pytest.approx(expected, rel=0, abs=2e-13)


@pytest.mark.parametrize("steps", [1, 2, 5, 8, 9, 100, None])
def test_sums_by_doubling_are_sums_one_by_one(steps):
    rng = torch.Generator().manual_seed(3)
    x, link = torch.randn(9, generator=rng).double(), torch.rand(9, generator=rng).double()
    link[4] = 0  # an end
    found = discounted_sums(x, link, steps)
    for t in range(9):
        total, product = 0.0, 1.0
        for d in range(min(9 - t, steps or 9)):
            total, product = total + product * float(x[t + d]), product * float(link[t + d])
        assert found[t].item() == pytest.approx(total, rel=0, abs=1e-14)  # 9 terms below 4


@pytest.mark.parametrize("ended", ["terminated", "truncated"])
def test_nothing_of_a_later_episode_reaches_an_earlier_one(ended):
    reward, terminated, truncated, v, v_next = chain(12, seed=1, ends=0)
    (terminated if ended == "terminated" else truncated)[:, 5] = 1
    before = rollout_errors(reward, terminated, truncated, v, v_next, gamma=0.9, steps=None)
    for x in (reward, v, v_next):
        x[:, 6:] = math.pi
    after = rollout_errors(reward, terminated, truncated, v, v_next, gamma=0.9, steps=None)
    assert torch.equal(before[:, :6], after[:, :6])
    v_next[:, 5] += 1  # the state that the episode ended in
    moved = rollout_errors(reward, terminated, truncated, v, v_next, gamma=0.9, steps=None)
    change = [0.0] * 6 if ended == "terminated" else [0.9 ** (6 - t) for t in range(6)]
    torch.testing.assert_close((moved - after)[0, :6].tolist(), change, rtol=0, atol=1e-13)


def test_half_of_all_pairs_has_weight_whatever_their_order_and_their_rollout():
    rng = torch.Generator().manual_seed(0)
    advantage = torch.randn(40, 1, generator=rng, dtype=torch.float64)
    advantage[:20] += 3  # the first copy of the environment had all the luck
    log_weight, _ = pair_weights(advantage, torch.tensor([1.0]).double(), keep=0.5)
    assert (log_weight[:20] > -math.inf).sum() > 15
    best = advantage.flatten().sort(descending=True).values[:20]
    assert log_weight.exp().sum().item() == pytest.approx(40, rel=1e-14)
    expected = best.exp() / best.exp().sum() * 40
    torch.testing.assert_close(
        log_weight.exp().flatten().sort(descending=True).values[:20], expected, rtol=1e-14, atol=0
    )
    order = torch.randperm(40, generator=rng)
    shuffled, _ = pair_weights(advantage[order], torch.tensor([1.0]).double(), keep=0.5)
    torch.testing.assert_close(shuffled, log_weight[order], rtol=0, atol=1e-14)


def test_the_dual_reads_the_same_half_as_the_weights():
    # The slope of Eq. (4) over the kept half, by autograd, is the budget minus the divergence of the weights.
    with default_dtype(torch.float64):
        rng = torch.Generator().manual_seed(2)
        advantage, eta = torch.randn(31, 1, generator=rng), torch.tensor([0.7], requires_grad=True)
        best = advantage.flatten().sort(descending=True).values[:16]
        loss = eta * 0.02 + eta * (best / eta).exp().mean().log()
        (slope,) = torch.autograd.grad(loss, eta)
        log_weight, log_ratio = pair_weights(advantage, eta.detach(), keep=0.5)
        spent = (log_weight.exp() * log_ratio).sum() / 31
        torch.testing.assert_close(d_budget(spent, epsilon=0.02), slope[0], rtol=0, atol=1e-14)
