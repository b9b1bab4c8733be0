"""Claims on App. F.5, (39)-(41): complete EM is policy iteration; with a fixed target, value iteration.

Both sides: EM from `virel_theory.methods.em` (sparse LU over state-action pairs, greedy limit of the
        Boltzmann policy); policy iteration and Q-value iteration in this file (dense solve over states,
        `max`).
Bound:  (39), (40): either side solves (I - gamma P) x = r by LU. The backward error is 8 n u per row of
        size (1 + gamma)||x||, times the inverse's norm 1/(1 - gamma), with ||x|| <= max|r|/(1 - gamma):
        each side is within 16 n u max|r|/(1 - gamma)^2 for n unknowns (growth factors of these diagonally
        dominant systems are at most 2: Higham 2002, Thm 9.9). `tie_tol` is that bound on the difference of
        the two sides, n = |H|: values closer than the sides' own error are ties and go to the lowest index
        on both. Policies must be equal exactly. (41): a step is exact up to (n + 4) u (max|r| + max|q|) on
        either side, accumulating at most 1/(1 - gamma) times. The M-step's premise: see `gap_m_step`.
Teeth:  `perturb` discounts by 0.9 gamma on one side and adds to the reward there.
"""

import numpy as np

from verify.claims import recorded
from verify.claims.instances import gym_instances, gym_mdp, on_mdp, solved
from verify.claims.methods import comparison_figures, em_figures
from verify.claims.methods.policy_iteration import policy_iteration_steps, solve_bound
from verify.engine.claim import Assumption, Check, Claim, Correction, Step
from verify.engine.verdict import Gap, Verdict, Weight, worst
from verify.strategies import distributions, instances, mdps, policies, q_tables
from virel_theory.checks import Array, U
from virel_theory.mdp.tabular import TabularMDP
from virel_theory.methods.em import em_fixed_target_steps, em_steps, m_step_complete
from virel_theory.objective.elbo import elbo

N_STEPS = 6


def gap_39(*, mdp: TabularMDP, perturb: float = 0.0) -> Gap:
    """Gap of Eq. (39): Q table of each complete M-step minus policy iteration's at the same step, zero."""
    return _against_policy_iteration(mdp, perturb, tables=True)


def gap_40(*, mdp: TabularMDP, perturb: float = 0.0) -> Gap:
    """Gap of Eq. (40): number of states where EM's E-step policy is not policy iteration's; zero."""
    return _against_policy_iteration(mdp, perturb, tables=False)


def _against_policy_iteration(mdp: TabularMDP, perturb: float, *, tables: bool) -> Gap:
    tie_tol = solve_bound(mdp)
    start = mdp.available.argmax(axis=1)
    other = _perturbed(mdp, perturb) if tables else _reversed(mdp, perturb)
    em = em_steps(mdp, pi_0=np.eye(mdp.n_actions)[start], n_steps=N_STEPS, tie_tol=tie_tol)
    pi = policy_iteration_steps(other, start, N_STEPS, tie_tol)
    if tables:
        return worst(*(Gap(_distance(step.q, q, mdp), tie_tol) for step, (q, _) in zip(em, pi, strict=True)))
    return worst(
        *(
            Gap(float((step.pi.argmax(axis=1) != policy).sum()), 0.0)
            for step, (_, policy) in zip(em, pi, strict=True)
        )
    )


def gap_optimal(*, mdp: TabularMDP, perturb: float = 0.0) -> Gap:
    """Gap of complete EM's last table: `T* Q - Q`, zero; reached within A^S + 1 steps.

    EM runs until its policy repeats, which must take at most A^S + 1 steps.
    """
    tie_tol = solve_bound(mdp)
    pi = np.eye(mdp.n_actions)[mdp.available.argmax(axis=1)]
    for _ in range(mdp.n_actions**mdp.n_states + 1):
        (step,) = em_steps(mdp, pi_0=pi, n_steps=1, tie_tol=tie_tol)
        if np.array_equal(step.pi, pi):
            break
        pi = step.pi
    else:
        return Gap(np.inf, 0.0)
    target = mdp.reward + mdp.gamma * mdp.expect_next(step.q.max(axis=1)) + perturb
    return Gap(_distance(step.q, target, mdp), 2 * tie_tol)


