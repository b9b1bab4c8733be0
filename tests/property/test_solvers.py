"""Properties of the solvers on random MDPs: true bounds, shifts and scales, optimality, stacks."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tests.support.exact_mdp import exact_error, exact_optimal_q
from virel_theory import TabularMDP
from virel_theory.solvers.batch import solve_batch
from virel_theory.solvers.solve import METHODS, policy_evaluation, solve

methods = st.sampled_from(list(METHODS))


@st.composite
def small_mdps(draw):
    """At most 4 states and 3 actions, from integer weights, so that failures shrink to simple fractions."""
    n_states, n_actions = draw(st.integers(1, 4)), draw(st.integers(1, 3))
    weights = draw(hnp.arrays(np.int64, (n_states, n_actions, n_states), elements=st.integers(0, 5)))
    weights[..., 0] += weights.sum(axis=-1) == 0
    reward = draw(hnp.arrays(np.int64, (n_states, n_actions), elements=st.integers(-9, 9)))
    gamma = draw(st.sampled_from([0.0, 0.25, 0.5, 0.9, 0.99]))
    return TabularMDP(weights / weights.sum(axis=-1, keepdims=True), reward.astype(float), gamma)


tolerances = st.sampled_from([1e-2, 1e-6, 0.0])


@settings(max_examples=60)
@given(mdp=small_mdps(), method=methods, atol=tolerances)
def test_the_exact_solution_lies_within_the_bound(mdp, method, atol):
    found = solve(mdp, atol=atol, method=method)
    assert exact_error(found.q, exact_optimal_q(mdp, found.policy)) <= found.error_bound


@settings(max_examples=40)
@given(
    mdp=small_mdps(),
    method=methods,
    shift=st.integers(-50, 50),
    scale=st.integers(1, 8),
)
def test_rewards_scaled_and_shifted_scale_and_shift_the_values(mdp, method, shift, scale):
    moved = TabularMDP(mdp.transition, scale * mdp.reward + shift, mdp.gamma)
    a, b = solve(mdp, atol=1e-8, method=method), solve(moved, atol=1e-8, method=method)
    # Row sums are 1 within 20 ulp (b = 4), which 50 gamma/(1 - gamma)^2 multiplies: below 3e-9.
    expected = scale * a.q + shift / (1 - mdp.gamma)
    assert np.abs(b.q - expected).max() <= scale * a.error_bound + b.error_bound + 3e-9


@settings(max_examples=40)
@given(mdp=small_mdps(), method=methods)
def test_no_policy_beats_the_optimum_and_the_greedy_one_attains_it(mdp, method):
    best = solve(mdp, atol=1e-8, method=method)
    uniform = np.full(mdp.shape, 1 / mdp.n_actions)
    greedy = np.eye(mdp.n_actions)[best.policy]
    worse, equal = policy_evaluation(mdp, pi=uniform), policy_evaluation(mdp, pi=greedy)
    slack = best.error_bound + max(worse.error_bound, equal.error_bound)
    assert (worse.value <= best.value + slack).all()
    # The greedy policy of values within b is within 2 gamma b / (1 - gamma) of optimal (Singh & Yee 1994).
    assert np.abs(equal.value - best.value).max() <= slack + 2 * best.error_bound / (1 - mdp.gamma)


@settings(max_examples=30)
@given(mdps=st.lists(small_mdps(), min_size=1, max_size=4))
def test_a_stack_solves_each_of_its_mdps(mdps):
    mdps = [x for x in mdps if x.shape == mdps[0].shape]
    stacked = solve_batch(
        np.stack([np.asarray(x.transition) for x in mdps]),
        np.stack([x.reward for x in mdps]),
        [x.gamma for x in mdps],
        atol=1e-9,
    )
    for i, mdp in enumerate(mdps):
        exact = exact_optimal_q(mdp, stacked.policy[i])
        assert exact_error(stacked.q[i], exact) <= stacked.error_bound[i]
