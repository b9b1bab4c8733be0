"""Tools of the claims about the deep agent: a finite MDP as a weighted replay buffer of its transitions.

torch and `virel_deep` are imported inside functions, so that the registry can be read without them.
"""

from typing import Any, NamedTuple

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from verify.strategies import approximators, policies
from virel_common.errors import InputError
from virel_theory.checks import Array
from virel_theory.gradients.approximators import Approximator, TanhQ
from virel_theory.mdp.tabular import TabularMDP

Tensor = Any
"""Type of a `torch.Tensor`; torch is not imported here."""
Model = tuple[Approximator, Array]
"""Type of a critic: an approximator and its parameters."""


def require_torch() -> None:
    """Check that torch and the deep agent's losses can be imported.

    Raises:
        InputError: torch is missing or broken.
    """
    try:
        import torch  # noqa: F401, PLC0415

        import virel_deep.axes.losses  # noqa: F401, PLC0415
    except ImportError as error:
        raise InputError(
            f"claims about the deep agent need torch, which cannot be imported here ({error}); "
            "it comes with `make deep` in the toolkit's folder; or choose other claims"
        ) from None


class Rows(NamedTuple):
    """All transitions of a finite MDP: indices `s, a, s_next, a_next [B]` and probability `weight [B]`."""

    s: NDArray[np.intp]
    a: NDArray[np.intp]
    s_next: NDArray[np.intp]
    a_next: NDArray[np.intp]
    weight: Array


def transitions(mdp: TabularMDP, *, d: Array, pi: Array) -> Rows:
    """All transitions (s, a, s', a') whose probability d(h) p(s'|h) pi(a'|s') is positive, as index arrays.

    `d` and `pi` are `[S, A]`.
    """
    joint = d[:, :, None, None] * mdp.dense_transition[:, :, :, None] * pi
    index = np.nonzero(joint)
    s, a, s_next, a_next = index
    return Rows(s, a, s_next, a_next, joint[index])


def tensor(x: Any) -> Tensor:
    """Copy of a number or an array as a float64 tensor with a leading axis of one seed, `[1, ...]`."""
    import torch  # noqa: PLC0415

    return torch.tensor(x, dtype=torch.float64)[None]


def gradient(value: Tensor, leaf: Tensor) -> Array:
    """Gradient of a scalar tensor in `leaf [1, ...]` by autograd, as an array without the seed axis."""
    import torch  # noqa: PLC0415

    (out,) = torch.autograd.grad(value, leaf)
    found: Array = out[0].numpy()
    return found


def linear_critics(mdp: TabularMDP) -> st.SearchStrategy[Model]:
    """Hypothesis strategy that draws a critic (tabular or linear in features) and its parameters omega."""
    return approximators(mdp).filter(lambda model: not isinstance(model[0], TanhQ))


def any_policy(mdp: TabularMDP) -> st.SearchStrategy[Array]:
    """Hypothesis strategy that draws a policy `[S, A]` of an MDP, deterministic policies included."""
    return policies(mdp, full_support=False)


def largest(*tables: Array) -> float:
    """Largest absolute finite entry of some `[S, A]` tables (an entry `-inf` marks a missing action)."""
    return max(float(np.abs(x[np.isfinite(x)]).max(initial=0)) for x in tables)
