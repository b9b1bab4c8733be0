r"""`virel solve --certify`: the returned policy is within delta of optimal, by one sweep.

The float arrays are the MDP, exactly as given: row sums are 1 within $\delta$
(`virel_theory._certificate`). For any vector v, with $u = \max(0, \max_s (Tv - v))$, $l = \min(0,
\min_s(T^\pi v - v))$ and $g = \gamma(1+\delta) < 1$: $T(v + c) \le Tv + gc \le v + c$ for $c = u/(1-g)$,
and T is monotone, so $V^* \le v + u/(1-g)$; likewise $V^\pi \ge v + l/(1-g)$. Hence $V^* - V^\pi \le (u -
l)/(1 - g)$. A computed backup is within $\eta$ of the exact one and a computed difference d within
$\epsilon|d|/2$, so u and -l grow by $\eta + \epsilon|d|$. v is the solver's value moved by a constant that
centres the residual; the move rounds, but any v will do. Scalars are exact fractions; delta is rounded up.

Small MDPs are embedded in the certificate, and delta is computed exactly; `virel recheck` verifies it.
Larger ones are named by the hash of their arrays, and the certificate says what the sweep found.
"""

import hashlib
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Literal

import numpy as np
from flint import fmpq
from numpy.typing import NDArray

from verify.certificate import Certificate, write
from verify.exact import ExactMDP, as_given
from virel_theory._certificate import EPS, backup_error, contraction_interval
from virel_theory._validate import Array, as_values, require
from virel_theory.mdp import TabularMDP

Sense = Literal["max", "min"]
MAX_EMBEDDED = 4000
"""Non-zeros and pairs of the largest MDP that goes into its certificate."""


@dataclass(frozen=True, eq=False)
class PolicyBound:
    r"""$V^*(s) - V^\pi(s) \le$ `delta` in every state (costs: the other way round).

    `witness` is the v of the proof.
    """

    delta: float
    witness: Array


def policy_bound(
    mdp: TabularMDP, policy: NDArray[np.intp], value: Array, *, sense: Sense = "max"
) -> PolicyBound:
    """A guaranteed bound on what `policy` loses.

    From the float64 values of a solver (good ones make it small).

    Args: mdp: dense or sparse. policy: `[S]` actions. value: `[S]`, any finite vector. sense: rewards or
    costs.
    Returns: the bound; `inf` if gamma times the row sums is not certainly below 1.
    Raises: InputError: if `value` is not finite `[S]`, or `policy` takes an action that does not exist.
    """
    v = as_values(value, mdp, name="value")
    states = np.arange(mdp.n_states)
    ok = policy.shape == states.shape and bool(((policy >= 0) & (policy < mdp.n_actions)).all())
    require(
        ok and bool(mdp.available[states, policy].all()),
        "policy",
        policy.shape,
        "must take actions that exist",
    )
    sign = 1.0 if sense == "max" else -1.0
    n_terms = _row_length(mdp)
    beta_hi = contraction_interval(mdp.gamma, n_terms)[1]
    if not beta_hi < 1:
        return PolicyBound(np.inf, v)
    v = sign * v
    up, _ = _residuals(mdp, policy, v, sign)
    v = v + 0.5 * float(up.max() + up.min()) / (1 - mdp.gamma)
    up, down = _residuals(mdp, policy, v, sign)
    r_max = float(np.abs(mdp.reward).max())
    eta = Fraction(backup_error(n_terms, r_max=r_max, v_max=float(np.abs(v).max()), beta_hi=beta_hi))
    high, low = Fraction(float(up.max())), Fraction(float(down.min()))
    top = max(Fraction(0), high + abs(high) * Fraction(EPS) + eta)
    bottom = min(Fraction(0), low - abs(low) * Fraction(EPS) - eta)
    return PolicyBound(_round_up((top - bottom) / (1 - Fraction(beta_hi))), sign * v)


