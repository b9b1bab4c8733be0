"""Claims decided in rational arithmetic alone: optima, values of policies, the normalisations of (2).

Every difference is an exact rational number, returned as a ball.
"""

from collections.abc import Callable, Sequence

from flint import arb, fmpq

from verify.arithmetic import exact
from verify.arithmetic.instance import Exact
from verify.proofs.facts import Differences


def rational(differences: Callable[[Exact], Sequence[fmpq | int]]) -> Differences:
    """Exact numbers as balls."""
    return lambda x: [arb(value) for value in differences(x)]


def less(left: Sequence[fmpq], right: Sequence[fmpq]) -> list[fmpq]:
    """Their differences."""
    return [a - b for a, b in zip(left, right, strict=True)]


def _dot(a: Sequence[fmpq], b: Sequence[fmpq]) -> fmpq:
    return sum((p * q for p, q in zip(a, b, strict=True)), fmpq(0))


def fixed_point(name: str) -> Differences:
    """A table less T* of it."""
    return rational(lambda x: less(x.parts[name], exact.optimal_backup(x.mdp, x.parts[name])))


def value_of(name: str) -> Differences:
    """`v` less the average of its own backup under a policy."""
    return rational(lambda x: less(x.v, x.mdp.mean(x.parts[name], x.mdp.backup(x.v))))


@rational
def visits(x: Exact) -> list[fmpq]:
    """The discounted visits `rho` of pi_theta less p_0 + gamma times where they lead."""
    ahead = list(x.mdp.initial)
    for (s, _), row, p in zip(x.mdp.pairs, x.mdp.rows, x.pi_theta, strict=True):
        for t, w in row:
            ahead[t] += x.mdp.gamma * w * p * x.rho[s]
    return less(x.rho, ahead)


@rational
def zero_iff_optimal(x: Exact) -> list[int]:
    """[eps = 0] less [Q = Q*], eps the residual error under T*."""
    return [int(exact.residual_error(x.mdp, x.q) == 0) - int(x.q == x.q_star)]


@rational
def coldest_root_iff_optimal(x: Exact) -> list[int]:
    """[0 solves eps = g(eps)] less [Q = Q*], under the Boltzmann policy."""
    return [int(x.high[0] == 0) - int(x.q == x.q_star)]


@rational
def mean_of_optimum(x: Exact) -> list[fmpq]:
    """E_{d pi}[Q*]: L is +inf where eps = 0."""
    return [_dot(x.d, x.mdp.mean(x.pi_theta, x.q_star))]


@rational
def least_of_optimum(x: Exact) -> list[fmpq]:
    """Min Q*, positive by Assumption 1."""
    return [min(x.q_star)]


@rational
def negative_ratio(x: Exact) -> list[fmpq]:
    """0 less eps/E[Q] of a member with eps > 0: below the ratio at Q*, which is 0."""
    mean = _dot(x.d, x.mdp.mean(x.pi_theta, x.q))
    return [-exact.residual_error(x.mdp, x.q) / mean] if mean != 0 else [fmpq(0)]


@rational
def loss_of_policy(x: Exact) -> list[fmpq]:
    """V* less V^pi."""
    return less(x.mdp.best(x.q_star), x.v)


@rational
def unique_maxima(x: Exact) -> list[int]:
    """Number of maximisers of every state, less 1."""
    return [len(ties) - 1 for ties in exact.greedy_sets(x.mdp, x.q)]


@rational
def one_action(x: Exact) -> list[int]:
    """Number of actions of every state, less 1."""
    return [len(own) - 1 for own in x.mdp.of_state]


@rational
def residual_error(x: Exact) -> list[fmpq]:
    """The residual error under T*."""
    return [exact.residual_error(x.mdp, x.q)]


@rational
def own_temperature(x: Exact) -> list[fmpq]:
    """The temperature less the residual error under T*."""
    return [x.eps - exact.residual_error(x.mdp, x.q)]


@rational
def no_reward(x: Exact) -> list[fmpq]:
    """The rewards, which are 0 where `beta` stands in for them; the same in every direction."""
    return [r for _ in x.features for r in x.mdp.reward]


@rational
def limit_less_j(x: Exact) -> list[fmpq]:
    """E_{p_0 pi}[Q*] less J."""
    return [_dot(x.mdp.initial, less(x.mdp.mean(x.pi_theta, x.q_star), x.v))]


