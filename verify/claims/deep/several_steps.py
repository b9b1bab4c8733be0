r"""Claims that the deep agent's targets of several steps are exact in expectation, ends of episodes included.

Every window of n <= 3 transitions of a finite MDP is enumerated, with states in which the task ends
(`terminated`) and states in which a time limit ends the episode (`truncated`), and the first transitions of the
next episode behind them. The policy $\pi$ is a table of logits, b the policy that acts. Values are hard or soft:
$\bar V(s) = E_\pi[\bar Q - \alpha\log\pi]$, with $\alpha = 0$ where they are hard.

`deep-n-step`. Both sides: `NStep` of `virel_deep.axes` with a `Categorical` posterior and hard values, in
        float64, at drawn critics; against a recursion over expectations, $(T^b)^{n-1} T^\pi\bar Q$. And its TD
        errors at the $Q^\pi$ of a linear system, which are zero if b is $\pi$: the targets are not corrected for
        another b. With soft values they are not: the states between the first and the last bring their rewards
        without their entropies. So the design refuses soft values with n > 1.

`deep-retrace`. Both sides: `Retrace` in the same way, every pair of the windows; two critics, whose smaller
        values are $\bar Q$; against Munos et al. 2016, Eqs.
        (3), (4), as a recursion in which b and the cut are one factor, $\lambda\min(b, \pi)$. Its TD errors at
        $Q^\pi$ are zero for every b, as each step's are: that takes truncations that bootstrap and ends that
        do not, whatever the cut.

`deep-advantage`. Both sides: `Advantage` with a `Score` posterior on whole windows as rollouts, with returns of up
        to two steps or to the rollout's end, at a drawn V; against the recursion, less V. At the $V^\pi$ of a
        linear system they have the mean zero under $\pi$. A step earns $r - \alpha\log\pi$ in the soft form;
        what goes to the policy leaves the divergence of its own state out.

Bound:  with z the largest $|\log|$ of a probability, $l = u (4 z + A + 8)$ for a log probability of the deep side,
        and $M = n (\max|r| + 3 \max|\bar Q| + 2 \max|\bar V| + \alpha z)$: each of n terms of a target has
        factors that are off by at most n (3 l + 16 u) relative, values by (A + 8) u and l. A weight of a path is
        off by 4 n u, a sum of m paths by m u, and so is their total. On the exact side each of n steps sums S A
        terms. Together $4 M (n (3 l + 16 u + (S A + A + 24) u) + m u)$. At the solution of a linear system, which
        is backward stable with 16 S u a row, $64 n (S + A) u M$ more.
Teeth:  `perturb` discounts by 0.9 gamma on the deep side.
"""

from functools import partial
from typing import Any

import numpy as np
from hypothesis import strategies as st
from scipy.special import log_softmax

from verify.claims.deep.bridge import critic_network, float64, no_values, table_network
from verify.claims.deep.tools import Tensor, tensor
from verify.claims.deep.windows import (
    Ends,
    Paths,
    as_data,
    evaluated,
    exact_targets,
    expected_at,
    paths,
    some_ends,
)
from verify.claims.instances import fractions
from verify.engine.claim import Assumption, Check, Claim
from verify.engine.verdict import Gap, Verdict, worst
from verify.strategies import instances, mdps, policies, q_tables, temperatures
from virel_theory.checks import Array, U
from virel_theory.mdp.tabular import TabularMDP

MOST = 3
"""Steps of the longest windows."""


class _Following:
    """The posterior as a value asks for it, of one minibatch: what `virel_deep.agent.general` hands over."""

    def __init__(self, posterior: Any, objective: Any) -> None:
        self.posterior, self.objective = posterior, objective

    def __call__(self, state: Tensor) -> Any:
        return self.posterior.infer_next(state, {}, self.objective)

    def log_likelihood(self, state: Tensor, pre: Tensor) -> Tensor:
        return self.posterior.log_likelihood(state, pre)

    def recall(self, state: Tensor, pre: Tensor) -> Any:
        return self.posterior.recall(state, pre, self.objective)


