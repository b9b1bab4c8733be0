"""Claims that the deep agent's critic losses J^Q and J^V are exact in expectation on finite MDPs.

Both sides: `virel_deep.axes.losses` on every transition (s, a, s', a'), weighted by its probability, with a
        critic that is linear in one-hot (or other) features, differentiated by autograd in float64; against
        the operators, `residual_error` and `direct_gradient` of `virel_theory`, and variances in this file.
        Terminal states are exact too: in the theory they are absorbing with value 0, in the replay the row
        says `terminated`. The target is a second table, sampled at a' ~ pi (target Q), or its mean over pi
        (V-network).
Bound:  rounding. A TD error of size at most M = max|r| + gamma max|Q'| + max|Q| is off by 4 u M, its square
        by 9 u M^2, each of n weights (which sum to 1) by 4 ulps, a sum of n terms by n ulps: (n + 16) u M^2
        on the deep side and no more on the other, doubled for the probabilities' own rounding: 4 (n + 16) u
        M^2. For the gradient, M max|b_omega| stands in place of M^2. J^V likewise, with M = max|v| + max|Q|
        + alpha max|log pi|. Values of critics are exact: features are in {-1, 0, 1}, parameters halves.
Teeth:  `perturb` adds to the reward, and to the V-network's target.
"""

from functools import partial

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from verify.claims.deep.tools import Model, any_policy, gradient, largest, linear_critics, tensor, transitions
from verify.claims.definitions.residual import pair_distributions
from verify.claims.instances import fractions
from verify.engine.claim import Assumption, Check, Claim
from verify.engine.verdict import Gap, Verdict, worst
from verify.strategies import distributions, instances, mdps, q_tables, temperatures
from virel_theory.checks import Array, U
from virel_theory.gradients.em_steps import direct_gradient
from virel_theory.mdp.tabular import TabularMDP
from virel_theory.objective.residual import Normalisation, bellman_residual, residual_error
from virel_theory.operators.bellman import bellman_policy, state_value
from virel_theory.operators.policies import entropy

Flags = NDArray[np.bool_]


def q_loss_gap(
    *,
    mdp: TabularMDP,
    model: Model,
    q_bar: Array,
    pi: Array,
    d: Array,
    terminal: Flags,
    perturb: float = 0.0,
    with_variance: bool = True,
) -> Gap:
    """Gap of J^Q on a finite MDP: the deep critic's `E_D[J^Q]` and its gradient minus the exact ones, zero.

    The target is a sampled Q or a V-network. The replay D holds no terminal states. Without `with_variance`
    the exact value lacks the target's variance.
    """
    weights = d * ~terminal[:, None]
    weights = weights / weights.sum()
    v_bar = np.where(mdp.available, state_value(mdp, q_bar, pi=pi)[:, None], -np.inf)
    return worst(
        *(
            _q_loss_gap(mdp, model, target, pi, weights, terminal, perturb, with_variance)
            for target in (q_bar, v_bar)
        )
    )


def _q_loss_gap(
    mdp: TabularMDP,
    model: Model,
    target: Array,
    pi: Array,
    d: Array,
    terminal: Flags,
    perturb: float,
    with_variance: bool,
) -> Gap:
    q, b = model[0].value(model[1]), model[0].jacobian(model[1])
    n_rows, value, slopes = _deep_q_loss(mdp, model, target, pi, d, terminal, perturb)

    beta = bellman_residual(_backed_up(mdp, target, pi, terminal), q)
    exact = residual_error(beta, normalisation=Normalisation.WEIGHTED, d=d) / 2
    if with_variance:
        exact += mdp.gamma**2 / 2 * _variance_of_next(mdp, target, pi, d, terminal)
    weighted = mdp.n_pairs * d * np.where(mdp.available, beta, 0.0)  # direct_gradient: mean over pairs
    size = largest(mdp.reward) + mdp.gamma * largest(target) + largest(q)
    bound = 4 * (n_rows + 16) * U * size
    slope, slope_bound = direct_gradient(mdp, weighted, b), bound * np.abs(b).max(initial=0)
    return worst(
        Gap(abs(value - exact), bound * size),
        *(Gap(np.abs(mine - slope).max(initial=0), slope_bound) for mine in slopes),
    )


