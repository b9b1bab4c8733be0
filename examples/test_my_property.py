"""Property tests of your own code on random MDPs: `pytest examples/test_my_property.py`.

`verify.strategies` draws MDPs of small integers and simple fractions, degenerate cases included (one state,
one action, gamma = 0, ties, periodic chains). Hypothesis shrinks a failure to the smallest MDP it can find.
Replace `my_backup` by your own function.
"""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from verify.strategies import instances, mdps, policies, q_tables
from virel_theory import TabularMDP, bellman_optimal, bellman_policy, greedy_policy


def my_backup(mdp: TabularMDP, q: np.ndarray) -> np.ndarray:
    """Bellman's optimality operator, written out once more: the function under test."""
    return mdp.reward + mdp.gamma * mdp.transition @ q.max(axis=1)


@settings(deadline=None)
@given(instances(mdp=mdps(), q=q_tables))
def test_my_backup_is_the_library_s(x):
    """`my_backup` equals the library's backup, within rounding."""
    # Entries stay below 9 and take S + 2 rounded operations, so 1e-13 is ample.
    np.testing.assert_allclose(my_backup(**x), bellman_optimal(x["mdp"], x["q"]), rtol=0, atol=1e-13)


@settings(deadline=None)
@given(instances(mdp=mdps(), q=q_tables), st.integers(-8, 8))
def test_adding_a_constant_to_q_adds_gamma_times_it(x, shift):
    """A constant added to Q adds gamma times itself to the backup."""
    moved = my_backup(x["mdp"], x["q"] + shift)
    np.testing.assert_allclose(moved, my_backup(**x) + x["mdp"].gamma * shift, rtol=0, atol=1e-13)


@settings(deadline=None)
@given(instances(mdp=mdps(masked=True), q=q_tables, pi=policies))
def test_no_policy_backs_up_more_than_the_greedy_one(x):
    """No policy's backup exceeds the greedy one's, also if some actions do not exist."""
    mdp, q = x["mdp"], x["q"]
    best = bellman_policy(mdp, q, pi=greedy_policy(q))
    available = mdp.available
    assert np.all(bellman_policy(mdp, q, pi=x["pi"])[available] <= best[available] + 1e-13)
