"""Draw instances for proofs from hypothesis strategies, every choice uniform, as fast as hypothesis can."""

from typing import Any

import hypothesis
from hypothesis import HealthCheck, Phase
from hypothesis.internal.conjecture.providers import (
    AVAILABLE_PROVIDERS,
    COLLECTION_DEFAULT_MAX_SIZE,
    HypothesisProvider,
)
from hypothesis.strategies import SearchStrategy

from verify.engine.runner import draws_depend_on_the_seed_alone


class Uniform(HypothesisProvider):
    """Backend of hypothesis that draws bounded integers and byte strings of one length uniformly.

    hypothesis itself looks for failures: it prefers small numbers, and keeps a tree of all choices so far, to
    make none twice. A proof looks for no failure, and `verify.proofs.run` drops duplicates.
    """

    def draw_integer(self, min_value: int | None = None, max_value: int | None = None, **options: Any) -> int:
        """Draw an integer in `[min_value, max_value]`, uniformly if both are given without weights."""
        if min_value is None or max_value is None or options.get("weights") is not None:
            return super().draw_integer(min_value, max_value, **options)
        assert self._random is not None
        return self._random.randint(min_value, max_value)

    def draw_bytes(self, min_size: int = 0, max_size: int = COLLECTION_DEFAULT_MAX_SIZE) -> bytes:
        """Draw a string of bytes, uniformly if its length is given."""
        if min_size == max_size:
            assert self._random is not None
            return self._random.randbytes(min_size)
        return super().draw_bytes(min_size, max_size)


BACKEND = "virel-uniform"
AVAILABLE_PROVIDERS[BACKEND] = f"{__name__}.{Uniform.__name__}"


def draw(strategy: SearchStrategy[Any], *, seed: int, n: int) -> list[Any]:
    """Draw about `n` instances of a claim from a hypothesis strategy; the same seed draws the same ones.

    Example:
        >>> from hypothesis import strategies as st
        >>> drawn = draw(st.integers(0, 9), seed=0, n=100)
        >>> drawn[0], len(drawn), drawn == draw(st.integers(0, 9), seed=0, n=100)
        (0, 100, True)
    """
    out: list[Any] = []

    @hypothesis.seed(seed)
    @hypothesis.settings(
        max_examples=n,
        database=None,
        deadline=None,
        derandomize=False,
        phases=(Phase.generate,),
        suppress_health_check=tuple(HealthCheck),
        backend=BACKEND,
    )
    @hypothesis.given(strategy)
    def collect(instance: Any) -> None:
        out.append(instance)

    with draws_depend_on_the_seed_alone():
        collect()
    return out