def _deep_q_loss(
    mdp: TabularMDP, model: Model, target: Array, pi: Array, d: Array, terminal: Flags, perturb: float
) -> tuple[int, float, list[Array]]:
    """Count of a finite MDP's transitions; deep critic's loss `E_D[J^Q]`; its gradient by two routes.

    The routes are autograd and the agent's hand-written derivative.
    """
    from virel_deep.axes.losses import d_squared_loss, q_loss, td_target  # noqa: PLC0415
    from virel_deep.axes.losses import state_value as sampled_value  # noqa: PLC0415

    rows = transitions(mdp, d=d, pi=pi)
    omega = tensor(model[1]).requires_grad_()
    features = tensor(model[0].jacobian(model[1])[rows.s, rows.a])  # [1, B, N]
    following = tensor(target[rows.s_next, rows.a_next])
    log_pi, alpha = tensor(np.log(pi[rows.s_next, rows.a_next])), tensor(1.0)
    v_next = sampled_value(following, log_pi, alpha, soft=False)
    reward = tensor(mdp.reward[rows.s, rows.a] + perturb)
    y = td_target(reward, tensor(terminal[rows.s_next] * 1.0), v_next, gamma=mdp.gamma)
    q = (features * omega[:, None]).sum(-1)
    loss = (tensor(rows.weight) * q_loss(q, y)).sum()
    n = len(rows.weight)
    by_q = n * tensor(rows.weight) * d_squared_loss(q.detach(), y)  # of a mean over n rows
    by_hand = (features * by_q[..., None]).sum(1)[0].numpy()
    return n, loss.item(), [gradient(loss, omega), by_hand]


def _backed_up(mdp: TabularMDP, target: Array, pi: Array, terminal: Flags) -> Array:
    """Policy backup T^pi of the target network's Q table; terminal states absorb, with reward and value 0."""
    transition, reward = mdp.dense_transition.copy(), mdp.reward.copy()
    transition[terminal] = np.eye(mdp.n_states)[terminal][:, None] * mdp.available[terminal][:, :, None]
    reward[terminal] = 0
    ended = TabularMDP(transition, reward, mdp.gamma, mask=mdp.mask)
    return bellman_policy(ended, np.where(terminal[:, None], 0.0, target), pi=pi)


def _variance_of_next(mdp: TabularMDP, target: Array, pi: Array, d: Array, terminal: Flags) -> float:
    """Variance of the target Q at the sampled next pair (s', a'), averaged over h = (s, a) with d(h)."""
    x = np.where(mdp.available & ~terminal[:, None], target, 0.0)
    joint = mdp.dense_transition[:, :, :, None] * pi
    mean = (joint * x).sum(axis=(2, 3), keepdims=True)
    return float((d * (joint * (x - mean) ** 2).sum(axis=(2, 3))).sum())


def v_loss_gap(
    *,
    mdp: TabularMDP,
    v: Array,
    q: Array,
    pi: Array,
    d: Array,
    alpha: float,
    soft: bool,
    perturb: float = 0.0,
    with_variance: bool = True,
) -> Gap:
    """Gap of J^V on a finite MDP: the deep V-network's `E_D[J^V]` and gradient minus the exact ones, zero.

    The value is hard or soft, and one action is sampled.
    """
    from virel_deep.axes.losses import d_squared_loss, v_loss  # noqa: PLC0415
    from virel_deep.axes.losses import state_value as sampled_value  # noqa: PLC0415

    s, a = np.nonzero(pi)
    phi, log_pi = tensor(v).requires_grad_(), np.log(pi[s, a])
    one_hot = tensor(np.eye(mdp.n_states)[s])
    target = sampled_value(tensor(q[s, a]), tensor(log_pi), tensor(alpha), soft=soft) + perturb
    value, weight = (one_hot * phi[:, None]).sum(-1), tensor(d[s] * pi[s, a])
    loss = (weight * v_loss(value, target)).sum()
    by_v = len(s) * weight * d_squared_loss(value.detach(), target)
    slopes = [gradient(loss, phi), (one_hot * by_v[..., None]).sum(1)[0].numpy()]

    mean = state_value(mdp, q, pi=pi) + (alpha * entropy(pi) if soft else 0.0)
    exact = float(d @ (v - mean) ** 2) / 2
    if with_variance:
        sampled = q[s, a] - (alpha * log_pi if soft else 0.0)
        exact += float(np.sum(d[s] * pi[s, a] * (sampled - mean[s]) ** 2)) / 2
    size = largest(v) + largest(q) + (alpha * largest(log_pi) if soft else 0.0)
    bound = 4 * (len(s) + 16) * U * size
    return worst(
        Gap(abs(loss.item() - exact), bound * size),
        *(Gap(np.abs(mine - d * (v - mean)).max(), bound) for mine in slopes),
    )


