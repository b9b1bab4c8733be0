r"""App. F.1: the projected residual error (33), whether it has a zero, its gradient, the update (35).

Both sides: the printed forms from `virel_theory.gradients.projection` against each other (orthogonal factorisation against
the Gram matrix); the gradient against a complex step through (33), in this file, for
Q_omega(h) = phi(h)^T omega + omega^T H(h) omega / 2 under T^pi (T* is T^pi where its maximum is unique).
Bound:  rounding. Solving with G = E[b b^T] costs N^2 cond(G) ulps of its result, and the derivative solves twice:
        64 N^2 u cond(G) mean(beta^2) for (33), 256 N^2 u cond(G)^2 (size of the averaged products) for the
        gradient, with |zeta| replaced by its largest possible value N max|b| (max|r| + 2 max|q|) / lambda_min(G).
        The complex step is truncated at STEP^2 times a third derivative: STEP = 1e-30 is added.
        The zero: omega solves a linear equation with N^2 cond ulps, so E[b beta] is at most
        e = 64 (A + S + N + 16) N cond u (max|q| + max|r|) max|b|, and eps at most e^2 / (2 lambda_min(G)).
        That it is the only one, and that a fixed policy's minimisation ends there: `only_zero_gap`,
        `stationary_gap`.
Teeth:  `perturb` doubles a side (33), the error (stationary); drops the Hessian term (gradient, (35)); moves
        omega by 1 (the zero).
"""

from fractions import Fraction
from typing import Any

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from verify.engine.claim import Assumption, Check, Claim, Correction, Instance
from verify.engine.verdict import Gap, Verdict, worst
from verify.strategies import mdps, policies
from virel_theory.checks import Array
from virel_theory.gradients.projection import (
    grad_projected_residual_error,
    omega_update,
    projected_residual_error,
    projected_residual_error_quadratic,
    zeta,
)
from virel_theory.mdp.tabular import TabularMDP
from virel_theory.operators.bellman import bellman_optimal, bellman_policy

U = float(np.finfo(np.float64).eps)
STEP = 1e-30


def forms_gap(*, mdp: TabularMDP, b: Array, beta: Array, perturb: float = 0.0) -> Gap:
    """The norm of the projection against the quadratic form."""
    norm = projected_residual_error(b, beta, mask=mdp.mask)
    quadratic = projected_residual_error_quadratic(b, beta, mask=mdp.mask) * (1 + perturb)
    bound = 64 * b.shape[2] ** 2 * U * _cond(mdp, b) * float(np.mean(beta[mdp.available] ** 2))
    return Gap(abs(norm - quadratic), bound)


def optimal_zero_gap(*, mdp: TabularMDP, b: Array, perturb: float = 0.0) -> Gap:
    """The smallest eps over omega for Q = b omega, one parameter, under T*: is it 0?"""
    omega = _best_omega(mdp, b[:, :, 0]) + perturb
    q = b[:, :, 0] * omega
    error = projected_residual_error(b, bellman_optimal(mdp, q) - q)
    return Gap(error, _zero_bound(mdp, b, q, 1.0))


def policy_zero_gap(*, mdp: TabularMDP, b: Array, pi: Array, perturb: float = 0.0) -> Gap:
    """Eps at the omega that solves E[b (b - gamma E_pi b')^T] omega = E[b r] (in least squares), under T^pi.

    It minimises eps: the system is regular, or of one feature and 0, and then eps is the same for all omega.
    """
    system, _ = _fixed_point_system(mdp, b, pi)
    omega = _fixed_point(mdp, b, pi) + perturb
    cond = float(np.linalg.cond(system)) if np.linalg.matrix_rank(system) == len(system) else 1.0
    return Gap(_error_at(mdp, b, pi, omega), _zero_bound(mdp, b, b @ omega, cond))


