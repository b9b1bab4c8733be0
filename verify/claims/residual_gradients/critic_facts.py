r"""Differences that prove or refute Fellows et al. (7), (26)-(30) and Theorem 4, in every feature direction.

The instance has `beta` in place of a reward: the temperature is $\frac12 E[\beta^2]$, a rational number, and
the reward $r = \hat Q + \beta - \gamma E[v]$, v the value of the Boltzmann policy at it, so that the residual
is $\beta$ and the temperature self-consistent, for any $\gamma$. Its derivative is that of an implicit
function, $\partial_\omega g / (1 - \partial_\varepsilon g)$. The checker uses exact algebra.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from flint import arb, fmpq

from verify.arithmetic import series as ts
from verify.arithmetic.instance import Exact
from verify.arithmetic.series import Jet, jet
from verify.claims.residual_gradients.incremental_facts import greedy, half_mean_square, minus
from verify.claims.residual_gradients.incremental_facts import m_step as m_step_at
from verify.proofs.facts import Differences


@dataclass(frozen=True, eq=False)
class Critic:
    """Linear critic Q: eps, pi_omega and beta with derivatives in omega_j, and the symbols of Theorem 4."""

    x: Exact
    j: int

    @cached_property
    def b(self) -> list[fmpq]:
        """Derivative of the critic Q in omega_j, one entry per pair."""
        return ts.along(self.x, self.j)

    @cached_property
    def q(self) -> list[Jet]:
        """Critic Q with its derivative in omega_j."""
        return ts.linear(self.x, self.j)

    @cached_property
    def q_0(self) -> list[arb]:
        """Values of the critic Q, without derivatives."""
        return ts.values(self.q)

    @cached_property
    def eps(self) -> fmpq:
        """Self-consistent temperature eps_omega = `E[beta^2]/2`."""
        return sum((b * b for b in self.x.beta), fmpq(0)) / (2 * len(self.x.beta))

    @cached_property
    def pi(self) -> list[arb]:
        """Boltzmann policy pi_omega at the self-consistent temperature eps_omega."""
        return ts.values(self.policy([jet(q) for q in self.q_0], jet(self.eps))[0])

    @cached_property
    def reward(self) -> list[arb]:
        """Reward that makes beta the residual of Q: `Q + beta - gamma E_pi[Q(h')]`."""
        v = ts.values(ts.ahead(self.x, ts.mean(self.x, self.pi, self.q_0)))
        return [q + b - self.x.mdp.gamma * e for q, b, e in zip(self.q_0, self.x.beta, v, strict=True)]

    def policy(self, q: Sequence[Jet], eps: Jet) -> tuple[list[Jet], list[Jet]]:
        """Boltzmann policy and its logarithm at a table `q` and temperature `eps`, with derivatives."""
        return ts.softmax(self.x, [y / eps for y in q])

    def residual(self, q: Sequence[Jet], eps: Jet) -> list[Jet]:
        """Bellman residual of a table `q` under its Boltzmann policy at `eps`, with derivatives."""
        v = ts.ahead(self.x, ts.mean(self.x, self.policy(q, eps)[0], q))
        return [r + self.x.mdp.gamma * e - y for r, e, y in zip(self.reward, v, q, strict=True)]

    @cached_property
    def root(self) -> Jet:
        """Self-consistent temperature and its derivative in omega_j, by the implicit function theorem."""
        by_omega = half_mean_square(self.residual(self.q, jet(self.eps)))
        by_eps = half_mean_square(self.residual([jet(q) for q in self.q_0], jet(self.eps, 1)))
        return jet(self.eps, by_omega[1] / (1 - by_eps[1]))

    @cached_property
    def d_eps(self) -> arb:
        """Derivative of the self-consistent temperature in omega_j."""
        return ts.slope(self.root)

    @cached_property
    def score(self) -> list[arb]:
        """Derivative of the log-policy log pi_omega in omega_j."""
        return ts.slopes(self.policy(self.q, self.root)[1])

    def centred(self, f: Sequence[Any]) -> list[Any]:
        """Table centred over the actions of each state, `M f = f - E_pi[f]`."""
        v = ts.values(ts.mean(self.x, self.pi, f))
        return [y - v[s] for y, (s, _) in zip(f, self.x.mdp.pairs, strict=True)]

    def expected(self, f: Sequence[Any]) -> list[arb]:
        """Expected next value `E_pi[f(h')]` of a table f, for every pair."""
        return ts.values(ts.ahead(self.x, ts.mean(self.x, self.pi, f)))

    def weighted(self, f: Sequence[Any]) -> arb:
        """Mean `E[beta f]` over all pairs of a table f weighted by the Bellman residual beta."""
        return ts.value(ts.over_pairs([b * y for b, y in zip(self.x.beta, f, strict=True)]))

    def double(self, f: Sequence[Any]) -> arb:
        """Double expectation EE of Theorem 4, `EE f = E[beta E_pi[Q M f]]`, M f = f - E_pi[f]."""
        return self.weighted(self.expected([q * y for q, y in zip(self.q_0, self.centred(f), strict=True)]))

    @cached_property
    def fixed(self) -> list[arb]:
        """Derivative of the residual beta at a fixed policy, `Gamma = gamma E_pi[grad Q(h')] - grad Q`."""
        return [self.x.mdp.gamma * e - b for e, b in zip(self.expected(self.b), self.b, strict=True)]

    @cached_property
    def left(self) -> arb:
        """Left side of Theorem 4, `E[beta E_pi[Q grad log pi]]`."""
        return self.weighted(self.expected([s * q for s, q in zip(self.score, self.q_0, strict=True)]))

    @cached_property
    def printed(self) -> arb:
        """Right side of Theorem 4 as printed, its entry for omega_j."""
        below = self.eps**2 * (1 + self.x.mdp.gamma * self.weighted(self.expected(self.q_0)))
        return (self.eps * self.weighted(self.fixed) * self.double(self.q_0) + self.double(self.b)) / below

    @cached_property
    def denominator(self) -> arb:
        """Denominator of Theorem 4's corrected right side, `eps^2 + gamma EE Q`, EE as in `double`."""
        return self.eps**2 + self.x.mdp.gamma * self.double(self.q_0)


