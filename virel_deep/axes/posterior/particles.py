r"""Stein variational gradients of particles at each state: Haarnoja et al. 2017, App. C.

Particles are actions u before the tanh. Density, score and kernel are those of u: the density that particles
are moved towards is $e^{Q(\tanh u)/\alpha} \prod_i (1 - \tanh^2 u_i)$.
"""

import math

from torch import Tensor

LEAST = 1e-3
"""Least width of the kernel, as in the published code."""


def squared_distances(fixed: Tensor, moved: Tensor) -> Tensor:
    """Squared distances `[..., M, N]` between particles `fixed [..., M, A]` and `moved [..., N, A]`."""
    return (fixed[..., :, None, :] - moved[..., None, :, :]).square().sum(-1)


def kernel_width(distances: Tensor, n_particles: int) -> Tensor:
    r"""Width h of the kernel $e^{-d^2/h}$, `[..., 1, 1]`: the median of the squares by $\log n$.

    Of an even number of squares it is the lower median. At least `LEAST`.

    Args:
        distances: squared distances `[..., M, N]`.
        n_particles: n, at least 2.
    """
    median = distances.flatten(-2).median(-1).values[..., None, None]
    return (median / math.log(n_particles)).clamp(min=LEAST)


def stein_direction(fixed: Tensor, moved: Tensor, score: Tensor, width: Tensor) -> Tensor:
    r"""Directions `[..., N, A]` of particles that descend the KL divergence from a density fastest.

    $$ \Delta(u_i) = \frac{1}{M} \sum_{j=1}^M \big(\kappa(u_j, u_i) \nabla_{u_j} \log p(u_j)
    + \nabla_{u_j} \kappa(u_j, u_i)\big), \qquad \kappa(u, u') = e^{-|u - u'|^2 / h} $$

    Args:
        fixed: particles u_j, `[..., M, A]`.
        moved: particles u_i, `[..., N, A]`.
        score: gradient of the log density at the fixed particles, `[..., M, A]`.
        width: h, `[..., 1, 1]`.

    Example:
        >>> import torch
        >>> one, two = torch.zeros(1, 1), torch.tensor([[1.0]])
        >>> stein_direction(one, one, torch.tensor([[3.0]]), torch.ones(1, 1))  # alone: its score
        tensor([[3.]])
        >>> stein_direction(one, two, torch.tensor([[0.0]]), torch.ones(1, 1))  # pushed away
        tensor([[0.7358]])
    """
    apart = fixed[..., :, None, :] - moved[..., None, :, :]
    kernel = (-apart.square().sum(-1) / width).exp()[..., None]
    by_fixed = -2 * apart / width[..., None] * kernel
    return (kernel * score[..., :, None, :] + by_fixed).mean(-3)