def only_zero_gap(*, mdp: TabularMDP, b: Array, pi: Array, perturb: float = 0.0) -> Gap:
    """The same omega is a zero, and eps is positive away from it: in every unit direction, and in their sum.

    With A = E[b (b - gamma E_pi b')^T] regular, E[b beta] changes by -A v from omega to omega + v; by (33)
    2 eps = E[b beta]^T G^-1 E[b beta], so sqrt(2 eps) >= f = sigma_min(A) |v| / sqrt(lambda_max(G)) there.
    Half of f is left to the rounding of omega and of eps: sqrt(2 eps) >= f/2 > 0 is what must come out.
    """
    omega, (least, largest) = _fixed_point(mdp, b, pi), _spectrum(mdp, b, pi)
    far = (1 + float(np.abs(omega).max())) * np.vstack([np.eye(len(omega)), np.ones(len(omega))])
    gaps = []
    for v in far:
        floor = least * float(np.linalg.norm(v)) / np.sqrt(largest)
        gaps.append(Gap(floor / 2 - np.sqrt(2 * _error_at(mdp, b, pi, omega + v)), 0.0))
    return worst(policy_zero_gap(mdp=mdp, b=b, pi=pi, perturb=perturb), *gaps)


def stationary_gap(*, mdp: TabularMDP, b: Array, pi: Array, omega: Array, perturb: float = 0.0) -> Gap:
    """2 sigma_min(A)^2 eps <= lambda_max(G) |grad eps|^2 for Q = b omega: where the gradient is 0, eps is.

    With m = E[b beta], grad eps = -A^T G^-1 m has a norm of at least sigma_min(A) |G^-1 m|, and
    2 eps = m^T G^-1 m <= lambda_max(G) |G^-1 m|^2. For one feature the two sides are equal. An error of
    e in eps (`forms_gap`) and of g in each of N components of the gradient moves the left side by
    2 sigma_min^2 e and the right one by at most lambda_max (2 |grad| + sqrt(N) g) sqrt(N) g; sigma_min is
    known to N cond(A) ulps.
    """
    ahead = np.einsum("sat,tu,tun->san", mdp.dense_transition, pi, b)
    q, grad_beta = b @ omega, mdp.gamma * ahead - b
    beta, hessian = bellman_policy(mdp, q, pi=pi) - q, np.zeros((*b.shape, b.shape[2]))
    grad = grad_projected_residual_error(b, beta, grad_beta=grad_beta, hessian_vector=lambda v: hessian @ v)
    least, largest = _spectrum(mdp, b, pi)
    parts = {"b": b, "q": q, "beta": beta, "grad_beta": grad_beta}
    size, g = float(np.linalg.norm(grad)), np.sqrt(len(omega)) * _gradient_bound(mdp, parts, hessian)
    left = 2 * least**2 * projected_residual_error(b, beta) * (1 + perturb)
    of_left = 128 * least**2 * b.shape[2] ** 2 * U * _cond(mdp, b) * float(np.mean(beta**2))
    of_left += 64 * b.shape[2] * U * float(np.linalg.cond(_fixed_point_system(mdp, b, pi)[0])) * left
    return Gap(left - largest * size**2, of_left + largest * (2 * size + g) * g)


def gradient_gap(
    *, mdp: TabularMDP, phi: Array, hessian: Array, omega: Array, pi: Array, perturb: float = 0.0
) -> Gap:
    """The printed gradient against the complex step."""
    parts = _quadratic_parts(mdp, phi, hessian, omega, pi)
    printed = grad_projected_residual_error(
        parts["b"],
        parts["beta"],
        grad_beta=parts["grad_beta"],
        hessian_vector=lambda v: (1 - perturb) * hessian @ v,
    )
    exact = _complex_step(mdp, phi, hessian, omega, pi)
    return Gap(np.abs(printed - exact).max(), _gradient_bound(mdp, parts, hessian))


def update_gap(
    *,
    mdp: TabularMDP,
    phi: Array,
    hessian: Array,
    omega: Array,
    pi: Array,
    step_size: float,
    perturb: float = 0.0,
    scaled: bool = False,
) -> Gap:
    """The mean of (35) over h, s', a', less omega, against -step_size times the gradient."""
    parts = _quadratic_parts(mdp, phi, hessian, omega, pi)
    b, q, weights = parts["b"], parts["q"], zeta(parts["b"], parts["beta"])
    dense: Any = mdp.transition
    mean = np.zeros_like(omega)
    for s, a, t, u in np.ndindex(*mdp.shape, *mdp.shape):
        chance = dense[s, a, t] * pi[t, u] / mdp.n_pairs
        td_error = mdp.reward[s, a] + mdp.gamma * q[t, u] - q[s, a]
        curvature = (1 - perturb) * (td_error - b[s, a] @ weights) * (hessian[s, a] @ weights)
        mean += chance * omega_update(
            omega,
            zeta_k=weights,
            b_k=b[s, a],
            b_next=b[t, u],
            q_k=step_size * curvature if scaled else curvature,
            gamma=mdp.gamma,
            step_size=step_size,
        )
    descent = -step_size * _complex_step(mdp, phi, hessian, omega, pi)
    bound = _gradient_bound(mdp, parts, hessian) + 64 * mdp.n_pairs * U * float(np.abs(omega).max())
    return Gap(np.abs(mean - omega - descent).max(), bound)


