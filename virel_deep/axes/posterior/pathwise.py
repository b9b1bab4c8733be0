"""Policy loss whose gradient flows through the actions, reparametrised or deterministic."""

from torch import Tensor

from virel_deep.axes.interfaces import Weighted, seed_mean
from virel_deep.axes.losses import policy_loss


def pathwise_loss(posterior: Weighted, q: Tensor, alpha: Tensor) -> Tensor:
    r"""Mean policy loss `[K]`, $E[\alpha \log(\pi/p) - Q]$, whose gradient goes through the actions.

    Args:
        posterior: weighted actions, differentiable in the parameters.
        q: Q at the actions, `[K, B, N]`, differentiable in them.
        alpha: temperature `[K, 1]`.
    """
    return seed_mean(posterior.mean(policy_loss(q, posterior.log_ratio, alpha[..., None])))
