"""The replay against a plain list, its columns, its draws."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.support.deep import CPU
from virel_deep.data.replay import Columns, Replay


def rows_from(number, n, *, seeds=2, width=3):
    """`[K, n, width]` rows that say which they are: seed, number, and a constant."""
    numbers = torch.arange(number, number + n, dtype=torch.float32)
    return torch.stack(
        [torch.stack((torch.full((n,), float(k)), numbers, torch.full((n,), 7.0)), 1) for k in range(seeds)]
    )[:, :, :width]


def held(replay, k):
    """Numbers of the rows that a replay holds of seed k, oldest first, by its own account."""
    rows = replay.since(k, 0)
    assert (rows[:, 0] == k).all()
    return rows[:, 1].int().tolist()


def test_the_columns_of_a_row_follow_each_other_without_a_gap():
    columns = Columns.of(4, 2)
    row = np.arange(columns.width)
    parts = [row[part] for part in (columns.observation, columns.action, columns.next_observation)]
    assert [part.tolist() for part in parts] == [[0, 1, 2, 3], [4, 5], [6, 7, 8, 9]]
    assert row[columns.history].tolist() == [0, 1, 2, 3, 4, 5]
    assert (columns.reward, columns.terminated, columns.width) == (10, 11, 12)


def test_tails_follow_the_columns_of_a_plain_row_which_stay_where_they_are():
    plain, windows = Columns.of(4, 2), Columns.of(4, 2, ("truncated",))
    whole = Columns.of(4, 2, ("truncated", "pre", "log_density"))
    assert plain[:6] == windows[:6] == whole[:6]
    assert (plain.truncated, plain.pre, plain.log_density) == (None, None, None)
    assert (windows.truncated, windows.pre, windows.width) == (12, None, 13)
    assert (whole.truncated, whole.pre, whole.log_density, whole.width) == (12, slice(13, 15), 15, 16)


@given(
    capacity=st.integers(4, 12),
    copies=st.integers(1, 3),
    steps=st.integers(1, 4),
    added=st.integers(1, 12),
    seed=st.integers(0, 99),
)
def test_a_window_is_of_one_copy_in_order_and_never_crosses_the_write_head(
    capacity, copies, steps, added, seed
):
    replay = Replay(2, max(capacity, (steps - 1) * copies + 1), 3, device=CPU)
    added = max(added, steps) * copies
    for number in range(0, added, copies):
        replay.add(rows_from(number, copies))
    out = torch.full((2, 60, steps, 3), float("nan"))
    generators = [torch.Generator().manual_seed(seed + k) for k in (0, 1)]
    replay.sample_windows(60, generators, stride=copies, out=out)
    oldest = added - len(replay)
    for k in (0, 1):
        assert (out[k, ..., 0] == k).all()
        numbers = out[k, ..., 1].int()
        assert (numbers.diff(dim=1) == copies).all()
        assert oldest <= int(numbers.min())
        assert int(numbers.max()) < added


def test_windows_start_at_every_row_that_has_one_and_are_drawn_evenly():
    replay = Replay(1, 10, 3, device=CPU)
    for number in range(0, 14, 2):  # two copies; rows 4 to 13 are held
        replay.add(rows_from(number, 2, seeds=1))
    out = torch.empty(1, 6000, 3, 3)
    replay.sample_windows(6000, [torch.Generator().manual_seed(0)], stride=2, out=out)
    counts = torch.bincount(out[0, :, 0, 1].int(), minlength=14)
    # Starts 4 to 9: 1,000 expected of each, with a deviation of sqrt(6000 x 5 / 36) = 28.9: 6 of them.
    assert (counts[:4] == 0).all()
    assert (counts[10:] == 0).all()
    assert (counts[4:10] - 1000).abs().max() < 6 * 28.9


def test_windows_of_a_seed_depend_on_its_generator_alone():
    replay = Replay(2, 10, 3, device=CPU)
    replay.add(rows_from(0, 10))
    both, one = torch.empty(2, 50, 2, 3), torch.empty(1, 50, 2, 3)
    replay.sample_windows(50, [torch.Generator().manual_seed(k) for k in (0, 1)], stride=1, out=both)
    replay.keep([1])
    replay.sample_windows(50, [torch.Generator().manual_seed(1)], stride=1, out=one)
    assert torch.equal(one[0], both[1])


@given(capacity=st.integers(1, 9), adds=st.lists(st.integers(1, 9), max_size=8), data=st.data())
def test_a_replay_is_the_end_of_the_list_of_all_rows(capacity, adds, data):
    replay, added = Replay(2, capacity, 3, device=CPU), 0
    for n in adds:
        n = min(n, capacity)  # noqa: PLW2901
        replay.add(rows_from(added, n))
        added += n
        assert (replay.added, len(replay)) == (added, min(added, capacity))
        for k in (0, 1):
            assert held(replay, k) == list(range(max(0, added - capacity), added))
    first = data.draw(st.integers(0, added))
    later = replay.since(1, first)[:, 1].int().tolist()
    assert later == list(range(max(first, added - len(replay)), added))


@given(capacity=st.integers(1, 9), adds=st.lists(st.integers(1, 4), min_size=1, max_size=8))
def test_a_refilled_replay_is_the_one_that_was_saved_row_by_row_in_place(capacity, adds):
    saved, added = Replay(2, capacity, 3, device=CPU), 0
    for n in adds:
        n = min(n, capacity)  # noqa: PLW2901
        saved.add(rows_from(added, n))
        added += n
    again = Replay(2, capacity, 3, device=CPU)
    for k in (0, 1):
        again.refill(k, saved.since(k, 0), saved.added)
    assert again.added == saved.added
    # In the same places, because draws go by place.
    for mine, theirs in zip(again.rows, saved.rows, strict=True):
        assert torch.equal(mine[: len(saved)], theirs[: len(saved)])
    for replay in (saved, again):
        replay.add(rows_from(added, 1))
    assert held(again, 0) == held(saved, 0)


def test_draws_are_uniform_over_all_rows_that_are_there_and_no_other():
    replay = Replay(2, 10, 3, device=CPU)
    replay.add(rows_from(0, 7))
    out = torch.empty(2, 7000, 3)
    replay.sample(7000, [torch.Generator().manual_seed(k) for k in (0, 1)], out=out)
    for k in (0, 1):
        assert (out[k, :, 0] == k).all()
        counts = torch.bincount(out[k, :, 1].int(), minlength=7)
        # 1,000 expected of each; the deviation is sqrt(7000 x 6 / 49) = 29.3: 6 of them.
        assert (counts - 1000).abs().max() < 6 * 29.3
        assert counts.sum() == 7000


def test_draws_of_a_seed_depend_on_its_generator_alone():
    replay = Replay(2, 10, 3, device=CPU)
    replay.add(rows_from(0, 10))
    both, one = torch.empty(2, 50, 3), torch.empty(1, 50, 3)
    replay.sample(50, [torch.Generator().manual_seed(k) for k in (0, 1)], out=both)
    assert not torch.equal(both[0, :, 1], both[1, :, 1])
    replay.keep([1])
    replay.sample(50, [torch.Generator().manual_seed(1)], out=one)
    assert torch.equal(one[0], both[1])


def test_keeping_seeds_keeps_their_rows_in_the_order_asked_for_and_copies_nothing():
    replay = Replay(3, 4, 3, device=CPU)
    replay.add(rows_from(0, 3, seeds=3))
    places = [rows.data_ptr() for rows in replay.rows]
    replay.keep([2, 0])
    assert [rows[:3, 0].tolist() for rows in replay.rows] == [[2.0] * 3, [0.0] * 3]
    assert [rows.data_ptr() for rows in replay.rows] == [places[2], places[0]]
    assert (replay.added, len(replay)) == (3, 3)


@pytest.mark.parametrize("n", [1, 5, 1000])
def test_allocating_touches_no_row(n):
    # Rows that were never added are never read: what is there before does not matter.
    replay = Replay(1, n + 5, 3, device=CPU)
    replay.rows[0].fill_(float("nan"))
    replay.add(rows_from(0, n, seeds=1))
    out = torch.empty(1, 200, 3)
    replay.sample(200, [torch.Generator()], out=out)
    assert out.isfinite().all()
