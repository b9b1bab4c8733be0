r"""Claim that the deep agent's HDP on enumerated actions rests at, and moves to, the exact iterates.

Both sides: `LatentCategorical`, the latent prior and `TargetQ` (soft) of `virel_deep.axes`, in float64, on inputs
        (one-hot observation, one-hot state), to whose second part default and low level are blind; against the
        first two iterates of `virel_theory.variational.algorithms.hdp` from a drawn default and low level, at
        drawn state weights d. Where observations hide states the exact low level is frozen (it would see them);
        where they hide none it moves. The iterates are policies of actions; their levels are written again here,
        from the definitions. Compared are: the expected TD error of $Q_k$ with zero (a complete critic step); the
        high level's loss at $\pi^H_k$ with $-\alpha E_d\log\sum_zp^He^{q_z/\alpha}$, its gradient with zero; the low
        level's gradient with $-\sum_s d\,\pi^H\pi^L(Q - q_z)$, and the natural step of length t along it, mixed by
        $\pi^H_k$, with the exact policy $\pi_k$; loss, gradient and divergence of the default's fit, at $p^H_k$ and at
        drawn logits; the mixture of default and low level with the exact prior.
Bound:  n = max(A, Z), L the largest logarithm of a level, $M = \max|Q| + 2\alpha L + \alpha$. A log probability of a
        level is off by l = u (4 L + n + 8), a mixture's by 2 l + u (2 L + Z + 8) < 4 l. One exact step of the
        levels is off by e = 2 u (6 M/\alpha + n + 8) + 4 S u, relative; levels that are off by o make the next ones off by
        o (1 + 2 M/\alpha), as q_z/alpha is off by o M/alpha and the tilt alike: after step k the levels here and
        there differ by $o_k = o_{k-1}(1 + 2M/\alpha) + e$, $o_0 = 0$. A value is a sum of A + Z products of size M:
        v = (A + Z) M (8 l + 4 o + u (n + 16)); the TD error adds 32 S u M for the linear system and u (S + 16)(|r| + M).
        A loss is a mean over B rows: v + u B M. Entries of slopes: s = 2 (A + Z) M (8 l + e + u (B + n + 16)), which
        is also the error of a low level's slope by its weight $d\pi^H\pi^L$. So the policy after a step is off by
        2 t s + o_k + 4 l. The fit: its slope by l + e + u (2 n + B + 32), its loss by 2 L n (l + e + u (B + 8)) + 4 l.
Teeth:  `perturb` makes the deep side's temperature a tenth larger.
"""

from typing import Any, NamedTuple

import numpy as np
from hypothesis import strategies as st
from scipy.special import log_softmax, logsumexp, softmax

from verify.claims.deep.bridge import Counts, counts, float64, no_values, table_network, table_slope
from verify.claims.deep.priors.blind import Ints, fitted, inputs, td_errors, triple_critic
from verify.claims.deep.priors.iadp import cells
from verify.claims.deep.tools import tensor
from verify.claims.priors.tools import WARM
from verify.engine.claim import Check, Claim
from verify.engine.verdict import Gap, Verdict, worst
from verify.strategies import instances, mdps, q_tables
from virel_theory.checks import Array, U
from virel_theory.mdp.tabular import TabularMDP
from virel_theory.variational.algorithms.hdp import hdp
from virel_theory.variational.core.iterate import Iterate

LATENTS, N_STEPS = 2, 2


class Levels(NamedTuple):
    """High level and default `[S, Z]`, and low level `[Z, S, A]`."""

    high: Array
    default: Array
    low: Array


def gap(
    *,
    mdp: TabularMDP,
    n: Counts,
    cell: Ints,
    alpha: float,
    logits: Array,
    lower: tuple[Array, Array],
    perturb: float = 0.0,
) -> Gap:
    """Gap of the deep HDP: TD errors, losses and slopes minus the exact ones."""
    cell = np.unique(cell, return_inverse=True)[1]
    hides = len(np.unique(cell)) < mdp.n_states
    d, t = n / n.sum(), 0.0 if hides else 1 / alpha
    of_cells = softmax(np.resize(logits, (mdp.n_states, LATENTS)) / 4, axis=1)[cell]
    low = softmax(np.stack(lower) / 4, axis=2)[:, cell]
    before, off, gaps = Levels(of_cells, of_cells, low), 0.0, []
    steps = hdp(mdp, alpha=alpha, observation=cell, low_step=t, low=low, prior=of_cells, d=d)
    with float64():
        for step, _ in zip(steps, range(N_STEPS), strict=False):
            after = _stepped(before, step.q, alpha=alpha, t=t, d=d, cell=cell)
            deep = _Deep(mdp, n, cell, alpha * (1 + 0.1 * perturb))
            found, off = _gaps(deep, before, after, step, t=t, off=off, logits=logits)
            gaps += found
            before = after
    return worst(*gaps)


