"""Ball arithmetic (arb) on exact numbers: softmax, log-sum-exp, entropies, decided signs, printed intervals.

Every function works at the precision of the context. `decide` raises it until a sign is proved. If `MAX_BITS`
is reached, it returns None, never a guess.

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
    """Enclosure of `e^x`."""
    return arb(x).exp()


def log(x: Number) -> arb:
    """Enclosure of `log x`, x > 0."""
    return arb(x).log()


def total(terms: Iterable[Number]) -> arb:
    """Enclosure of the sum of numbers and balls."""
    return sum((arb(x) for x in terms), arb(0))


def xlogy(x: fmpq, y: Number) -> arb:
    """`x log y`, with `0 log 0 = 0`."""
    return arb(x) * log(y) if x else arb(0)


def softmax(x: Sequence[fmpq]) -> list[arb]:
    """Softmax of exact numbers: `exp(x - max x)`, normalised."""
    top = max(x)
    weights = [exp(value - top) for value in x]
    mass = total(weights)
    return [w / mass for w in weights]


def logsumexp(x: Sequence[fmpq]) -> arb:
    """`log sum exp(x)` of exact numbers, as `max x + log sum exp(x - max x)`."""
    top = max(x)
    return arb(top) + total(exp(value - top) for value in x).log()


def boltzmann(mdp: ExactMDP, q: Sequence[fmpq], eps: fmpq) -> list[arb]:
    """Boltzmann policy (3) at the table q and temperature eps, one ball per pair."""
    out = [arb(0)] * mdp.n_pairs
    for own in mdp.of_state:
        for i, p in zip(own, softmax([q[i] / eps for i in own]), strict=True):
            out[i] = p
    return out


def entropy(p: Iterable[fmpq]) -> arb:
    """Entropy `-sum p log p` of exact probabilities."""
    return -total(xlogy(x, x) for x in p)


def decide(evaluate: Callable[[], arb], *, max_bits: int = MAX_BITS) -> tuple[int, int] | None:
    """Proved sign (1 or -1) of the number that `evaluate` encloses, and the bits that it took.

    None if `max_bits` do not decide it; no precision decides a zero.
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
    """One ball that contains all the balls."""
    first, *rest = balls
    for ball in rest:
        first = first.union(ball)
    return first


def dyadic(x: fmpq) -> str:
    """A dyadic rational as the text `MpE`, which means `M 2^E`. Raises: ValueError: if it is not dyadic."""
    exponent = int(x.q).bit_length() - 1
    if int(x.q) != 1 << exponent:
        raise ValueError(f"the denominator must be a power of 2; found {x}")
    return f"{x.p}p{-exponent}"


def endpoints(ball: arb) -> list[str]:
    """The ends `[low, high]`, as dyadic texts, of an interval that contains the ball.

    They are rounded outward to a few digits, and the interval is a margin wider than the ball.
    """
    margin = arb(2) ** (20 - ctx.prec) * (1 + abs(ball).upper())
    with ctx.workprec(ENDPOINT_BITS):
        low, high = (ball - margin).lower(), (ball + margin).upper()
        return [_text(low), _text(high)]


def _text(x: arb) -> str:
    mantissa, exponent = x.man_exp()
    return f"{mantissa}p{exponent}"
