"""What the deep claims share: a finite MDP as a replay of one-hot rows with exact weights, in float64 tensors.

torch and `virel_deep` are imported inside functions, so that the registry can be read without them.
"""

from typing import Any, NamedTuple

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from verify.strategies import approximators
from virel_common.errors import InputError
from virel_theory.checks import Array
from virel_theory.gradients.approximators import Approximator, TanhQ
from virel_theory.mdp.tabular import TabularMDP

U = float(np.finfo(np.float64).eps)
Tensor = Any
"""A `torch.Tensor`: the name is not imported here."""
Model = tuple[Approximator, Array]


def require_torch() -> None:
    """Import what deep claims compare with.

    Raises:
        InputError: torch is missing, or broken.
    """
    try:
        import torch  # noqa: F401, PLC0415

        import virel_deep.axes.losses  # noqa: F401, PLC0415
    except ImportError as error:
        raise InputError(
            f"deep claims need torch ({error}); it comes with `pip install 'virel[deep]'`"
        ) from None


class Rows(NamedTuple):
    """All transitions of a finite MDP: indices `s, a, s_next, a_next [B]` and their probability `weight [B]`."""

    s: NDArray[np.intp]
    a: NDArray[np.intp]
    s_next: NDArray[np.intp]
    a_next: NDArray[np.intp]
    weight: Array


def transitions(mdp: TabularMDP, *, d: Array, pi: Array) -> Rows:
    """Every (s, a, s', a') of positive probability d(h) p(s'|h) pi(a'|s'); `d [S, A]`, `pi [S, A]`."""
    joint = d[:, :, None, None] * mdp.dense_transition[:, :, :, None] * pi
    index = np.nonzero(joint)
    s, a, s_next, a_next = index
    return Rows(s, a, s_next, a_next, joint[index])


def tensor(x: Any) -> Tensor:
    """A number or an array `x` as a float64 tensor of one seed, `[1, ...]`; a copy."""
    import torch  # noqa: PLC0415

    return torch.tensor(x, dtype=torch.float64)[None]


def gradient(value: Tensor, leaf: Tensor) -> Array:
    """What autograd makes of a scalar in the one seed of `leaf [1, ...]`."""
    import torch  # noqa: PLC0415

    (out,) = torch.autograd.grad(value, leaf)
    found: Array = out[0].numpy()
    return found


def linear_critics(mdp: TabularMDP) -> st.SearchStrategy[Model]:
    """Strategy part: a tabular or linear critic and its parameters."""
    return approximators(mdp).filter(lambda model: not isinstance(model[0], TanhQ))


def largest(*tables: Array) -> float:
    """The largest absolute value among finite entries (`-inf` marks a missing action)."""
    return max(float(np.abs(x[np.isfinite(x)]).max(initial=0)) for x in tables)