def _by_latent(low: Array, q: Array) -> Array:
    """Values of the latents `[S, Z]`."""
    return np.asarray(np.einsum("zsa,sa->sz", low, q))


def _stepped(of: Levels, q: Array, *, alpha: float, t: float, d: Array, cell: Ints) -> Levels:
    """Levels after an exact step, from the definitions."""
    high = softmax(np.log(of.default) + _by_latent(of.low, q) / alpha, axis=1)
    default = np.array([(d[cell == c] @ high[cell == c]) / d[cell == c].sum() for c in cell])
    return Levels(high, default, softmax(np.log(of.low) + t * q, axis=2))


def _mixed(high: Array, low: Array) -> Array:
    """Policy of actions `[S, A]` of two levels."""
    return np.asarray(np.einsum("sz,zsa->sa", high, low))


def _gaps(
    deep: "_Deep", before: Levels, after: Levels, step: Iterate, *, t: float, off: float, logits: Array
) -> tuple[list[Gap], float]:
    """Gaps of one step, and how far the levels here and there may be apart after it."""
    mdp, alpha, d, cell = deep.mdp, step.temperature, deep.n / deep.n.sum(), deep.cell
    (states, actions), rows, q = mdp.shape, int(deep.n.sum()), step.q
    table = np.resize(logits, (deep.sizes[0], LATENTS))
    n, sums = max(actions, LATENTS), actions + LATENTS
    logs = (*map(np.log, before), *map(np.log, after), log_softmax(table, axis=1), table)
    size = float(max(np.abs(x).max() for x in logs))
    most, reward = float(np.abs(q).max()) + 2 * alpha * size + alpha, float(np.abs(mdp.reward).max())
    of_log, of_step = U * (4 * size + n + 8), 2 * U * (6 * most / alpha + n + 8) + 4 * states * U
    of_value = sums * most * (8 * of_log + 4 * off + U * (n + 16))
    of_slope = 2 * sums * most * (8 * of_log + of_step + U * (rows + n + 16))
    of_td = of_value + 32 * states * U * most + U * (states + 16) * (reward + most)
    off_after = off * (1 + 2 * most / alpha) + of_step
    of_pi = 2 * t * of_slope + off_after + 4 * of_log
    of_fit = 2 * size * n * (of_log + of_step + U * (rows + 8)) + 4 * of_log

    high = after.high
    loss, by_high, by_low = deep.loss(q, before._replace(high=high))
    q_z = _by_latent(before.low, q)
    least = -alpha * float(d @ logsumexp(np.log(before.default) + q_z / alpha, axis=1))
    weight = d[None, :, None] * high.T[:, :, None] * before.low
    pull = np.zeros((LATENTS, deep.sizes[0], actions))
    for z, gain in enumerate(-weight * (q[None] - q_z.T[:, :, None])):
        np.add.at(pull[z], cell, gain)
    gaps = [
        Gap(np.abs(deep.td_errors(q, before)).max(), of_td),
        Gap(abs(loss - least), of_value + U * rows * most),
        Gap(np.abs(by_high).max(), of_slope),
        Gap(np.abs(by_low - pull).max(), of_slope),
        Gap(np.abs(deep.prior(after) - step.prior).max(), of_pi),
    ]
    moved = softmax(np.log(before.low) - (t * by_low[:, cell] / weight if t else 0.0), axis=2)
    gaps.append(Gap(np.abs(_mixed(high, moved) - step.policy).max(), of_pi))
    for logits_of in (table, np.log(after.default[np.unique(cell, return_index=True)[1]])):
        log_p = log_softmax(logits_of, axis=1)
        loss, slope, kl = deep.fit(high, logits_of)
        pull = np.zeros(log_p.shape)
        np.add.at(pull, cell, d[:, None] * (np.exp(log_p)[cell] - high))
        exact = -float(d @ (high * log_p[cell]).sum(axis=1))
        apart = exact + float(d @ (high * np.log(high)).sum(axis=1))
        gaps += [
            Gap(np.abs(slope - pull).max(), of_log + of_step + U * (2 * n + rows + 32)),
            Gap(abs(loss - exact), of_fit),
            Gap(abs(kl - apart), of_fit),
        ]
    return [*gaps, Gap(np.abs(slope).max(), of_log + of_step + U * (2 * n + rows + 32))], off_after


