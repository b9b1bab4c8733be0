"""Ball arithmetic (arb, rigorous enclosures): softmax, log-sum-exp, entropy; signs proved; intervals as text.

Every function works at the current precision of python-flint. `decide` raises it until a sign is proved. If
`MAX_BITS` do not suffice, it returns None, never a guess.

Example:
    >>> decide(lambda: logsumexp([fmpq(0), fmpq(0)]) - arb(2).log() + fmpq(1, 10**30))
    (1, 128)
"""

from collections.abc import Callable, Iterable, Sequence

from flint import arb, ctx, fmpq

from verify.arithmetic.exact import ExactMDP

BITS = (64, 128, 256)
MAX_BITS = 4096
ENDPOINT_BITS = 30
Number = arb | fmpq


def exp(x: Number) -> arb:
    """Rigorous enclosure (arb ball) of `e^x`, x a rational number or a ball."""
    return arb(x).exp()


def log(x: Number) -> arb:
    """Rigorous enclosure (arb ball) of `log x`, x > 0 a rational number or a ball."""
    return arb(x).log()


def total(terms: Iterable[Number]) -> arb:
    """Rigorous enclosure (arb ball) of the sum of rational numbers and balls."""
    return sum((arb(x) for x in terms), arb(0))


def xlogy(x: fmpq, y: Number) -> arb:
    """Rigorous enclosure (arb ball) of `x log y`, with the convention `0 log 0 = 0`."""
    return arb(x) * log(y) if x else arb(0)


def softmax(x: Sequence[fmpq]) -> list[arb]:
    """Softmax `exp(x_i) / sum_j exp(x_j)` of rational numbers x: one rigorous enclosure (arb ball) each."""
    top = max(x)
    weights = [exp(value - top) for value in x]
    mass = total(weights)
    return [w / mass for w in weights]


def logsumexp(x: Sequence[fmpq]) -> arb:
    """Rigorous enclosure (arb ball) of `log sum_i exp(x_i)`, computed with the largest x_i factored out."""
    top = max(x)
    return arb(top) + total(exp(value - top) for value in x).log()


def boltzmann(mdp: ExactMDP, q: Sequence[fmpq], eps: fmpq) -> list[arb]:
    """Boltzmann policy, VIREL's Eq. (3), of a table q at temperature eps: one arb ball per (s, a)."""
    out = [arb(0)] * mdp.n_pairs
    for own in mdp.of_state:
        for i, p in zip(own, softmax([q[i] / eps for i in own]), strict=True):
            out[i] = p
    return out


def entropy(p: Iterable[fmpq]) -> arb:
    """Rigorous enclosure (arb ball) of the entropy `-sum_i p_i log p_i` of rational probabilities p."""
    return -total(xlogy(x, x) for x in p)


def decide(evaluate: Callable[[], arb], *, max_bits: int = MAX_BITS) -> tuple[int, int] | None:
    """Prove the sign (1, -1) of the number that the ball `evaluate()` encloses; return it and the precision.

    Returns None if `max_bits` do not suffice; no precision decides a zero.
    """
    bits = BITS[0]
    while bits <= max_bits:
        with ctx.workprec(bits):
            x = evaluate()
            if x > 0 or x < 0:
                return (1 if x > 0 else -1), bits
        bits *= 2
    return None


def hull(balls: Iterable[arb]) -> arb:
    """Single ball (midpoint and radius, arb) that contains all the given balls."""
    first, *rest = balls
    for ball in rest:
        first = first.union(ball)
    return first


def dyadic(x: fmpq) -> str:
    """Write a rational number whose denominator is a power of 2 as the text `MpE`, which means `M 2^E`.

    Raises: ValueError: if the denominator is not a power of 2.
    """
    exponent = int(x.q).bit_length() - 1
    if int(x.q) != 1 << exponent:
        raise ValueError(f"a number written as `MpE` must have a power of 2 as its denominator; found {x}")
    return f"{x.p}p{-exponent}"


def endpoints(ball: arb) -> list[str]:
    """Ends `[low, high]` of an interval that contains an arb ball, with a margin, as texts `MpE`: `M 2^E`.

    The ends are rounded outward to few digits.
    """
    margin = arb(2) ** (20 - ctx.prec) * (1 + abs(ball).upper())
    with ctx.workprec(ENDPOINT_BITS):
        low, high = (ball - margin).lower(), (ball + margin).upper()
        return [_text(low), _text(high)]


def _text(x: arb) -> str:
    mantissa, exponent = x.man_exp()
    return f"{mantissa}p{exponent}"
