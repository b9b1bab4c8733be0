"""Entries of the table of public functions for the exact design space, `virel_theory.variational`."""

from itertools import islice

import numpy as np

import virel_theory as vt
from tests.support.entry import Entry

INF = -np.inf


def _third_policy(iterates):
    """The policy that acts after the third iteration."""
    return next(islice(iterates, 2, None)).policy


def _algorithm(args, **options):
    return Entry(args, "SA", read=_third_policy, **options)


TABLES = {
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
    "policy_iteration_steps": _algorithm("mdp tie_tol prior d", zero_ok=("tie_tol",)),
    "soft_policy_iteration_steps": _algorithm("mdp alpha exponent prior d", zero_ok=("exponent",)),
    "virel": _algorithm("mdp alpha prior d", zero_ok=("alpha",)),
    "beta": _algorithm("mdp scale=alpha prior d"),
    "sql": _algorithm("mdp alpha v0=v d"),
    "mpo": _algorithm("mdp epsilon prior d"),
    "mpo_parametric": _algorithm("mdp trust=epsilon prior d"),
    "natural_policy_gradient": _algorithm("mdp step=alpha prior d"),
    "rerpi": _algorithm("mdp epsilon trust=epsilon prior d"),
    "vmpo": _algorithm("mdp keep=alpha epsilon prior"),
    "erpg": _algorithm("mdp tau=eta step=alpha prior d"),
    "sac_iterative": _algorithm("mdp alpha step=eta prior d"),
    "iadp": _algorithm("mdp alpha observation d"),
    "smcp": _algorithm("mdp alpha prior d"),
    "mb_sac": _algorithm("mdp alpha trace=exponent prior d", zero_ok=("trace",)),
    "mb_iadp": _algorithm("mdp observation alpha d"),
    "mb_mpo": _algorithm("mdp epsilon prior d"),
    "policy_trust_region": Entry("q prior d epsilon", "SA", read=lambda found: found.policy),
    "rank_posterior": Entry("q prior tie_tol", "SA", zero_ok=("tie_tol",)),
    "joint_m_step": Entry("psi=mass policy=pi d trust=epsilon", "SA"),
    "top_share": Entry("advantage=q mass keep=alpha tie_tol", "SA", zero_ok=("tie_tol",)),
    "top_share_dual": Entry("advantage=q mass keep=alpha epsilon eta tie_tol", zero_ok=("tie_tol",)),
    "top_share_posterior": Entry("advantage=q mass keep=alpha eta tie_tol", "SA", zero_ok=("eta", "tie_tol")),
    "top_share_temperature": Entry("advantage=q mass keep=alpha epsilon tie_tol", zero_ok=("tie_tol",)),
    "conditional_information": Entry("pi d observation"),
    "latent_policy": Entry("high=phigh low=policies", "SA"),
    "chain_kl": Entry("high=phigh low=policies default_high=pdefault", "S"),
    "regularised_optimum": Entry(
        "mdp prior alpha exponent", "SA", INF, zero_ok=("exponent",), read=lambda found: found[0]
    ),
    "visit_distribution": Entry("mdp pi", "S"),
    "inference_gap": Entry("q pi prior alpha exponent", "S", zero_ok=("exponent",)),
    "inference_policies": Entry(
        "q prior alpha iterations=horizon exponent", "SA", zero_ok=("exponent",), read=lambda found: found[-1]
    ),
    "safe_step": Entry("q prior alpha exponent", "S", zero_ok=("exponent",)),
}
"""Functions of tables."""