def gap_m_step(*, mdp: TabularMDP, q_star: Array, pi: Array, d: Array, perturb: float = 0.0) -> Gap:
    """Gap of (39)'s printed premise (Q* > 0: L largest near Q^pi): L far from Q^pi minus L near, at most 0.

    Far is Q^pi + 64, near is Q^pi + 2^-10. At the shift c, L is 2 (m + c)/((1 - gamma) c)^2 plus an entropy
    that is the same for both, m = E[Q^pi]. To solve for Q^pi and average it errs by at most twice
    `solve_bound`, which the smaller shift, 2^-10, multiplies by 2^21/(1 - gamma)^2: that is the bound.
    """
    if q_star[mdp.available].min() <= 0:  # without Assumption 1 nothing is claimed
        return Gap(0.0, 0.0)
    q_pi = m_step_complete(mdp, pi=pi)
    near, far = (_elbo_at_shift(mdp, q_pi, pi, d, shift) for shift in (2.0**-10, 64.0))
    bound = 2.0**22 * solve_bound(mdp) / (1 - mdp.gamma) ** 2
    return Gap(near - far if perturb else far - near, bound)


def gap_m_step_positive(*, mdp: TabularMDP, q_star: Array, pi: Array, d: Array, perturb: float = 0.0) -> Gap:
    """Gap of (39)'s repaired premise (Q^pi >= 1: L largest near Q^pi): L far minus L near, at most 0.

    A constant is added to the reward; else as in `gap_m_step`.
    """
    low = float(mdp.reward[mdp.available].min())
    shifted = TabularMDP(
        mdp.transition, mdp.reward + (1 - min(low, 0.0)) * mdp.available, mdp.gamma, mask=mdp.mask
    )
    return gap_m_step(mdp=shifted, q_star=q_star, pi=pi, d=d, perturb=perturb)  # Q* only rises


def _elbo_at_shift(mdp: TabularMDP, q_pi: Array, pi: Array, d: Array, shift: float) -> float:
    """Objective L at Q = Q^pi + shift, where the Bellman residual is constant: -(1 - gamma) shift.

    So eps = ((1 - gamma) shift)^2 / 2.
    """
    return elbo(q_pi + shift, pi_theta=pi, d=d, eps=((1 - mdp.gamma) * shift) ** 2 / 2)


def gap_41_printed(*, mdp: TabularMDP, q: Array, perturb: float = 0.0) -> Gap:
    """Gap of Eq. (41) as printed: M-step table minus its middle term `r + E[max Q]`, no gamma; zero."""
    return _against_value_iteration(mdp, q, discount=1.0, perturb=perturb)


def gap_41(*, mdp: TabularMDP, q: Array, perturb: float = 0.0) -> Gap:
    """Gap of Eq. (41) corrected: for k >= 2, each M-step's table minus T* of the table before it, zero."""
    return _against_value_iteration(mdp, q, discount=mdp.gamma, perturb=perturb)


def gap_41_from_first(*, mdp: TabularMDP, q: Array, pi: Array, perturb: float = 0.0) -> Gap:
    """Gap of Eq. (41) at k = 1: the first M-step's table minus T* of the initial table Q_0, zero.

    The policy pi_0 is arbitrary.
    """
    (step,) = em_fixed_target_steps(mdp, q_0=q, pi_0=pi, n_steps=1)
    target = mdp.reward + mdp.gamma * mdp.expect_next(q.max(axis=1)) + perturb
    return Gap(_distance(step.q, target, mdp), _step_bound(mdp, step.q, q))


