"""Claims on App. F.1, below (33): can the projected residual error reach 0, and does its descent do so?

Both sides: the projected error and its gradient from `virel_theory.gradients.projection`, against 0, at the
        omega that solves E[b beta] = 0 (here, for Q = b^T omega): in exact rationals under T*, by least
        squares under T^pi.
Bound:  rounding. omega solves a linear equation with N^2 cond ulps, so E[b beta] is at most
        e = 64 (A + S + N + 16) N cond u (max|q| + max|r|) max|b|, and eps at most e^2 / (2 lambda_min(G)).
        That the zero is the only one, and that a fixed policy's minimisation ends there, is derived in
        `only_zero_gap` and `stationary_gap`; the latter uses the rounding bound of `gradient.py`.
Teeth:  `perturb` shifts omega by 1 (the zero) or doubles the error (stationary points).
"""

from fractions import Fraction
from typing import Any

import numpy as np
from hypothesis import strategies as st

from verify.claims.instances import fractions
from verify.claims.projection.gradient import gradient_bound
from verify.claims.projection.least_squares import condition, features, gram
from verify.engine.claim import Assumption, Check, Claim, Correction, Instance
from verify.engine.verdict import Gap, Verdict, Weight, worst
from verify.strategies import mdps, policies
from virel_theory.checks import Array, U
from virel_theory.gradients.projection import grad_projected_residual_error, projected_residual_error
from virel_theory.mdp.tabular import TabularMDP
from virel_theory.operators.bellman import bellman_optimal, bellman_policy


def optimal_zero_gap(*, mdp: TabularMDP, b: Array, perturb: float = 0.0) -> Gap:
    """Gap of App. F.1 as printed, target T*: least projected residual error of a linear critic, to be 0."""
    omega = _best_omega(mdp, b[:, :, 0]) + perturb
    q = b[:, :, 0] * omega
    error = projected_residual_error(b, bellman_optimal(mdp, q) - q)
    return Gap(error, _zero_bound(mdp, b, q, 1.0))


def policy_zero_gap(*, mdp: TabularMDP, b: Array, pi: Array, perturb: float = 0.0) -> Gap:
    """Gap of App. F.1 as printed, target T^pi: least projected residual error of a linear critic, to be 0.

    That omega solves A omega = E[b r], A = E[b (b - gamma E_pi b')^T], in least squares. It minimises eps:
    either A is regular, or there is one feature and A = 0, and then eps is the same for all omega.
    """
    system, _ = _system(mdp, b, pi)
    omega = _fixed_point(mdp, b, pi) + perturb
    cond = float(np.linalg.cond(system)) if np.linalg.matrix_rank(system) == len(system) else 1.0
    return Gap(_error_at(mdp, b, pi, omega), _zero_bound(mdp, b, b @ omega, cond))


def only_zero_gap(*, mdp: TabularMDP, b: Array, pi: Array, perturb: float = 0.0) -> Gap:
    """Gap of App. F.1 corrected: projected residual error, 0 only at the projected TD fixed point.

    A = E[b (b - gamma E_pi b')^T] is regular. Elsewhere is away from that omega in every unit direction, and
    in their sum. E[b beta] changes by -A v from omega to omega + v. By (33), 2 eps = E[b beta]^T G^-1 E[b
    beta], so sqrt(2 eps) >= f = sigma_min(A) |v| / sqrt(lambda_max(G)) there. Half of f is left to the
    rounding of omega and of eps: what must come out is sqrt(2 eps) >= f/2 > 0.
    """
    omega, (least, largest) = _fixed_point(mdp, b, pi), _spectrum(mdp, b, pi)
    far = (1 + float(np.abs(omega).max())) * np.vstack([np.eye(len(omega)), np.ones(len(omega))])
    gaps = []
    for v in far:
        floor = least * float(np.linalg.norm(v)) / np.sqrt(largest)
        gaps.append(Gap(floor / 2 - np.sqrt(2 * _error_at(mdp, b, pi, omega + v)), 0.0))
    return worst(policy_zero_gap(mdp=mdp, b=b, pi=pi, perturb=perturb), *gaps)


