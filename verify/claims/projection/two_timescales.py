"""Expected updates (34), (35) of App. F.1 for a linear Q under T^pi, and the rate of the slower one.

Every sample is replaced by its expectation; (35) has q_k = 0, as Q is linear. With G = E[b b^T], A = E[b (b
- gamma E_pi b')^T] and c = E[b r], so that E[b beta_omega] = c - A omega, and old values on the right:

    zeta <- zeta + alpha (c - A omega - G zeta),    omega <- P(omega + eta A^T zeta).

Rate:  let A omega* = c, P the projection on a closed convex C with omega* in it, D = G^(-1/2) A, M = D^T D,
       mu and L its smallest and largest eigenvalue, g and h those of G; x = omega - omega*,
       u = G^(1/2) zeta + D x, w = |D x|. P does not expand and keeps omega*, so a step of omega is at most
       eta sqrt(L) (|u| + w) long, and
         |x'|^2 <= |x|^2 + 2 eta w |u| - 2 eta w^2 + eta^2 L (|u| + w)^2,
         |u'| <= (1 - alpha g) |u| + eta L (|u| + w)    if alpha h <= 1.
       If eta <= alpha g / (16 L), then eta L <= 1/16, and with 4 w |u| <= 3/4 w^2 + 16/3 |u|^2,
       (|u| + w)^2 <= 2 |u|^2 + 2 w^2, w^2 >= mu |x|^2 and 8 L >= mu,
         V := |x|^2 + |u|^2 / L,    V' <= V - eta w^2 - 8 eta |u|^2 <= (1 - eta mu) V.
Steps: alpha_k = (k + m)^-p / h and eta_k = (r / mu) / (k + m), k >= 0, 1/2 < p < 1, meet all conditions of
       F.1 with the limit the other way round, and eta_k <= alpha_k g / (16 L) for m = (16 r (h / g) (L /
       mu))^(1 / (1 - p)). From omega_0 = zeta_0 = 0, V_0 <= 2 |omega*|^2; the product of 1 - r / (k + m)
       over k < K is at most (1 + K / m)^-r; |A x|^2 <= h L |x|^2: |E[b beta]| <= sqrt(2 h L) |omega*| (1 +
       K / m)^(-r / 2) after K steps. Rounding, of mu too: a step adds at most e = 64 (N + 4) u sqrt(h / g)
       |omega*| to sqrt(V), K steps K e (u = 2.2e-16).
A singular: omega* is the least-squares solution, mu the smallest positive eigenvalue (1 if A = 0).
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from verify.engine.plotdata import Curve, Figure, Panel
from virel_common.compiled import njit
from virel_theory.checks import Array, U
from virel_theory.mdp.tabular import TabularMDP

EARLY, LATE = 100, 250_000
RATE = 2.0


class Means(NamedTuple):
    """Means over pairs: `gram` E[b b^T], `system` E[b (b - gamma E_pi b')^T], `moment` E[b r].

    Shapes: `[N, N]`, `[N, N]`, `[N]`.
    """

    gram: Array
    system: Array
    moment: Array


class Steps(NamedTuple):
    """Step sizes `scale (k + shift)^-power`, k >= 0, of the two-timescale updates of omega and of zeta."""

    omega_scale: float
    omega_power: float
    zeta_scale: float
    zeta_power: float
    shift: float


class Ball(NamedTuple):
    """Constraint set C of update (35), a Euclidean ball `|omega - centre| <= radius`: compact and convex.

    Its boundary is smooth.
    """

    centre: Array
    radius: float


class Spectrum(NamedTuple):
    """Extreme positive eigenvalues of M = A^T G^-1 A and G = E[b b^T], A the TD system, and `|omega*|`."""

    mu: float
    top: float
    low: float
    high: float
    distance: float


@njit(cache=True)
def residuals(mean: Means, steps: Steps, ball: Ball, out: Array) -> None:
    """Run the mean two-timescale updates from zero: `out[k]` is the norm of E[b beta] at omega_{k+1}.

    It is 0 at TD fixed points and only there.
    """
    n = mean.moment.shape[0]
    omega, zeta, error, step = np.zeros(n), np.zeros(n), mean.moment.copy(), np.zeros(n)
    for k in range(out.shape[0]):
        alpha = steps.zeta_scale * (k + steps.shift) ** -steps.zeta_power
        eta = steps.omega_scale * (k + steps.shift) ** -steps.omega_power
        subtract_product(mean.gram, zeta, error)
        step[:] = 0.0
        subtract_product(mean.system.T, zeta, step)
        for i in range(n):
            zeta[i] += alpha * error[i]
            omega[i] -= eta * step[i]
        project(omega, ball)
        for i in range(n):  # a copy by `[:]` would take seconds to compile, for its error message
            error[i] = mean.moment[i]
        subtract_product(mean.system, omega, error)
        out[k] = np.sqrt((error**2).sum())


@njit(cache=True)
def subtract_product(matrix: Array, x: Array, out: Array) -> None:
    """Subtract a matrix-vector product in place, `out <- out - matrix x`, by loops.

    A call of BLAS costs more than 2 x 2 numbers.
    """
    for i in range(x.shape[0]):
        for j in range(x.shape[0]):
            out[i] -= matrix[i, j] * x[j]


@njit(cache=True)
def project(omega: Array, ball: Ball) -> None:
    """Project omega on the constraint ball C of (35) in place: it becomes the nearest point of C."""
    square = 0.0
    for i in range(omega.shape[0]):
        square += (omega[i] - ball.centre[i]) ** 2
    if square > ball.radius**2:
        for i in range(omega.shape[0]):
            omega[i] = ball.centre[i] + (omega[i] - ball.centre[i]) * ball.radius / np.sqrt(square)


def means(mdp: TabularMDP, b: Array, pi: Array) -> Means:
    """Means of the two-timescale updates over all pairs of an MDP without a mask; features `b [S, A, N]`."""
    ahead = np.einsum("sat,tu,tun->san", mdp.dense_transition, pi, b)
    gram = np.einsum("san,sam->nm", b, b) / mdp.n_pairs
    system = np.einsum("san,sam->nm", b, b - mdp.gamma * ahead) / mdp.n_pairs
    return Means(gram, system, np.einsum("san,sa->n", b, mdp.reward) / mdp.n_pairs)


def spectrum(x: Means) -> Spectrum:
    """Compute the eigenvalues that the two-timescale rate depends on, and |omega*| of the TD fixed point.

    The rank of A decides which eigenvalues of M are positive.
    """
    of_gram = np.linalg.eigvalsh(x.gram)
    of_m = np.linalg.eigvalsh(x.system.T @ np.linalg.solve(x.gram, x.system))
    rank = int(np.linalg.matrix_rank(x.system))
    mu, top = (of_m[-rank], of_m[-1]) if rank else (1.0, 0.0)
    omega = np.linalg.lstsq(x.system, x.moment, rcond=None)[0]
    return Spectrum(
        float(mu), float(top), float(of_gram[0]), float(of_gram[-1]), float(np.linalg.norm(omega))
    )


def first_index(x: Spectrum, *, power: float) -> int:
    """Index m at which the two-timescale step sizes must start for the convergence rate r = RATE."""
    spread = 16 * RATE * (x.high / x.low) * (x.top / x.mu)
    return max(1, int(np.ceil(spread ** (1 / (1 - power)))))


def residual_bound(x: Spectrum, *, n_steps: int, start: int, size: int) -> float:
    """Bound on |E[b beta]| after `n_steps` two-timescale updates, with omega slower and r = RATE.

    `size` is N.
    """
    rounding = n_steps * 64 * (size + 4) * U * (x.high / x.low) ** 0.5
    falls = 2**0.5 * (1 + n_steps / start) ** (-RATE / 2)
    return float((x.high * x.top) ** 0.5 * x.distance * (falls + rounding))


def one_state(*, slow_zeta: bool, scale: float, power: float, n_steps: int = 4 * LATE) -> Array:
    """Path of |omega_k - omega*|, omega* = 1, of the two-timescale updates on an MDP of one pair.

    S = A = 1, gamma = 0, r = b = 1, C = [-9, 11]. Every sample is the expectation there.
    """
    one = np.ones((1, 1))
    steps = Steps(1.0, power, scale, 1.0, 1) if slow_zeta else Steps(scale, 1.0, 1.0, power, 1)
    out = np.empty(n_steps)
    residuals(Means(one, one, one[0]), steps, Ball(one[0], 10.0), out)
    return out


def envelope_ratio(path: Array) -> float:
    """Growth of a path `|omega_k - 1|`: its largest value in steps LATE to 4 LATE over EARLY to 4 EARLY."""
    return float(path[LATE : 4 * LATE].max() / path[EARLY : 4 * EARLY].max())


def figures(seed: int) -> Sequence[Figure]:
    """Figure of |omega_k - omega*| with zeta slower (it oscillates ever wider), or omega (it converges).

    As printed it oscillates; corrected it converges.
    """
    scale, power = 0.1, 0.55
    k = np.unique(np.geomspace(1, 4 * LATE, 1500).astype(np.int64))
    x = k.astype(np.float64)
    printed = one_state(slow_zeta=True, scale=scale, power=power)[k - 1]
    other = one_state(slow_zeta=False, scale=scale, power=power)[k - 1]
    growth = (1 - power) / 4 - scale / 2
    curves = [
        Curve("zeta slower (as printed)", x, printed, kind="line"),
        Curve("omega slower", x, other, kind="line"),
        Curve(f"predicted envelope k^{growth:.4f}", x, 1.2 * x**growth, kind="predicted"),
        Curve(f"predicted k^-{scale}", x, x**-scale, kind="predicted"),
    ]
    panel = Panel("one state, one action", "step k", "|omega_k - omega*|", curves, xscale="log", yscale="log")
    caption = (
        f"S = A = 1, gamma = 0, r = 1, b = 1, projection on C = [-9, 11]; step sizes k^-{power} and {scale}/k."
        f" No sampling; seed {seed} unused."
    )
    return [Figure("app-f1-two-timescales", [panel], caption)]
