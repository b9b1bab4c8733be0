"""Losses of VIREL App. H, Algorithms 1 and 2, as functions of tensors, and their hand-written derivatives.

A loss has one value per transition, `[K, B]`: no networks, no optimisers, no reduction. The agent takes means
over a minibatch, `verify` takes exact expectations. A function `d_...` is the derivative of the *mean over a
minibatch* of the loss above it with respect to a network's output. The hand-written update uses it, and tests
compare it with autograd. Order: as the algorithms use them. docs/deep/deviations.md collects the numbered
deviations.
"""

import torch
from torch import Tensor

from virel_common.errors import InputError


def td_target(reward: Tensor, terminated: Tensor, v_next: Tensor, *, gamma: float) -> Tensor:
    r"""Bootstrapped target $y = r_t + \gamma \bar V(s_{t+1})$ of the critic loss, VIREL App. H; no gradient.

    Deviation: 1. no bootstrap where `terminated` (but where truncated); the paper has no terminal states.

    Example:
        >>> import torch
        >>> td_target(torch.tensor([1.0, 1.0]), torch.tensor([0.0, 1.0]), torch.tensor([2.0, 2.0]), gamma=0.5)
        tensor([2., 1.])
    """
    return (reward + gamma * v_next * (1 - terminated)).detach()


def residual_error(td_error: Tensor) -> Tensor:
    r"""Residual error $\varepsilon_\omega = E_D[(r + \gamma V(s') - Q_\omega(h))^2]$, VIREL Algorithm 2.

    With c = 1 and without a factor 1/2.

    Args:
        td_error: TD errors `[K, ..., B]` of a batch from D; where there are two critics, of both.

    Returns:
        Residual error `[K]`, squared scaled reward units, without gradient.
    """
    return td_error.detach().square().flatten(start_dim=1).mean(dim=1)


def state_value(q: Tensor, log_pi: Tensor, alpha: Tensor, *, soft: bool) -> Tensor:
    r"""State value estimated from one action $a \sim \pi_\theta(\cdot|s)$, hard or soft; carries no gradient.

    Hard (VIREL, App. H): $Q_\omega(s, a)$.
    Soft (MERL; Haarnoja et al. 2018): $Q_\omega(s, a) - \alpha \log \pi_\theta(a|s)$.
    """
    return (q - alpha * log_pi if soft else q).detach()


def optimal_value(log_weight: Tensor, q: Tensor, log_ratio: Tensor, alpha: Tensor) -> Tensor:
    r"""Largest soft value of any policy, estimated from actions of a proposal; carries no gradient.

    $$ \alpha \log \sum_j w_j \frac{p_j}{b_j} e^{Q_j / \alpha} $$

    With actions drawn from b at equal weights it estimates $\alpha \log \int p\, e^{Q/\alpha} da$, the value
    of soft Q-learning: Haarnoja et al. 2017, Eq. (10).

    Args:
        log_weight: logarithms of the weights of the actions, `[..., N]`.
        q: their values, `[..., N]`, scaled reward units.
        log_ratio: $\log(b_j / p_j)$, log densities of the proposal minus those of the prior, `[..., N]`.
        alpha: temperature > 0, `[..., 1]`.

    Example:
        >>> import math, torch
        >>> half, q = torch.tensor([0.5, 0.5]).log(), torch.tensor([0.0, math.log(3.0)])
        >>> round(optimal_value(half, q, torch.zeros(2), torch.tensor([1.0])).exp().item(), 4)
        2.0
    """
    found = alpha * (log_weight + q / alpha - log_ratio).logsumexp(-1, keepdim=True)
    return found.squeeze(-1).detach()


def v_loss(v: Tensor, target: Tensor) -> Tensor:
    r"""Loss $J^V(\phi)$ of the state value, VIREL App. H: $\frac12 (V_\phi(s_t) - Q_\omega(s_t, a_t))^2$.

    Deviation: 2. one sample stands for $E_{\pi_\theta}[Q]$ inside the square; the gradient in $\phi$ keeps
    its expectation, the loss gains the constant Var(Q) / 2.
    """
    _no_gradient(target, "target")
    return 0.5 * (v - target).square()


def q_loss(q: Tensor, target: Tensor) -> Tensor:
    r"""Critic loss $J^Q(\omega)$, VIREL App. H: $\frac12 (y - Q_\omega(h_t))^2$, a semi-gradient loss.

    Raises:
        InputError: `target` requires grad.
    """
    _no_gradient(target, "target")
    return 0.5 * (target - q).square()


