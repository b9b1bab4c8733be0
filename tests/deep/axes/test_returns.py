"""Targets of several steps: by hand, against sums written out, and across the ends of episodes."""

import pytest
import torch

from tests.support.deep import default_dtype
from virel_deep.axes.returns import alive, last, n_step_target, retrace_target

NO = torch.zeros(3)
GAMMA = 0.5


def window(n, seed, ends=0.3):
    """Random q, v, reward, terminated, truncated and log ratios of 40 windows of n pairs, in float64."""
    rng = torch.Generator().manual_seed(seed)
    q, v, reward, ratio = torch.randn(4, 40, n, generator=rng, dtype=torch.float64)
    terminated, truncated = (torch.rand(2, 40, n, generator=rng) < ends / 2).double()
    return q, v, reward, terminated, truncated, ratio


def written_out(q, v, reward, terminated, truncated, ratio, *, gamma, trace, i):
    """Retrace's target of pair i of one window: the sum as it is printed, cut at the episode's end."""
    y, product = float(q[i]), 1.0
    for j in range(i, len(q)):
        if j > i:
            product *= trace * min(1.0, float(ratio[j].exp()))
        bootstrap = 0.0 if terminated[j] else gamma * float(v[j])
        y += gamma ** (j - i) * product * (float(reward[j]) + bootstrap - float(q[j]))
        if terminated[j] or truncated[j]:
            break
    return y


@pytest.mark.parametrize("n", [1, 2, 5])
@pytest.mark.parametrize("trace", [0.0, 0.7, 1.0])
def test_retrace_is_its_sum_written_out_for_every_pair(n, trace):
    data = window(n, seed=n)
    with default_dtype(torch.float64):
        found = retrace_target(*data, gamma=0.9, trace=trace)
    for b in range(40):
        for i in range(n):
            expected = written_out(*(x[b] for x in data), gamma=0.9, trace=trace, i=i)
            # Sums of at most 5 terms below 10: a few roundings of 1.1e-16 x 50.
            assert found[b, i].item() == pytest.approx(expected, rel=0, abs=1e-13)


def test_without_a_trace_retrace_is_the_one_step_target():
    q, v, reward, terminated, truncated, ratio = window(4, seed=0)
    found = retrace_target(q, v, reward, terminated, truncated, ratio, gamma=0.9, trace=0.0)
    torch.testing.assert_close(found, reward + 0.9 * (1 - terminated) * v, rtol=0, atol=0)


def test_on_its_own_policy_retrace_is_the_return_of_n_steps_where_q_and_v_agree():
    # With pi = b, lambda = 1 and Q(s_j, a_j) = V(s_j) the differences telescope.
    _, v, reward, _, _, _ = window(4, seed=1)
    q = torch.cat((torch.randn(40, 1, dtype=torch.float64), v[:, :-1]), dim=1)
    none = torch.zeros_like(v)
    found = retrace_target(q, v, reward, none, none, none, gamma=0.9, trace=1.0)[:, 0]
    n_step = n_step_target(reward, none, none, v[:, -1], gamma=0.9)
    torch.testing.assert_close(found, n_step, rtol=0, atol=1e-13)  # a few roundings of sums below 50


def test_importance_weights_above_one_count_as_one_and_impossible_actions_cut_the_trace():
    q, v, reward = torch.tensor([1.0, 2.0]), torch.tensor([3.0, 4.0]), torch.tensor([5.0, 6.0])
    no = torch.zeros(2)
    likely, certain = (
        retrace_target(q, v, reward, no, no, torch.tensor([0.0, x]), gamma=0.5, trace=1.0) for x in (9.0, 0.0)
    )
    assert torch.equal(likely, certain)
    never = torch.tensor([0.0, -float("inf")])
    cut = retrace_target(q, v, reward, no, no, never, gamma=0.5, trace=1.0)
    assert cut.tolist() == [5 + 0.5 * 3, 6 + 0.5 * 4]


def test_the_first_importance_weight_is_never_read():
    data = list(window(3, seed=2))
    found = retrace_target(*data, gamma=0.9, trace=1.0)
    data[5] = data[5].clone()
    data[5][:, 0] = -100.0
    assert torch.equal(retrace_target(*data, gamma=0.9, trace=1.0), found)


@pytest.mark.parametrize(
    ("terminated", "truncated", "target"),
    [
        (NO, NO, 1 + 0.5 * 2 + 0.25 * 4 + 0.125 * 8),
        (torch.tensor([0.0, 1.0, 0.0]), NO, 1 + 0.5 * 2),
        (NO, torch.tensor([0.0, 1.0, 0.0]), 1 + 0.5 * 2 + 0.25 * 8),  # truncation bootstraps
        (torch.tensor([1.0, 0.0, 0.0]), NO, 1.0),
        (NO, torch.tensor([1.0, 0.0, 0.0]), 1 + 0.5 * 8),
        (torch.tensor([0.0, 0.0, 1.0]), NO, 1 + 0.5 * 2 + 0.25 * 4),
        (torch.tensor([0.0, 1.0, 0.0]), torch.tensor([0.0, 1.0, 0.0]), 1 + 0.5 * 2),  # both: no bootstrap
    ],
)
def test_a_return_ends_with_its_episode(terminated, truncated, target):
    reward = torch.tensor([1.0, 2.0, 4.0])
    found = n_step_target(reward, terminated, truncated, torch.tensor(8.0), gamma=GAMMA)
    assert found.item() == target


def test_rows_after_the_end_of_an_episode_do_not_matter_to_it():
    q, v, reward, terminated, truncated, ratio = window(4, seed=3, ends=0.0)
    truncated[:, 1] = 1.0
    first = retrace_target(q, v, reward, terminated, truncated, ratio, gamma=0.9, trace=1.0)
    for x in (q, v, reward, ratio):
        x[:, 2:] += 7.0
    second = retrace_target(q, v, reward, terminated, truncated, ratio, gamma=0.9, trace=1.0)
    assert torch.equal(first[:, :2], second[:, :2])
    assert not torch.equal(first[:, 2:], second[:, 2:])


def test_which_rows_count_and_which_is_the_last():
    ended = torch.tensor([[0.0, 0.0, 0.0], [0.0, 1.0, 0.0], [1.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
    counts = alive(ended, torch.zeros_like(ended))
    assert counts.tolist() == [[1, 1, 1], [1, 1, 0], [1, 0, 0], [1, 1, 1]]
    assert last(counts).tolist() == [2, 1, 0, 2]
    assert torch.equal(alive(torch.zeros_like(ended), ended), counts)


def test_a_discount_of_zero_leaves_the_first_reward():
    q, v, reward, terminated, truncated, ratio = window(3, seed=4)
    assert torch.equal(
        retrace_target(q, v, reward, terminated, truncated, ratio, gamma=0.0, trace=1.0), reward
    )
    found = n_step_target(reward, terminated, truncated, v[:, 0], gamma=0.0)
    assert torch.equal(found, reward[:, 0])


def test_targets_carry_no_gradient():
    v = torch.ones(3, requires_grad=True)
    assert not retrace_target(v, v, NO, NO, NO, v, gamma=0.9, trace=1.0).requires_grad
    assert not n_step_target(NO, NO, NO, v[0], gamma=0.9).requires_grad
