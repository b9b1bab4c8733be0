"""Claims on Theorem 5 iii) with (38): do minimum and limit commute?

They do, on any Omega, with min read as inf: by Assumption 2 at once (0 <= inf eps_{w,k} <= eps_{w*,k} ->
0), and on finite action sets without it, as the rate of (37) is uniform. The printed proof goes through a
limit of the minimisers, which need not exist.

Both sides: `incremental_residual_error`; eps_omega by loops (`rates.py`); closed forms for one state.
Omega:  with Q* in it, as iii) assumes, min eps_w is 0 whatever eps is; so each check also compares minima
        over Omega without its first member, Q*. (38) assumes no Q*; iii) on finite actions needs none.
Bound:  the rates of `statement.py`, plus rounding (`rates`), minus eps_k where eps_k is subtracted
        (`rate_above_eps_k`). Of minima: with a = eps_{.,k} - eps_k least at i and b = eps least at j, min a
        - min b <= a(j) - b(j) and min b - min a <= b(i) - a(i): the rates of two members. Squeeze:
        eps_{w~_k,k} <= eps_{w*,k} <= delta^2/2 + eps_k gives ||beta_{w~_k,k}|| <= sqrt|H| delta, and (1 -
        gamma) ||Q - Q*|| <= ||T* Q - Q|| <= ||beta_{w,k}|| + delta.
Teeth:  `perturb` adds to one side.
"""

import math
from collections.abc import Sequence

import numpy as np
from hypothesis import strategies as st

from verify.claims import recorded
from verify.claims.instances import boltzmann_loss, integer_tables, on_mdp, solved
from verify.claims.theorem_5.rates import EPS_K, eps_by_hand, rate_above_eps_k, rates
from verify.engine.claim import A_LIMIT, Assumption, Check, Claim, Correction, Instance, NoProof, Step
from verify.engine.plotdata import Curve, Figure, Panel
from verify.engine.verdict import Gap, Verdict, Weight, worst
from virel_theory.checks import Array
from virel_theory.mdp.tabular import TabularMDP
from virel_theory.models.draw import garnet
from virel_theory.objective.residual import incremental_residual_error
from virel_theory.operators.bellman import bellman_incremental
from virel_theory.solvers.solve import solve


def mdp_of_38(gap: int, gamma: float) -> TabularMDP:
    """MDP of the counterexample to (38): one state, rewards (gap + 1, 1)."""
    return recorded.one_state(gap + 1.0, 1.0, gamma=gamma)


def mdp_of_iii(gap: int, gamma: float) -> TabularMDP:
    """MDP of the counterexample to the proof of Theorem 5 iii): one state, rewards (gap, 0)."""
    return recorded.one_state(float(gap), 0.0, gamma=gamma)


def gap_iii(*, mdp: TabularMDP, omegas: Array, eps_k: float, perturb: float = 0.0) -> Gap:
    """Gap of Theorem 5 iii): min over Omega of `eps_{omega,k} - eps_k` minus that of eps_omega, zero.

    Omega is also taken without its first member.
    """
    return worst(*(_gap_of_minima(mdp, part, eps_k, perturb) for part in (omegas, omegas[1:]) if len(part)))


def _gap_of_minima(mdp: TabularMDP, omegas: Array, eps_k: float, perturb: float) -> Gap:
    """Difference of minima over Omega: of `eps_{omega,k} - eps_k`, minus that of eps_omega.

    The bound is the larger of the two minimisers' rates; Assumption 2 is not used.
    """
    left = [incremental_residual_error(mdp, q, eps_k=eps_k) - eps_k for q in omegas]
    right = [eps_by_hand(mdp, q) for q in omegas]
    ends = {int(np.argmin(left)), int(np.argmin(right))}
    bound = max(rate_above_eps_k(mdp, omegas[k], eps_k) for k in ends)
    return Gap(abs(min(left) - min(right)) + perturb * (1 + 2 * bound), bound)


def gap_spikes(*, eps_k: float, nats: int, perturb: float = 0.0) -> Gap:
    """Gap of Theorem 5 iii) without Assumption 2: min eps_omega = 1/8 minus min of `eps_{omega,k} - eps_k`.

    Actions are continuous. S = 1, A = [0, 1], gamma = 1/2, r = 0, Q_omega = 1 on a width sigma, else 0. T* Q
    = 1/2: beta = 1/2 off and -1/2 on the spike, eps_omega = 1/8 for every sigma. The soft policy does not see
    a spike of width sigma = exp(-nats) << exp(-1/eps_k). The minimum is that of eps_{omega,k} - eps_k over
    Omega; to commute, the gap must be small for small eps_k, here at most 1/16 for eps_k <= 1/64.
    """
    sigma = math.exp(-nats)
    mean = 1 / (1 + (1 - sigma) * math.exp(nats - 1 / eps_k))
    square = (1 - sigma) * (mean / 2) ** 2 + sigma * (mean / 2 - 1) ** 2
    return Gap(1 / 8 - square / 2 + perturb, 1 / 16)


