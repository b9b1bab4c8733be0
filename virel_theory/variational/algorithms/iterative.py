r"""Soft policy iteration with iterative inference, exact: the E-step in n steps, Marino et al. (15).

The exact counterpart of `sac-iterative`: the posterior of every step is inferred by n mirror or gradient
steps on (16), and not by its closed form (11).
"""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from virel_theory.checks import Array, as_temperature
from virel_theory.mdp.tables import require_mdp
from virel_theory.mdp.tabular import TabularMDP
from virel_theory.variational.algorithms.iadp import policy_values
from virel_theory.variational.core.e_step import expected_kl
from virel_theory.variational.core.iterate import (
    Iterate,
    Iterates,
    as_sweeps,
    certified,
    evaluate,
    first_prior,
    state_distribution,
)
from virel_theory.variational.parts.amortisation import (
    Form,
    as_gate,
    as_iterations,
    as_length,
    as_positive_prior,
    inference_policies,
)


def sac_iterative(
    mdp: TabularMDP,
    *,
    alpha: float = 1.0,
    iterations: int = 2,
    step: float | None = None,
    form: Form = "mirror",
    gate: float = 0.0,
    prior: ArrayLike | None = None,
    d: ArrayLike | None = None,
    sweeps: int | None = None,
) -> Iterates:
    r"""Iterates of soft policy iteration whose E-step is n inference steps, Marino et al., Eqs. (9), (15).

    Step k = 1, 2, ..., with a fixed prior p, from $\pi_0 = p$:

    * V: $Q_k = Q_{\pi_{k-1}}$ of (9), the fixed point of
      $BQ = r + \gamma P(E_{\pi_{k-1}}Q - \alpha KL(\pi_{k-1}\|p))$. With `sweeps` = n it is $B^nQ_{k-1}$,
      $Q_0 = 0$.
    * E: $\lambda_0 = \log p$, then n = `iterations` steps
      $\lambda_{j+1} = \omega\lambda_j + (1 - \omega)\delta_j$ with
      $\delta_j = (1 - \alpha t)\lambda_j + t(Q_k + \alpha\log p)$ (`mirror`), or
      $\delta_{j,a} = \lambda_{j,a} + t\,\pi_{j,a}(g_a - E_{\pi_j}g)$, $g = Q_k - \alpha\log(\pi_j/p)$
      (`gradient`), where $\pi_j = \mathrm{softmax}(\lambda_j)$ and t = `step`;
      $\pi_k = \mathrm{softmax}(\lambda_n)$.
    * M: none.

    n mirror steps give the posterior at the higher temperature $\alpha/(1 - (1 - \alpha t(1 - \omega))^n)$,
    while V pays for the KL divergence at $\alpha$: the limit is not the soft optimum for any n, unless
    $t = 1/\alpha$ and gate 0.

    Args:
        mdp: the MDP.
        alpha: temperature > 0, reward units.
        iterations: number n >= 0 of inference steps; 0 acts by the prior.
        step: length t > 0 of a step, per reward unit; at most 1/alpha for mirror steps. None: 1/(2 alpha) for
            mirror steps, `safe_step` of each state and step k for gradient steps.
        form: `mirror` or `gradient`.
        gate: omega in [0, 1]: 0 takes the whole step, 1 none.
        prior: `[S, A]`, positive on every existing action; None: uniform.
        d: `[S]` weights of states in `kl`; None: uniform.
        sweeps: backups per step; None: exact values.

    Returns: endless iterator of `Iterate`; `policy` is the inferred posterior, `prior` is p, `kl` is
        $E_dKL(\pi_k\|p)$.
    Raises: InputError: on a prior that is 0 on an existing action, or a setting out of range.

    Example:
        >>> mdp = TabularMDP([[[1.0], [1.0]]], [[1.0, 0.0]], 0.0)
        >>> [next(sac_iterative(mdp, iterations=n, step=1.0)).policy[0, 0].round(4).item() for n in (0, 1, 2)]
        [0.5, 0.7311, 0.7311]
    """
    require_mdp(mdp)
    temperature = as_temperature(alpha, name="alpha")
    q = np.where(mdp.available, 0.0, -np.inf)
    p = as_positive_prior(first_prior(prior, mdp), q)
    as_length(step, alpha=temperature, form=form)
    steps = {"iterations": as_iterations(iterations), "step": step, "form": form, "gate": as_gate(gate)}
    weights = state_distribution(d, mdp)
    return _iterates(mdp, q, p, alpha=temperature, steps=steps, d=weights, sweeps=as_sweeps(sweeps))


def _iterates(
    mdp: TabularMDP, q: Array, p: Array, *, alpha: float, steps: dict[str, Any], d: Array, sweeps: int | None
) -> Iterates:
    """Yield the steps of soft policy iteration with iterative inference; the arguments are checked."""
    pi, v, step = p, np.zeros(mdp.n_states), 0
    while True:
        step += 1
        q = policy_values(mdp, q, pi=pi, prior=p, alpha=alpha, sweeps=sweeps)
        pi = inference_policies(q, prior=p, alpha=alpha, **steps)[-1]
        v = evaluate(mdp, policy=pi, v=v, sweeps=sweeps)
        judged, kl = certified(mdp, policy=pi, v=v), expected_kl(pi, p, d=d)
        yield Iterate(step, q, pi, p, pi, alpha, kl, judged.value, judged.error, judged.bound)
