"""Exact-MDP core of the VIREL toolkit: numpy, numba and scipy only.

Every public name is here, and its module is imported on first use: `import virel_theory` is quick.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from virel_theory._validate import InputError as InputError
    from virel_theory.approximators import Approximator as Approximator
    from virel_theory.approximators import LinearQ as LinearQ
    from virel_theory.approximators import TabularQ as TabularQ
    from virel_theory.approximators import TanhQ as TanhQ
    from virel_theory.batch import BatchSolution as BatchSolution
    from virel_theory.batch import solve_batch as solve_batch
    from virel_theory.boltzmann import BoltzmannFixedPoints as BoltzmannFixedPoints
    from virel_theory.boltzmann import boltzmann_fixed_points as boltzmann_fixed_points
    from virel_theory.continuous import boltzmann_density as boltzmann_density
    from virel_theory.continuous import boltzmann_expectation as boltzmann_expectation
    from virel_theory.continuous import elbo_continuous as elbo_continuous
    from virel_theory.densities import Atom as Atom
    from virel_theory.densities import Gaussian as Gaussian
    from virel_theory.densities import Mixture as Mixture
    from virel_theory.densities import Uniform as Uniform
    from virel_theory.densities import differential_entropy as differential_entropy
    from virel_theory.densities import expectation as expectation
    from virel_theory.densities import log_density as log_density
    from virel_theory.em import EMStep as EMStep
    from virel_theory.em import e_step_complete as e_step_complete
    from virel_theory.em import em_fixed_target_steps as em_fixed_target_steps
    from virel_theory.em import em_steps as em_steps
    from virel_theory.em import m_step_complete as m_step_complete
    from virel_theory.generate import chain as chain
    from virel_theory.generate import garnet as garnet
    from virel_theory.generate import gridworld as gridworld
    from virel_theory.generate import merl_counterexample as merl_counterexample
    from virel_theory.generate import ring as ring
    from virel_theory.gradients import centre_actions as centre_actions
    from virel_theory.gradients import expect_next as expect_next
    from virel_theory.gradients import grad_beta_boltzmann as grad_beta_boltzmann
    from virel_theory.gradients import grad_beta_fixed_policy as grad_beta_fixed_policy
    from virel_theory.gradients import grad_beta_incremental as grad_beta_incremental
    from virel_theory.gradients import grad_beta_optimal as grad_beta_optimal
    from virel_theory.gradients import grad_eps_boltzmann as grad_eps_boltzmann
    from virel_theory.gradients import grad_eps_chain as grad_eps_chain
    from virel_theory.gradients import grad_eps_from_score as grad_eps_from_score
    from virel_theory.gradients import grad_log_boltzmann as grad_log_boltzmann
    from virel_theory.gradients import grad_log_incremental as grad_log_incremental
    from virel_theory.gradients import grad_policy_term as grad_policy_term
    from virel_theory.gradients_as_printed import direct_gradient_as_printed as direct_gradient_as_printed
    from virel_theory.gradients_as_printed import (
        grad_beta_incremental_as_printed as grad_beta_incremental_as_printed,
    )
    from virel_theory.gradients_as_printed import grad_beta_optimal_as_printed as grad_beta_optimal_as_printed
    from virel_theory.gradients_as_printed import grad_eps_as_printed as grad_eps_as_printed
    from virel_theory.gradients_as_printed import theorem_4_as_printed as theorem_4_as_printed
    from virel_theory.gradients_em import direct_gradient as direct_gradient
    from virel_theory.gradients_em import discounted_occupancy as discounted_occupancy
    from virel_theory.gradients_em import e_step_gradient as e_step_gradient
    from virel_theory.gradients_em import grad_entropy as grad_entropy
    from virel_theory.gradients_em import log_linear_policy as log_linear_policy
    from virel_theory.gradients_em import log_linear_score as log_linear_score
    from virel_theory.gradients_em import m_step_gradient as m_step_gradient
    from virel_theory.gradients_em import policy_gradient as policy_gradient
    from virel_theory.ingest import from_gymnasium as from_gymnasium
    from virel_theory.ingest import from_prism as from_prism
    from virel_theory.ingest import from_qvbs as from_qvbs
    from virel_theory.ingest import load_mdp as load_mdp
    from virel_theory.ingest import load_problem as load_problem
    from virel_theory.lp import linear_program as linear_program
    from virel_theory.mdp import TabularMDP as TabularMDP
    from virel_theory.merl import SoftValues as SoftValues
    from virel_theory.merl import merl_counterexample_probability as merl_counterexample_probability
    from virel_theory.merl import merl_objective as merl_objective
    from virel_theory.merl import merl_policy as merl_policy
    from virel_theory.merl import soft_optimal_values as soft_optimal_values
    from virel_theory.mpo import mpo_e_step_gradient as mpo_e_step_gradient
    from virel_theory.mpo import mpo_m_step_prior as mpo_m_step_prior
    from virel_theory.mpo import mpo_objective as mpo_objective
    from virel_theory.mpo import mpo_posterior as mpo_posterior
    from virel_theory.objective import boltzmann_joint as boltzmann_joint
    from virel_theory.objective import elbo as elbo
    from virel_theory.objective import log_partition as log_partition
    from virel_theory.operators import bellman_boltzmann as bellman_boltzmann
    from virel_theory.operators import bellman_incremental as bellman_incremental
    from virel_theory.operators import bellman_optimal as bellman_optimal
    from virel_theory.operators import bellman_policy as bellman_policy
    from virel_theory.operators import bellman_soft as bellman_soft
    from virel_theory.operators import state_value as state_value
    from virel_theory.policies import boltzmann_policy as boltzmann_policy
    from virel_theory.policies import entropy as entropy
    from virel_theory.policies import greedy_policy as greedy_policy
    from virel_theory.policies import kl_divergence as kl_divergence
    from virel_theory.policies import log_boltzmann_policy as log_boltzmann_policy
    from virel_theory.posterior import log_marginal as log_marginal
    from virel_theory.posterior import log_state_normaliser as log_state_normaliser
    from virel_theory.posterior import optimality_likelihood as optimality_likelihood
    from virel_theory.posterior import posterior_action as posterior_action
    from virel_theory.posterior import posterior_elbo as posterior_elbo
    from virel_theory.posterior import posterior_joint as posterior_joint
    from virel_theory.projection import grad_projected_residual_error as grad_projected_residual_error
    from virel_theory.projection import omega_update as omega_update
    from virel_theory.projection import project_tangent as project_tangent
    from virel_theory.projection import projected_residual_error as projected_residual_error
    from virel_theory.projection import (
        projected_residual_error_quadratic as projected_residual_error_quadratic,
    )
    from virel_theory.projection import tangent_weights as tangent_weights
    from virel_theory.projection import zeta as zeta
    from virel_theory.projection import zeta_update as zeta_update
    from virel_theory.pseudo_likelihood import expected_episode_return as expected_episode_return
    from virel_theory.pseudo_likelihood import pseudo_log_likelihood as pseudo_log_likelihood
    from virel_theory.pseudo_likelihood import pseudo_optimal_policy as pseudo_optimal_policy
    from virel_theory.pseudo_likelihood import pseudo_posterior_policy as pseudo_posterior_policy
    from virel_theory.residual import Normalisation as Normalisation
    from virel_theory.residual import NormOptions as NormOptions
    from virel_theory.residual import bellman_residual as bellman_residual
    from virel_theory.residual import incremental_residual_error as incremental_residual_error
    from virel_theory.residual import residual_error as residual_error
    from virel_theory.residual import residual_weights as residual_weights
    from virel_theory.self_consistent import Root as Root
    from virel_theory.self_consistent import SelfConsistentTemperatures as SelfConsistentTemperatures
    from virel_theory.self_consistent import self_consistent_temperatures as self_consistent_temperatures
    from virel_theory.self_consistent import temperature_map as temperature_map
    from virel_theory.self_consistent import temperature_map_derivative as temperature_map_derivative
    from virel_theory.soft_solvers import soft_policy_iteration as soft_policy_iteration
    from virel_theory.soft_solvers import soft_value_iteration as soft_value_iteration
    from virel_theory.solution import Solution as Solution
    from virel_theory.solution import SolverError as SolverError
    from virel_theory.solution import Status as Status
    from virel_theory.solvers import policy_evaluation as policy_evaluation
    from virel_theory.solvers import policy_iteration as policy_iteration
    from virel_theory.solvers import policy_iteration_iterates as policy_iteration_iterates
    from virel_theory.solvers import solve as solve
    from virel_theory.solvers import value_iteration as value_iteration
    from virel_theory.solvers import value_iteration_iterates as value_iteration_iterates
    from virel_theory.textbook import forest as forest
    from virel_theory.textbook import puterman_two_state as puterman_two_state
    from virel_theory.textbook import sutton_barto_gridworld as sutton_barto_gridworld
    from virel_theory.textbook import two_state_toy as two_state_toy

_NAMES = {
    "_validate": "InputError",
    "mdp": "TabularMDP",
    "generate": "garnet ring chain gridworld merl_counterexample",
    "textbook": "two_state_toy puterman_two_state sutton_barto_gridworld forest",
    "ingest": "from_gymnasium from_qvbs from_prism load_problem load_mdp",
    "policies": "log_boltzmann_policy boltzmann_policy greedy_policy entropy kl_divergence",
    "operators": (
        "state_value bellman_policy bellman_optimal bellman_boltzmann bellman_incremental bellman_soft"
    ),
    "residual": (
        "Normalisation NormOptions bellman_residual residual_weights residual_error "
        "incremental_residual_error"
    ),
    "self_consistent": (
        "Root SelfConsistentTemperatures temperature_map temperature_map_derivative "
        "self_consistent_temperatures"
    ),
    "objective": "elbo log_partition boltzmann_joint",
    "posterior": (
        "optimality_likelihood log_state_normaliser posterior_joint posterior_action log_marginal "
        "posterior_elbo"
    ),
    "approximators": "Approximator TabularQ LinearQ TanhQ",
    "gradients": (
        "centre_actions expect_next grad_beta_fixed_policy grad_log_boltzmann grad_eps_chain "
        "grad_beta_optimal grad_beta_boltzmann grad_eps_from_score grad_policy_term grad_eps_boltzmann "
        "grad_log_incremental grad_beta_incremental"
    ),
    "gradients_as_printed": (
        "grad_beta_optimal_as_printed theorem_4_as_printed grad_eps_as_printed "
        "grad_beta_incremental_as_printed direct_gradient_as_printed"
    ),
    "gradients_em": (
        "log_linear_policy log_linear_score grad_entropy e_step_gradient m_step_gradient direct_gradient "
        "discounted_occupancy policy_gradient"
    ),
    "projection": (
        "tangent_weights project_tangent projected_residual_error projected_residual_error_quadratic "
        "zeta grad_projected_residual_error zeta_update omega_update"
    ),
    "solution": "Status SolverError Solution",
    "batch": "BatchSolution solve_batch",
    "soft_solvers": "soft_value_iteration soft_policy_iteration",
    "boltzmann": "BoltzmannFixedPoints boltzmann_fixed_points",
    "lp": "linear_program",
    "solvers": (
        "solve value_iteration policy_iteration policy_evaluation policy_iteration_iterates "
        "value_iteration_iterates"
    ),
    "em": "EMStep m_step_complete e_step_complete em_steps em_fixed_target_steps",
    "mpo": "mpo_objective mpo_posterior mpo_e_step_gradient mpo_m_step_prior",
    "merl": "SoftValues soft_optimal_values merl_policy merl_counterexample_probability merl_objective",
    "pseudo_likelihood": (
        "pseudo_log_likelihood expected_episode_return pseudo_posterior_policy pseudo_optimal_policy"
    ),
    "continuous": "boltzmann_expectation boltzmann_density elbo_continuous",
    "densities": "Gaussian Uniform Atom Mixture log_density differential_entropy expectation",
}
_MODULE_OF = {name: module for module, names in _NAMES.items() for name in names.split()}

__all__ = list(_MODULE_OF)

if not TYPE_CHECKING:  # mypy would take any name for an attribute of this module

    def __getattr__(name: str) -> Any:
        """Import the module of a public name on first use (PEP 562)."""
        if name not in _MODULE_OF:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = getattr(import_module(f"{__name__}.{_MODULE_OF[name]}"), name)
        globals()[name] = value
        return value

    def __dir__() -> list[str]:
        return sorted({*globals(), *__all__})
