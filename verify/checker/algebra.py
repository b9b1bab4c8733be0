"""Numbers of the checker: rational numbers, and polynomials with rational coefficients in atoms.

Atoms are exponentials, logarithms and inverses of other numbers. An identity is proved if the difference of
both sides, multiplied with all that it divides by, reduces to the zero polynomial.
"""

from collections.abc import Callable, Iterable
from functools import reduce
from math import prod
from typing import Any

from flint import Ordering, arb, ctx, fmpq, fmpq_mpoly, fmpq_mpoly_ctx

from .limits import MAX_BITS, MAX_ENTRIES, MAX_HEIGHT, Rejected, need

ZERO, ONE = fmpq(0), fmpq(1)

GENS = fmpq_mpoly_ctx.get([f"x{i}" for i in range(64)], Ordering.lex).gens()
"""Generators of the polynomials."""
ATOMS: list[tuple[str, Any]] = []
"""The atom that each generator stands for: a function ("exp", "log", "inverse") and its argument."""
LOGS: list[tuple[Any, Any]] = []
"""Numbers and their logarithms, as far as computed."""
H = GENS[0]
"""Infinitesimal h, with h h = 0: the coefficient of h is a derivative. Powers of h are never read."""
VALUES: dict[str, Any] = {"exp": arb.exp, "log": arb.log, "inverse": lambda x: 1 / x}
"""The functions of atoms, in ball arithmetic."""


def start() -> None:
    """Forget the atoms and logarithms of the last certificate; generator 0 is h."""
    ATOMS[:], LOGS[:] = [("", ZERO)], []


def settle(ball: Callable[[], arb], yes: Callable[[arb], bool], no: Callable[[arb], bool]) -> bool:
    """Raise the precision until the arb ball `ball()` surely obeys `yes` or `no`; return whether `yes`."""
    for bits in (64 << k for k in range(7)):
        with ctx.workprec(bits):
            need(bits <= MAX_BITS, f"undecided at {MAX_BITS} bits")
            x = ball()
            if yes(x) or no(x):
                return yes(x)
    raise Rejected(f"undecided at {MAX_BITS} bits", 1)


def sign(ball: Callable[[], arb]) -> int:
    """Prove the sign, 1 or -1, of the number that the arb ball `ball()` encloses; a zero stays undecided."""
    return 1 if settle(ball, lambda x: x > 0, lambda x: x < 0) else -1


def value(x: Any) -> arb:
    """Rigorous enclosure (arb ball) of a rational number or a polynomial of atoms (exp, log, 1/x)."""
    if isinstance(x, fmpq):
        return arb(x)
    terms = [(c, [(i, k) for i, k in enumerate(powers) if k]) for powers, c in x.to_dict().items()]
    used = {i: ATOMS[i] for _, powers in terms for i, _ in powers}
    balls = {i: VALUES[function](value(y)) for i, (function, y) in used.items()}
    out = arb(0)
    for c, powers in terms:
        need(True)
        out += c * prod((balls[i] ** k for i, k in powers), start=arb(1))
    return out


def enclosure(x: Any) -> Callable[[], arb]:
    """Function that returns an enclosure (arb ball) of a number x, as numerator over denominators."""
    top, below = fraction(x)
    return lambda: value(top) / prod(map(value, below), start=arb(1))


def atom(function: str, x: Any) -> Any:
    """Polynomial variable that stands for exp(x), log(x) or 1/x (an atom); equal arguments share one."""
    for i, (name, y) in enumerate(ATOMS):
        if name == function and type(x) is type(y) and x == y:
            return GENS[i]
    need(len(ATOMS) < len(GENS), "undecided: too many exponentials and logarithms")
    need(
        function == "exp" or sign(lambda: value(x)) > 0 or function == "inverse",
        "the logarithm of a negative number",
        2,
    )
    ATOMS.append((function, x))
    return GENS[len(ATOMS) - 1]


def extent(x: Any) -> int:
    """Number of terms of a polynomial of atoms (exp, log, 1/x); 1 for any other number."""
    return len(x) if isinstance(x, fmpq_mpoly) else 1


def multiply(x: Any, y: Any) -> Any:
    """Product of two polynomials of atoms (exp, log, 1/x); reject the file if it may have too many terms."""
    if not isinstance(x, fmpq) or not isinstance(y, fmpq):
        need(extent(x) * extent(y) < 100 * MAX_ENTRIES, "undecided: a polynomial of too many terms")
    return bounded(x * y)


def add(x: Any, y: Any) -> Any:
    """Sum of two polynomials of atoms (exp, log, 1/x); reject the file if it is too long."""
    return bounded(x + y)


def bounded(x: Any) -> Any:
    """Return a number as it is; reject the file if time is over, or if the number is too long."""
    if isinstance(x, fmpq):
        need(x.height_bits() <= MAX_HEIGHT, "undecided: a number of too many digits")
    else:
        need(extent(x) < 100 * MAX_ENTRIES, "undecided: a polynomial of too many terms")
    return x