def stationary_gap(*, mdp: TabularMDP, b: Array, pi: Array, omega: Array, perturb: float = 0.0) -> Gap:
    """Gap of App. F.1 corrected, projected error e: `2 s_min(A)^2 e - l_max(G) |grad e|^2`, at most 0.

    Q = b omega, and eps is the projected residual error. So eps is 0 where its gradient is. With m = E[b
    beta], grad eps = -A^T G^-1 m has a norm of at least sigma_min(A) |G^-1 m|, and 2 eps = m^T G^-1 m <=
    lambda_max(G) |G^-1 m|^2. For one feature the two sides are equal. An error of e in eps (`forms_gap` of
    `least_squares.py`) and of g in each of N components of the gradient changes the left side by 2
    sigma_min^2 e and the right one by at most lambda_max (2 |grad| + sqrt(N) g) sqrt(N) g; sigma_min is known
    to N cond(A) ulps.
    """
    ahead = np.einsum("sat,tu,tun->san", mdp.dense_transition, pi, b)
    q, grad_beta = b @ omega, mdp.gamma * ahead - b
    beta, hessian = bellman_policy(mdp, q, pi=pi) - q, np.zeros((*b.shape, b.shape[2]))
    grad = grad_projected_residual_error(b, beta, grad_beta=grad_beta, hessian_vector=lambda v: hessian @ v)
    least, largest = _spectrum(mdp, b, pi)
    parts = {"b": b, "q": q, "beta": beta, "grad_beta": grad_beta}
    size, g = float(np.linalg.norm(grad)), np.sqrt(len(omega)) * gradient_bound(mdp, parts, hessian)
    left = 2 * least**2 * projected_residual_error(b, beta) * (1 + perturb)
    of_left = 128 * least**2 * b.shape[2] ** 2 * U * condition(mdp, b) * float(np.mean(beta**2))
    of_left += 64 * b.shape[2] * U * float(np.linalg.cond(_system(mdp, b, pi)[0])) * left
    return Gap(left - largest * size**2, of_left + largest * (2 * size + g) * g)


def _best_omega(mdp: TabularMDP, b: Array) -> float:
    """Weight omega of linear Q with one feature b that minimises `|E[b beta]|` under T*, in rationals.

    E[b beta] is linear in omega on each side of 0.
    """
    dense: Any = mdp.dense_transition
    exact = [[Fraction(x) for x in row] for row in b.tolist()]
    gamma, start, slope = Fraction(mdp.gamma), Fraction(0), {1: Fraction(0), -1: Fraction(0)}
    for s, a in np.ndindex(*mdp.shape):
        start += exact[s][a] * Fraction(float(mdp.reward[s, a]))
        for sign in (1, -1):
            ahead = sum(
                Fraction(float(dense[s, a, t])) * sign * max(sign * x for x in exact[t])
                for t in range(mdp.n_states)
            )
            slope[sign] += exact[s][a] * (gamma * ahead - exact[s][a])
    roots = [
        -start / slope[sign] for sign in (1, -1) if slope[sign] != 0 and -start / slope[sign] * sign >= 0
    ]
    return float(roots[0]) if roots else 0.0


def _system(mdp: TabularMDP, b: Array, pi: Array) -> tuple[Array, Array]:
    """Linear system of the TD fixed point: sums over pairs of `b (b - gamma E_pi b')^T` and of `b r`."""
    ahead = np.einsum("sat,tu,tun->san", mdp.dense_transition, pi, b)
    return np.einsum("san,sam->nm", b, b - mdp.gamma * ahead), np.einsum("san,sa->n", b, mdp.reward)


def _fixed_point(mdp: TabularMDP, b: Array, pi: Array) -> Array:
    """TD fixed point omega, the least-squares solution of its linear system."""
    system, target = _system(mdp, b, pi)
    return np.asarray(np.linalg.lstsq(system, target, rcond=None)[0], dtype=np.float64)


def _error_at(mdp: TabularMDP, b: Array, pi: Array, omega: Array) -> float:
    """Projected residual error of Q = b^T omega under the target T^pi."""
    q = b @ omega
    return projected_residual_error(b, bellman_policy(mdp, q, pi=pi) - q)


