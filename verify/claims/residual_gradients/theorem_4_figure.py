"""Figure of Theorem 4 and (30): relative error of each gradient against the temperature."""

import numpy as np

from verify.claims.residual_gradients.self_consistent import Model, evaluate, with_residual
from verify.claims.residual_gradients.theorem_4_truth import eps_truth, policy_truth
from verify.engine.plotdata import Curve, Figure, Panel
from virel_theory.checks import Array
from virel_theory.gradients.approximators import TanhQ
from virel_theory.gradients.as_printed import grad_eps_as_printed, theorem_4_as_printed
from virel_theory.gradients.pairs import mean_over_pairs
from virel_theory.gradients.residual_error import grad_eps_boltzmann, grad_policy_term
from virel_theory.mdp.tabular import TabularMDP

TEMPERATURES = np.geomspace(0.02, 50, 25)


def figures(seed: int) -> list[Figure]:
    """Figure of the errors of printed and corrected gradients for a critic with a tanh layer, on one MDP.

    The MDP is random. 3 states, 2 actions, gamma 0.9; the reward is fitted again so that each eps is
    self-consistent.
    """
    rows = np.array([_errors(*_instance(seed, float(eps)), float(eps)) for eps in TEMPERATURES])
    policy = ("Theorem 4 as printed", "corrected")
    residual = ("(30) as printed", "corrected", "fixed policy only")
    return [
        Figure(
            "theorem-4-relative-error",
            [
                _panel(r"$E[\beta E_\omega[(\nabla\log\pi_\omega)\hat Q]]$", policy, rows[:, :2]),
                _panel(r"$\nabla\varepsilon_\omega$", residual, rows[:, 2:]),
            ],
            "Relative error (largest entry) against a derivative from dual numbers through the self-consistent "
            f"temperature. Random MDP, 3 states, 2 actions, gamma = 0.9, one tanh layer, seed {seed}.",
        )
    ]


def _instance(seed: int, eps: float) -> tuple[TabularMDP, Model]:
    rng = np.random.default_rng(seed)
    base = TabularMDP(rng.dirichlet(np.ones(3), size=(3, 2)), np.zeros((3, 2)), 0.9)
    approximator = TanhQ(rng.normal(size=(3, 2, 2)), 2)
    omega, direction = rng.normal(size=approximator.n_parameters), np.abs(rng.normal(size=(3, 2)))
    beta = direction * np.sqrt(2 * eps / (direction**2).mean())
    return with_residual(base, approximator.value(omega), beta=beta, eps=eps), (approximator, omega)


def _errors(mdp: TabularMDP, model: Model, eps: float) -> list[float]:
    point = evaluate(mdp, model, eps)
    q, b, beta = point.q, point.b_omega, point.beta
    x, slope = policy_truth(mdp, model, eps, method="dual"), eps_truth(mdp, model, eps, method="dual")
    next_b = np.einsum("sat,tb,tbn->san", np.asarray(mdp.transition), point.pi, b)
    fixed = mean_over_pairs(mdp, beta[:, :, None] * (mdp.gamma * next_b - b))
    return [
        _relative(theorem_4_as_printed(mdp, q, b, beta=beta, eps=eps), x),
        _relative(grad_policy_term(mdp, q, b, beta=beta, eps=eps), x),
        _relative(grad_eps_as_printed(mdp, q, b, beta=beta, eps=eps), slope),
        _relative(grad_eps_boltzmann(mdp, q, b, beta=beta, eps=eps), slope),
        _relative(fixed, slope),
    ]


def _relative(found: Array, truth: Array) -> float:
    """Largest error of a gradient relative to the true one, at least 1e-17 for a logarithmic axis."""
    return max(float(np.abs(found - truth).max() / np.abs(truth).max()), 1e-17)


def _panel(title: str, labels: tuple[str, ...], rows: Array) -> Panel:
    curves = [Curve(label, TEMPERATURES, rows[:, i]) for i, label in enumerate(labels)]
    return Panel(title, r"temperature $\varepsilon_\omega$", "relative error", curves, "log", "log")