def n_step_gap(
    *,
    mdp: TabularMDP,
    q: Array,
    logits: Array,
    acting: Array,
    ends: Ends,
    n: int,
    perturb: float = 0.0,
    alpha: float = 0.0,
    on_policy: bool = True,
) -> Gap:
    """Gap of targets of n steps: expected TD errors minus the exact ones, and those at Q^pi, zero.

    Windows of any acting policy are compared; at Q^pi those of pi itself, or of `acting` if not `on_policy`.
    Values are hard, or soft with `alpha`.
    """
    side = _Side(mdp, logits, ends, alpha, n)
    found = partial(side.td_errors, trace=None, perturb=perturb)  # of one critic
    v = side.value(q)
    exact = side.exact(q, follow=acting, less=np.broadcast_to(v[:, None], q.shape))[-1] - q
    fixed, by = side.q_pi(), side.pi if on_policy else acting
    return worst(
        side.gap(found(q, acting=acting)[0][0] - exact, q, acting),
        side.gap(found(fixed, acting=by)[0][0], fixed, by, solved=True),
    )


def retrace_gap(
    *,
    mdp: TabularMDP,
    q: Array,
    other: Array,
    logits: Array,
    acting: Array,
    ends: Ends,
    alpha: float,
    soft: bool,
    trace: float,
    n: int,
    perturb: float = 0.0,
) -> Gap:
    """Gap of Retrace: expected TD errors of all pairs minus the exact ones, and those at Q^pi, zero."""
    side = _Side(mdp, logits, ends, alpha if soft else 0.0, n)
    lower = np.minimum(q, other)
    targets = side.exact(lower, follow=trace * np.minimum(acting, side.pi), less=lower)
    fixed, gaps = side.q_pi(), []
    both = (q, other), (fixed, fixed + np.abs(other))
    found, at_fixed = (side.td_errors(*x, acting=acting, trace=trace, perturb=perturb) for x in both)
    sizes = [np.maximum(*map(np.abs, x)) for x in both]
    for i in range(n):
        for critic, table in enumerate((q, other)):
            gaps.append(side.gap(found[critic][i] - (targets[n - 1 - i] - table), sizes[0], acting))
        gaps.append(side.gap(at_fixed[0][i], sizes[1], acting, solved=True))
    return worst(*gaps)


def advantage_gap(
    *,
    mdp: TabularMDP,
    v: Array,
    logits: Array,
    ends: Ends,
    alpha: float,
    soft: bool,
    steps: int | None,
    perturb: float = 0.0,
) -> Gap:
    """Gap of the errors of rollouts: expected ones minus the exact ones, and their mean at V^pi, zero."""
    side, gaps = _Side(mdp, logits, ends, alpha if soft else 0.0, MOST), []
    gain = mdp.reward - side.alpha * side.log_pi
    v_pi = evaluated(mdp, pi=side.pi, gain=gain, ends=ends)
    for values, solved in ((v, False), (v_pi, True)):
        targets = exact_targets(
            mdp,
            gain=gain,
            v=values,
            follow=side.pi,
            less=np.broadcast_to(values[:, None], mdp.shape),
            ends=ends,
            n=MOST,
        )
        errors, advantages = side.errors(values, steps=steps, perturb=perturb)
        for i, (error, advantage) in enumerate(zip(errors, advantages, strict=True)):
            left = MOST - i if steps is None else min(steps, MOST - i)
            exact = targets[left - 1] - values[:, None]
            table = np.broadcast_to(values[:, None], mdp.shape)
            gaps.append(side.gap(error - exact, table, side.pi, solved=solved))
            own = exact + side.alpha * side.log_pi
            gaps.append(side.gap(advantage - own, table, side.pi, solved=solved))
            if solved:
                gaps.append(side.gap((side.pi * error).sum(axis=1), table, side.pi, solved=True))
    return worst(*gaps)


