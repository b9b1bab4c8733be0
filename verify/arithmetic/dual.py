r"""Forward-mode automatic differentiation: dual numbers $x + \dot x\,\delta$ with $\delta^2 = 0$.

This is independent of every derivative in `virel_theory`. Code that is written once for plain numbers gives
values for floats and mpmath numbers, and values with derivatives for a `Dual`.

Example:
    >>> x, y = variables([2.0, 3.0])
    >>> (x * y + exp(x - 2.0)).tangent.tolist()
    [4.0, 2.0]
"""

import math
from collections.abc import Sequence
from typing import Any

import mpmath
import numpy as np

from virel_theory.checks import Array

Number = Any
"""A float, an mpmath number or a `Dual`: formulas are written once for the three."""


class Dual:
    """Immutable dual number: a value and its gradient with respect to the independent variables."""

    __slots__ = ("tangent", "value")

    def __init__(self, value: float, tangent: Array) -> None:
        """Store a number's value and its gradient `tangent [N]`."""
        self.value = value
        self.tangent = tangent

    def __add__(self, other: Number) -> "Dual":
        """Sum of a dual number and another number, with its gradient by the sum rule."""
        if isinstance(other, Dual):
            return Dual(self.value + other.value, self.tangent + other.tangent)
        return Dual(self.value + other, self.tangent)

    __radd__ = __add__

    def __neg__(self) -> "Dual":
        """Negative of a dual number, with the negated gradient."""
        return Dual(-self.value, -self.tangent)

    def __sub__(self, other: Number) -> "Dual":
        """Difference of a dual number and another number, with its gradient."""
        out: Dual = self + (-other)
        return out

    def __rsub__(self, other: Number) -> "Dual":
        """Difference of a constant and a dual number, with its gradient."""
        out: Dual = (-self) + other
        return out

    def __mul__(self, other: Number) -> "Dual":
        """Product of a dual number and another number, with its gradient by the product rule."""
        if isinstance(other, Dual):
            return Dual(self.value * other.value, self.value * other.tangent + other.value * self.tangent)
        return Dual(self.value * other, other * self.tangent)

    __rmul__ = __mul__

    def __truediv__(self, other: Number) -> "Dual":
        """Quotient of a dual number and another number, with its gradient by the quotient rule."""
        if isinstance(other, Dual):
            ratio = self.value / other.value
            return Dual(ratio, (self.tangent - ratio * other.tangent) / other.value)
        return Dual(self.value / other, self.tangent / other)

    def __rtruediv__(self, other: Number) -> "Dual":
        """Quotient of a constant and a dual number, with its gradient."""
        ratio = other / self.value
        return Dual(ratio, -ratio / self.value * self.tangent)

    def __lt__(self, other: Number) -> bool:
        """Whether a dual number's value is below another number, ignoring gradients, so that `max` works."""
        return bool(self.value < (other.value if isinstance(other, Dual) else other))


def variables(values: Sequence[float] | Array) -> list[Number]:
    """Dual numbers for independent variables x at given values: the gradient of x_i is the unit vector i."""
    return [Dual(float(x), row) for x, row in zip(values, np.eye(len(values)), strict=True)]


def exp(x: Number) -> Number:
    """Exponential of a float, an mpmath number or a `Dual`."""
    if isinstance(x, Dual):
        y = math.exp(x.value)
        return Dual(y, y * x.tangent)
    return mpmath.exp(x) if isinstance(x, mpmath.mpf) else math.exp(x)


def log(x: Number) -> Number:
    """Natural logarithm of a float, an mpmath number or a `Dual`."""
    if isinstance(x, Dual):
        return Dual(math.log(x.value), x.tangent / x.value)
    return mpmath.log(x) if isinstance(x, mpmath.mpf) else math.log(x)


def tanh(x: Number) -> Number:
    """Hyperbolic tangent of a float, an mpmath number or a `Dual`."""
    if isinstance(x, Dual):
        y = math.tanh(x.value)
        return Dual(y, (1 - y * y) * x.tangent)
    return mpmath.tanh(x) if isinstance(x, mpmath.mpf) else math.tanh(x)


def gradient_of(x: Number, size: int) -> Array:
    """Gradient `[size]` that a `Dual` number carries; a zero vector for a plain number."""
    return x.tangent if isinstance(x, Dual) else np.zeros(size)


def stop_gradient(x: Number) -> Number:
    """Value of a dual number without its gradient: the stop-gradient operator of VIREL's App. F.3."""
    return x.value if isinstance(x, Dual) else x