def _spectrum(mdp: TabularMDP, b: Array, pi: Array) -> tuple[float, float]:
    """Least singular value of `E[b (b - gamma E_pi b')^T]`, and largest eigenvalue of `E[b b^T]`."""
    system, _ = _system(mdp, b, pi)
    least = np.linalg.svd(system / mdp.n_pairs, compute_uv=False)[-1]
    return float(least), float(np.linalg.eigvalsh(gram(mdp, b))[-1])


def _zero_bound(mdp: TabularMDP, b: Array, q: Array, cond: float) -> float:
    """Bound of the rounding error of the projected residual error at its computed zero (module docstring)."""
    size = (float(np.abs(q).max()) + float(np.abs(mdp.reward).max())) * float(np.abs(b).max())
    e = 64 * (sum(mdp.shape) + b.shape[2] + 16) * b.shape[2] * cond * U * size
    return float(e**2 / (2 * np.linalg.eigvalsh(gram(mdp, b))[0]))


@st.composite
def _optimal_instances(draw: st.DrawFn) -> Instance:
    mdp = draw(mdps(max_states=2, max_actions=3, gammas=st.sampled_from((0.0, 0.5, 0.75, 0.875, 0.9375))))
    return {"mdp": mdp, "b": draw(features(mdp.shape, 1).filter(lambda b: bool(b.any())))}


@st.composite
def _policy_instances(draw: st.DrawFn, *, with_omega: bool = False) -> Instance:
    mdp = draw(mdps(max_states=3))
    pi = draw(policies(mdp, full_support=False))
    n = draw(st.integers(1, min(2, mdp.n_pairs)))

    def regular(b: Array) -> bool:
        return condition(mdp, b) < 1e6 and bool(np.linalg.cond(_system(mdp, b, pi)[0]) < 1e4)

    out = {"mdp": mdp, "b": draw(features(mdp.shape, n).filter(regular)), "pi": pi}
    halves = fractions(n, 4, over=2)
    return out | {"omega": draw(halves)} if with_omega else out


def _singular(rewards: tuple[int, int, int], scale: int) -> Instance:
    """Instance with a singular projected TD system: features (2, 1, 1), all states go to the first.

    gamma = 3/4. The sum of b (b - 3/2) is 0.
    """
    reward = np.array(rewards, dtype=np.float64)[:, None]
    mdp = TabularMDP(np.tile([1.0, 0.0, 0.0], (3, 1, 1)), reward, 0.75)
    return {"mdp": mdp, "b": scale * np.array([[[2.0]], [[1.0]], [[1.0]]]), "pi": np.ones((3, 1))}


def _singular_example() -> list[tuple[str, Instance]]:
    return [("b=(2,1,1)", _singular((1, 0, 0), 1))]


_SINGULAR = st.builds(  # r(s_1) >= 1 and r >= 0: Q* = r + 3 r(s_1) > 0, as Assumption 1 has it
    _singular, st.tuples(st.integers(1, 4), st.integers(0, 4), st.integers(0, 4)), st.integers(1, 3)
)


_RECORDED = _singular((1, 0, 0), 1)
_RECORDED_ZERO = {"mdp": _RECORDED["mdp"], "b": _RECORDED["b"]}

_ZERO_DERIVATION = r"""For $\hat Q_\omega = b^\top\omega$ under $T^\pi$, $E[b\beta_\omega] = E[b r] - A\omega$ with
$A = E[b(b - \gamma E_\pi b')^\top]$, and by (33) $\varepsilon_\omega = 0$ iff $E[b\beta_\omega] = 0$. If A is
regular, $\omega = A^{-1}E[b r]$ is the one zero. Projection does not make $P T^\pi$ a contraction in the norm
of the uniform distribution, so A can be singular: $b = (2, 1, 1)$, all states go to the first, $\gamma = 3/4$
gives A = 0 and, with $r = (1, 0, 0)$, $\varepsilon_\omega = 1/9$ for every $\omega$. Under $T^*$ no accident
is needed: one state, two actions, $b = (2, 1)$, $\gamma = 7/8$ gives $2 E[b\beta_\omega] = 2 r_1 + r_2 +
\omega/4$ for $\omega \ge 0$ and $2 r_1 + r_2 - (19/8)\omega$ for $\omega \le 0$: never 0 if $2 r_1 + r_2 >
0$. For non-linear $\hat Q_\omega$ with one pair and $\gamma = 0$, a bounded range that misses r suffices."""