def _against_value_iteration(mdp: TabularMDP, q: Array, *, discount: float, perturb: float) -> Gap:
    pi_0 = mdp.available / mdp.available.sum(axis=1, keepdims=True)
    steps = em_fixed_target_steps(mdp, q_0=q, pi_0=pi_0, n_steps=N_STEPS)
    dense = mdp.dense_transition
    iterate, gaps = steps[0].q, []
    for step in steps[1:]:
        bound = _step_bound(mdp, step.q, iterate)
        iterate = np.where(
            mdp.available, mdp.reward + perturb + discount * (dense @ iterate.max(axis=1)), -np.inf
        )
        gaps.append(Gap(_distance(step.q, iterate, mdp), bound))
    return worst(*gaps)


def _step_bound(mdp: TabularMDP, *tables: Array) -> float:
    size = 1 + float(np.abs(mdp.reward).max()) + max(float(np.abs(t[mdp.available]).max()) for t in tables)
    return (mdp.n_states + 4) * U * size / (1 - mdp.gamma)


def _distance(x: Array, y: Array, mdp: TabularMDP) -> float:
    return float(np.abs(x[mdp.available] - y[mdp.available]).max())


def _perturbed(mdp: TabularMDP, perturb: float) -> TabularMDP:
    if not perturb:
        return mdp
    return TabularMDP(mdp.transition, mdp.reward + perturb * mdp.available, 0.9 * mdp.gamma, mask=mdp.mask)


def _reversed(mdp: TabularMDP, perturb: float) -> TabularMDP:
    """MDP with its rewards negated if `perturb` is nonzero: the planted error that a check must find."""
    return TabularMDP(mdp.transition, -mdp.reward, mdp.gamma, mask=mdp.mask) if perturb else mdp


_MDP = instances(mdp=mdps(masked=True))
_MDP_Q = instances(mdp=mdps(masked=True), q=q_tables)
_M_STEP = solved(pi=on_mdp(lambda mdp: policies(mdp, full_support=False)), d=on_mdp(distributions))

_M_STEP_GAP = Step(
    name="argmax_omega L is at eps_omega = 0",
    statement=r"\text{As we prove in Theorem 2, we can always maximise our objective with respect to } \omega \text{ by finding } \omega^* \text{ s.t. } \varepsilon_{\omega^*} = 0",
    check=Check(
        gap_m_step,
        _M_STEP,
        recorded={
            "mdp": recorded.one_state(4.0, -3.0, gamma=0.5),
            "q_star": recorded.table(8, 1),
            "pi": recorded.table(0, 1),
            "d": recorded.D,
        },
    ),
    repaired=Correction(
        statement=r"Q^{\pi_{k-1}} > 0 \implies \sup_\omega \mathcal L(\omega,\theta) = \lim_{\varepsilon_\omega \to 0^+}\mathcal L = \infty; \text{ else minimise } \varepsilon_\omega \text{ itself}",
        derivation=r"$\mathcal L = E[\hat Q_\omega]/\varepsilon_\omega + \mathcal H$. Assumption 1 gives $Q^* > 0$, not $Q^{\pi} > 0$. If $E_{d\pi}[Q^{\pi}] < 0$ then $\mathcal L \to -\infty$ as "
        r"$\omega \to \omega_1$, so the M-step that maximises $\mathcal L$ runs away from the evaluation of $\pi$. One state, two actions, $r = (4, -3)$, $\gamma = 1/2$ "
        r"show it: $Q^* = (8, 1) > 0$, and the policy that takes the second action has $E[Q^\pi] = -6$. "
        r"F.5's own next line, $\omega_1 = \arg\min_\omega \varepsilon_\omega$, is what policy iteration needs; adding a constant to the reward until $Q^\pi > 0$ makes the two agree.",
        check=Check(gap_m_step_positive, _M_STEP),
    ),
)