def scaled_update_gap(**instance: Any) -> Gap:
    """The same with the step size in front of the curvature term too."""
    return update_gap(**instance, scaled=True)


def _best_omega(mdp: TabularMDP, b: Array) -> float:
    """The omega that minimises |E[b beta]| under T*: E[b beta] is linear on each side of 0 (exact rationals)."""
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


def _fixed_point_system(mdp: TabularMDP, b: Array, pi: Array) -> tuple[Array, Array]:
    """Sums over pairs of b (b - gamma E_pi b')^T and of b r."""
    ahead = np.einsum("sat,tu,tun->san", mdp.dense_transition, pi, b)
    return np.einsum("san,sam->nm", b, b - mdp.gamma * ahead), np.einsum("san,sa->n", b, mdp.reward)


def _fixed_point(mdp: TabularMDP, b: Array, pi: Array) -> Array:
    system, target = _fixed_point_system(mdp, b, pi)
    return np.asarray(np.linalg.lstsq(system, target, rcond=None)[0], dtype=np.float64)


def _error_at(mdp: TabularMDP, b: Array, pi: Array, omega: Array) -> float:
    q = b @ omega
    return projected_residual_error(b, bellman_policy(mdp, q, pi=pi) - q)


def _spectrum(mdp: TabularMDP, b: Array, pi: Array) -> tuple[float, float]:
    """Least singular value of E[b (b - gamma E_pi b')^T], largest eigenvalue of E[b b^T]."""
    system, _ = _fixed_point_system(mdp, b, pi)
    least = np.linalg.svd(system / mdp.n_pairs, compute_uv=False)[-1]
    return float(least), float(np.linalg.eigvalsh(_gram(mdp, b))[-1])


def _quadratic_parts(
    mdp: TabularMDP, phi: Array, hessian: Array, omega: Array, pi: Array
) -> dict[str, Array]:
    b = phi + hessian @ omega
    q = phi @ omega + np.einsum("sanm,n,m->sa", hessian, omega, omega) / 2
    ahead = np.einsum("sat,tu,tun->san", mdp.dense_transition, pi, b)
    beta = bellman_policy(mdp, q, pi=pi) - q
    return {"b": b, "q": q, "beta": beta, "grad_beta": mdp.gamma * ahead - b}


def _complex_step(mdp: TabularMDP, phi: Array, hessian: Array, omega: Array, pi: Array) -> Array:
    """Derivative of E[b beta]^T E[b b^T]^-1 E[b beta] / 2, a rational function of omega."""
    out = np.empty_like(omega)
    for n in range(len(omega)):
        moved = omega + 1j * STEP * np.eye(len(omega))[n]
        b = phi + hessian @ moved
        q = phi @ moved + np.einsum("sanm,n,m->sa", hessian, moved, moved) / 2
        ahead = np.einsum("sat,tu,tu->sa", mdp.dense_transition, pi, q)
        moment = np.einsum("san,sa->n", b, mdp.reward + mdp.gamma * ahead - q) / mdp.n_pairs
        gram = np.einsum("san,sam->nm", b, b) / mdp.n_pairs
        out[n] = (moment @ np.linalg.solve(gram, moment)).imag / (2 * STEP)
    return out


def _gram(mdp: TabularMDP, b: Array) -> Array:
    rows = b[mdp.available]
    out: Array = rows.T @ rows / len(rows)
    return out


def _cond(mdp: TabularMDP, b: Array) -> float:
    return float(np.linalg.cond(_gram(mdp, b)))