def d_squared_loss(value: Tensor, target: Tensor) -> Tensor:
    """Derivative of the minibatch mean of `(value - target)^2 / 2` w.r.t. the value, both `[..., B]`."""
    return (value - target) / value.shape[-1]


def policy_loss(q: Tensor, log_pi: Tensor, alpha: Tensor) -> Tensor:
    r"""Policy loss $\alpha \log \pi_\theta(a|s) - Q_\omega(s, a)$, $a \sim \pi_\theta$; VIREL (25), App. H.

    The action is reparametrised: the gradient goes through it. `alpha` is the constant of J_virel, or
    $\lambda \varepsilon_\omega$ of J_beta with $\lambda = (1 - \gamma) / r_{avg}$.

    Deviation: 3. App. H prints $\log \pi_\theta(a|s) (\alpha - (Q - V))$. Neither reading of its gradient is
    (25) (claim `app-h-policy-loss`): as a score-function loss the constant drops out and no entropy is left;
    differentiated through the action, the critic's term carries a factor log pi. This is the corrected loss.
    4. The baseline $V_{\bar\phi}(s)$ is left out: neither theta nor the action enters it.
    """
    return alpha * log_pi - q


def score_loss(log_pi: Tensor, advantage: Tensor, log_ratio: Tensor, alpha: Tensor) -> Tensor:
    r"""Policy loss by the score, $-\log\pi(a|s) (\hat A - \alpha \log(\pi / p))$; Schulman et al. 2017.

    The gradient goes through the first log density alone: it is $-E[\nabla\log\pi \hat A]$ plus
    $\alpha \nabla KL(\pi \| p)$, which is the mean of $\alpha \log(\pi / p) \nabla\log\pi$.

    Args:
        log_pi: log densities `[...]` of actions drawn from the policy, differentiable.
        advantage: their values minus that of the state; without the divergence at the state itself.
        log_ratio: log density ratios of policy and prior at the actions.
        alpha: temperature, scaled reward units per nat.
    """
    return -log_pi * (advantage - alpha * log_ratio).detach()


def d_smaller(q: Tensor) -> Tensor:
    """Derivative of the smaller critic value w.r.t. all critic values `q [K, C, B]`: True where smaller.

    The policy loss climbs the smaller critic; of two equal ones it is the first.
    """
    if q.shape[1] == 1:
        return torch.ones_like(q, dtype=torch.bool)
    first = q[:, 0] <= q[:, 1]
    return torch.stack((first, ~first), dim=1)


def penalty(mean: Tensor, log_std: Tensor, *, mean_weight: float, log_std_weight: float) -> Tensor:
    """Penalty `[K, B]` on the Gaussian policy's squared mean and log standard deviation, as in VIREL's code.

    Deviation: 5. not in the paper; mean over the action dimensions, as in the code.
    """
    return (mean_weight * mean.square() + log_std_weight * log_std.square()).mean(-1)


def d_penalty(head: Tensor, inside: Tensor, *, mean_weight: float, log_std_weight: float) -> Tensor:
    """Derivative of the minibatch mean of the Gaussian penalty w.r.t. the policy network's output.

    `head [K, B, 2 A]` is that output; `inside [K, B, A]` is True where the log standard
    deviation is not clamped.
    """
    mean, log_std = head.chunk(2, dim=-1)
    scale = 2 / inside[0].numel()
    return torch.cat((scale * mean_weight * mean, scale * log_std_weight * log_std * inside), dim=-1)


def dual_temperature_loss(log_alpha: Tensor, log_pi: Tensor, *, target_entropy: float) -> Tensor:
    r"""Dual loss $-\log\alpha (\log \pi + \bar H)$ of alpha, for target entropy $\bar H$; arXiv 1812.05905.

    With log alpha in place of alpha, as common code has it: the same stationary point.
    """
    return -log_alpha * (log_pi.detach() + target_entropy)


def d_dual_temperature_loss(log_pi: Tensor, *, target_entropy: float) -> Tensor:
    """Derivative `[K]` of the minibatch mean of the dual temperature loss w.r.t. log alpha."""
    return -target_entropy - log_pi.mean(-1)


def _no_gradient(x: Tensor, name: str) -> None:
    if x.requires_grad:
        raise InputError(f"`{name}` must not require grad (semi-gradient loss); found a tensor that does")
