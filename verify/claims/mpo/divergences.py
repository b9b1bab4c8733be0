r"""Claims on MPO's App. D.3: the second-order form (25) of the KL, and the parts (27) of the KL of Gaussians.

Both sides: for (25) half the second derivative of the KL along a direction, by a complex step of its first, for
        softmax logits of which the last is fixed (so that the Fisher matrix is regular). For (27) the KL of two
        Gaussians by Gauss-Hermite quadrature, which is exact, as the integrand is a polynomial of degree 2.
Bound:  rounding. (25): sums of A terms of size |Delta|^2: 64 (A + 8) u (1 + |Delta|^2), times the condition of F
        for its inverse. (27): B = 1 + the size of both sides' terms (traces, squared distances, log-determinants),
        times the condition c of Sigma: 256 u c B.
Teeth:  `perturb` leaves out the factor 1/2; adds one half.
"""

from typing import Any

import numpy as np
from hypothesis import strategies as st

from verify.claims.mpo.tools import STEP
from verify.engine.claim import ON_AN_INTERVAL, Check, Claim, Correction
from verify.engine.verdict import Gap, Verdict, Weight, worst
from verify.strategies import instances
from virel_theory.checks import Array, U

NODES, WEIGHTS = np.polynomial.hermite_e.hermegauss(4)


def inverse_form_gap(*, p: Array, delta: Array, perturb: float = 0.0) -> Gap:
    r"""Gap of MPO (25)'s form as printed: $\Delta^T F^{-1}\Delta$ minus the KL's second-order term, zero."""
    fisher = _fisher(p)
    form = float(delta @ np.linalg.solve(fisher, delta))
    condition = float(np.linalg.cond(fisher))
    return Gap(abs(form - _second_order(p, delta)) + perturb, condition * _form_bound(p, delta) * (1 + form))


def half_form_gap(*, p: Array, delta: Array, perturb: float = 0.0) -> Gap:
    r"""Gap of MPO (25)'s form corrected: $\frac12\Delta^T F\Delta$ minus the KL's second-order term, zero."""
    form = (1 + perturb) / 2 * float(delta @ _fisher(p) @ delta)
    return Gap(abs(form - _second_order(p, delta)), _form_bound(p, delta))


def printed_parts_gap(*, old: tuple[Array, Array], new: tuple[Array, Array], perturb: float = 0.0) -> Gap:
    r"""Gap of MPO (27) as printed: C_mu minus the KL if the mean alone moves, C_Sigma if the covariance does."""
    trace_part, distance_part = _parts(old, new)
    return _against(old, new, (trace_part, distance_part + perturb))


def parts_gap(*, old: tuple[Array, Array], new: tuple[Array, Array], perturb: float = 0.0) -> Gap:
    r"""Gap of MPO (27) with the two names exchanged; and the sum minus the KL, zero."""
    trace_part, distance_part = _parts(old, new)
    total = Gap(abs(trace_part + distance_part + perturb / 2 - _kl(old, new)), _gauss_bound(old, new))
    return worst(total, _against(old, new, (distance_part + perturb / 2, trace_part)))


def _against(old: tuple[Array, Array], new: tuple[Array, Array], parts: tuple[float, float]) -> Gap:
    """Gaps of the parts called C_mu, C_Sigma: from the KL if one parameter moves, and where it should be 0."""
    (mu_i, sigma_i), (mu, sigma) = old, new
    mean_only = _kl(old, (mu, sigma_i)) if np.array_equal(sigma, sigma_i) else None
    spread_only = _kl(old, (mu_i, sigma)) if np.array_equal(mu, mu_i) else None
    bound = _gauss_bound(old, new)
    gaps = [Gap(0.0, bound)]
    if mean_only is not None:
        gaps += [Gap(abs(parts[0] - mean_only), bound), Gap(abs(parts[1]), bound)]
    if spread_only is not None:
        gaps += [Gap(abs(parts[1] - spread_only), bound), Gap(abs(parts[0]), bound)]
    return worst(*gaps)


def _fisher(p: Array) -> Array:
    """Fisher matrix of all logits but the last."""
    free = p[:-1]
    out: Array = np.diag(free) - np.outer(free, free)
    return out


def _second_order(p: Array, delta: Array) -> float:
    """Half the second derivative of `KL(p || softmax(log p + t delta))` in t, at 0."""
    moves = np.append(delta, 0.0)
    tilt = p * np.exp(1j * STEP * moves)
    slope = (tilt / tilt.sum() - p) @ moves
    return float(slope.imag / STEP / 2)


def _parts(old: tuple[Array, Array], new: tuple[Array, Array]) -> tuple[float, float]:
    """What (27) calls C_mu and C_Sigma, at one state."""
    (mu_i, sigma_i), (mu, sigma) = old, new
    log_ratio = np.log(np.linalg.det(sigma) / np.linalg.det(sigma_i))
    trace = np.trace(np.linalg.solve(sigma, sigma_i)) - len(mu) + log_ratio
    return float(trace / 2), float((mu - mu_i) @ np.linalg.solve(sigma, mu - mu_i) / 2)


def _kl(old: tuple[Array, Array], new: tuple[Array, Array]) -> float:
    """KL divergence from the Gaussian `old` to `new`, by quadrature over `old`."""
    (mu_i, sigma_i), axes = old, [(NODES, WEIGHTS)] * len(old[0])
    grid = np.stack(np.meshgrid(*[x for x, _ in axes], indexing="ij"), axis=-1).reshape(-1, len(mu_i))
    weight = np.prod(np.stack(np.meshgrid(*[w for _, w in axes], indexing="ij"), axis=-1), axis=-1).ravel()
    points = mu_i + grid @ np.linalg.cholesky(sigma_i).T
    values = _log_density(points, old) - _log_density(points, new)
    return float(weight @ values / weight.sum())


