"""Advantages by the deep agent's rollout errors, with all rollouts of two steps of a finite MDP enumerated."""

import numpy as np

from verify.claims.deep.tools import tensor
from virel_theory.checks import Array, U
from virel_theory.mdp.tabular import TabularMDP


def deep_advantages(mdp: TabularMDP, *, pi: Array, v: Array, gain: Array, gamma: float) -> Array:
    r"""Expected errors of two steps after each pair that has an action, $E[\delta_0 + \gamma\delta_1 | s, a]$.

    Args:
        mdp: finite MDP, S states and A actions.
        pi: `[S, A]` policy that takes the second action.
        v: `[S]` state values.
        gain: `[S, A]` what a step earns: rewards, less what the policy's divergence costs.
        gamma: discount factor on the deep side.

    Returns: `[S, A]`, reward units; 0 at missing actions.
    """
    import torch  # noqa: PLC0415

    from virel_deep.axes.rollout import rollout_errors  # noqa: PLC0415

    p = mdp.dense_transition * mdp.available[:, :, None]
    chances = p[:, :, :, None, None] * pi[None, None, :, :, None] * p[None, None]
    s, a, s_1, a_1, s_2 = np.nonzero(chances)
    zero = torch.zeros(len(s), 2, dtype=torch.float64)
    earned = np.stack([gain[s, a], gain[s_1, a_1]], axis=-1)
    values, following = np.stack([v[s], v[s_1]], axis=-1), np.stack([v[s_1], v[s_2]], axis=-1)
    of_each = (tensor(x)[0] for x in (earned, values, following))
    reward, v_here, v_next = of_each
    error = rollout_errors(reward, zero, zero, v_here, v_next, gamma=gamma, steps=None)[:, 0].numpy()
    out = np.zeros(mdp.shape)
    np.add.at(out, (s, a), chances[s, a, s_1, a_1, s_2] * error)
    return out


def advantage_bound(mdp: TabularMDP, *, v: Array, gain: Array) -> float:
    r"""Rounding bound of `deep_advantages` where V is a solution of the policy's linear system.

    With $M = \max|gain| + 2 \max|V|$: an error has 8 roundings of at most M, and each of at most m = S A S
    rollouts a weight that is off by 3. The exact side has S + 3. V misses its own backup by at most
    32 S u max|V|, the backward error of LU, and chances sum to 1 within S + A roundings.
    """
    m = mdp.n_states**2 * mdp.n_actions
    size = float(np.abs(gain[mdp.available]).max()) + 2 * float(np.abs(v).max())
    return 2 * U * size * (m + 64 * mdp.n_states + mdp.n_actions + 16)