CLAIMS = (
    Claim(
        id="eq-39",
        title="complete M-step evaluates the policy",
        source="Eq. (39), App. F.5",
        statement=r"\hat Q_{\omega_k}(\cdot) \leftarrow Q^{\pi_{k-1}}(\cdot)",
        check=Check(gap_39, _MDP, n_random=1000, named=gym_instances()),
        expected=Verdict.GAP,
        weight=Weight.COMPLETION,
        steps=(_M_STEP_GAP,),
        figures=lambda seed: (*em_figures.policy_iteration_figures(seed), *comparison_figures.figures(seed)),
    ),
    Claim(
        id="eq-40",
        title="complete E-step is greedy improvement",
        source="Eq. (40), App. F.5",
        statement=r"\pi_k(a|\cdot) \leftarrow \delta\big(a = \arg\max_{a'} Q^{\pi_{k-1}}(a',\cdot)\big)",
        check=Check(gap_40, instances(mdp=mdps(masked=True)), n_random=1000, named=gym_instances()),
        expected=Verdict.HOLDS,
        assumptions=(
            Assumption(
                "unique maximum",
                r"between tied actions the limit of $\pi_\omega$ is uniform, where both sides of the check take the first of them; the"
                " limit itself is in the certificate",
            ),
        ),
    ),
    Claim(
        id="app-f5-policy-iteration",
        title="EM with complete steps reaches the optimal policy",
        source="App. F.5 after Eq. (40)",
        statement=r"\exists k:\ \pi_k = \pi_{k+1},\ \mathcal T^* \hat Q_{\omega_{k+1}} = \hat Q_{\omega_{k+1}}",
        check=Check(
            gap_optimal,
            instances(mdp=mdps(max_states=4, masked=True)),
            named=lambda: [("FrozenLake-v1", {"mdp": gym_mdp("FrozenLake-v1")})],
        ),
        expected=Verdict.HOLDS,
    ),
    Claim(
        id="eq-41",
        title="fixed-target EM is Q-value iteration",
        source="Eq. (41), App. F.5",
        statement=r"\hat Q_{\omega_k}(\cdot) = \mathcal T^{\pi_{k-1}}\hat Q_{\omega_{k-1}}(\cdot) = r(\cdot) + E_{s'|\cdot}[\max_{a'} \hat Q_{\omega_{k-1}}(s',a')] = \mathcal T^*\hat Q_{\omega_{k-1}}(\cdot), \quad k > 2",
        check=Check(gap_41_printed, _MDP_Q, recorded={"mdp": recorded.R_DISCOUNTED, "q": recorded.Q}),
        expected=Verdict.REFUTED,
        weight=Weight.MISPRINT,
        assumptions=(
            Assumption(
                "k > 2",
                r"$k = 2$ holds as well; the step $k = 1$ is excluded, as $\pi_0$ need not be greedy",
                without=Check(gap_41_from_first, instances(mdp=mdps(), q=q_tables, pi=policies)),
            ),
        ),
        correction=Correction(
            statement=r"\hat Q_{\omega_k}(\cdot) = r(\cdot) + \gamma E_{s'|\cdot}[\max_{a'} \hat Q_{\omega_{k-1}}(s',a')] = \mathcal T^*\hat Q_{\omega_{k-1}}(\cdot), \quad k \ge 2",
            derivation=r"A misprint: the middle member lacks $\gamma$. $\pi_{k-1}$ is greedy for $\hat Q_{\omega_{k-1}}$ from $k = 2$ on, whatever the tie-break, so "
            r"$\mathcal T^{\pi_{k-1}}\hat Q_{\omega_{k-1}} = \mathcal T^*\hat Q_{\omega_{k-1}}$. These are synchronous updates of all pairs with known dynamics: "
            r"Q-value iteration rather than (sampled) Q-learning.",
            check=Check(gap_41, _MDP_Q, n_random=1000, named=gym_instances(q=True)),
        ),
        figures=em_figures.value_iteration_figures,
    ),
)