def _zero_bound(mdp: TabularMDP, b: Array, q: Array, cond: float) -> float:
    size = (float(np.abs(q).max()) + float(np.abs(mdp.reward).max())) * float(np.abs(b).max())
    e = 64 * (sum(mdp.shape) + b.shape[2] + 16) * b.shape[2] * cond * U * size
    return float(e**2 / (2 * np.linalg.eigvalsh(_gram(mdp, b))[0]))


def _gradient_bound(mdp: TabularMDP, parts: dict[str, Array], hessian: Array) -> float:
    b, n = parts["b"], parts["b"].shape[2]
    beta = np.abs(mdp.reward).max() + 2 * np.abs(parts["q"]).max()  # what beta is a difference of
    weights = n * np.abs(b).max() * beta / np.linalg.eigvalsh(_gram(mdp, b))[0]
    slope = np.abs(parts["grad_beta"]).max() * n * np.abs(b).max() * weights
    bend = (beta + n * np.abs(b).max() * weights) * n * np.abs(hessian).max() * weights
    return float(STEP + 256 * n**2 * U * _cond(mdp, b) ** 2 * (slope + bend))


def _features(shape: tuple[int, int], n: int, high: int = 3) -> st.SearchStrategy[Array]:
    return hnp.arrays(np.float64, (*shape, n), elements=st.integers(-high, high).map(float))


@st.composite
def _form_instances(draw: st.DrawFn) -> Instance:
    mdp = draw(mdps(max_states=4, masked=True))
    b = draw(
        _features(mdp.shape, draw(st.integers(1, min(3, mdp.n_pairs)))).filter(lambda b: _cond(mdp, b) < 1e6)
    )
    beta = draw(hnp.arrays(np.float64, mdp.shape, elements=st.integers(-20, 20).map(lambda k: k / 4)))
    return {"mdp": mdp, "b": b, "beta": beta}


@st.composite
def _optimal_instances(draw: st.DrawFn) -> Instance:
    mdp = draw(mdps(max_states=2, max_actions=3, gammas=st.sampled_from((0.0, 0.5, 0.75, 0.875, 0.9375))))
    return {"mdp": mdp, "b": draw(_features(mdp.shape, 1).filter(lambda b: bool(b.any())))}


@st.composite
def _policy_instances(draw: st.DrawFn, *, with_omega: bool = False) -> Instance:
    mdp = draw(mdps(max_states=3))
    pi = draw(policies(mdp, full_support=False))
    n = draw(st.integers(1, min(2, mdp.n_pairs)))

    def regular(b: Array) -> bool:
        return _cond(mdp, b) < 1e6 and bool(np.linalg.cond(_fixed_point_system(mdp, b, pi)[0]) < 1e4)

    out = {"mdp": mdp, "b": draw(_features(mdp.shape, n).filter(regular)), "pi": pi}
    halves = hnp.arrays(np.float64, n, elements=st.integers(-4, 4).map(lambda k: k / 2))
    return out | {"omega": draw(halves)} if with_omega else out


@st.composite
def _curved_instances(draw: st.DrawFn, *, max_size: int, with_step: bool = False) -> Instance:
    mdp = draw(mdps(max_states=max_size, max_actions=2))
    n = draw(st.integers(1, min(2, mdp.n_pairs)))
    phi, half = draw(_features(mdp.shape, n)), draw(_features(mdp.shape, n * n, high=1))
    omega = draw(hnp.arrays(np.float64, n, elements=st.integers(-4, 4).map(lambda k: k / 2)))
    half = half.reshape(*mdp.shape, n, n)
    hessian = half + half.swapaxes(2, 3)
    if (
        _cond(mdp, phi + hessian @ omega) > 1e3
    ):  # few draws: make the Gram matrix regular instead of rejecting
        phi = np.eye(n)[np.arange(mdp.n_pairs) % n].reshape(*mdp.shape, n) - hessian @ omega
    out = {"mdp": mdp, "phi": phi, "hessian": hessian, "omega": omega, "pi": draw(policies(mdp))}
    return out | {"step_size": draw(st.sampled_from((0.5, 0.25, 0.125)))} if with_step else out


def _singular(rewards: tuple[int, int, int], scale: int) -> Instance:
    """Features (2, 1, 1), all three states go to the first, gamma = 3/4: sum b (b - 3/2) = 1 - 1/2 - 1/2 = 0."""
    reward = np.array(rewards, dtype=np.float64)[:, None]
    mdp = TabularMDP(np.tile([1.0, 0.0, 0.0], (3, 1, 1)), reward, 0.75)
    return {"mdp": mdp, "b": scale * np.array([[[2.0]], [[1.0]], [[1.0]]]), "pi": np.ones((3, 1))}