class _Side:
    """What both sides of a claim need: the MDP, the policy and its logarithm, the ends, the temperature."""

    def __init__(self, mdp: TabularMDP, logits: Array, ends: Ends, alpha: float, n: int) -> None:
        self.mdp, self.logits, self.ends, self.alpha, self.n = mdp, logits, ends, alpha, n
        self.log_pi = log_softmax(logits, axis=1)
        self.pi = np.exp(self.log_pi)

    def value(self, q: Array) -> Array:
        """State values `[S]` of the policy, hard or soft."""
        found: Array = (self.pi * (q - self.alpha * self.log_pi)).sum(axis=1)
        return found

    def exact(self, q: Array, *, follow: Array, less: Array) -> list[Array]:
        """Expected targets of one to n steps at the table q."""
        v = self.value(q)
        return exact_targets(
            self.mdp, gain=self.mdp.reward, v=v, follow=follow, less=less, ends=self.ends, n=self.n
        )

    def q_pi(self) -> Array:
        """Action values `[S, A]` of the policy; the entropy of a state stands in its value, not in theirs."""
        gain = self.mdp.reward - self.alpha * self.log_pi
        v = evaluated(self.mdp, pi=self.pi, gain=gain, ends=self.ends)
        return self.mdp.reward + self.mdp.gamma * self.mdp.dense_transition @ v

    def td_errors(
        self, *tables: Array, acting: Array, trace: float | None, perturb: float
    ) -> list[list[Array]]:
        """Expected TD errors `[S, A]` of each deep critic at each step of the windows that has one."""
        from virel_deep.axes.multistep import NStep, Retrace  # noqa: PLC0415
        from virel_deep.axes.posterior.categorical import Categorical  # noqa: PLC0415

        of = paths(self.mdp, acting=acting, ends=self.ends, n=self.n)
        with float64():
            critic, posterior = critic_network(*tables), Categorical(table_network(self.logits))
            gamma, evaluation = self.mdp.gamma * (1 - 0.1 * perturb), "soft" if self.alpha > 0 else "hard"
            of_value: dict[str, Any] = {"gamma": gamma, "evaluation": evaluation}
            value: Any
            if trace is None:
                value = NStep(critic, critic, **of_value)
            else:
                value = Retrace(critic, critic, steps=self.n, trace=trace, **of_value)
            found = self._fit(value, posterior, of, acting, whole=False).td_error[0]
        return [self._at_each(of, x) for x in found]

    def errors(self, v: Array, *, steps: int | None, perturb: float) -> tuple[list[Array], list[Array]]:
        """Expected errors of the deep state value at each step of rollouts, and advantages; `[S, A]` each."""
        from virel_deep.axes.advantage import Advantage  # noqa: PLC0415
        from virel_deep.axes.posterior.taken import CHOICE, Score  # noqa: PLC0415

        of = paths(self.mdp, acting=self.pi, ends=self.ends, n=self.n)
        with float64():
            posterior = Score(table_network(self.logits), CHOICE)
            gamma, soft = self.mdp.gamma * (1 - 0.1 * perturb), self.alpha > 0
            value = Advantage(table_network(v[:, None]), steps=steps, gamma=gamma, soft=soft)
            found = self._fit(value, posterior, of, self.pi, whole=True)
        return self._at_each(of, found.td_error[0, 0]), self._at_each(of, found.following.q[0, :, 0])

    def _fit(self, value: Any, posterior: Any, of: Paths, acting: Array, *, whole: bool) -> Any:
        from virel_deep.axes.interfaces import Objective  # noqa: PLC0415
        from virel_deep.axes.prior.constant import Uniform  # noqa: PLC0415

        data = as_data(self.mdp, of, acting=acting, ends=self.ends, whole=whole)
        objective = Objective(no_values, Uniform(), tensor([self.alpha]))
        return value.fit(data, None, _Following(posterior, objective), objective)

    def _at_each(self, of: Paths, x: Tensor) -> list[Array]:
        """Expectations at each step of the windows, given the pair there."""
        columns = x.detach().numpy().reshape(len(of.weight), -1).T
        return [expected_at(of, column, self.mdp.shape, step=i) for i, column in enumerate(columns)]

    def gap(self, error: Array, q: Array, acting: Array, *, solved: bool = False) -> Gap:
        """Largest error over the pairs that some window has, with the bound of the module's docstring."""
        (states, actions), n = self.mdp.shape, self.n
        z = float(max(np.abs(self.log_pi).max(), np.abs(np.log(acting[acting > 0])).max()))
        of_log, m = U * (4 * z + actions + 8), len(paths(self.mdp, acting=acting, ends=self.ends, n=n).weight)
        largest = np.abs(self.mdp.reward).max() + 3 * np.abs(q).max() + 2 * np.abs(self.value(q)).max()
        size = n * (float(largest) + self.alpha * z)
        bound = 4 * size * (n * (3 * of_log + U * (states * actions + actions + 40)) + U * m)
        bound += 64 * n * (states + actions) * U * size if solved else 0.0
        return Gap(float(np.abs(error[~np.isnan(error)]).max(initial=0)), bound)