def gap_38(*, mdp: TabularMDP, q_star: Array, others: Array, eps_k: float, perturb: float = 0.0) -> Gap:
    """Gap of (38): eps_{w,k} at the k-th minimiser minus eps_k minus eps_w at any w; at most (37)'s rate.

    The rate is without its term eps_k. Omega is taken with Q*, and without.
    """
    return worst(*(_gap_38(mdp, omegas, eps_k, perturb) for omegas in ([q_star, *others], list(others))))


def _gap_38(mdp: TabularMDP, omegas: Sequence[Array], eps_k: float, perturb: float) -> Gap:
    least = min(incremental_residual_error(mdp, q, eps_k=eps_k) for q in omegas) - eps_k
    limits = [(eps_by_hand(mdp, q), rate_above_eps_k(mdp, q, eps_k)) for q in omegas]
    planted = perturb * (1 + 2 * max(eps + rate for eps, rate in limits))
    return worst(*(Gap(least + planted - eps, rate) for eps, rate in limits))


def gap_limit_of_minimisers(*, gap: int, gamma: float, below: int, n: int, perturb: float = 0.0) -> Gap:
    """Gap of (38) as numbered: eps_{w~,inf} minus min lim eps_{w,k}, w~ the limit of the minimisers w~_k.

    Omega = {2} + {1 - 1/j, j >= 2} + {1}: Q_2 = Q*, Q_{1 - 1/j} the fixed point of T_{w,j} at eps_j = 2^(1 - j),
    and Q_1 = Q* - below. The minimisers are computed over w = 2, 1, 1 - 1/2, ..., 1 - 1/n for k = n. If they are at
    1 - 1/k, they tend to w~ = 1, else to the last of them. Q* > 0 and its maximum is unique.
    """
    mdp = mdp_of_38(gap, gamma)
    q_star = mdp.reward + gamma * (gap + 1) / (1 - gamma)
    omegas = {2.0: q_star, 1.0: q_star - below}
    for j in range(2, n + 1):
        omegas[1 - 1 / j] = _fixed_point(mdp, 2.0 ** (1 - j))
    best = [
        min(omegas, key=lambda w: incremental_residual_error(mdp, omegas[w], eps_k=2.0 ** (1 - k)))
        for k in range(2, n + 1)
    ]
    runs_off = all(abs(w - (1 - 1 / k)) < 1e-12 for w, k in zip(best, range(2, n + 1), strict=True))
    limit = 1.0 if runs_off else best[-1]
    least = min(eps_by_hand(mdp, q) for q in omegas.values())
    return Gap(eps_by_hand(mdp, omegas[limit]) + perturb - least, rates(mdp, omegas[limit], 0.0)[1])


def _fixed_point(mdp: TabularMDP, eps_k: float) -> Array:
    """Fixed point of T_{w,k} for S = 1: the gap of the two actions is that of the reward, at every table."""
    high, low = mdp.reward[0]
    mean = low + (high - low) / (1 + math.exp(-(high - low) / eps_k))
    out: Array = mdp.reward + mdp.gamma * mean / (1 - mdp.gamma)
    return out


def gap_minimisers_converge(*, gap: int, gamma: float, n: int, perturb: float = 0.0) -> Gap:
    """Gap of Theorem 5 iii), step "minimisers-converge" as printed: distance of the last two, to be 0.

    The step is |w~_n - w~_{n-1}|. S = 1, A = 2, r = (gap, 0), Omega = {0, 1, 2, ...}. Q_0 = Q* and Q_j is the
    fixed point of T_{w,k} at eps_k = 2^-j, so that eps_{w,k} >= eps_k is least at w = k: points of Omega = R
    that a smooth curve w -> Q_w joins. A convergent sequence makes the last step small.
    """
    mdp = mdp_of_iii(gap, gamma)
    mean = [float(gap)] + [gap / (1 + math.exp(-gap * 2.0**j)) for j in range(1, n + 1)]
    omegas = [mdp.reward + gamma * m / (1 - gamma) for m in mean]
    best = [
        int(np.argmin([incremental_residual_error(mdp, q, eps_k=2.0**-k) for q in omegas]))
        for k in (n - 1, n)
    ]
    return Gap(abs(best[1] - best[0]) + perturb, 0.5)