def _log_density(points: Array, law: tuple[Array, Array]) -> Array:
    mu, sigma = law
    shifted = points - mu
    squares = np.einsum("ki,ij,kj->k", shifted, np.linalg.inv(sigma), shifted)
    out: Array = -(squares + np.log(np.linalg.det(sigma))) / 2
    return out


def _form_bound(p: Array, delta: Array) -> float:
    return 64 * (len(p) + 8) * U * (1 + float(delta @ delta))


def _gauss_bound(old: tuple[Array, Array], new: tuple[Array, Array]) -> float:
    (mu_i, sigma_i), (mu, sigma) = old, new
    inverse = float(np.linalg.norm(np.linalg.inv(sigma)))
    size = 10 + inverse * float(np.linalg.norm(sigma_i) + (mu - mu_i) @ (mu - mu_i))
    return 256 * U * float(np.linalg.cond(sigma) * np.linalg.cond(sigma_i)) * size


@st.composite
def _logit_moves(draw: st.DrawFn) -> dict[str, Any]:
    weights = np.array(draw(st.lists(st.integers(1, 5), min_size=2, max_size=4)), dtype=float)
    delta = draw(st.lists(st.integers(-3, 3), min_size=len(weights) - 1, max_size=len(weights) - 1))
    return {"p": weights / weights.sum(), "delta": np.array(delta, dtype=float)}


@st.composite
def _law(draw: st.DrawFn, n: int) -> tuple[Array, Array]:
    entries = draw(st.lists(st.integers(-2, 2), min_size=n + n * n, max_size=n + n * n))
    factor = np.tril(np.array(entries[n:], dtype=float).reshape(n, n), -1) + np.eye(n)
    factor *= np.array(draw(st.lists(st.sampled_from((1.0, 0.5, 2.0)), min_size=n, max_size=n)))
    return np.array(entries[:n], dtype=float), factor @ factor.T


@st.composite
def _two_laws(draw: st.DrawFn) -> dict[str, Any]:
    n = draw(st.integers(1, 2))
    old, new = draw(_law(n)), draw(_law(n))
    moved = draw(st.sampled_from(("mean", "covariance", "both")))
    mu = old[0] if moved == "covariance" else new[0]
    sigma = old[1] if moved == "mean" else new[1]
    return {"old": old, "new": (mu, sigma)}


_TWO = instances(pair=_two_laws()).map(lambda x: x["pair"])

CLAIMS = (
    Claim(
        id="mpo-25",
        title="second-order form of the KL in the M-step",
        source="MPO, App. D.3, Eq. (25)",
        statement=r"(\theta-\theta_i)^TF_{\theta_i}^{-1}(\theta-\theta_i) \text{ is the second order Taylor approximation of }"
        r" \int\mu_q(s)KL(\pi(a|s,\theta_i),\pi(a|s,\theta))ds",
        check=Check(inverse_form_gap, _logit_moves()),
        expected=Verdict.REFUTED,
        weight=Weight.MISPRINT,
        correction=Correction(
            statement=r"\tfrac12(\theta-\theta_i)^TF_{\theta_i}(\theta-\theta_i)",
            derivation=r"""The KL and its gradient vanish at $\theta_i$, and its Hessian there is $F_{\theta_i}$, not its
inverse: two actions, probabilities $\frac12$, one logit moved by 1: $F = \frac14$, the second-order term is $\frac18$ and
the printed form 4. The Gaussian prior that leads from (10) to (26) has covariance $(\lambda F_{\theta_i})^{-1}$ in place of
$F_{\theta_i}/\lambda$; the factor $\frac12$ of its logarithm is then that of Taylor's formula.""",
            check=Check(half_form_gap, _logit_moves()),
        ),
    ),
    Claim(
        id="mpo-26-27",
        title="parts of the Gaussian KL that stem from mean and covariance",
        source="MPO, App. D.3, Eq. (27)",
        statement=r"\int\mu_q(s)KL(\pi_i(a|s,\theta),\pi(a|s,\theta)) = C_\mu + C_\Sigma,\quad C_\mu = \int\mu_q(s)\frac12"
        r"(tr(\Sigma^{-1}\Sigma_i) - n + \ln(\frac{\Sigma}{\Sigma_i}))ds,\quad C_\Sigma = \int\mu_q(s)\frac12(\mu-\mu_i)^T"
        r"\Sigma^{-1}(\mu-\mu_i)ds",
        reading=r"$C_\mu$ is the part of the divergence that a change of the mean makes, $C_\Sigma$ that of the covariance.",
        check=Check(printed_parts_gap, _TWO),
        expected=Verdict.REFUTED,
        weight=Weight.MISPRINT,
        correction=Correction(
            statement=r"C_\mu = \int\mu_q(s)\frac12(\mu-\mu_i)^T\Sigma^{-1}(\mu-\mu_i)ds,\quad C_\Sigma = \int\mu_q(s)\frac12"
            r"\Big(tr(\Sigma^{-1}\Sigma_i) - n + \ln\frac{|\Sigma|}{|\Sigma_i|}\Big)ds",
            derivation=r"""The sum is the KL of two Gaussians, but the names of its terms are exchanged: if the mean alone
moves, $\Sigma = \Sigma_i$, the printed $C_\mu$ is 0 and the printed $C_\Sigma$ is the whole KL. With the names exchanged
each term is the KL of a move of its own parameter alone, and 0 if only the other moves. Taken literally, the bounds of
Table 2, $\epsilon_\mu = 0.1$ and $\epsilon_\Sigma = 0.0001$, would hold the mean and free the covariance.""",
            check=Check(parts_gap, _TWO),
        ),
        not_certified=ON_AN_INTERVAL,
    ),
)
