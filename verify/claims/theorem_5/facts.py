r"""Differences that prove App. F.2 and Theorem 5: the incremental target and its residual error.

With $m = T^* Q - T_k Q = \gamma E[loss]$, the residual of $T_k$ is $\beta_k = \beta - m$, $\beta = T^* Q -
Q$. Differences are formed after whatever cancels exactly: where a bound is attained they are exact zeros,
and elsewhere their leading term decides their sign. Each function returns left side minus right side.
"""

from collections.abc import Sequence

from flint import arb, fmpq

from verify.arithmetic import exact
from verify.arithmetic.balls import exp, total
from verify.arithmetic.instance import Exact
from verify.proofs.shared_facts import loss_factor, losses, minus, rational


def target(x: Exact) -> list[arb]:
    """Nonnegative if the incremental target T_k is below the optimal one: `T* Q - T_k Q` per pair."""
    return _target_gap(x, x.q)


@rational
def two_members(x: Exact) -> list[fmpq]:
    """Positive if the tables of Omega differ: their largest distance."""
    return [max(abs(y) for y in minus(x.q, x.q_two))]


def minima(x: Exact, *, factor: int, side: int) -> list[arb]:
    """Nonnegative if both minima over Omega = {q, q_two} are within the larger rate: rate minus the difference.

    The difference is that of the least eps_{omega,k} and the least eps_omega, times `side`, 1 or -1; the
    temperature is eps_k/factor.
    """
    y = x.with_parts(eps_k=x.eps_k / factor)
    members = (y.q, y.q_two)
    limits = [total(b * b for b in _residual(y, q)) / (2 * y.mdp.n_pairs) for q in members]
    values = [limit + _excess(y, q) + y.eps_k for limit, q in zip(limits, members, strict=True)]
    rates = [_rate(y.with_parts(q=q), entropic=True) + y.eps_k for q in members]
    least: arb = values[0].min(values[1]) - limits[0].min(limits[1])
    return [rates[0].max(rates[1]) - side * least]


def target_bound(x: Exact, *, entropic: bool) -> list[arb]:
    """Nonnegative if T_k Q is within its bound delta of T* Q: `delta - (T* Q - T_k Q)` per pair.

    The target is that of (36) at the temperature eps_k.
    """
    delta = _largest_target_gap(x, entropic=entropic)
    return [delta - m for m in _target_gap(x, x.q)]


def rate_above(x: Exact, *, entropic: bool) -> list[arb]:
    """Nonnegative if (37)'s rate holds from above: `rate + eps_k - (eps_{omega,k} - eps_omega)`.

    The two eps_k cancel.
    """
    return [_rate(x, entropic=entropic) - _excess(x, x.q)]


def rate_below(x: Exact, *, entropic: bool) -> list[arb]:
    """Nonnegative if (37)'s rate holds from below: `rate + eps_k - (eps_omega - eps_{omega,k})`."""
    return [_rate(x, entropic=entropic) + 2 * x.eps_k + _excess(x, x.q)]


def incremental_error(x: Exact, *, name: str) -> list[arb]:
    """Incremental residual error eps_{omega,k} of the table `name`: `eps_k + mean (T_k Q - Q)^2 / 2`."""
    q = x.parts[name]
    squares = [(b - m) ** 2 for b, m in zip(_residual(x, q), _target_gap(x, q), strict=True)]
    return [total(squares) / (2 * x.mdp.n_pairs) + x.eps_k]


def squeeze(x: Exact) -> list[arb]:
    """Nonnegative if `eps_{omega,k} <= delta^2/2 + eps_k` at Q*, T* Q - T_k Q <= delta: right minus left.

    As beta = 0 there, it is `(delta^2 - mean of m^2)/2`.
    """
    delta = _largest_target_gap(x, entropic=False)
    m = _target_gap(x, x.q_star)
    return [(delta * delta - total(y * y for y in m) / x.mdp.n_pairs) / 2]


def stationary(x: Exact) -> list[arb]:
    r"""Nonnegative if only fixed points are stationary, soft T_k: `|H| ||grad||_1 - (1 - gamma) ||beta||_1`.

    The target is the soft one. `|H| grad = gamma pi beta P - beta`. The difference is an exact 0 where no two
    signs differ, because pi and P sum to 1.
    """
    v, pi = _soft_values(x)
    ahead = [total(p * v[t] for t, p in row) for row in x.mdp.rows]
    beta = [r + x.mdp.gamma * e - q for r, e, q in zip(x.mdp.reward, ahead, x.q, strict=True)]
    pushed, signs = [arb(0)] * x.mdp.n_states, [set[int]() for _ in range(x.mdp.n_states)]
    for b, row in zip(beta, x.mdp.rows, strict=True):
        for t, p in row:
            pushed[t] += p * b
            signs[t].add(_sign(b))
    grad = [x.mdp.gamma * pi[i] * pushed[s] - beta[i] for i, (s, _) in enumerate(x.mdp.pairs)]
    for (s, _), b, g in zip(x.mdp.pairs, beta, grad, strict=True):
        signs[s] |= {_sign(b), -_sign(g)}
    if x.mdp.gamma == 0 or all(found in ({1}, {-1}) for found in signs):
        return [arb(0)]
    return [total(map(abs, grad)) - (1 - x.mdp.gamma) * total(map(abs, beta))]


def _soft_values(x: Exact) -> tuple[list[arb], list[arb]]:
    """Log-sum-exp state values at the temperature eps_k, and the Boltzmann policy of every pair."""
    v, pi = [], []
    for own in x.mdp.of_state:
        top = max(x.q[i] for i in own)
        weights = [exp((x.q[i] - top) / x.eps_k) for i in own]
        v.append(top + x.eps_k * total(weights).log())
        pi += [w / total(weights) for w in weights]
    return v, pi


def _target_gap(x: Exact, q: Sequence[fmpq]) -> list[arb]:
    """Difference `m = T* Q - T_k Q` of the optimal and the incremental target, per pair."""
    v = losses(x, q, x.eps_k)
    return [x.mdp.gamma * total(p * v[t] for t, p in row) for row in x.mdp.rows]


def _largest_target_gap(x: Exact, *, entropic: bool) -> arb:
    """Bound delta of `T* Q - T_k Q`: `gamma eps_k log A` if `entropic`, else `gamma eps_k (A - 1)/e`."""
    out: arb = x.mdp.gamma * x.eps_k * loss_factor(x, entropic=entropic)
    return out


def _excess(x: Exact, q: Sequence[fmpq]) -> arb:
    """Excess `eps_{omega,k} - eps_k - eps_omega`: mean of `((beta - m)^2 - beta^2)/2`, m = T* Q - T_k Q."""
    beta = _residual(x, q)
    return total(m * m - 2 * b * m for b, m in zip(beta, _target_gap(x, q), strict=True)) / (
        2 * x.mdp.n_pairs
    )


def _rate(x: Exact, *, entropic: bool) -> arb:
    """Rate of (37), `delta (2 mean|beta| + delta)/2`, delta the bound of the target's gap m."""
    delta = _largest_target_gap(x, entropic=entropic)
    out: arb = delta * (2 * sum(map(abs, _residual(x, x.q)), fmpq(0)) / x.mdp.n_pairs + delta) / 2
    return out


def _residual(x: Exact, q: Sequence[fmpq]) -> list[fmpq]:
    """Bellman residual `beta = T* Q - Q` per pair."""
    return minus(exact.optimal_backup(x.mdp, q), q)


def _sign(x: arb) -> int:
    return 1 if x > 0 else -1 if x < 0 else 0
