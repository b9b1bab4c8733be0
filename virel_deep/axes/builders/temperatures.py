"""Builders of temperatures."""

import math
from collections.abc import Callable
from typing import Any

from virel_deep.axes import budget, temperature
from virel_deep.axes.builders.sizes import Sizes
from virel_deep.axes.interfaces import Temperature
from virel_deep.design import improvement
from virel_deep.design.temperature import Constant, Dual, Residual, Zero


def _constant(settings: Constant, of: Sizes) -> Temperature:
    return temperature.ConstantTemperature(settings.alpha, of.seeds, device=of.device)


def _zero(_: Zero, of: Sizes) -> Temperature:
    return temperature.ConstantTemperature(0.0, of.seeds, device=of.device)


def _residual(settings: Residual, of: Sizes) -> Temperature:
    if settings.scale == "auto":
        return temperature.RewardTemperature(settings, of.seeds, of.algorithm.gamma, device=of.device)
    return temperature.ResidualTemperature(settings, of.seeds, device=of.device)


def _dual(settings: Dual, of: Sizes) -> Temperature:
    return temperature.DualTemperature(
        settings.initial,
        of.seeds,
        _target_entropy(settings, of),
        of.algorithm.learning_rate,
        budget=not of.algorithm.prior.means_entropy,
        device=of.device,
    )


def _target_entropy(settings: Dual, of: Sizes) -> float:
    """Entropy that a dual temperature is tuned to; of a normalised prior, minus the KL budget."""
    if of.algorithm.prior.means_entropy:
        given = settings.target_entropy
        return of.algorithm.posterior.entropy_target(of.n_action) if given is None else given
    return -(of.n_action * (1 + math.log(2)) if settings.epsilon is None else settings.epsilon)


def _budget(settings: improvement.Budget, of: Sizes) -> Temperature:
    return budget.BudgetTemperature(settings, of.seeds, device=of.device)


TEMPERATURES: dict[type, Callable[[Any, Sizes], Temperature]] = {
    Constant: _constant,
    Residual: _residual,
    Dual: _dual,
    improvement.Budget: _budget,
    Zero: _zero,
}
"""Functions that build a part from its settings, by the settings' class."""
