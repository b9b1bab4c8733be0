"""One call that works for every public function and class that checks what it is given, by argument name."""

import numpy as np

import virel_theory as vt
from tests.support.model_files import PRISM_LAB, PRISM_TRA, SREW, write_files, write_qvbs
from tests.support.table import TABLES
from tests.support.worlds import make_world

WORLD = make_world()
POINT = vt.TabularMDP([[[1.0], [1.0]]], [[1.0, 0.0]], 0.5)
HALF = [[0.5, 0.5]]
POLICY = vt.GaussianPolicy([0.0], [1.0])
TASK = vt.GaussianTask(curvature=1.0, peak=0.0, prior_mean=0.0, prior_std=1.0, alpha=1.0)
SLOPE = np.polynomial.Polynomial([0.0, 1.0])
PLAN = vt.Plan(POINT, v=[0.0], prior=HALF, alpha=1.0, horizon=1)
ENDING = vt.TabularMDP([[[0.5, 0.5]], [[0.0, 1.0]]], [[1.0], [0.0]], 0.9)
DRN = (
    "@type: MDP\n@parameters\n\n@reward_models\nsteps\n@nr_states\n2\n@nr_choices\n2\n@model\n"
    "state 0 [1] init\n\taction 0 [0]\n\t\t0 : 0.5\n\t\t1 : 0.5\n"
    "state 1 [0] done\n\taction 0 [0]\n\t\t1 : 1\n"
)
RECORDS = {
    "AverageSolution", "BatchSolution", "BoltzmannFixedPoints", "BoundedSolution", "Budget", "Certified",
    "EMStep", "FiniteHorizonSolution", "GaussianKLParts", "Iterate", "ParticleLaw", "ParticlePlans",
    "Progress", "Root", "SampledValues", "SelfConsistentTemperatures", "Solution", "ThreadUse",
    "TrustedPolicy",
}  # fmt: skip
"""Classes that functions return: nobody makes them by hand."""
OTHERS = {
    "Approximator",
    "InputError",
    "NormOptions",
    "Normalisation",
    "SolverError",
    "SolverInterrupted",
    "Status",
}
"""An interface, errors, names of choices: they take no arguments of ours."""


def rng():
    return np.random.default_rng(0)


def good_calls(folder):
    """`{name: arguments}`; model files are written to `folder`."""
    return _of_tables() | _of_models() | _of_files(folder) | _of_solvers() | _of_design() | _of_actions()


def _of_tables():
    out = {}
    for name, entry in TABLES.items():
        values = WORLD.values | {"mdp": WORLD.mdp}
        out[name] = {arg: values[value] for arg, value in entry.names.items()}
        if isinstance(out[name].get("hessian_vector"), np.ndarray):
            out[name]["hessian_vector"] = lambda v, curvature=out[name]["hessian_vector"]: curvature @ v
    return out


def _of_models():
    return {
        "TabularMDP": {"transition": [[[1.0], [1.0]]], "reward": [[1.0, 0.0]], "gamma": 0.5},
        "garnet": {"n_states": 3, "n_actions": 2, "branching": 2, "gamma": 0.5, "rng": rng()},
        "ring": {"n_states": 3, "gamma": 0.5, "rng": rng()},
        "chain": {"n_states": 3, "gamma": 0.5},
        "gridworld": {"height": 2, "width": 2, "gamma": 0.5, "goal": (1, 1), "walls": [(0, 1)]},
        "merl_counterexample": {"k1": 2, "gamma": 0.5},
        "two_state_toy": {"gamma": 0.5},
        "puterman_two_state": {"gamma": 0.5},
        "sutton_barto_gridworld": {"gamma": 0.5},
        "forest": {"n_states": 3, "gamma": 0.5},
        "from_gymnasium": {"env": "FrozenLake-v1", "gamma": 0.5},
        "from_toolbox": {"transition": [[[1.0]]], "reward": [[1.0]], "gamma": 0.5},
        "TabularQ": {"mask": [[True, True]]},
        "LinearQ": {"features": [[[1.0], [2.0]]]},
        "TanhQ": {"features": [[[1.0], [2.0]]], "n_hidden": 1},
        "Gaussian": {},
        "Uniform": {"low": 0.0, "high": 1.0},
        "Atom": {"point": 0.0},
        "Mixture": {"weights": (0.5, 0.5), "parts": (vt.Uniform(0.0, 1.0), vt.Atom(0.0))},
    }