@rational
def performance_difference(x: Exact) -> list[fmpq]:
    """The same less the discounted loss of the steps after the first."""
    loss = less(x.mdp.best(x.q_star), x.mdp.mean(x.pi_theta, x.q_star))
    first = _dot(x.mdp.initial, less(x.mdp.mean(x.pi_theta, x.q_star), x.v))
    return [first - _dot(less(x.rho, x.mdp.initial), loss)]


@rational
def m_step_premise(x: Exact) -> list[fmpq]:
    """(39)'s premise: L at Q^pi + 64 less L at Q^pi + 2^-10, nearer to zero residual; entropies cancel."""
    mean = _dot(x.d, x.v)
    far, near = (2 * (mean + c) / ((1 - x.mdp.gamma) * c) ** 2 for c in (fmpq(64), fmpq(1, 1024)))
    return [far - near]


@rational
def greedy_limit(x: Exact) -> list[fmpq]:
    """Eps under the limit of the Boltzmann policy, uniform over maximisers, less eps under T*."""
    pi = exact.uniform_over(x.mdp, exact.greedy_sets(x.mdp, x.q))
    beta = less(x.mdp.backup(x.mdp.mean(pi, x.q)), x.q)
    return [_dot(beta, beta) / (2 * x.mdp.n_pairs) - exact.residual_error(x.mdp, x.q)]


# (2): five normalisations of a residual; |beta|^p = exp(p log|beta|) need not be rational.


def _powers(x: Exact) -> list[arb]:
    """|beta|^p, exactly 0 where beta is."""
    return [(x.p_norm * arb(abs(b)).log()).exp() if b else arb(0) for b in x.beta]


def mean_of_powers(x: Exact) -> list[arb]:
    """c/p times the sum less |H| times c/(p |H|) times it, relative to the sum of powers, which scales."""
    powers = _powers(x)
    total, means = sum(powers, arb(0)), sum((y / x.mdp.n_pairs for y in powers), arb(0))
    return [(total - x.mdp.n_pairs * means) * (x.c / x.p_norm)]


@rational
def half_mean(x: Exact) -> list[fmpq]:
    """c/2 times the sum less |H| times c/(2 |H|) times it."""
    return [x.c / 2 * _dot(x.beta, x.beta) - x.mdp.n_pairs * _half_mean(x)]


@rational
def mean_square(x: Exact) -> list[fmpq]:
    """E_D[beta^2] less twice the half mean square."""
    return [x.c * _dot(x.beta, x.beta) / x.mdp.n_pairs - 2 * _half_mean(x)]


@rational
def uniform_weights(x: Exact) -> list[fmpq]:
    """The weighted norm with uniform d less E_D[beta^2]."""
    weight = fmpq(1, x.mdp.n_pairs)
    return [x.c * sum((weight * b * b for b in x.beta), fmpq(0)) - x.c * _dot(x.beta, x.beta) / x.mdp.n_pairs]


def power_zero(x: Exact) -> list[arb]:
    """[the sum of |beta|^p is 0] less [beta = 0]."""
    return [arb(int(all(y.is_zero() for y in _powers(x))) - int(not any(x.beta)))]


@rational
def weighted_zero(x: Exact) -> list[int]:
    """[the weighted norm is 0] less [beta = 0]."""
    return [int(sum(w * b * b for w, b in zip(x.weight, x.beta, strict=True)) == 0) - int(not any(x.beta))]


@rational
def mean_zero(x: Exact) -> list[int]:
    """[the mean norm is 0] less [beta = 0]."""
    return [int(_half_mean(x) == 0) - int(not any(x.beta))]


def _half_mean(x: Exact) -> fmpq:
    out: fmpq = x.c * _dot(x.beta, x.beta) / (2 * x.mdp.n_pairs)
    return out


# Self-consistent temperatures: what the roots found say.


@rational
def several_roots(x: Exact) -> list[int]:
    """Their number less 1."""
    return [len(x.low) - 1]


@rational
def odd_roots(x: Exact) -> list[int]:
    """[their number is odd] less 1."""
    return [len(x.low) % 2 - 1]


@rational
def largest_root(x: Exact) -> list[fmpq]:
    """Its lower end."""
    return [max(x.low)]
