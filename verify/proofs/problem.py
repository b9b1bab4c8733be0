"""The MDP of a solver's certificate: its arrays, packed, and a digest that names it."""

import base64
import hashlib
import math
import zlib
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from verify.proofs.certificate import content_hash
from virel_common.errors import require
from virel_theory.checks import Array
from virel_theory.mdp.tabular import TabularMDP


def packed_model(mdp: TabularMDP, *, sign: int = 1) -> dict[str, Any]:
    """Part `model` of a solver's certificate: the arrays of an MDP, as given; `sign` is -1 for costs."""
    return _model(mdp, sign, packed)


def problem_digest(mdp: TabularMDP, *, sign: int = 1) -> str:
    """Digest of an MDP, which `virel recheck` prints of a solver's certificate; `sign` is -1 for costs.

    It is the SHA-256 of the canonical JSON of the part `model`, each array being the SHA-256 of its bytes.

    Example:
        >>> problem_digest(TabularMDP([[[1.0]]], [[2.0]], 0.5))[:16]
        'daa5262d7a9a8ac4'
    """
    return content_hash(_model(mdp, sign, _array_digest))


def _array_digest(values: ArrayLike, dtype: str) -> str:
    """SHA-256 of an array's little-endian bytes."""
    return hashlib.sha256(np.asarray(values, dtype=dtype).tobytes()).hexdigest()


def _model(mdp: TabularMDP, sign: int, text_of: Callable[[ArrayLike, str], str]) -> dict[str, Any]:
    """Part `model` of a solver's certificate, with its arrays as texts."""
    row, to, p = _successors(mdp)
    states, actions = np.nonzero(mdp.available)
    keep = mdp.available.ravel()[row] & (p != 0)
    sizes = np.bincount(row[keep], minlength=mdp.available.size)[states * mdp.n_actions + actions]
    pairs = {
        "s": text_of(states, "<i4"),
        "a": text_of(actions, "<i4"),
        "size": text_of(sizes, "<i4"),
        "to": text_of(to[keep], "<i4"),
        "p": text_of(p[keep], "<f8"),
        "r": text_of(sign * mdp.reward[states, actions], "<f8"),
    }
    return {
        "n_states": mdp.n_states,
        "n_actions": mdp.n_actions,
        "gamma": str(Fraction(mdp.gamma)),
        "initial": text_of(mdp.initial, "<f8"),
        "pairs": pairs,
    }


def _successors(mdp: TabularMDP) -> tuple[NDArray[np.intp], NDArray[np.intp], Array]:
    """Transitions of an MDP as sorted arrays (row `s A + a`, successor, probability), duplicates added up."""
    csr = mdp.csr_transition
    row = np.repeat(np.arange(csr.shape[0]), np.diff(csr.indptr))
    key = row * mdp.n_states + csr.indices
    order = np.argsort(key, kind="stable")
    first = np.flatnonzero(np.diff(key[order], prepend=-1))
    row, to = np.divmod(key[order][first], mdp.n_states)
    return row, to, _merged(csr.data[order], first)


def _merged(p: Array, first: NDArray[np.intp]) -> Array:
    """Sum of each group of duplicate transition probabilities; groups begin at the indices `first`.

    Raises: InputError: if a sum is not a float, because rounding it would change the MDP.
    """
    out, sizes = p[first], np.diff(first, append=len(p))
    for i in np.flatnonzero(sizes > 1):
        group = p[first[i] : first[i] + sizes[i]].tolist()
        out[i] = math.fsum(group)
        exact = math.fsum([*group, -out[i]]) == 0
        require(exact, "transition", group, "must have duplicate entries whose sum is a float to certify")
    return out


def packed(values: ArrayLike, dtype: str) -> str:
    """Encode an array as text: base64 of zlib of its little-endian bytes."""
    return base64.b64encode(zlib.compress(np.asarray(values, dtype=dtype).tobytes(), 1)).decode()