def gap_squeeze(*, mdp: TabularMDP, q_star: Array, others: Array, eps_k: float, perturb: float = 0.0) -> Gap:
    """Gap of Theorem 5 iii), repaired: `min eps_{w,k} - (delta^2/2 + eps_k)`, at most 0, T* - T_k <= delta.

    The minimisers converge, too: (1 - gamma) ||Q_{w~_k} - Q*|| <= (1 + sqrt|H|) delta.
    """
    omegas = [q_star, *others]
    values = [incremental_residual_error(mdp, q, eps_k=eps_k) for q in omegas]
    delta = mdp.gamma * boltzmann_loss(mdp.n_actions, eps_k)
    rounding = max(rates(mdp, q, eps_k)[1] for q in omegas)
    distance = (1 - mdp.gamma) * float(np.abs(omegas[int(np.argmin(values))] - q_star).max())
    near = Gap(
        distance + perturb * (1 + 8 * delta),
        (1 + np.sqrt(mdp.n_pairs)) * delta + np.sqrt(2 * mdp.n_pairs * rounding),
    )
    return worst(Gap(min(values), delta**2 / 2 + eps_k + rounding), near)


def figures(seed: int) -> Sequence[Figure]:
    """Figure of the minimisers of eps_{w,k} over all tables, fixed points Q_k of T_{w,k}, by eps_k.

    The MDP is a Garnet MDP.
    """
    mdp = garnet(6, 3, 2, gamma=0.9, rng=np.random.default_rng(seed))
    q_star = np.asarray(solve(mdp, atol=1e-12).q)
    eps: Array = np.exp2(-np.arange(16.0))
    q, value, distance = q_star, [], []
    for eps_k in eps[::-1]:
        for _ in range(400):
            q = bellman_incremental(mdp, q, eps_k=float(eps_k))
        value.append(incremental_residual_error(mdp, q, eps_k=float(eps_k)))
        distance.append(float(np.abs(q - q_star).max()))
    bound = np.array([0.9 * boltzmann_loss(3, float(e)) / 0.1 for e in eps])
    left = (
        Curve("min over w of eps_{w,k}", eps, np.array(value[::-1])),
        Curve("eps_k", eps, eps, "predicted"),
    )
    right = (Curve("||Q_k - Q*||", eps, np.array(distance[::-1])), Curve("bound", eps, bound, "predicted"))
    panels = (
        Panel("Path of minimisers", "eps_k", "eps_{w,k}", left, "log", "log"),
        Panel("Distance to Q*", "eps_k", "max norm", right, "log", "log"),
    )
    return (Figure("theorem-5-path", panels, f"Garnet, S = 6, A = 3, gamma = 0.9, seed {seed}; tabular Q."),)


def _omega() -> st.SearchStrategy[Instance]:
    drawn = solved(shape=(2, 3), omegas=integer_tables(-3, 6, count=3), eps_k=on_mdp(EPS_K))
    return drawn.map(lambda x: {name: x[name] for name in ("mdp", "omegas", "eps_k")})


def _joined(x: Instance) -> Instance:
    return {"mdp": x["mdp"], "omegas": np.stack([x["q_star"], *x["others"]]), "eps_k": x["eps_k"]}


_WITH_OPTIMUM = solved(shape=(2, 3), others=integer_tables(-3, 6, count=2), eps_k=on_mdp(EPS_K))