def _singular_example() -> list[tuple[str, Instance]]:
    return [("b=(2,1,1)", _singular((1, 0, 0), 1))]


_SINGULAR = st.builds(  # r(s_1) >= 1 and r >= 0: Q* = r + 3 r(s_1) > 0, as Assumption 1 has it
    _singular, st.tuples(st.integers(1, 4), st.integers(0, 4), st.integers(0, 4)), st.integers(1, 3)
)


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
        id="eq-33",
        title="projected residual error, both forms",
        source="Eq. (33), App. F.1",
        statement=r"\varepsilon_\omega = \frac{1}{2|H|}\|P_\omega\beta_\omega(h)\|_2^2, \quad 2\varepsilon_\omega = "
        r"E[b_\omega^\top\beta_\omega] E[b_\omega b_\omega^\top]^{-1} E[\beta_\omega b_\omega]",
        check=Check(forms_gap, _form_instances()),
        expected=Verdict.HOLDS,
    ),
    Claim(
        id="eq-33-always-zero",
        title="the projected residual error always has a zero",
        source="App. F.1, below Eq. (33)",
        statement=r"\text{By definition, there always exists fixed point } \omega \in \Omega \text{ for which }"
        r" \varepsilon_\omega = 0",
        check=Check(optimal_zero_gap, _optimal_instances(), n_random=1000),
        expected=Verdict.REFUTED,
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
        check=Check(policy_zero_gap, st.one_of(_SINGULAR, _policy_instances())),
        expected=Verdict.REFUTED,
        correction=Correction(
            statement=r"\hat Q_\omega = b^\top\omega, A = E[b(b - \gamma E_{\pi_\theta} b')^\top] \Rightarrow"
            r" 2\sigma_{\min}(A)^2\varepsilon_\omega \le \lambda_{\max}(E[bb^\top])\|\nabla_\omega\varepsilon_\omega\|_2^2,"
            r" \text{ so } \varepsilon_\omega = 0 \text{ at convergence if } \det A \ne 0",
            derivation=_CONVERGENCE_DERIVATION,
            check=Check(stationary_gap, _policy_instances(with_omega=True)),
        ),
    ),
    Claim(
        id="app-f1-gradient",
        title="gradient of the projected residual error",
        source="App. F.1, after Eq. (33)",
        statement=r"\nabla_\omega\varepsilon_\omega = E[(\nabla_\omega\beta_\omega(h)) b_\omega^\top\zeta_\omega]"
        r" + E[(\beta_\omega(h) - b_\omega^\top\zeta_\omega)\nabla_\omega^2\hat Q_\omega(h)\zeta_\omega]",
        check=Check(gradient_gap, _curved_instances(max_size=3)),
        expected=Verdict.HOLDS,
    ),
    Claim(
        id="eq-35",
        title="update with the projected gradient",
        source="Eq. (35), App. F.1",
        statement=r"\omega_{k+1} = P(\omega_k + \alpha_{\omega_k}(b_k - \gamma b'_k) b_k^\top\hat\zeta_k - q_k)"
        r" \text{ is a gradient step: in the mean } -\alpha_{\omega_k}\nabla_\omega\varepsilon_\omega"
        r" \text{ at } \hat\zeta_k = \zeta_\omega",
        check=Check(update_gap, _curved_instances(max_size=2, with_step=True)),
        expected=Verdict.REFUTED,
        correction=Correction(
            statement=r"\omega_{k+1} = P(\omega_k + \alpha_{\omega_k}((b_k - \gamma b'_k) b_k^\top\hat\zeta_k - q_k))",
            derivation=r"""With $\nabla\beta = \gamma E[b'] - b$, the gradient above is $-E[(b - \gamma b') b^\top\zeta] +
E[q_k]$, so a step of size $\alpha$ down it has $\alpha$ in front of both terms, as in Bhatnagar et al. 2009.
As printed $q_k$ stands outside: for non-linear $\hat Q_\omega$ the update does not shrink with the step size.""",
            check=Check(scaled_update_gap, _curved_instances(max_size=2, with_step=True)),
        ),
    ),
)
