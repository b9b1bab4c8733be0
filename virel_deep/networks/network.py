"""Stacks of independent perceptrons (K seeds x C heads), trained by hand-written gradients.

Seeds and heads never meet: network `g = k C + c` reads the rows of seed k and owns its block of every weight.
On the CPU a stacked product is a loop of matrix products. So the bits of a seed do not depend on K; and where
the output is narrow, the loop is faster than a batched product. On a GPU it is one batched product.

There are two ways to a gradient. `Network.traced` is called by hand and is the faster one: its storage is
kept by size, so that one pass of each size is alive at a time. `Network.differentiable` is seen by autograd:
its storage belongs to the pass, so that any number of passes may be alive.
"""

from collections.abc import Sequence
from functools import cached_property
from itertools import pairwise
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from virel_deep.networks import placement
from virel_deep.networks.masked import LARGE, MaskedStorage
from virel_deep.networks.memory import Parameters, Stacks, Storage, TensorStorage
from virel_deep.networks.stacks import Stack, by_compiled, by_numpy, matrices, whole

SIMD = 64
"""Flat parameters are padded to a multiple of this, so that no element is left to a loop's scalar tail, which
may round differently: the bits of a seed would depend on its place in the stack."""


SMALL = 2**21
"""Multiplications of a matrix product below which splitting it into parts costs more than it saves."""


class Layer(NamedTuple):
    """Weights and biases of one layer of all G = K C networks: `[G, in, out]` and `[G, 1, out]`."""

    weight: Tensor
    bias: Tensor