_POINT = vt.TabularMDP([[[1.0], [1.0]]], [[1.0, 0.0]], 0.5)
_POLICY = vt.GaussianPolicy([0.0], [1.0])
_TASK = vt.GaussianTask(curvature=1.0, peak=0.0, prior_mean=0.0, prior_std=1.0, alpha=1.0)
_Q = np.polynomial.Polynomial([0.0, 1.0])
_HALF = [[0.5, 0.5]]
_PLAN = vt.Plan(_POINT, v=[0.0], prior=_HALF, alpha=1.0, horizon=1)
OTHERS = {
    "expanded_value": {
        "steps": lambda: vt.expanded_value(_POINT, [0.0], pi=_HALF, prior=_HALF, alpha=1.0, steps=-1)
    },
    "expanded_action_value": {
        "trace": lambda: vt.expanded_action_value(
            _POINT, [0.0], pi=_HALF, prior=_HALF, alpha=1.0, steps=2, trace=1.5
        )
    },
    "perturbed_model": {"noise": lambda: vt.perturbed_model(_POINT, noise=2.0)},
    "simulation_bound": {"v": lambda: vt.simulation_bound(_POINT, _POINT, v=[np.nan])},
    "particle_law": {"particles": lambda: vt.particle_law(_PLAN, state=0, particles=0)},
    "simulate_plans": {
        "particles": lambda: vt.simulate_plans(_PLAN, states=[0], particles=0, rng=np.random.default_rng(0))
    },
    "plan_values": {"horizon": lambda: vt.Plan(_POINT, v=[0.0], prior=_HALF, alpha=1.0, horizon=0)},
    "plan_posterior": {"prior": lambda: vt.Plan(_POINT, v=[0.0], prior=[[0.5, 0.4]], alpha=1.0, horizon=1)},
    "plan_log_evidence": {
        "alpha": lambda: vt.plan_log_evidence(vt.Plan(_POINT, v=[0.0], prior=_HALF, alpha=0.0, horizon=1))
    },
    "algorithm_row": {"algorithm": lambda: vt.algorithm_row("mpoo")},
    "distral": {"mdps": lambda: vt.distral([])},
    "iterate": {"steps": lambda: vt.iterate("mpo", _POINT, steps=0)},
    "hdp": {"latents": lambda: vt.hdp(_POINT, latents=0)},
    "gated_update": {"gate": lambda: vt.gated_update([0.0], [1.0], gate=2.0)},
    "latent_posterior": {"low": lambda: vt.latent_posterior([[1.0]], [[[0.5, 0.4]]])},
    "gaussian_budget_temperature": {
        "epsilon": lambda: vt.gaussian_budget_temperature(
            _POLICY, optimum=[1.0], curvature=[1.0], epsilon=0.0
        )
    },
    "gaussian_family_gap": {"std": lambda: vt.gaussian_family_gap(_TASK, std=-1.0)},
    "gaussian_inference": {"iterations": lambda: vt.gaussian_inference(_TASK, iterations=-1, step=0.5)},
    "gaussian_iterates": {
        "samples": lambda: vt.gaussian_iterates(_POLICY, optimum=[1.0], curvature=[1.0], samples=0)
    },
    "gaussian_kl": {"mean": lambda: vt.gaussian_kl(_POLICY, vt.GaussianPolicy([np.nan], [1.0]))},
    "gaussian_kl_parts": {"variance": lambda: vt.gaussian_kl_parts(_POLICY, vt.GaussianPolicy([0.0], [0.0]))},
    "gaussian_m_step": {
        "policy": lambda: vt.gaussian_m_step(
            _POLICY, policy=vt.GaussianPolicy([0.0, 0.0], [1.0, 1.0]), decoupled=True
        )
    },
    "gaussian_moments": {"weights": lambda: vt.gaussian_moments([[0.0]], weights=[0.5])},
    "gaussian_objective": {"std": lambda: vt.gaussian_objective(_TASK, mean=0.0, std=0.0)},
    "gaussian_posterior": {
        "eta": lambda: vt.gaussian_posterior(_POLICY, optimum=[1.0], curvature=[1.0], eta=-1.0)
    },
    "gaussian_safe_step": {
        "curvature": lambda: vt.gaussian_safe_step(
            vt.GaussianTask(curvature=np.nan, peak=0.0, prior_mean=0.0, prior_std=1.0, alpha=1.0)
        )
    },
    "action_weights": {"alpha": lambda: vt.action_weights(q=_Q, alpha=0.0)},
    "misplaced_score": {"alpha": lambda: vt.misplaced_score([0.0], q=_Q, alpha=-1.0)},
    "squashed_score": {"alpha": lambda: vt.squashed_score([0.0], q=_Q, alpha=-1.0)},
    "stein_direction": {"bandwidth": lambda: vt.stein_direction([0.0], score=[1.0], bandwidth=0.0)},
    "stein_flow": {"n_steps": lambda: vt.stein_flow([0.0], q=_Q, alpha=1.0, space="u", step=0.1, n_steps=-1)},
    "tanh_rule": {},
    "sampled_soft_values": {
        "n": lambda: vt.sampled_soft_values([[0.0, 1.0]], proposal=[[0.5, 0.5]], alpha=1.0, n=0)
    },
}
"""Bad calls of the functions that take no tables."""