def critic(sides: Callable[[Critic], Any]) -> Differences:
    """Decorator: evaluate `sides(Critic)`, left minus right side of a formula, in every direction omega_j."""
    return lambda x: ts.in_every_direction(x, lambda j: sides(Critic(x, j)))


@critic
def chain_rule(c: Critic) -> arb:
    """Zero if Eq. (26) holds: `grad eps - E[beta grad beta]`, eps = eps_omega self-consistent."""
    return c.d_eps - c.weighted(ts.slopes(c.residual(c.q, c.root)))


@critic
def optimal_chain_rule(c: Critic) -> arb:
    """Zero if Eq. (26) holds under T*, at unique maxima: `grad E[beta^2]/2 - E[beta grad beta]`.

    The MDP is that of the self-consistent temperature.
    """
    v = ts.ahead(c.x, ts.mean(c.x, greedy(c.x), c.q))
    beta = [r + c.x.mdp.gamma * e - y for r, e, y in zip(c.reward, v, c.q, strict=True)]
    return ts.slope(half_mean_square(beta)) - ts.value(ts.over_pairs([b[0] * b[1] for b in beta]))


@critic
def residual_slope(c: Critic) -> list[arb]:
    """Zero if (27) holds: `grad beta - (gamma E_pi[Q grad log pi] + Gamma)`, Gamma: grad beta at fixed pi."""
    policy = c.expected([s * q for s, q in zip(c.score, c.q_0, strict=True)])
    right = [c.x.mdp.gamma * p + f for p, f in zip(policy, c.fixed, strict=True)]
    return minus(ts.slopes(c.residual(c.q, c.root)), right)


@critic
def error_slope(c: Critic) -> arb:
    """Zero if (28) holds: `grad eps - (gamma E[beta E_pi[Q grad log pi]] + E[beta Gamma])`, Gamma of (27)."""
    return c.d_eps - (c.x.mdp.gamma * c.left + c.weighted(c.fixed))


@critic
def policy_slope(c: Critic) -> list[arb]:
    """Zero if Eq. (29) holds: `grad pi - pi M[grad(Q/eps)]`, M f = f - E_pi[f]."""
    scaled = ts.slopes([q / c.root for q in c.q])
    moved = ts.slopes(c.policy(c.q, c.root)[0])
    return minus(moved, [p * y for p, y in zip(c.pi, c.centred(scaled), strict=True)])


@critic
def log_slope(c: Critic) -> list[arb]:
    """Zero if `grad log pi = (eps M[grad Q] - grad eps M Q)/eps^2`, M f = f - E_pi[f]: left minus right.

    M centres over actions.
    """
    both = zip(c.centred(c.b), c.centred(c.q_0), strict=True)
    return minus(c.score, [(c.eps * mb - c.d_eps * mq) / c.eps**2 for mb, mq in both])


@critic
def theorem_4(c: Critic) -> arb:
    """Zero if Theorem 4 holds as printed: `E[beta E_pi[Q grad log pi]]` minus the printed right side."""
    return c.left - c.printed


@critic
def theorem_4_corrected(c: Critic) -> arb:
    """Zero if Theorem 4 corrected holds: `E[beta E_pi[Q grad log pi]]` minus the corrected right side.

    That is `(eps EE[grad Q] - E[beta Gamma] EE Q)/(eps^2 + gamma EE Q)`.
    """
    right = c.eps * c.double(c.b) - c.weighted(c.fixed) * c.double(c.q_0)
    return c.left - right / c.denominator


@critic
def eq_30(c: Critic) -> arb:
    """Zero if Eq. (30) holds as printed: `grad eps - (Theorem 4's right side as printed + E[beta Gamma])`."""
    return c.d_eps - (c.printed + c.weighted(c.fixed))


@critic
def eq_30_corrected(c: Critic) -> arb:
    """Zero if Eq. (30) corrected holds: `grad eps` minus the corrected right side.

    That is `(eps^2 E[beta Gamma] + gamma eps EE[grad Q])/(eps^2 + gamma EE Q)`.
    """
    right = c.eps**2 * c.weighted(c.fixed) + c.x.mdp.gamma * c.eps * c.double(c.b)
    return c.d_eps - right / c.denominator


@critic
def m_step(c: Critic) -> arb:
    """Zero if Fellows et al. (7) holds: `eps^2 grad L - (eps E[grad Q] - E[Q] grad eps)`.

    The temperature is the self-consistent one.
    """
    return m_step_at(c.x, c.j, c.root)