def _state_values(mdp: TabularMDP) -> st.SearchStrategy[Array]:
    return fractions(mdp.n_states, 8, over=2)


_PARTS: dict[str, Any] = {"mdp": mdps(max_states=3), "logits": q_tables, "ends": some_ends}
_SOFT: dict[str, Any] = {"alpha": temperatures(), "soft": st.booleans()}
_WINDOWS: dict[str, Any] = {"q": q_tables, "n": st.integers(1, MOST)}
_N_STEP = instances(**_PARTS, **_WINDOWS, acting=policies)
_RETRACE = instances(
    **_PARTS,
    other=q_tables,
    **_SOFT,
    **_WINDOWS,
    acting=partial(policies, full_support=False),
    trace=st.sampled_from((1.0, 0.0, 0.5, 0.9)),
)
_ADVANTAGE = instances(**_PARTS, **_SOFT, v=_state_values, steps=st.sampled_from((None, 1, 2)))

CLAIMS = (
    Claim(
        id="deep-n-step",
        title="The deep agent's targets of n steps are n backups",
        source="virel_deep NStep: RERPI, MPO with returns of n steps",
        statement=r"E_b\Big[\sum_{i<m}\gamma^i r_{t+i} + \gamma^m\bar V(s_{t+m})\,\Big|\,s_t, a_t\Big] = (T^b)^{n-1} T^\pi\bar Q(s_t, a_t),"
        r"\quad m = n \text{ or the episode's end};\qquad b = \pi,\ \bar Q = Q^\pi:\quad = Q^\pi",
        check=Check(n_step_gap, _N_STEP, n_random=30),
        expected=Verdict.HOLDS,
        assumptions=(
            Assumption(
                "the policy acts",
                "rewards and states of a window are those of the policy that acted; if that is another one, the targets at Q^pi"
                " are not Q^pi: returns of n steps are not corrected for it, Retrace's are",
                Check(partial(n_step_gap, on_policy=False), _N_STEP, n_random=30),
            ),
            Assumption(
                "hard values",
                "with soft values a target of n > 1 steps lacks the entropies of the states between the first and the last, so that"
                " Q^pi is not where it rests; the presets' settings refuse the pair",
                Check(partial(n_step_gap, alpha=1.0), _N_STEP, n_random=30),
            ),
        ),
        deep=True,
    ),
    Claim(
        id="deep-retrace",
        title="The deep agent's Retrace rests at the policy's values, whoever acts",
        source="virel_deep Retrace: Munos et al. 2016, Eq. (3), (4); MPO, Section 4.3",
        statement=r"E_b[y_i | s_i, a_i] = G_{n-i}(s_i, a_i),\quad G_1 = T^\pi\bar Q,\quad G_{k+1} = T^\pi\bar Q"
        r" + \gamma P\sum_a\lambda\min(b, \pi)(a|s')\,(G_k - \bar Q)(s', a);\qquad \bar Q = Q^\pi:\quad E_b[y_i] = Q^\pi",
        check=Check(retrace_gap, _RETRACE, n_random=30),
        expected=Verdict.HOLDS,
        deep=True,
    ),
    Claim(
        id="deep-advantage",
        title="The deep agent's advantages along rollouts are exact, ends of episodes included",
        source="virel_deep Advantage: V-MPO, Eq. (6); Schulman et al. 2017, Sec. 3.6",
        statement=r"\hat A_t = \sum_{i<m}\gamma^i g_{t+i} + \gamma^m V(s_{t+m}) - V(s_t),\quad g = r - \alpha\log\pi:\qquad"
        r" E_\pi[\hat A_t | s_t, a_t] = (T^\pi)^m V(s_t, a_t) - V(s_t);\qquad V = V^\pi:\quad E_\pi[\hat A_t | s_t] = 0",
        check=Check(advantage_gap, _ADVANTAGE, n_random=30),
        expected=Verdict.HOLDS,
        deep=True,
    ),
)