class _Deep:
    """Parts of the deep agent as tables: the high level over states, default and low level over observations."""

    def __init__(self, mdp: TabularMDP, n: Counts, cell: Ints, alpha: float) -> None:
        self.mdp, self.n, self.alpha, self.cell = mdp, n, alpha, cell
        self.sizes = (int(cell.max()) + 1, mdp.n_states)
        self.state = inputs(cell, np.arange(mdp.n_states), self.sizes)
        self._first = np.unique(cell, return_index=True)[1]

    def _prior(self, default: Array, low: Array) -> Any:
        """Prior with logits `default` and `low` per observation, the same in the default's lagging copy."""
        from virel_deep.axes.posterior.levels import CHOICES  # noqa: PLC0415
        from virel_deep.axes.prior.blind import Sight  # noqa: PLC0415
        from virel_deep.axes.prior.latent import Latent  # noqa: PLC0415
        from virel_deep.design.hierarchy import LatentPrior  # noqa: PLC0415

        settings = LatentPrior(blind_last=self.sizes[1])
        network, target = (table_network(default) for _ in range(2))
        lower = table_network(low.transpose(1, 0, 2).reshape(self.sizes[0], -1))
        sight = Sight(settings, sum(self.sizes), device=network.flat.device)
        return Latent(settings, network, target, lower, sight, form=CHOICES, first=tensor(low[:, 0]))

    def _parts(self, of: Levels) -> tuple[Any, Any, Any]:
        """Posterior and prior of these levels, and the objective."""
        from virel_deep.axes.interfaces import Objective  # noqa: PLC0415
        from virel_deep.axes.posterior.latent import LatentCategorical  # noqa: PLC0415

        prior = self._prior(np.log(of.default[self._first]), np.log(of.low[:, self._first]))
        table = np.concatenate([np.zeros((self.sizes[0], LATENTS)), np.log(of.high)])
        posterior = LatentCategorical(table_network(table), prior)
        return posterior, prior, Objective(no_values, prior, tensor([self.alpha]))

    def td_errors(self, q: Array, of: Levels) -> Array:
        """Expected soft TD errors `[S, A]` of values `q` under the levels."""
        posterior, _, objective = self._parts(of)
        table = np.zeros((*self.sizes, q.shape[1]))
        table[self.cell, np.arange(len(q))] = q

        def infer(at: Any) -> Any:
            return posterior.infer_next(at, {}, objective).detach()

        critic = triple_critic(table)
        return td_errors(self.mdp, q, self.state, critic, infer, objective, evaluation="soft")

    def loss(self, q: Array, of: Levels) -> tuple[float, Array, Array]:
        """Policy loss at the levels, and its gradients in the high and the low level's tables."""
        rows = np.repeat(np.arange(len(self.n)), self.n)
        posterior, prior, objective = self._parts(of)
        slopes = []
        for network in (posterior.networks["policy"], prior.networks["low"]):
            here = posterior.infer(tensor(self.state[rows]), {}, objective)
            loss = posterior.loss(here, tensor(q[rows]), objective.alpha)
            slopes.append(table_slope(loss, network))
        by_low = slopes[1][: self.sizes[0]].reshape(self.sizes[0], LATENTS, -1).transpose(1, 0, 2)
        return loss.item(), slopes[0][self.sizes[0] :], by_low

    def prior(self, of: Levels) -> Array:
        """Probabilities `[S, A]` of actions under default and low level."""
        _, prior, _ = self._parts(of)
        action = tensor(
            np.broadcast_to(np.eye(self.mdp.n_actions), (len(self.n), *(self.mdp.n_actions,) * 2))
        )
        found: Array = prior.log_density(tensor(self.state), action, None)[0].exp().numpy()
        return found

    def fit(self, high: Array, table: Array) -> tuple[float, Array, float]:
        """Loss of the default's fit to `high` at a table of logits, its slope, and the divergence."""
        rows = np.repeat(np.arange(len(self.n)), self.n)
        low = np.full((LATENTS, *self.mdp.shape), 1 / self.mdp.n_actions)
        posterior, _, objective = self._parts(Levels(high, high, low))
        state = tensor(self.state[rows])
        return fitted(
            self._prior(table, np.log(low[:, self._first])), state, posterior.infer(state, {}, objective)
        )


CLAIMS = (
    Claim(
        id="deep-hdp",
        title="The deep agent's HDP on enumerated actions rests at HDP's iterates",
        source="virel_deep LatentCategorical, LatentPrior, TargetQ: Tirumala et al. 2019",
        statement=r"E_{s'}[y] = r + \gamma E_{s'}\Big[\sum_{a'}\pi Q_k - \alpha KL(\pi^H\|p^H)\Big] = Q_k;\qquad "
        r"\nabla E_d\big[\alpha KL(\pi^H\|p^H) - \textstyle\sum_z\pi^Hq_z\big] = 0 \text{ at } \pi^H_k;\qquad "
        r"-F^+\nabla_{\pi^L} = Q_k - q_z;\qquad \nabla\big(-E_d\sum_z\pi^H_k\log p^H\big) = 0 \text{ at } p^H_k",
        check=Check(
            gap,
            instances(
                mdp=mdps(max_states=4, max_actions=3),
                n=counts,
                cell=cells,
                alpha=WARM,
                logits=q_tables,
                lower=lambda mdp: st.tuples(*[q_tables(mdp)] * LATENTS),
            ),
            n_random=30,
        ),
        expected=Verdict.HOLDS,
        deep=True,
    ),
)