CLAIMS = (
    Claim(
        id="eq-38",
        title="Limits of minimisers",
        source="Eq. (38), App. F.2",
        reading=r"Without F.1's Assumption 5 ($\hat Q_\omega$ three times differentiable in $\omega$), which F.2 does not name: with it"
        r" the line holds wherever $\tilde\omega$ exists.",
        statement=r"\varepsilon_{\tilde\omega_k,k} \le \varepsilon_{\omega,k} \implies \min\lim_{k\to\infty}\varepsilon_{\tilde\omega_k,k}"
        r" \le \min_\omega\lim_{k\to\infty}\varepsilon_{\omega,k}",
        check=Check(gap_38, _WITH_OPTIMUM),
        expected=Verdict.GAP,
        weight=Weight.COMPLETION,
        steps=(
            Step(
                "limit-of-minimisers (the line that has the number)",
                r"\varepsilon_{\tilde\omega,\infty} \le \min_\omega\lim_{k\to\infty}\varepsilon_{\omega,k},"
                r"\ \tilde\omega = \lim_{k\to\infty}\tilde\omega_k",
                Check(
                    gap_limit_of_minimisers,
                    st.fixed_dictionaries(
                        {
                            "gap": st.integers(1, 2),
                            "gamma": st.sampled_from([0.5, 0.75]),
                            "below": st.integers(0, 1),
                            "n": st.integers(3, 4),
                        }
                    ),
                ),
                repaired=Correction(
                    statement=r"\lim_{k\to\infty}\varepsilon_{\tilde\omega_k,k} \le \min_\omega\lim_{k\to\infty}\varepsilon_{\omega,k},"
                    r"\ \text{and}\ \varepsilon_{\tilde\omega,\infty} \text{ in its place if } \omega \mapsto \hat Q_\omega \text{ is continuous at } \tilde\omega",
                    derivation=r"""The line before is about the values along the minimisers, this one about their limit. Omega =
$\{2\} \cup \{1 - 1/j\} \cup \{1\}$, S = 1, A = 2, gamma = 1/2, r = (2, 1): $\hat Q_2 = Q^* = (4, 3)$, $\hat Q_{1-1/j}$ the
fixed point of $\mathcal T_{\omega,j}$ at $\varepsilon_j = 2^{1-j}$, $\hat Q_1 = (3, 2)$. At k the minimiser is
$1 - 1/k$, as its residual is 0; so $\tilde\omega = 1$, and $\varepsilon_{1,\infty} = 1/8$, where the right side is 0.
With continuity, $\varepsilon_{\tilde\omega,\infty} = \lim\varepsilon_{\tilde\omega_k,k}$, because (37) has a rate that is uniform near
$\tilde\omega$.""",
                    check=Check(gap_38, _WITH_OPTIMUM),
                ),
            ),
        ),
        not_certified=NoProof("minimisers over Omega and their limit; the rate that is used is eq-37"),
    ),
    Claim(
        id="theorem-5-iii",
        title="min and lim commute",
        source="Thm 5 iii), App. F.2",
        statement=r"\min_\omega\lim_{k\to\infty}\varepsilon_{\omega,k} = \lim_{k\to\infty}\min_\omega\varepsilon_{\omega,k}",
        check=Check(gap_iii, _WITH_OPTIMUM.map(_joined)),
        expected=Verdict.GAP,
        weight=Weight.COMPLETION,
        assumptions=(
            Assumption(
                "assumption-2",
                "Q* is in Omega; on finite action sets the rate is uniform and this is not needed",
                without=Check(gap_iii, _omega()),
            ),
            Assumption(
                "assumption-2-continuous-actions",
                "Q* is in Omega; on continuous action sets needed: narrow spikes hide from the soft policy",
                without=Check(
                    gap_spikes,
                    st.fixed_dictionaries(
                        {"eps_k": st.sampled_from([2.0**-6, 2.0**-7, 2.0**-8]), "nats": st.integers(0, 400)}
                    ),
                ),
            ),
        ),
        steps=(
            Step(
                "minimisers-converge",
                r"\text{there is } \tilde\omega = \lim_{k\to\infty}\tilde\omega_k,\ \tilde\omega_k = \arg\min_\omega\varepsilon_{\omega,k}",
                Check(
                    gap_minimisers_converge,
                    st.fixed_dictionaries(
                        {
                            "gap": st.integers(0, 3),
                            "gamma": st.sampled_from([0.0, 0.5, 0.75]),
                            "n": st.integers(2, 4),
                        }
                    ),
                ),
                repaired=Correction(
                    statement=r"0 \le \inf_\omega\varepsilon_{\omega,k} \le \varepsilon_{\omega^*,k} \le \tfrac12\delta_k^2 + \varepsilon_k \to 0,"
                    r"\ \|\hat Q_{\tilde\omega_k} - Q^*\|_\infty \le \tfrac{1+\sqrt{|H|}}{1-\gamma}\delta_k,\ \delta_k = \gamma\varepsilon_k\log A",
                    derivation=r"""S = 1, A = 2, r = (1, 0), gamma = 1/2, Omega = {0, 1, 2, ...} (points on a smooth curve) with $\hat Q_0 = Q^* = (2, 1)$ and
$\hat Q_j$ the fixed point of $\mathcal T_{\omega,j}$ at $\varepsilon_j = 2^{-j}$: the minimiser of
$\varepsilon_{\omega,k}$ is omega = k, as its residual is 0, and runs off. Compactness of Omega is not
assumed, so that $\varepsilon_{\tilde\omega,\infty}$ in (38) may not exist, continuous though
$\omega \mapsto \hat Q_\omega$ be (Assumption 5 of F.1, if F.2 is meant to have it). No limit
of minimisers is needed: squeeze by $\omega^*$ (Assumption 2). What converges is $\hat Q_{\tilde\omega_k}$,
by $\|\mathcal T^* Q - Q\| \le \|\beta_{\omega,k}\| + \delta_k$ and the contraction. Whether each minimum is
attained is open in general (inf suffices); for tabular Q it is, at a fixed point of $\mathcal T_{\omega,k}$
(Brouwer), and equals
$\varepsilon_k$.""",
                    check=Check(gap_squeeze, _WITH_OPTIMUM),
                ),
            ),
        ),
        figures=figures,
        not_certified=NoProof(A_LIMIT.reason, form="step-1"),
    ),
)
