"""Differences that prove or refute gradients of the actor: Fellows et al. (6), (25), (43), App. E.4 and H.

They are enclosed in balls, in every direction. The policy is log-linear with rational parameters `omega`.
Where policy values occur, it is a rational policy `pi_theta` that is tilted by exp(t b). Derivatives are by
power series in t. Each function that takes an instance alone returns left side minus right side.
"""

from collections.abc import Callable, Sequence
from typing import Any

from flint import arb, fmpq

from verify.arithmetic import series as ts
from verify.arithmetic.instance import Exact
from verify.arithmetic.series import Jet, jet


def actor(x: Exact, j: int) -> tuple[list[Jet], list[Jet]]:
    """Softmax policy pi_theta and its logarithm, each as value + t times its derivative in theta_j."""
    return ts.softmax(x, ts.linear(x, j))


def tilted(x: Exact, j: int) -> tuple[list[Jet], list[Jet]]:
    """Policy pi_theta tilted by exp(t b) and normalised, and its logarithm, each as value + t derivative."""
    b = ts.along(x, j)
    weights = [arb(p) * jet(0, f).exp() for p, f in zip(x.pi_theta, b, strict=True)]
    mass = ts.by_state(x, weights)
    pi = [w / mass[s] for w, (s, _) in zip(weights, x.mdp.pairs, strict=True)]
    return pi, [p.log() for p in pi]


def _times(*tables: Sequence[Any]) -> list[Any]:
    """Entrywise product of tables over the pairs."""
    out = list(tables[0])
    for table in tables[1:]:
        out = [a * b for a, b in zip(out, table, strict=True)]
    return out


def _numbers(table: Sequence[fmpq]) -> list[arb]:
    return [arb(y) for y in table]


def _over_states(x: Exact, v: Sequence[Any]) -> Jet:
    """Mean `E_d[v(s)]` of state values v over the state distribution d."""
    return ts.total(arb(d) * y for d, y in zip(x.d, v, strict=True))


def _scored(x: Exact, pi: Sequence[Jet], log_pi: Sequence[Jet], q: Sequence[arb]) -> arb:
    """Policy gradient in score form, `E_d[E_pi[Q grad log pi]]`."""
    return ts.value(_over_states(x, ts.by_state(x, _times(ts.values(pi), q, ts.slopes(log_pi)))))


def e_step(x: Exact) -> list[arb]:
    """Zero if Fellows et al. (6), (25) hold: `eps grad L - (E_d[E_pi[Q grad log pi]] + eps E_d[grad H])`.

    The gradient of the entropy H is by the scores of pi.
    """

    def sides(j: int) -> arb:
        pi, log_pi = actor(x, j)
        return _e_step(x, pi, log_pi, prior=None)

    return ts.in_every_direction(x, sides)


def mpo_e_step(x: Exact) -> list[arb]:
    """Zero if Eq. (43) holds: `eps grad L - (E_d[E_pi[Q grad log pi]] - eps E_d[grad KL(pi || pi_phi)])`.

    The gradient of the KL is by scores.
    """

    def sides(j: int) -> arb:
        pi, log_pi = actor(x, j)
        return _e_step(x, pi, log_pi, prior=x.pi_phi)

    return ts.in_every_direction(x, sides)


def _e_step(x: Exact, pi: Sequence[Jet], log_pi: Sequence[Jet], *, prior: Sequence[fmpq] | None) -> arb:
    """E-step gradient `grad E_d[E_pi[Q] - eps KL]` minus its score form (with `grad log pi`), to be 0.

    Without a prior, KL is the negative entropy.
    """
    q, eps = _numbers(x.q), arb(x.eps)
    ratio = list(log_pi) if prior is None else [y - arb(p).log() for y, p in zip(log_pi, prior, strict=True)]
    objective = _over_states(
        x, ts.by_state(x, _times(pi, [v - eps * y for v, y in zip(q, ratio, strict=True)]))
    )
    slope_of_kl = _scored(x, pi, log_pi, [1 + y for y in ts.values(ratio)])
    return objective[1] - (_scored(x, pi, log_pi, q) - eps * slope_of_kl)


