"""Training updates as captured CUDA graphs, one per kind of update; run eagerly where there is no GPU.

Capture fixes addresses: batch and noise are the same storage in every update. Python's own counters are
advanced outside. Measured on no GPU yet; the logic is tested on the CPU with a stand-in for the graph.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from virel_deep.agent.interfaces import Kind, Own
from virel_deep.agent.stacked import StackedAgent
from virel_deep.axes.interfaces import Noise

Work = Callable[[], None]
"""Function without arguments that computes on the device."""
WARM_UP = 3
"""Updates of each kind that run before its capture, on a stream of their own, as torch asks for."""


class CapturedUpdate:
    """Callable that makes one training update on fixed tensors; on a GPU it replays a captured CUDA graph.

    Args:
        agent: the agent whose update it is.
        batch, noise, own: as `StackedAgent.update` takes them; refilled by the caller before each call.
        capture: turns work into a replay of it without running it; None runs everything eagerly.
    """

    def __init__(
        self,
        agent: StackedAgent,
        batch: Tensor,
        noise: Noise,
        own: Own | None,
        *,
        capture: Callable[[Work], Work] | None,
    ) -> None:
        """Store the agent and its input tensors; CUDA graphs are captured later, after warm-up updates."""
        self._agent, self._inputs, self._capture = agent, (batch, noise, own), capture
        self._seen: dict[Kind, int] = {}
        self._replays: dict[Kind, Work] = {}

    def __call__(self) -> None:
        """Make one training update from the present contents of the input tensors."""
        kind = self._agent.kind
        self._seen[kind] = self._seen.get(kind, 0) + 1
        if self._capture is not None and self._seen[kind] == WARM_UP + 1:
            self._replays[kind] = self._capture(lambda: self._agent.compute(kind, *self._inputs))
        if kind in self._replays:
            self._replays[kind]()
        elif self._capture is None:
            self._agent.compute(kind, *self._inputs)
        else:
            _beside(lambda: self._agent.compute(kind, *self._inputs))
        self._agent.count()


def cuda_graph(work: Work) -> Work:
    """Capture a function as a CUDA graph without running it; return a function that replays the graph."""
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        work()
    return graph.replay


def _beside(work: Work) -> None:
    """Run a function on a separate CUDA stream, after the work of the current one, which waits for it."""
    if not torch.cuda.is_available():
        work()
        return
    side = torch.cuda.Stream()  # type: ignore[no-untyped-call]
    current = torch.cuda.current_stream()
    side.wait_stream(current)
    with torch.cuda.stream(side):
        work()
    current.wait_stream(side)