class Network:
    """K x C perceptrons of the same sizes, ReLU between layers, all parameters in one flat tensor.

    Args:
        seeds: K.
        heads: C, networks per seed.
        sizes: `(in, hidden..., out)`.
    """

    def __init__(self, seeds: int, heads: int, sizes: Sequence[int], *, device: torch.device) -> None:
        """Allocate the parameters and their gradient, all zero."""
        self.seeds, self.heads, self.sizes = seeds, heads, tuple(sizes)
        blocks = [rows * n_out for n_in, n_out in pairwise(sizes) for rows in (n_in, 1)]
        padded = seeds * heads * sum(whole(block) for block in blocks)
        self.flat = torch.zeros(-(-padded // SIMD) * SIMD, device=device)
        self.layers = self.views(self.flat)
        self.gradient = torch.zeros_like(self.flat)
        self.stacks = [Stacks(*map(Stack, layer)) for layer in self.layers]
        gradients = [Stacks(*map(Stack, layer)) for layer in self.views(self.gradient)]
        self._read = Parameters(seeds, heads, self.sizes, self.stacks, gradients)
        self._kept: dict[tuple[int, int, bool], Storage] = {}
        self._free: dict[tuple[int, str], list[Storage]] = {}

    @cached_property
    def parameters(self) -> Tensor:
        """Flat parameters as a leaf tensor of autograd that shares their storage."""
        return self.flat.detach().requires_grad_()

    def views(self, flat: Tensor) -> list[Layer]:
        """View a flat tensor (parameters, gradient or Adam moment) as weights and biases per layer."""
        stack, layers, start = self.seeds * self.heads, [], 0
        for n_in, n_out in pairwise(self.sizes):
            blocks = []
            for rows in (n_in, 1):
                end = start + stack * whole(rows * n_out)
                blocks.append(matrices(flat[start:end].view(stack, -1), rows, n_out))
                start = end
            layers.append(Layer(*blocks))
        return layers

    def initialise(self, generators: Sequence[torch.Generator]) -> None:
        """Draw every parameter from U(-1/sqrt(in), 1/sqrt(in)), torch's default; one generator per seed."""
        for k, generator in enumerate(generators):
            for layer in self.layers:
                bound = layer.weight.shape[1] ** -0.5
                for block in layer:
                    mine = block[k * self.heads : (k + 1) * self.heads]
                    mine.copy_(torch.rand(mine.shape, generator=generator) * (2 * bound) - bound)

    def seed_blocks(self, flat: Tensor, k: int) -> dict[str, Tensor]:
        """Seed k's weights `[C, in, out]` and biases `[C, 1, out]` from a flat tensor, by name.

        Names are `0.weight`, `0.bias`, `1.weight`, ...
        """
        mine = slice(k * self.heads, (k + 1) * self.heads)
        return {
            f"{i}.{name}": block[mine]
            for i, layer in enumerate(self.views(flat))
            for name, block in zip(Layer._fields, layer, strict=True)
        }

    def __call__(self, x: Tensor) -> Tensor:
        """Network outputs `[K, C, B, out]` for inputs `x [K, B, in]`; heads of a seed share its inputs."""
        return self._storage(x.shape[1], 0).forward(x)

    def traced(self, x: Tensor, *, rows: int | None = None) -> "Pass":
        """Run a forward pass that allows hand-written gradients for the first `rows` of a batch.

        By default they reach all rows.
        """
        storage = self._storage(x.shape[1], x.shape[1] if rows is None else rows)
        return Pass(self, storage, storage.forward(x))

    def differentiable(self, x: Tensor, *, fixed: bool = False) -> Tensor:
        """Network outputs `[K, C, B, out]` for inputs `x [K, B, in]`, differentiable once by autograd.

        The gradient is with respect to `x` if it requires one, and to `parameters` unless they are `fixed`.
        It is of the first order only: a gradient of a gradient is refused. So is a second gradient of the
        same pass, and one after the parameters have changed.
        """
        flat = self.flat if fixed else self.parameters
        if not (torch.is_grad_enabled() and (x.requires_grad or flat.requires_grad)):
            return self(x)
        out: Tensor = _Differentiable.apply(x, flat, self)  # type: ignore[no-untyped-call]
        return out

    def take(self, rows: int, *, fixed: bool = False) -> "Storage":
        """Reserve memory for an autograd pass over `rows` inputs, until `give_back`.

        A pass with `fixed` parameters has a gradient in its inputs alone.
        """
        masked = fixed and not placement.on_gpu(self.flat) and rows * max(self.sizes[1:]) >= LARGE
        kind = "compiled" if by_compiled() else "masked" if masked else "plain"
        free = self._free.setdefault((rows, kind), [])
        if free:
            return free.pop()
        return MaskedStorage(self._read, rows) if kind == "masked" else self._new_storage(rows, rows)

    def give_back(self, storage: "Storage") -> None:
        """Release memory reserved by `take`, so that a later pass can use it."""
        kinds = {MaskedStorage: "masked", TensorStorage: "plain"}
        self._free[storage.sizes[0], kinds.get(type(storage), "compiled")].append(storage)

    def small(self, rows: int) -> bool:
        """Whether a pass over `rows` inputs spends more time on function calls than on matrix products."""
        return rows * max(self.sizes) ** 2 < SMALL

    def _storage(self, rows: int, reached: int) -> "Storage":
        """Memory of passes over `rows` inputs, kept for reuse; gradients cover the first `reached` rows."""
        key = rows, reached, by_compiled()
        if key not in self._kept:
            self._kept[key] = self._new_storage(rows, reached)
        return self._kept[key]

    def _new_storage(self, rows: int, reached: int) -> "Storage":
        if not by_compiled():
            return TensorStorage(self._read, rows, reached)
        from virel_deep.networks.compiled import CompiledStorage  # noqa: PLC0415  (brings numba)

        of = {"seeds": self.seeds, "heads": self.heads, "rows": rows, "reached": reached}
        return CompiledStorage(self.flat, self.gradient, self.sizes, **of)


class Pass:
    """One forward pass of a network, whose gradients are computed by hand on request."""

    def __init__(self, network: Network, storage: Storage, output: Tensor) -> None:
        """Bind the outputs of a pass to its memory, and number it, to detect reuse by a later pass."""
        self.output = output
        """Network outputs `[K, C, B, out]`."""
        self._network, self._storage, self._number = network, storage, storage.passes

    def by_parameters(self, slope: Tensor) -> Tensor:
        """Gradient w.r.t. all parameters, in `network.gradient`, from `slope`, that w.r.t. the outputs."""
        self._backward(slope, parameters=True, inputs=None)
        return self._network.gradient

    def by_inputs(self, slope: Tensor, columns: slice) -> Tensor:
        """Gradient `[K, rows, n]` w.r.t. some inputs, summed over heads; `slope` is that w.r.t. outputs."""
        by_inputs = self._backward(slope, parameters=False, inputs=columns)
        assert by_inputs is not None
        return by_inputs

    def by_inputs_of_chosen(self, chosen: Tensor, columns: slice) -> Tensor:
        """Gradient of one chosen head's scalar output per row of the batch, w.r.t. some input columns.

        `chosen [K, C, B]` is True where head c is the one of row b; the slope is 1 there.
        For the CPU: a head's products have only the rows that chose it, half of them if there are two heads.
        """
        assert self._number == self._storage.passes, "a later pass took the storage"
        if not isinstance(self._storage, TensorStorage) or (
            by_numpy() and self._network.small(chosen.shape[2])
        ):
            return self.by_inputs(chosen[..., None].to(self.output.dtype), columns)
        seeds, heads, size = chosen.shape
        out = Stack.empty(seeds, columns.stop - columns.start, size, device=chosen.device)
        first, *above = self._network.stacks
        for g, mask in enumerate(chosen.flatten(0, 1)):
            rows = mask.nonzero().squeeze(1)
            slope = above[-1].weight.mT.each[g].expand(len(rows), -1)
            for layer, h in zip([*reversed(above[:-1]), first], reversed(self._storage.read), strict=False):
                slope = torch.ops.aten.threshold_backward(slope, h.each[g].index_select(0, rows), 0)
                weight = layer.weight.each[g]
                slope = weight[columns] @ slope.mT if layer is first else slope @ weight.mT
            out.each[g // heads].index_copy_(1, rows, slope)
        return out.all.mT

    def _backward(self, slope: Tensor, *, parameters: bool, inputs: slice | None) -> Tensor | None:
        assert self._number == self._storage.passes, "a later pass took the storage"
        return self._storage.backward(slope, parameters=parameters, inputs=inputs)


class _Differentiable(torch.autograd.Function):
    """Autograd function around a network's hand-written forward and backward pass."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, flat: Tensor, network: Network) -> Tensor:
        ctx.network, ctx.version = network, flat._version
        ctx.storage = network.take(x.shape[1], fixed=not flat.requires_grad)
        out: Tensor = ctx.storage.forward(x)
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, slope: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        network, storage = ctx.network, ctx.storage
        if storage is None:
            raise RuntimeError("a pass of a network has one gradient: make another pass for another gradient")
        if ctx.version != network.flat._version:
            raise RuntimeError("the network's parameters changed after this pass: make another pass")
        ctx.storage = None
        by_inputs, by_parameters = ctx.needs_input_grad[:2]
        inputs = slice(0, network.sizes[0]) if by_inputs else None
        x = storage.backward(slope, parameters=by_parameters, inputs=inputs)
        flat = network.gradient.clone() if by_parameters else None
        network.give_back(storage)
        return x, flat, None