def exchange(x: Exact) -> list[arb]:
    """Zero if App. E.4 may exchange grad and E_pi: `E_d[E_pi[Q grad log pi]] - E_d[grad E_pi[Q]]`."""

    def sides(j: int) -> arb:
        pi, log_pi = actor(x, j)
        return _scored(x, pi, log_pi, _numbers(x.q)) - _over_states(x, ts.mean(x, pi, _numbers(x.q)))[1]

    return ts.in_every_direction(x, sides)


# The policy gradient theorem: V^pi and its derivative are rational, and part of the instance.


def value_slope(x: Exact) -> list[arb]:
    """Zero if and only if `dv` is the derivative of V^pi: `dV - d E_pi[r + gamma E[V(s')]]`."""

    def sides(j: int) -> list[arb]:
        pi, _ = tilted(x, j)
        backup = _backup(x, [jet(v, dv) for v, dv in zip(x.v, x.dv[j], strict=True)])
        return [arb(dv) - y for dv, y in zip(x.dv[j], ts.slopes(ts.mean(x, pi, backup)), strict=True)]

    return ts.in_every_direction(x, sides)


def policy_gradient(x: Exact) -> list[arb]:
    """Zero if App. E.4's policy gradient theorem holds: `grad J - E_rho[E_pi[Q^pi grad log pi]]`."""

    def sides(j: int) -> arb:
        pi, log_pi = tilted(x, j)
        q = ts.values(_backup(x, [jet(v) for v in x.v]))
        inner = ts.by_state(x, _times(ts.values(pi), q, ts.slopes(log_pi)))
        left = sum((p * y for p, y in zip(x.mdp.initial, x.dv[j], strict=True)), fmpq(0))
        return left - ts.value(ts.total(arb(r) * y for r, y in zip(x.rho, inner, strict=True)))

    return ts.in_every_direction(x, sides)


def _backup(x: Exact, v: Sequence[Jet]) -> list[Jet]:
    """Bellman backup of state values, `r + gamma E[v(s')]`, for every pair."""
    ahead = ts.ahead(x, v)
    return [arb(r) + arb(x.mdp.gamma) * e for r, e in zip(x.mdp.reward, ahead, strict=True)]


# App. H: the printed loss, under its two readings, and the corrected one, against (25).


def _losses(x: Exact, minus_slope: Callable[[list[Jet], list[Jet], list[arb]], arb]) -> list[arb]:
    """Negated gradient of a policy loss of App. H minus the E-step gradient (25), in every feature direction.

    The negated gradient is `minus_slope(pi, log pi, advantage)`.
    """
    v = x.mdp.mean(x.pi_theta, x.q)
    advantage = [arb(q - v[s]) for q, (s, _) in zip(x.q, x.mdp.pairs, strict=True)]

    def sides(j: int) -> arb:
        pi, log_pi = tilted(x, j)
        entropy = _over_states(x, ts.by_state(x, _times(pi, log_pi)))
        e_step = _scored(x, pi, log_pi, _numbers(x.q)) - arb(x.eps) * entropy[1]
        return minus_slope(pi, log_pi, advantage) - e_step

    return ts.in_every_direction(x, sides)


def score_reading(x: Exact) -> list[arb]:
    """Zero if App. H's policy loss has gradient (25) up to sign, read with actions from the replay buffer.

    The gradient is through log pi alone.
    """
    return _losses(x, lambda pi, log_pi, a: -_scored(x, pi, log_pi, [arb(x.eps) - y for y in a]))


def full_reading(x: Exact) -> list[arb]:
    """Zero if App. H's policy loss has gradient (25) up to sign, read with actions drawn from pi.

    The gradient is through the actions' probabilities too.
    """

    def minus_slope(pi: list[Jet], log_pi: list[Jet], a: list[arb]) -> arb:
        return -_over_states(x, ts.by_state(x, _times(pi, log_pi, [arb(x.eps) - y for y in a])))[1]

    return _losses(x, minus_slope)


def corrected_loss(x: Exact) -> list[arb]:
    """Zero if the gradient of App. H's corrected policy loss equals the E-step (25) up to sign.

    It is E_d[E_pi[eps log pi - (Q - V)]] with V held fixed.
    """

    def minus_slope(pi: list[Jet], log_pi: list[Jet], a: list[arb]) -> arb:
        inner = [arb(x.eps) * y - z for y, z in zip(log_pi, a, strict=True)]
        return -_over_states(x, ts.by_state(x, _times(pi, inner)))[1]

    return _losses(x, minus_slope)
