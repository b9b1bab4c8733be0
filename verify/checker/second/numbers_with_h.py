"""Numbers `a + h b`, h h = 0, over fractions or over another arithmetic that a subclass supplies."""

from collections.abc import Sequence
from fractions import Fraction
from functools import reduce
from typing import Any, NamedTuple

from .errors import CannotDecide, Wrong


class Pair(NamedTuple):
    """Number `a + h b`."""

    a: Any
    b: Any = Fraction(0)


class Rationals:
    """Arithmetic of fractions. What is missing is a subclass's: there, numbers may be others."""

    def add(self, x: Any, y: Any) -> Any:
        """Sum."""
        return x + y

    def times(self, x: Any, y: Any) -> Any:
        """Product."""
        return x * y

    def inverse(self, x: Any) -> Any:
        """One over x."""
        if self.sign(x) == 0:
            raise Wrong("a division by zero")
        return 1 / x

    def sign(self, x: Any) -> int:
        """-1, 0 or 1."""
        return int(x > 0) - int(x < 0)

    def exp(self, x: Any) -> Any:
        """Exponential, of 0 only."""
        if x == 0:
            return Fraction(1)
        raise CannotDecide("an exponential")

    def log(self, x: Any) -> Any:
        """Logarithm, of 1 only."""
        if x == 1:
            return Fraction(0)
        raise CannotDecide("a logarithm")


class Calculus:
    """Functions of pairs over one arithmetic."""

    def __init__(self, arithmetic: Rationals | None = None) -> None:
        """Store the arithmetic; None is that of fractions."""
        self.use = arithmetic or Rationals()

    def plus(self, x: Pair, y: Pair) -> Pair:
        """Sum."""
        return Pair(self.use.add(x.a, y.a), self.use.add(x.b, y.b))

    def minus(self, x: Pair, y: Pair) -> Pair:
        """Difference."""
        return self.plus(x, self.times(Pair(Fraction(-1)), y))

    def times(self, x: Pair, y: Pair) -> Pair:
        """Product, without h h."""
        use = self.use
        return Pair(use.times(x.a, y.a), use.add(use.times(x.a, y.b), use.times(x.b, y.a)))

    def over(self, x: Pair, y: Pair) -> Pair:
        """Quotient."""
        one = self.use.inverse(y.a)
        slope = self.use.times(Fraction(-1), self.use.times(y.b, self.use.times(one, one)))
        return self.times(x, Pair(one, slope))

    def exp(self, x: Pair) -> Pair:
        """Exponential."""
        value = self.use.exp(x.a)
        return Pair(value, self.use.times(value, x.b))

    def log(self, x: Pair) -> Pair:
        """Logarithm."""
        if self.use.sign(x.a) <= 0:
            raise Wrong("the logarithm of a number that is not positive")
        return Pair(self.use.log(x.a), self.use.times(x.b, self.use.inverse(x.a)))

    def xlog(self, w: Pair, x: Pair, y: Pair) -> Pair:
        """The product `w log(x/y)`, 0 where w is 0."""
        if w.b == 0 and self.use.sign(w.a) == 0:
            return Pair(Fraction(0))
        if x == y:
            return Pair(Fraction(0))
        return self.times(w, self.minus(self.log(x), self.log(y)))

    def sign(self, x: Pair) -> int:
        """Sign of a number without h."""
        if self.use.sign(x.b) != 0:
            raise Wrong("a number that still moves with h")
        return self.use.sign(x.a)

    def absolute(self, x: Pair) -> Pair:
        """Absolute value."""
        return x if self.sign(x) >= 0 else self.minus(Pair(Fraction(0)), x)

    def odd(self, x: Pair) -> Pair:
        """Whether a whole number is odd."""
        return Pair(Fraction(int(x.a) % 2))

    def largest(self, xs: Sequence[Pair]) -> Pair:
        """First of the largest numbers."""
        best = xs[0]
        for x in xs[1:]:
            best = x if self.sign(self.minus(x, best)) > 0 else best
        return best

    def sum(self, xs: Sequence[Pair]) -> Pair:
        """Sum of many."""
        return reduce(self.plus, xs, Pair(Fraction(0)))

    def product(self, xs: Sequence[Pair]) -> Pair:
        """Product of many."""
        return reduce(self.times, xs, Pair(Fraction(1)))


class Table(list[Any]):
    """Numbers over one index set, whose name is `over`: pairs, states, walks, or a plain list."""

    def __init__(self, over: str, items: Any) -> None:
        """Store the numbers."""
        super().__init__(items)
        self.over = over
