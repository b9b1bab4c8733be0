"""The list of exact algorithms: rows of Table 1 of Marino et al., by the name that their deep presets have.

A module is imported when its algorithm is first asked for.
"""

import difflib
import importlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from virel_common.errors import InputError, shown
from virel_theory.checks import is_one_of
from virel_theory.variational.core.iterate import Iterates


@dataclass(frozen=True)
class Row:
    """One exact algorithm: its name, where its function stands, and a line on what it does."""

    name: str
    """Name in kebab-case, as on the command line: `mpo-parametric`."""
    module: str
    """Module in `virel_theory.variational.algorithms`."""
    function: str
    """Function of the module, called as `function(mdp, **settings)`."""
    summary: str
    """What the algorithm does, in one line."""
    several_tasks: bool = False
    """Whether the first argument is a list of MDPs, one per task."""

    def load(self) -> Callable[..., Iterates]:
        """Import and return the algorithm's function."""
        found = importlib.import_module(f"virel_theory.variational.algorithms.{self.module}")
        function: Callable[..., Iterates] = getattr(found, self.function)
        return function


ROWS = (
    Row(
        "policy-iteration",
        "classical",
        "policy_iteration_steps",
        "policy iteration: greedy on exact values, no regulariser",
    ),
    Row(
        "soft-policy-iteration",
        "classical",
        "soft_policy_iteration_steps",
        "soft policy iteration: uniform prior, exact soft values",
    ),
    Row("virel", "virel", "virel", "VIREL: Boltzmann policy of exact values at a fixed temperature"),
    Row("beta", "virel", "beta", "VIREL: Boltzmann policy at a temperature that is the residual error"),
    Row("sql", "sql", "sql", "soft Q-learning: soft value iteration with a Boltzmann policy"),
    Row("mpo", "mpo", "mpo", "MPO: posterior on a KL budget, prior fitted to it"),
    Row(
        "mpo-parametric",
        "mpo",
        "mpo_parametric",
        "MPO without an M-step of its own: best policy in a trust region",
    ),
    Row(
        "natural-policy-gradient",
        "natural",
        "natural_policy_gradient",
        "natural policy gradient on softmax logits",
    ),
    Row(
        "rerpi",
        "rerpi",
        "rerpi",
        "relative entropy regularised policy iteration: weights by value or rank, small trust region",
    ),
    Row("vmpo", "vmpo", "vmpo", "V-MPO: weights on the pairs of largest advantage"),
    Row("erpg", "erpg", "erpg", "policy gradient of the entropy-regularised return"),
    Row(
        "sac-iterative",
        "iterative",
        "sac_iterative",
        "iterative inference: n steps from the prior towards the posterior",
    ),
    Row("smcp", "smcp", "smcp", "planning by sequential Monte Carlo: first action of a drawn particle"),
    Row("mb-sac", "model_based", "mb_sac", "soft policy iteration on values expanded through a model"),
    Row("mb-iadp", "model_based", "mb_iadp", "values from model rollouts of the learned prior"),
    Row("mb-mpo", "model_based", "mb_mpo", "MPO on values expanded through a model"),
    Row("iadp", "iadp", "iadp", "information hidden from the prior: a prior that sees a part of the state"),
    Row("hdp", "hdp", "hdp", "hierarchy: a latent choice and a low level shared with the prior"),
    Row("distral", "distral", "distral", "several tasks with one distilled prior", several_tasks=True),
)
"""All algorithms: one task first, in the order of the design paper's table, which lacks VIREL's own; then
several tasks.

Example:
    >>> [row.name for row in ROWS][:4]
    ['policy-iteration', 'soft-policy-iteration', 'virel', 'beta']
"""

EXACT_FORM = {
    "sac": "soft-policy-iteration",
    "sac-v": "soft-policy-iteration",
    "ddpg": "policy-iteration",
    "td3": "policy-iteration",
    "virel-twin": "virel",
    "beta-twin": "beta",
}
"""Presets of the deep agent whose exact algorithm has another name, with that name."""


def algorithm_row(name: str) -> Row:
    """Row of the exact algorithm with a given name, Marino et al., Section 3.

    Args: name: such as "mpo", the `name` of one of `ROWS`.
    Returns: the row.
    Raises: InputError: if `name` is no text, or there is none, naming those that look like it.

    Example:
        >>> algorithm_row("mpo").summary
        'MPO: posterior on a KL budget, prior fitted to it'
    """
    found = {row.name: row for row in ROWS}
    if not is_one_of(name, found):
        close = _similar(name, found) if isinstance(name, str) else []
        hint = f"; did you mean {', '.join(close)}?" if close else ""
        raise InputError(f"`algorithm` must be one of {', '.join(found)}; found {shown(name)}{hint}")
    return found[name]


def _similar(name: str, found: Iterable[str]) -> list[str]:
    """Names of algorithms that `name` may mean: the exact form of a preset, else those spelt alike."""
    known = EXACT_FORM.get(name.lower())
    return [known] if known else difflib.get_close_matches(name, found, n=3)
