r"""Values by h steps of a model: expansions of the regularised value, a mixture, the cost of a wrong model.

A model of an MDP is another `TabularMDP` with the same states, actions and discount. The critic v is any
estimate of the regularised value of the policy that is rolled out.
"""

import numpy as np
from numpy.typing import ArrayLike
from scipy import sparse

from virel_common.arguments import as_whole
from virel_common.errors import require
from virel_theory.checks import Array, Mask, as_non_negative, as_probability
from virel_theory.mdp.policy_system import mix
from virel_theory.mdp.tables import as_policy, as_values, require_mdp
from virel_theory.mdp.tabular import TabularMDP
from virel_theory.variational.core.e_step import as_exponent, one_step_objective


def expanded_value(
    model: TabularMDP,
    v: ArrayLike,
    *,
    pi: ArrayLike,
    prior: ArrayLike,
    alpha: float,
    steps: int,
    exponent: float = 1.0,
) -> Array:
    r"""Regularised state value by h steps of a model, bootstrapped with a critic, Marino et al., Eq. (9).

    $$\hat V_h(s) = E_{\hat P,\pi}\Big[\sum_{i<h}\gamma^i\Big(\hat r_i - \alpha\log\frac{\pi(a_i|s_i)}
    {p(a_i|s_i)^\rho}\Big) + \gamma^hv(s_h)\Big], \quad \hat V_0 = v$$

    With $p = \pi$ and $\rho = 1$ the KL term vanishes: rollouts of the prior.

    Args:
        model: the MDP that is rolled out.
        v: `[S]` critic, reward units.
        pi: `[S, A]` policy of the rollout.
        prior: `[S, A]` prior policy p, positive where `pi` is.
        alpha: temperature >= 0, reward units; at 0 there is no KL term.
        steps: number h >= 0 of model steps.
        exponent: prior exponent $\rho$ in [0, 1].

    Returns: `[S]` values, reward units; error h (S + A + 8) ulps of the largest value on the way.
    Raises: InputError: on wrong shapes, rows that are not distributions, or a number out of its range; if
        `pi` has mass that the prior lacks.

    Example:
        >>> mdp = TabularMDP([[[1.0], [1.0]]], [[1.0, 0.0]], 0.5)
        >>> half = [[0.5, 0.5]]
        >>> expanded_value(mdp, [4.0], pi=half, prior=half, alpha=1.0, steps=2).tolist()
        [1.75]
    """
    require_mdp(model, name="model")
    require_steps(steps)
    value, policy = as_values(v, model, name="v"), as_policy(pi, model, name="pi")
    cost = _kl_cost(model, policy, prior, alpha=alpha, exponent=exponent)
    value = value.copy()
    for _ in range(steps):
        value = mix(policy, model.reward + model.gamma * model.expect_next(value)) - cost
    return value


def expanded_action_value(
    model: TabularMDP,
    v: ArrayLike,
    *,
    pi: ArrayLike,
    prior: ArrayLike,
    alpha: float,
    steps: int,
    trace: float = 1.0,
    exponent: float = 1.0,
) -> Array:
    r"""Action value by 1 to h steps of a model, $\lambda$-mixed, Marino et al., Eq. (9).

    $$\hat Q_h = \hat r + \gamma E_{\hat P}[\hat V_{h-1}(s')], \qquad
    \hat Q^\lambda = (1-\lambda)\sum_{i=1}^{h-1}\lambda^{i-1}\hat Q_i + \lambda^{h-1}\hat Q_h$$

    $\hat V_i$ is `expanded_value`. The first step, whose action is given, costs no KL. $\lambda = 1$ leaves
    $\hat Q_h$; with the true model and the exact critic every $\hat Q_i$ is $Q_\pi$.

    Args: model, v, pi, prior, alpha, exponent: as `expanded_value`. steps: number h >= 1 of model steps.
        trace: $\lambda$ in [0, 1].
    Returns: `[S, A]` values, reward units, `-inf` where the action does not exist; error as there.
    Raises: InputError: as `expanded_value`; if `steps` is 0 or `trace` lies outside [0, 1].

    Example:
        >>> mdp = TabularMDP([[[1.0], [1.0]]], [[1.0, 0.0]], 0.5)
        >>> half = [[0.5, 0.5]]
        >>> expanded_action_value(mdp, [4.0], pi=half, prior=half, alpha=1.0, steps=2).tolist()
        [[2.25, 1.25]]
    """
    require_mdp(model, name="model")
    require_steps(steps, least=1)
    lam = as_probability(trace, name="trace")
    value, policy = as_values(v, model, name="v"), as_policy(pi, model, name="pi")
    cost = _kl_cost(model, policy, prior, alpha=alpha, exponent=exponent)
    mixed = value.copy()
    for _ in range(steps - 1):  # from the last step: what follows it is worth lam of the longer expansions
        mixed = (1 - lam) * value + lam * (
            mix(policy, model.reward + model.gamma * model.expect_next(mixed)) - cost
        )
    out: Array = np.where(model.available, model.reward + model.gamma * model.expect_next(mixed), -np.inf)
    return out