def _of_files(folder):
    files = write_files(folder, tra=PRISM_TRA, lab=PRISM_LAB, srew=SREW, drn=DRN)
    return {
        "from_prism": {"tra": files["tra"], "gamma": 0.5, "lab": files["lab"], "rew": files["srew"]},
        "from_drn": {"path": files["drn"], "gamma": 0.5},
        "from_qvbs": {"path": write_qvbs(folder), "objective": "cost", "gamma": 0.5},
        "load_problem": {"spec": files["drn"], "gamma": 0.5},
        "load_mdp": {"spec": files["drn"], "gamma": 0.5},
    }


def _of_solvers():
    return {
        "solve_batch": {"transition": [[[[1.0]]]], "reward": [[[1.0]]], "gamma": 0.5, "atol": 1e-9},
        "finite_horizon": {"mdp": ENDING, "horizon": 2},
        "reachability": {"mdp": ENDING, "goal": [1], "atol": 1e-9},
        "shortest_path": {"mdp": ENDING, "goal": [1], "atol": 1e-9},
        "average_reward": {"mdp": ENDING, "atol": 1e-9},
        "boltzmann_expectation": {"f": np.cos, "phi": np.sin, "interval": (0.0, 1.0), "eps": 1.0},
        "boltzmann_density": {"f": np.cos, "x": [0.5], "interval": (0.0, 1.0), "eps": 1.0},
        "elbo_continuous": {"q": [np.cos], "pi_theta": [vt.Uniform(0.0, 1.0)], "d": [1.0], "eps": 1.0},
        "log_density": {"p": vt.Uniform(0.0, 1.0), "x": [0.5]},
        "differential_entropy": {"p": vt.Uniform(0.0, 1.0)},
        "expectation": {"phi": np.cos, "p": vt.Uniform(0.0, 1.0)},
    }


def _of_design():
    value = {"v": [0.0], "pi": HALF, "prior": HALF, "alpha": 1.0, "steps": 2}
    return {
        "Plan": {"mdp": POINT, "v": [0.0], "prior": HALF, "alpha": 1.0, "horizon": 1},
        "expanded_value": {"model": POINT} | value,
        "expanded_action_value": {"model": POINT} | value,
        "perturbed_model": {"mdp": ENDING, "noise": 0.5},
        "simulation_bound": {"mdp": POINT, "model": POINT, "v": [0.0]},
        "particle_law": {"plan": PLAN, "state": 0, "particles": 2},
        "simulate_plans": {"plan": PLAN, "states": [0], "particles": 2, "rng": rng()},
        "plan_values": {"plan": PLAN},
        "plan_posterior": {"plan": PLAN},
        "plan_log_evidence": {"plan": PLAN},
        "algorithm_row": {"name": "mpo"},
        "iterate": {"algorithm": "mpo", "mdp": POINT},
        "distral": {"mdps": [POINT]},
        "hdp": {"mdp": POINT},
        "gated_update": {"lam": [0.0], "delta": [1.0], "gate": 0.5},
        "latent_posterior": {"high": [[1.0]], "low": [HALF]},
        "sampled_soft_values": {"q": [[0.0, 1.0]], "proposal": HALF, "alpha": 1.0, "n": 2},
    }


def _of_actions():
    value = {"policy": POLICY, "optimum": [1.0], "curvature": [1.0]}
    return {
        "GaussianPolicy": {"mean": [0.0], "variance": [1.0]},
        "GaussianTask": {"curvature": 1.0, "peak": 0.0, "prior_mean": 0.0, "prior_std": 1.0, "alpha": 1.0},
        "gaussian_budget_temperature": value | {"epsilon": 0.1},
        "gaussian_posterior": value | {"eta": 1.0},
        "gaussian_iterates": value | {"samples": 4, "rng": rng()},
        "gaussian_family_gap": {"task": TASK, "std": 1.0},
        "gaussian_inference": {"task": TASK, "iterations": 1, "step": 0.5},
        "gaussian_objective": {"task": TASK, "mean": 0.0, "std": 1.0},
        "gaussian_safe_step": {"task": TASK},
        "gaussian_kl": {"p": POLICY, "q": POLICY},
        "gaussian_kl_parts": {"old": POLICY, "new": POLICY},
        "gaussian_m_step": {"posterior": POLICY, "policy": POLICY, "decoupled": True},
        "gaussian_moments": {"actions": [[0.0], [1.0]], "weights": [0.5, 0.5]},
        "action_weights": {"q": SLOPE, "alpha": 1.0},
        "misplaced_score": {"a": [0.0], "q": SLOPE, "alpha": 1.0},
        "squashed_score": {"u": [0.0], "q": SLOPE, "alpha": 1.0},
        "stein_direction": {"particles": [0.0], "score": [1.0], "bandwidth": 1.0},
        "stein_flow": {"particles": [0.0], "q": SLOPE, "alpha": 1.0, "space": "u", "step": 0.1, "n_steps": 1},
        "tanh_rule": {},
    }
