"""Table of the public functions: arguments, axes of the result, and bad calls, one entry per function."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

import virel_theory as vt


@dataclass(frozen=True)
class Entry:
    """Public function whose arguments are tables.

    Args:
        args: its arguments in order; `argument=value name` where the two names differ.
        out: axes of what `read` finds in the result ("S", "A", "N", "T" time); "" is a float.
        missing: what the result holds where the action does not exist.
        zero_ok: arguments that may be 0 (the limit).
        read: function from the result to the array that is looked at.
        tol: tolerance where the order of operations changes; larger for what iterates to a tolerance.
    """

    args: str
    out: str = ""
    missing: float = 0.0
    zero_ok: tuple[str, ...] = ()
    read: Callable[[Any], Any] = field(default=lambda result: result)
    tol: float = 1e-10

    @property
    def names(self):
        """Arguments, each with the name of its value in a world."""
        pairs = (part.split("=") for part in self.args.split())
        return {pair[0]: pair[-1] for pair in pairs}


INF = -np.inf
TABLES = {
    "log_boltzmann_policy": Entry("q eps", "SA", INF),
    "boltzmann_policy": Entry("q eps", "SA"),
    "greedy_policy": Entry("q tie_tol", "SA", zero_ok=("tie_tol",)),
    "entropy": Entry("pi", "S"),
    "kl_divergence": Entry("p q=other", "S"),
    "state_value": Entry("mdp q pi", "S"),
    "bellman_policy": Entry("mdp q pi", "SA", INF),
    "bellman_optimal": Entry("mdp q", "SA", INF),
    "bellman_boltzmann": Entry("mdp q eps", "SA", INF, zero_ok=("eps",)),
    "bellman_incremental": Entry("mdp q eps_k", "SA", INF, zero_ok=("eps_k",)),
    "bellman_soft": Entry("mdp q c", "SA", INF, zero_ok=("c",)),
    "bellman_residual": Entry("target q", "SA", INF),
    "residual_weights": Entry("exists c", "SA"),
    "residual_error": Entry("beta=q c"),
    "incremental_residual_error": Entry("mdp q eps_k", zero_ok=("eps_k",)),
    "temperature_map": Entry("mdp q eps", zero_ok=("eps",)),
    "temperature_map_derivative": Entry("mdp q eps", zero_ok=("eps",)),
    "self_consistent_temperatures": Entry("mdp q max_boxes", "", read=lambda r: r.roots[0].eps),
    "elbo": Entry("q pi_theta d eps"),
    "log_partition": Entry("q eps"),
    "boltzmann_joint": Entry("q eps", "SA"),
    "optimality_likelihood": Entry("q eps", "SA"),
    "log_state_normaliser": Entry("q eps", "S"),
    "posterior_joint": Entry("q eps", "SA"),
    "posterior_action": Entry("q eps", "SA"),
    "log_marginal": Entry("q eps"),
    "posterior_elbo": Entry("q pi_theta d eps"),
    "centre_actions": Entry("f=q pi", "SA"),
    "expect_next": Entry("mdp f=q pi", "SA"),
    "grad_beta_fixed_policy": Entry("mdp b_omega pi", "SAN"),
    "grad_log_boltzmann": Entry("q b_omega eps grad_eps", "SAN"),
    "grad_eps_chain": Entry("mdp beta grad_beta", "N"),
    "grad_beta_optimal": Entry("mdp q b_omega", "SAN"),
    "grad_beta_boltzmann": Entry("mdp q b_omega eps grad_eps", "SAN"),
    "grad_eps_from_score": Entry("mdp q b_omega beta pi score", "N"),
    "grad_policy_term": Entry("mdp q b_omega beta eps", "N"),
    "grad_eps_boltzmann": Entry("mdp q b_omega beta eps", "N"),
    "grad_log_incremental": Entry("q b_omega eps_k", "SAN"),
    "grad_beta_incremental": Entry("mdp q b_omega eps_k", "SAN"),
    "grad_beta_optimal_as_printed": Entry("mdp q b_omega", "SAN"),
    "theorem_4_as_printed": Entry("mdp q b_omega beta eps", "N"),
    "grad_eps_as_printed": Entry("mdp q b_omega beta eps", "N"),
    "grad_beta_incremental_as_printed": Entry("mdp q b_omega eps_k", "SAN"),
    "direct_gradient_as_printed": Entry("mdp beta b_omega", "N"),
    "log_linear_policy": Entry("mdp features theta", "SA"),
    "log_linear_score": Entry("mdp features pi_theta", "SAN"),
    "grad_entropy": Entry("pi_theta score", "SN"),
    "e_step_gradient": Entry("mdp q pi_theta score d eps", "N"),
    "m_step_gradient": Entry("mdp q b_omega pi_theta d eps grad_eps", "N"),
    "direct_gradient": Entry("mdp beta b_omega", "N"),
    "discounted_occupancy": Entry("mdp pi", "S"),
    "policy_gradient": Entry("mdp q_pi pi_theta score", "N"),
    "tangent_weights": Entry("b_omega q=beta mask", "N"),
    "project_tangent": Entry("b_omega q=beta mask", "SA", INF),
    "projected_residual_error": Entry("b_omega beta_omega mask"),
    "projected_residual_error_quadratic": Entry("b_omega beta_omega mask"),
    "zeta": Entry("b_omega beta_omega mask", "N"),
    "grad_projected_residual_error": Entry("b_omega beta_omega grad_beta hessian_vector=curvature mask", "N"),
    "zeta_update": Entry("zeta_k b_k beta_k step_size", "N"),
    "omega_update": Entry("omega_k zeta_k b_k b_next q_k gamma step_size", "N", zero_ok=("gamma",)),
    "m_step_complete": Entry("mdp pi", "SA", INF),
    "e_step_complete": Entry("q tie_tol", "SA", zero_ok=("tie_tol",)),
    "em_steps": Entry("mdp pi_0 n_steps", "SA", INF, read=lambda steps: steps[-1].q),
    "em_fixed_target_steps": Entry("mdp q_0 pi_0 n_steps", "SA", INF, read=lambda steps: steps[-1].q),
    "mpo_objective": Entry("q pi_theta pi_phi d eps"),
    "mpo_posterior": Entry("q pi_phi eps", "SA"),
    "mpo_e_step_gradient": Entry("q theta=logits pi_phi d eps", "SA"),
    "mpo_m_step_prior": Entry("pi_theta", "SA"),
    "merl_policy": Entry("q c", "SA"),
    "merl_counterexample_probability": Entry("k1 gamma c", zero_ok=("gamma",)),
    "merl_objective": Entry("mdp pi c", zero_ok=("c",)),
    "pseudo_log_likelihood": Entry("mdp pi c horizon"),
    "expected_episode_return": Entry("mdp pi horizon"),
    "pseudo_posterior_policy": Entry("mdp prior c horizon", "TSA"),
    "pseudo_optimal_policy": Entry("mdp c horizon", "TSA"),
    "solve": Entry("mdp atol", "S", zero_ok=("atol",), read=lambda solution: solution.value),
    "value_iteration": Entry("mdp atol", "S", zero_ok=("atol",), read=lambda solution: solution.value),
    "policy_iteration": Entry("mdp atol", "S", zero_ok=("atol",), read=lambda solution: solution.value),
    "soft_value_iteration": Entry("mdp c atol", "S", zero_ok=("atol",), read=lambda solution: solution.value),
    "soft_policy_iteration": Entry(
        "mdp c atol", "S", zero_ok=("atol",), read=lambda solution: solution.value
    ),
    "boltzmann_fixed_points": Entry("mdp eps", "SA", INF, read=lambda found: found.q.mean(axis=0), tol=1e-8),
    "linear_program": Entry("mdp atol", "S", zero_ok=("atol",), read=lambda s: s.value, tol=1e-6),
    "policy_evaluation": Entry("mdp pi atol", "S", zero_ok=("atol",), read=lambda solution: solution.value),
    "policy_iteration_iterates": Entry("mdp policy0 n_steps", "SA", INF, read=lambda steps: steps[-1][1]),
    "posterior_policy": Entry("q prior alpha exponent", "SA", zero_ok=("exponent",)),
    "soft_maximum": Entry("q prior alpha exponent", "S", zero_ok=("exponent",)),
    "one_step_objective": Entry("q pi prior alpha exponent", "S", zero_ok=("alpha", "exponent")),
    "expected_kl": Entry("pi prior d"),
    "regularised_value": Entry("mdp pi prior alpha exponent", "S", zero_ok=("alpha", "exponent")),
    "regularised_action_value": Entry(
        "mdp pi prior alpha exponent", "SA", INF, zero_ok=("alpha", "exponent")
    ),
    "regularised_objective": Entry("mdp pi prior alpha exponent", zero_ok=("alpha", "exponent")),
    "bellman_regularised": Entry("mdp q prior alpha exponent", "SA", INF, zero_ok=("exponent",)),
    "bellman_regularised_policy": Entry(
        "mdp q pi prior alpha exponent", "SA", INF, zero_ok=("alpha", "exponent")
    ),
    "dual_value": Entry("q prior d epsilon eta"),
    "budget_temperature": Entry("q prior d epsilon", read=lambda found: found.eta),
    "tempered_posterior": Entry("q prior eta", "SA", zero_ok=("eta",)),
    "prior_trust_region": Entry("pi prior d epsilon", "SA"),
    "prior_distilled": Entry("policies weights", "SA"),
    "prior_blind": Entry("pi d observation", "SA"),
    "certified": Entry("mdp policy=pi v", read=lambda found: found.value),
    "value_iteration_iterates": Entry("mdp q0 n_steps", "SA", INF, read=lambda steps: steps[-1]),
}

ONE = ([[[[1.0]]]], [[[1.0]]])  # a stack of one MDP of one state
RNG = np.random.default_rng(0)
OTHERS = {
    "garnet": {"n_states": lambda: vt.garnet(0, 2, 1, gamma=0.5, rng=RNG)},
    "ring": {"n_states": lambda: vt.ring(0, gamma=0.5)},
    "chain": {"slip": lambda: vt.chain(3, gamma=0.5, slip=2.0)},
    "gridworld": {"goal": lambda: vt.gridworld(2, 2, gamma=0.5, goal=(5, 5))},
    "merl_counterexample": {"k1": lambda: vt.merl_counterexample(0, gamma=0.5)},
    "two_state_toy": {"gamma": lambda: vt.two_state_toy(gamma=1.0)},
    "puterman_two_state": {"gamma": lambda: vt.puterman_two_state(gamma=-0.1)},
    "sutton_barto_gridworld": {"gamma": lambda: vt.sutton_barto_gridworld(gamma=np.nan)},
    "forest": {"n_states": lambda: vt.forest(1, gamma=0.5)},
    "solve_batch": {
        "transition": lambda: vt.solve_batch([[[[0.5]]]], ONE[1], 0.5, atol=1e-9),
        "reward": lambda: vt.solve_batch(ONE[0], [[[np.nan]]], 0.5, atol=1e-9),
        "gamma": lambda: vt.solve_batch(*ONE, 1.0, atol=1e-9),
    },
    "from_gymnasium": {"gamma": lambda: vt.from_gymnasium("FrozenLake-v1", gamma=1.0)},
    "from_qvbs": {"model": lambda: vt.from_qvbs("/nowhere/model.npz", "x", gamma=0.5)},
    "from_prism": {"tra": lambda: vt.from_prism("/nowhere/model.tra", gamma=0.5)},
    "load_problem": {"nowhere": lambda: vt.load_problem("/nowhere.npz")},
    "load_mdp": {"nowhere": lambda: vt.load_mdp("/nowhere.npz")},
    "boltzmann_expectation": {
        "eps": lambda: vt.boltzmann_expectation(np.cos, np.sin, interval=(0, 1), eps=0.0),
        "interval": lambda: vt.boltzmann_expectation(np.cos, np.sin, interval=(1, 0), eps=1.0),
    },
    "boltzmann_density": {
        "x": lambda: vt.boltzmann_density(np.cos, [2.0], interval=(0, 1), eps=1.0),
        "eps": lambda: vt.boltzmann_density(np.cos, [0.5], interval=(0, 1), eps=-1.0),
    },
    "elbo_continuous": {
        "d": lambda: vt.elbo_continuous([np.cos], pi_theta=[vt.Uniform(0.0, 1.0)], d=[0.5], eps=1.0),
        "pi_theta": lambda: vt.elbo_continuous([np.cos], pi_theta=[], d=[1.0], eps=1.0),
    },
    "log_density": {"p": lambda: vt.log_density(vt.Atom(0.0), [0.0])},
    "differential_entropy": {"sigma": lambda: vt.differential_entropy(vt.Gaussian(0.0, -1.0))},
    "algorithm_row": {"algorithm": lambda: vt.algorithm_row("mpoo")},
    "expectation": {"low": lambda: vt.expectation(np.cos, vt.Uniform(1.0, 0.0))},
}
"""Bad calls of the functions that take no tables, by the argument that the message must name."""