def _terminals(mdp: TabularMDP) -> st.SearchStrategy[Flags]:
    """Hypothesis strategy that draws for each state whether it is terminal; the first state never is."""
    flags = hnp.arrays(np.bool_, mdp.n_states, elements=st.booleans(), fill=st.nothing())
    return flags.map(lambda x: x & (np.arange(mdp.n_states) > 0))


def _state_values(mdp: TabularMDP) -> st.SearchStrategy[Array]:
    return fractions(mdp.n_states, 8, over=2)


_Q_LOSS = instances(
    mdp=mdps(masked=True),
    model=linear_critics,
    q_bar=q_tables,
    pi=any_policy,
    d=pair_distributions(),
    terminal=_terminals,
)
_V_LOSS = instances(
    mdp=mdps(masked=True),
    v=_state_values,
    q=q_tables,
    pi=any_policy,
    d=distributions,
    alpha=temperatures(),
    soft=st.booleans(),
)

CLAIMS = (
    Claim(
        id="deep-q-loss",
        title="The deep agent's critic loss is the exact one",
        source="virel_deep q_loss, td_target: App. H J^Q, F.3",
        statement=r"E_D[\tfrac12(y - \hat Q_\omega(h))^2] = \tfrac12 E_{d(h)}[(\mathcal T^\pi\hat Q_{\bar\omega}(h) - \hat Q_\omega(h))^2]"
        r" + \tfrac{\gamma^2}{2} E_{d(h)}[\mathrm{Var}(\hat Q_{\bar\omega}(h'))],\quad"
        r" \nabla_\omega E_D[\tfrac12(y - \hat Q_\omega(h))^2] = E_{d(h)}[(\hat Q_\omega(h) - \mathcal T^\pi\hat Q_{\bar\omega}(h))\nabla_\omega\hat Q_\omega(h)]",
        check=Check(q_loss_gap, _Q_LOSS),
        expected=Verdict.HOLDS,
        assumptions=(
            Assumption(
                "variance of the target",
                "the sampled target stands inside the square, which adds its variance to the value (not to the gradient); it is 0 for"
                " deterministic transitions and policies. Without the term the values differ",
                Check(partial(q_loss_gap, with_variance=False), _Q_LOSS),
            ),
        ),
        deep=True,
    ),
    Claim(
        id="deep-v-loss",
        title="The deep agent's V-network loss is the exact one",
        source="virel_deep v_loss: App. H J^V",
        statement=r"E_{s\sim D,\,a\sim\pi_\theta}[\tfrac12(V_\phi(s) - \hat Q_\omega(h))^2] = E_{s\sim D}[\tfrac12(V_\phi(s) - E_{\pi_\theta}[\hat Q_\omega(h)])^2]"
        r" + \tfrac12 E_{s\sim D}[\mathrm{Var}_{\pi_\theta}(\hat Q_\omega(h))],\quad \nabla_\phi \text{ of both sides equal}",
        check=Check(v_loss_gap, _V_LOSS),
        expected=Verdict.HOLDS,
        assumptions=(
            Assumption(
                "variance of the action value",
                "App. H prints the expectation inside the square, the agent samples one action; without the variance the values differ",
                Check(partial(v_loss_gap, with_variance=False), _V_LOSS),
            ),
        ),
        deep=True,
    ),
)
