"""Facts on two examples of the VIREL talk, as MDPs: the lottery of pseudo-likelihood, and MERL's counterexample.

Each function returns left side minus right side.
"""

from flint import arb, fmpq

from verify.arithmetic.balls import exp, log, total
from verify.arithmetic.instance import Exact
from verify.proofs.shared_facts import rational

# The lottery: two actions at the start, of which one pays in the second step if at all.


def _first_actions(x: Exact) -> tuple[int, int]:
    """Pairs of the start, which is the first state: the lottery, without a reward of its own, and the safe one."""
    own = x.mdp.of_state[0]
    return min(own, key=lambda i: abs(x.mdp.reward[i])), max(own, key=lambda i: abs(x.mdp.reward[i]))


def _returns(x: Exact, i: int) -> list[tuple[fmpq, fmpq]]:
    """Probabilities and returns of two steps that begin with pair i, where next states have one action each."""
    return [(p, x.mdp.reward[i] + x.mdp.reward[x.mdp.of_state[t][0]]) for t, p in x.mdp.rows[i]]


def _mean(returns: list[tuple[fmpq, fmpq]]) -> fmpq:
    return sum((p * r for p, r in returns), fmpq(0))


@rational
def one_pays_later(x: Exact) -> list[fmpq]:
    """Zero if one action of the start pays nothing at once: number of these minus 1."""
    return [fmpq(sum(x.mdp.reward[i] == 0 for i in x.mdp.of_state[0]) - 1)]


@rational
def safe_is_sure(x: Exact) -> list[fmpq]:
    """Zero if the safe action's return is certain: its variance."""
    returns = _returns(x, _first_actions(x)[1])
    return [_mean([(p, r * r) for p, r in returns]) - _mean(returns) ** 2]


@rational
def safe_above_mean(x: Exact) -> list[fmpq]:
    """Positive if the safe reward exceeds the lottery's mean: safe reward minus mean."""
    lottery, safe = _first_actions(x)
    return [_mean(_returns(x, safe)) - _mean(_returns(x, lottery))]


def _likelihoods(x: Exact) -> tuple[arb, arb]:
    """Expected `exp(R/c)` of the lottery, and that of the safe reward."""
    lottery, safe = _first_actions(x)
    return total(p * exp(r / x.c) for p, r in _returns(x, lottery)), exp(_mean(_returns(x, safe)) / x.c)


def equivalent_above_safe(x: Exact) -> list[arb]:
    """Positive if the lottery's certainty equivalent exceeds the safe reward: difference of both `E[exp(R/c)]`."""
    lottery, safe = _likelihoods(x)
    return [lottery - safe]


def fitted_lottery(x: Exact) -> list[arb]:
    """Positive if the posterior, from the even policy, prefers the lottery: its weight minus the safe one's, halved."""
    lottery, safe = _likelihoods(x)
    return [lottery / 2 - safe / 2]


# MERL. An MDP that fits the talk's formula: s_0 with a_1 to a state of k_1 actions, and a_2, which pays 1, to one without a choice.


class Merl:
    """Talk's counterexample: its start s_0, the pairs a_1 and a_2, and soft values by recursion over the MDP."""

    def __init__(self, x: Exact) -> None:
        """Find the start and its two actions by their rewards."""
        self.x = x
        self.start = list(x.mdp.initial).index(fmpq(1))
        self.a1, self.a2 = sorted(x.mdp.of_state[self.start], key=lambda i: x.mdp.reward[i])

    def soft_value(self, s: int, depth: int) -> arb:
        """Soft value `c log sum_a exp(q/c)` of a state, with `depth` steps left; 0 with none."""
        own = self.x.mdp.of_state[s]
        weights = (exp(self.soft_q(i, depth - 1) / self.x.c) for i in own)
        out: arb = arb(0) if depth == 0 else self.x.c * total(weights).log()
        return out

    def soft_q(self, i: int, depth: int) -> arb:
        """Soft action value of a pair: reward plus discounted soft values, with `depth` steps left."""
        ahead = total(p * self.soft_value(t, depth) for t, p in self.x.mdp.rows[i])
        out: arb = self.x.mdp.reward[i] + self.x.mdp.gamma * ahead
        return out

    def logit(self) -> arb:
        """Logit of MERL's pi(a1|s0): the difference of both soft action values over c."""
        out: arb = (self.soft_q(self.a1, 2) - self.soft_q(self.a2, 2)) / self.x.c
        return out

    def threshold(self) -> arb:
        """Printed logit, `gamma log k_1 - 1/c`, k_1 the number of actions after a_1."""
        ((after, _),) = self.x.mdp.rows[self.a1]
        out: arb = self.x.mdp.gamma * log(fmpq(len(self.x.mdp.of_state[after]))) - 1 / self.x.c
        return out


def _probability(logit: arb) -> arb:
    out: arb = 1 / (1 + (-logit).exp())
    return out


@rational
def rewards_of_one(x: Exact) -> list[fmpq]:
    """Zero if every reward is 0 or 1: `r - r^2` per pair."""
    return [r - r * r for r in x.mdp.reward]


@rational
def one_reward(x: Exact) -> list[fmpq]:
    """Zero if one pair pays: sum of all rewards minus 1."""
    return [sum(x.mdp.reward, fmpq(0)) - 1]


@rational
def reward_at_start(x: Exact) -> list[fmpq]:
    """Zero if an action of the start pays 1: expected sum of the first state's rewards minus 1."""
    return [
        sum(
            (p * x.mdp.reward[i] for p, own in zip(x.mdp.initial, x.mdp.of_state, strict=True) for i in own),
            fmpq(0),
        )
        - 1
    ]


@rational
def two_actions_at_start(x: Exact) -> list[fmpq]:
    """Zero if the start has two actions: their expected number minus 2."""
    return [sum((p * len(own) for p, own in zip(x.mdp.initial, x.mdp.of_state, strict=True)), fmpq(0)) - 2]


def soft_fixed_point(x: Exact) -> list[arb]:
    """Zero if two soft backups of 0 give the soft values: those of three steps minus those of two, per pair."""
    m = Merl(x)
    return [m.soft_q(i, 2) - m.soft_q(i, 1) for i in range(x.mdp.n_pairs)]


def merl(x: Exact) -> list[arb]:
    """Zero if MERL's pi(a1|s0) is `1/(k1^-gamma e^(1/c) + 1)`: the one of the soft values minus that."""
    m = Merl(x)
    return [_probability(m.logit()) - _probability(m.threshold())]


def merl_premise(x: Exact) -> list[arb]:
    """Positive if the threshold of the talk is passed: `1 - k1^-gamma e^(1/c)`."""
    return [1 - (-Merl(x).threshold()).exp()]


def merl_threshold(x: Exact) -> list[arb]:
    """Positive if MERL takes the worthless action a1 more often than not: `2 pi(a1|s0) - 1`."""
    return [2 * _probability(Merl(x).logit()) - 1]


@rational
def best_at_start(x: Exact) -> list[fmpq]:
    """Positive if a2 alone is optimal at the start: `Q*(a2) - Q*(a1)`."""
    m = Merl(x)
    return [x.q_star[m.a2] - x.q_star[m.a1]]