def simulation_bound(mdp: TabularMDP, model: TabularMDP, *, v: ArrayLike) -> float:
    r"""Bound on a policy's values under a wrong model, the simulation lemma, Kearns and Singh 2002.

    $$\max_s|V_{\hat P} - V_P| \le \frac{\max_h|\hat r - r| + \gamma\max_h TV(\hat P(\cdot|h), P(\cdot|h))
    \,(\max V - \min V)}{1-\gamma}$$

    V is the value under the model or under the MDP; the total variation TV is half the sum of absolute
    differences. KL terms cancel, so that the bound is the same for regularised values.

    Args: mdp, model: MDPs of one shape, with the same actions and discount. v: `[S]` value of the policy
        under one of them.
    Returns: the bound, reward units; rounding: (S + 8) ulps of it.
    Raises: InputError: if the MDPs do not fit together, or `v` is not a finite vector.

    Example:
        >>> mdp = TabularMDP([[[1.0, 0.0]], [[0.0, 1.0]]], [[0.0], [1.0]], 0.5)
        >>> model = TabularMDP([[[0.75, 0.25]], [[0.0, 1.0]]], [[0.0], [1.0]], 0.5)
        >>> simulation_bound(mdp, model, v=[0.0, 2.0])
        0.5
    """
    require_model(mdp, model)
    span = float(np.ptp(as_values(v, mdp, name="v")))
    difference = abs(sparse.csr_array(model.csr_transition) - sparse.csr_array(mdp.csr_transition))
    variation = float(difference.sum(axis=1).max()) / 2
    wrong_reward = float(np.abs(model.reward - mdp.reward).max())
    return (wrong_reward + mdp.gamma * variation * span) / (1 - mdp.gamma)


def perturbed_model(mdp: TabularMDP, *, noise: float, seed: int = 0) -> TabularMDP:
    r"""Model with a known error: with probability `noise` a pair leads astray, Kearns and Singh 2002.

    $$\hat P(\cdot|s,a) = (1-\nu)P(\cdot|s,a) + \nu\,\delta_{w(s,a)}$$

    $w$ = `np.random.default_rng(seed).integers(S, size=(S, A))`. Absorbing states, which all of their actions
    leave with probability 0, stay absorbing. Rewards, discount and start are those of the MDP. The total
    variation from P is at most $\nu$.

    Args: mdp: the true MDP. noise: $\nu$ in [0, 1]; at 0 the MDP itself is returned. seed: of the draws.
    Returns: an MDP, dense or sparse as the one given.
    Raises: InputError: if `noise` lies outside [0, 1] or `seed` is not a non-negative integer.

    Example:
        >>> mdp = TabularMDP([[[0.0, 1.0]], [[0.0, 1.0]]], [[0.0], [1.0]], 0.5)
        >>> perturbed_model(mdp, noise=0.5, seed=2).transition.tolist()
        [[[0.0, 1.0]], [[0.0, 1.0]]]
    """
    require_mdp(mdp)
    nu, source = as_probability(noise, name="noise"), as_whole(seed, name="seed")
    if nu == 0:
        return mdp
    wrong = np.random.default_rng(source).integers(mdp.n_states, size=mdp.shape)
    weight = np.where(mdp.available & ~_absorbing(mdp)[:, None], nu, 0.0).ravel()
    rows = np.arange(weight.size)
    shape = (weight.size, mdp.n_states)
    there = sparse.csr_array((weight, (rows, wrong.ravel())), shape=shape)
    keep = sparse.csr_array((1 - weight, (rows, rows)), shape=(weight.size, weight.size))
    moved = sparse.csr_array(keep @ mdp.csr_transition + there)
    moved.eliminate_zeros()
    model = TabularMDP(moved, mdp.reward, mdp.gamma, mdp.initial, mdp.mask)
    return model if mdp.is_sparse else model.to_dense()


def require_model(mdp: TabularMDP, model: TabularMDP) -> None:
    """Raise `InputError` unless `model` has the shape, the actions and the discount of `mdp`."""
    require_mdp(mdp)
    require_mdp(model, name="model")
    require(model.shape == mdp.shape, "model", model.shape, f"must have the shape {mdp.shape} of the MDP")
    require(model.gamma == mdp.gamma, "model", model.gamma, f"must have the discount {mdp.gamma} of the MDP")
    same = bool((model.available == mdp.available).all())
    require(same, "model", "another mask", "must have the actions of the MDP")


def require_steps(steps: int, *, least: int = 0, name: str = "steps") -> None:
    """Raise `InputError` unless `steps`, the argument called `name`, is an integer from `least` on."""
    as_whole(steps, name=name, least=least)


def _absorbing(mdp: TabularMDP) -> Mask:
    """Whether each state is absorbing, `[S]` booleans: all its actions stay there with probability 1."""
    csr = sparse.csr_array(mdp.csr_transition)
    own = np.repeat(np.arange(mdp.n_states), mdp.n_actions)
    leaving = np.zeros(csr.shape[0])
    entry_row = np.repeat(np.arange(csr.shape[0]), np.diff(csr.indptr))
    np.add.at(leaving, entry_row, np.where(csr.indices == own[entry_row], 0.0, csr.data))
    out: Mask = (leaving.reshape(mdp.shape) == 0).all(axis=1)
    return out


def _kl_cost(model: TabularMDP, policy: Array, prior: ArrayLike, *, alpha: float, exponent: float) -> Array:
    r"""Cost $\alpha\sum_a\pi\log(\pi/p^\rho)$ of one step per state, `[S]`: reward units."""
    base, weight = as_policy(prior, model, name="prior"), as_non_negative(alpha, name="alpha")
    rho = as_exponent(exponent)
    zero = np.where(model.available, 0.0, -np.inf)
    if weight == 0:
        return np.zeros(model.n_states)
    cost = -one_step_objective(zero, pi=policy, prior=base, alpha=weight, exponent=rho)
    require(bool(np.isfinite(cost).all()), "pi", "inf", "must be 0 where the prior is: its KL is infinite")
    return cost