def total(xs: Iterable[Any]) -> Any:
    """Sum of numbers, of which there may be many."""
    return reduce(add, xs, ZERO)


def product(xs: Iterable[Any]) -> Any:
    """Product of numbers, of which there may be many."""
    return reduce(multiply, xs, ONE)


def short(x: Any) -> Any:
    """Convert a constant polynomial to a rational number; reject the file if x has too many terms."""
    if isinstance(x, fmpq):
        return x
    need(len(x) < MAX_ENTRIES, "undecided: a polynomial of too many terms")
    return x.leading_coefficient() if len(x) < 2 and x.is_constant() else x


def at(x: Any) -> Any:
    """Value a of a dual number `a + h b`, where h is the infinitesimal (h^2 = 0) and b the derivative."""
    return x if isinstance(x, fmpq) else short(x.subs({0: 0}) if x.derivative(0) else x)


def slope(x: Any) -> Any:
    """Derivative b of a dual number `a + h b`: the coefficient of the infinitesimal h."""
    return ZERO if isinstance(x, fmpq) else short(x.derivative(0).subs({0: 0}))


def divide(x: Any, y: Any) -> Any:
    """Quotient `x / y` of dual numbers: for y = a + h b, 1/y = (1/a) (1 - h b/a), 1/a rational or an atom."""
    main, more = at(y), slope(y)
    inverse = 1 / main if isinstance(main, fmpq) else atom("inverse", main)
    return multiply(x * inverse, 1 - H * more * inverse) if more != 0 else x * inverse


def exp(x: Any) -> Any:
    """Exponential of a dual number: `e^a (1 + h b)` for `a + h b`, h the infinitesimal."""
    return short((atom("exp", at(x)) if at(x) != 0 else ONE) * (1 + H * slope(x)))


def log(x: Any) -> Any:
    """Logarithm of a dual number: `log a + h b/a` for `a + h b`, h the infinitesimal."""
    main, more = at(x), slope(x)
    known = next((y for z, y in LOGS if type(z) is type(main) and z == main), None)
    if known is None:
        known = log_of_main(main)
        LOGS.append((main, known))
    return short(known + divide(H * more, main)) if more != 0 else known


def log_of_main(x: Any) -> Any:
    """Logarithm of a number without h, written so that equal logarithms become equal polynomials.

    It is a sum of logarithms of primes and of irreducible polynomials.
    """
    top, below = fraction(x)
    out = sum((-log(y) for y in below), ZERO)
    content, factors = (top, []) if isinstance(top, fmpq) else top.factor()
    need(content > 0 and max(content.p, content.q) < 10**12, "a logarithm's argument is out of range", 2)
    primes = [(fmpq(p), side * k) for n, side in ((content.p, 1), (content.q, -1)) for p, k in n.factor()]
    for y, k in primes + factors:
        known = [z for (name, z), g in zip(ATOMS, GENS, strict=False) if name == "exp" and g == y]
        out += int(k) * (known[0] if known else atom("log", y))
    return short(out)


def fraction(x: Any) -> tuple[Any, list[Any]]:
    """Write a polynomial of atoms (exp, log, 1/x) as a polynomial without 1/x, and its denominators."""
    below = []
    inverses = [i for i, (function, _) in enumerate(ATOMS) if function == "inverse"]
    for i in reversed(inverses):  # an inverse may be of a number that holds earlier ones
        power = 0 if isinstance(x, fmpq) else x.degrees()[i]
        x = cleared(x, i, power)
        below += [ATOMS[i][1]] * power
    return short(x), below


def cleared(x: Any, i: int, power: int) -> Any:
    """Clear the denominator y of a polynomial x of atoms: `x * y^power`, with generator `i`, 1/y, eliminated.

    With g = 1/y and n = `power`, c_0 + c_1 g + ... + c_n g^n becomes c_0 y^n + ... + c_n, by Horner's rule.
    """
    if power == 0:
        return x
    out, rest = ZERO, x
    for _ in range(power + 1):
        first = rest.subs({i: 0})
        out, rest = multiply(out, ATOMS[i][1]) + first, (rest - first) / GENS[i]
    return out


def zero(x: Any) -> bool:
    """Whether a rational function of atoms is proved to be zero: its numerator is the zero polynomial."""
    return bool(fraction(x)[0] == 0)


# Functions that formulas apply to each entry.


def indicator_of_zero(x: Any) -> fmpq:
    """Indicator that a rational function of atoms is zero: 1 or 0, as proved; else reject the file."""
    if zero(x):
        return ONE
    sign(enclosure(x))
    return ZERO


def absolute(x: Any) -> Any:
    """Absolute value of a rational function of atoms (exp, log), from its proved sign."""
    return x if zero(x) or sign(enclosure(x)) > 0 else -x


def xlog(w: Any, x: Any, y: Any) -> Any:
    """Product `w log(x/y)`, a term of a KL divergence: 0 where the weight w is 0."""
    return w * (log(x) - log(y)) if w != 0 else ZERO