def certify_solution(
    mdp: TabularMDP,
    policy: NDArray[np.intp],
    value: Array,
    *,
    path: Path,
    name: str,
    sense: Sense = "max",
) -> float:
    """Write the certificate of `policy` to `path`; return the delta it proves.

    Raises: InputError: as `policy_bound`.
    """
    bound = policy_bound(mdp, policy, value, sense=sense)
    require(bound.delta < np.inf, "gamma", mdp.gamma, "times the largest row sum must be below 1 to certify")
    if mdp.n_pairs + _n_entries(mdp) <= MAX_EMBEDDED:
        certificate = embedded(mdp, policy, bound.witness, sense=sense)
        delta = _round_up(Fraction(certificate.result["delta"]))
    else:
        instance = {"mdp_file": name, "mdp_sha256": mdp_hash(mdp), "sense": sense}
        delta = bound.delta
        result = {"delta": str(Fraction(delta)), "policy_sha256": _hash([policy.astype("<i8")])}
        certificate = Certificate("solve", "file", instance, result)
    write(path, [certificate])
    return delta


def embedded(
    mdp: TabularMDP, policy: NDArray[np.intp], witness: Array, *, sense: Sense = "max"
) -> Certificate:
    """The certificate of a small MDP: floats as exact fractions (costs as negative rewards).

    Delta exactly.
    """
    exact = as_given(mdp, sign=1 if sense == "max" else -1)
    index = {pair: i for i, pair in enumerate(exact.pairs)}
    chosen = [index[s, int(a)] for s, a in enumerate(policy)]
    sign = 1.0 if sense == "max" else -1.0
    v = [_fmpq(sign * x) for x in witness]
    instance = {"mdp": exact.as_json(), "v": [str(x) for x in v]}
    return Certificate(
        "solve", "policy", instance, {"policy": chosen, "delta": str(exact_delta(exact, chosen, v))}
    )


def exact_delta(exact: ExactMDP, chosen: list[int], v: list[fmpq]) -> fmpq:
    """(u - l)/(1 - g) over the rationals."""
    zero = fmpq(0)
    g = exact.gamma * max(sum((p for _, p in row), zero) for row in exact.rows)
    q = exact.backup(v)
    up = max([zero, *(x - y for x, y in zip(exact.best(q), v, strict=True))])
    down = min([zero, *(q[i] - y for i, y in zip(chosen, v, strict=True))])
    return (up - down) / (1 - g)


def mdp_hash(mdp: TabularMDP) -> str:
    """SHA-256 of the arrays (sparse form, little-endian).

    What a certificate that does not embed its MDP names.
    """
    csr = mdp.to_sparse().transition
    arrays = [csr.indptr.astype("<i8"), csr.indices.astype("<i8"), csr.data, mdp.reward]
    return _hash([*arrays, np.array([mdp.gamma]), mdp.available.astype("<u1")])


def _hash(arrays: list[NDArray[np.generic]]) -> str:
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(str(array.shape).encode() + np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def _residuals(mdp: TabularMDP, policy: NDArray[np.intp], v: Array, sign: float) -> tuple[Array, Array]:
    q = sign * mdp.reward + mdp.gamma * mdp.expect_next(v)
    best = q.max(axis=1, where=mdp.available, initial=-np.inf)
    return best - v, q[np.arange(len(v)), policy] - v


def _row_length(mdp: TabularMDP) -> int:
    if isinstance(mdp.transition, np.ndarray):
        return mdp.n_states
    return int(np.diff(mdp.transition.indptr).max())


def _n_entries(mdp: TabularMDP) -> int:
    transition = mdp.transition
    return int(np.count_nonzero(transition)) if isinstance(transition, np.ndarray) else int(transition.nnz)


def _fmpq(x: float) -> fmpq:
    numerator, denominator = float(x).as_integer_ratio()
    return fmpq(numerator, denominator)


def _round_up(x: Fraction) -> float:
    nearest = float(x)
    return nearest if Fraction(nearest) >= x else float(np.nextafter(nearest, np.inf))
