r"""(7), (26)-(30) and Theorem 4 in every direction of linear features, left less right sides, by series.

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
from verify.arithmetic.series import Moving, moving
from verify.claims.residual_gradients.incremental_facts import greedy, half_mean_square, less
from verify.claims.residual_gradients.incremental_facts import m_step as at_moving
from verify.proofs.facts import Differences


@dataclass(frozen=True, eq=False)
class Critic:
    """All that moves with omega_j, by name, and the symbols of Theorem 4."""

    x: Exact
    j: int

    @cached_property
    def b(self) -> list[fmpq]:
        """Gradient of Q."""
        return ts.along(self.x, self.j)

    @cached_property
    def q(self) -> list[Moving]:
        """Q, moving."""
        return ts.linear(self.x, self.j)

    @cached_property
    def q_0(self) -> list[arb]:
        """Q."""
        return ts.stopped(self.q)

    @cached_property
    def eps(self) -> fmpq:
        """The self-consistent temperature."""
        return sum((b * b for b in self.x.beta), fmpq(0)) / (2 * len(self.x.beta))

    @cached_property
    def pi(self) -> list[arb]:
        """The policy at it."""
        return ts.stopped(self.policy([moving(q) for q in self.q_0], moving(self.eps))[0])

    @cached_property
    def reward(self) -> list[arb]:
        """What makes beta the residual."""
        v = ts.stopped(ts.ahead(self.x, ts.mean(self.x, self.pi, self.q_0)))
        return [q + b - self.x.mdp.gamma * e for q, b, e in zip(self.q_0, self.x.beta, v, strict=True)]

    def policy(self, q: Sequence[Moving], eps: Moving) -> tuple[list[Moving], list[Moving]]:
        """Boltzmann policy and its logarithm."""
        return ts.softmax(self.x, [y / eps for y in q])

    def residual(self, q: Sequence[Moving], eps: Moving) -> list[Moving]:
        """Beta of a moving table at a moving temperature."""
        v = ts.ahead(self.x, ts.mean(self.x, self.policy(q, eps)[0], q))
        return [r + self.x.mdp.gamma * e - y for r, e, y in zip(self.reward, v, q, strict=True)]

    @cached_property
    def root(self) -> Moving:
        """The self-consistent temperature, moving with omega_j."""
        by_omega = half_mean_square(self.residual(self.q, moving(self.eps)))
        by_eps = half_mean_square(self.residual([moving(q) for q in self.q_0], moving(self.eps, 1)))
        return moving(self.eps, by_omega[1] / (1 - by_eps[1]))

    @cached_property
    def d_eps(self) -> arb:
        """Its derivative."""
        return ts.slope(self.root)

    @cached_property
    def score(self) -> list[arb]:
        """D log pi."""
        return ts.slopes(self.policy(self.q, self.root)[1])

    def centred(self, f: Sequence[Any]) -> list[Any]:
        """M f."""
        v = ts.stopped(ts.mean(self.x, self.pi, f))
        return [y - v[s] for y, (s, _) in zip(f, self.x.mdp.pairs, strict=True)]

    def expected(self, f: Sequence[Any]) -> list[arb]:
        """E_w[f(h')]."""
        return ts.stopped(ts.ahead(self.x, ts.mean(self.x, self.pi, f)))

    def weighted(self, f: Sequence[Any]) -> arb:
        """E[beta f]."""
        return ts.value(ts.over_pairs([b * y for b, y in zip(self.x.beta, f, strict=True)]))

    def double(self, f: Sequence[Any]) -> arb:
        """EE_w f = E[beta E_w[Q M f]]."""
        return self.weighted(self.expected([q * y for q, y in zip(self.q_0, self.centred(f), strict=True)]))

    @cached_property
    def fixed(self) -> list[arb]:
        """Gamma."""
        return [self.x.mdp.gamma * e - b for e, b in zip(self.expected(self.b), self.b, strict=True)]

    @cached_property
    def left(self) -> arb:
        """Theorem 4's left side."""
        return self.weighted(self.expected([s * q for s, q in zip(self.score, self.q_0, strict=True)]))

    @cached_property
    def printed(self) -> arb:
        """Theorem 4's right side as printed."""
        below = self.eps**2 * (1 + self.x.mdp.gamma * self.weighted(self.expected(self.q_0)))
        return (self.eps * self.weighted(self.fixed) * self.double(self.q_0) + self.double(self.b)) / below

    @cached_property
    def denominator(self) -> arb:
        """Of the corrected theorem."""
        return self.eps**2 + self.x.mdp.gamma * self.double(self.q_0)


def critic(sides: Callable[[Critic], Any]) -> Differences:
    """A difference of one direction, in all."""
    return lambda x: ts.in_every_direction(x, lambda j: sides(Critic(x, j)))


@critic
def chain_rule(c: Critic) -> arb:
    """(26): the root's derivative less E[beta grad beta]."""
    return c.d_eps - c.weighted(ts.slopes(c.residual(c.q, c.root)))


@critic
def optimal_chain_rule(c: Critic) -> arb:
    """(26) for the target T* of the same MDP, at unique maxima."""
    v = ts.ahead(c.x, ts.mean(c.x, greedy(c.x), c.q))
    beta = [r + c.x.mdp.gamma * e - y for r, e, y in zip(c.reward, v, c.q, strict=True)]
    return ts.slope(half_mean_square(beta)) - ts.value(ts.over_pairs([b[0] * b[1] for b in beta]))


@critic
def residual_slope(c: Critic) -> list[arb]:
    """(27)."""
    policy = c.expected([s * q for s, q in zip(c.score, c.q_0, strict=True)])
    right = [c.x.mdp.gamma * p + f for p, f in zip(policy, c.fixed, strict=True)]
    return less(ts.slopes(c.residual(c.q, c.root)), right)


@critic
def error_slope(c: Critic) -> arb:
    """(28)."""
    return c.d_eps - (c.x.mdp.gamma * c.left + c.weighted(c.fixed))


@critic
def policy_slope(c: Critic) -> list[arb]:
    """(29): d pi, which is pi d log pi, less pi M[grad(Q/eps)]."""
    scaled = ts.slopes([q / c.root for q in c.q])
    moved = ts.slopes(c.policy(c.q, c.root)[0])
    return less(moved, [p * y for p, y in zip(c.pi, c.centred(scaled), strict=True)])


@critic
def log_slope(c: Critic) -> list[arb]:
    """The score less (eps M[grad Q] - grad eps M Q)/eps^2."""
    both = zip(c.centred(c.b), c.centred(c.q_0), strict=True)
    return less(c.score, [(c.eps * mb - c.d_eps * mq) / c.eps**2 for mb, mq in both])


@critic
def theorem_4(c: Critic) -> arb:
    """As printed: left less right."""
    return c.left - c.printed


@critic
def theorem_4_corrected(c: Critic) -> arb:
    """Left less (eps EE[grad Q] - E[beta Gamma] EE Q)/(eps^2 + gamma EE Q)."""
    right = c.eps * c.double(c.b) - c.weighted(c.fixed) * c.double(c.q_0)
    return c.left - right / c.denominator


@critic
def eq_30(c: Critic) -> arb:
    """As printed: left less right."""
    return c.d_eps - (c.printed + c.weighted(c.fixed))


@critic
def eq_30_corrected(c: Critic) -> arb:
    """Left less (eps^2 E[beta Gamma] + gamma eps EE[grad Q])/(eps^2 + gamma EE Q)."""
    right = c.eps**2 * c.weighted(c.fixed) + c.x.mdp.gamma * c.eps * c.double(c.b)
    return c.d_eps - right / c.denominator


@critic
def m_step(c: Critic) -> arb:
    """(7): eps^2 grad L less eps E[grad Q] - E[Q] grad eps."""
    return at_moving(c.x, c.j, c.root)
