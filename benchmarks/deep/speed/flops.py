"""Flops of one update, counted from the layer sizes: matrix products that no implementation can leave out."""

from itertools import pairwise

from virel_deep.design.algorithm import Algorithm
from virel_deep.design.presets import algorithm

OBSERVATION, ACTION = 17, 6
"""Sizes of HalfCheetah-v5's observation and action."""


def update_flops(preset: str) -> float:
    """Flops of the matrix products in one update of a preset with a tanh-Gaussian policy.

    A forward pass multiplies by every weight once, and so does the gradient with respect to the weights.
    The gradient with respect to the inputs skips the first layer, except in the policy step. There it
    continues to the columns of the action, and each row needs it from one critic only, the smaller one.
    """
    of = algorithm(preset, "HalfCheetah-v5")
    policy = Count(of, OBSERVATION, 2 * ACTION)
    critic = Count(of, OBSERVATION + ACTION, 1)
    e_step = of.value.critics * critic.forward + critic.inner + critic.columns(ACTION) + policy.backward
    m_step = of.value.critics * (critic.forward + critic.backward)
    if of.value.kind == "target-q":  # actions at s and s', target critics at s'
        return 2 * policy.forward + of.value.critics * critic.forward + m_step + e_step
    value = Count(of, OBSERVATION, 1)  # target at s'; M-step on J^V with the critics at a sampled action
    m_step_v = value.forward + value.backward + of.value.critics * critic.forward
    return policy.forward + value.forward + m_step + m_step_v + e_step


class Count:
    """Flops of one network's passes over one minibatch."""

    def __init__(self, of: Algorithm, n_in: int, n_out: int) -> None:
        """Count a forward pass, and its part behind the first layer."""
        sizes = (n_in, *of.hidden, n_out)
        by_layer = [2.0 * of.data.batch * a * b for a, b in pairwise(sizes)]
        self.forward, self.inner = sum(by_layer), sum(by_layer[1:])
        self.backward = self.forward + self.inner
        """Gradient with respect to all weights, and to the inputs of all layers but the first."""
        self._column = 2.0 * of.data.batch * of.hidden[0]

    def columns(self, n: int) -> float:
        """Flops of the gradient with respect to n inputs, given the one at the first hidden layer."""
        return n * self._column