_CONVERGENCE_DERIVATION = r"""Three states of one action each, all go to the first, $\gamma = 3/4$, $r = (1, 0, 0)$:
the policy is fixed and $Q^* = (4, 3, 3) > 0$. $\hat Q_\omega = b\omega$ with $b = (2, 1, 1)$ is smooth, with regular
$E[b b^\top]$. $E[b\beta_\omega] = 2/3$ and $\varepsilon_\omega = 1/9$ do not depend on $\omega$: the minimisation has
converged at every $\omega$, at 1/9. In general $m = E[b\beta_\omega] = E[br] - A\omega$ and
$2\varepsilon_\omega = m^\top E[bb^\top]^{-1} m$, a convex quadratic, so it converges, and
$\nabla\varepsilon_\omega = -A^\top E[bb^\top]^{-1} m$ is 0 there. If A is regular, m is 0 too, hence
$\varepsilon_\omega$: with $2\varepsilon_\omega \le \lambda_{\max}\|E[bb^\top]^{-1}m\|^2$ and
$\|\nabla\varepsilon_\omega\| \ge \sigma_{\min}\|E[bb^\top]^{-1}m\|$ comes the inequality, by which gradient descent
converges at a linear rate. A is regular if the pairs are weighted by the stationary distribution of
$\pi_\theta$ in place of U(h) (then $\|\gamma E_\pi b'^\top\omega\| \le \gamma\|b^\top\omega\|$), and for tabular
$\hat Q_\omega$."""

CLAIMS = (
    Claim(
        id="eq-33-always-zero",
        title="the projected residual error always has a zero",
        source="App. F.1, below Eq. (33)",
        statement=r"\text{By definition, there always exists fixed point } \omega \in \Omega \text{ for which }"
        r" \varepsilon_\omega = 0",
        check=Check(optimal_zero_gap, _optimal_instances(), n_random=1000, recorded=_RECORDED_ZERO),
        expected=Verdict.REFUTED,
        weight=Weight.CORRECTION,
        assumptions=(
            Assumption(
                "regular",
                r"of the correction: $E[b (b - \gamma E_\pi b')^\top]$ is non-singular",
                without=Check(policy_zero_gap, _policy_instances(), n_random=1, named=_singular_example),
            ),
        ),
        correction=Correction(
            statement=r"\hat Q_\omega = b^\top\omega, T^\pi \text{ with } \pi \text{ fixed}, "
            r"\det E[b(b - \gamma E_\pi b')^\top] \ne 0 \Rightarrow \exists!\,\omega: \varepsilon_\omega = 0",
            derivation=_ZERO_DERIVATION,
            check=Check(only_zero_gap, _policy_instances()),
        ),
    ),
    Claim(
        id="app-f1-convergence",
        title="minimising the projected error under a fixed policy ends at zero",
        source="App. F.1, below Eq. (33)",
        statement=r"\text{minimising the surrogate } \varepsilon_\omega \text{, keeping } \pi_\omega(a|s) ="
        r" \pi_\theta(a|s) \text{ in all expectations: at convergence, we have } \varepsilon_\omega = 0",
        check=Check(policy_zero_gap, st.one_of(_SINGULAR, _policy_instances()), recorded=_RECORDED),
        expected=Verdict.REFUTED,
        weight=Weight.CORRECTION,
        correction=Correction(
            statement=r"\hat Q_\omega = b^\top\omega, A = E[b(b - \gamma E_{\pi_\theta} b')^\top] \Rightarrow"
            r" 2\sigma_{\min}(A)^2\varepsilon_\omega \le \lambda_{\max}(E[bb^\top])\|\nabla_\omega\varepsilon_\omega\|_2^2,"
            r" \text{ so } \varepsilon_\omega = 0 \text{ at convergence if } \det A \ne 0",
            derivation=_CONVERGENCE_DERIVATION,
            check=Check(stationary_gap, _policy_instances(with_omega=True)),
        ),
    ),
)
