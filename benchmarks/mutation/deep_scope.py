"""Scope of the deep part of the mutation run: modules of losses; exceptions and equivalents, with reasons."""

MODULES = (
    "axes.advantage",
    "axes.budget",
    "axes.categorical",
    "axes.dual",
    "axes.gaussian",
    "axes.losses",
    "axes.multistep",
    "axes.returns",
    "axes.temperature",
    "axes.tensors",
    "axes.trust",
    "axes.value",
    "axes.weights",
    "axes.model.expansion",
    "axes.model.gaussian_model",
    "axes.model.model_q",
    "axes.posterior.categorical",
    "axes.posterior.deterministic",
    "axes.posterior.iterative",
    "axes.posterior.latent",
    "axes.posterior.levels",
    "axes.posterior.particles",
    "axes.posterior.pathwise",
    "axes.posterior.reweighted",
    "axes.posterior.smc",
    "axes.posterior.smc_weights",
    "axes.posterior.stein",
    "axes.posterior.steps",
    "axes.posterior.taken",
    "axes.posterior.tanh_gaussian",
    "axes.posterior.tilted",
    "axes.prior.blind",
    "axes.prior.categorical",
    "axes.prior.constant",
    "axes.prior.latent",
    "axes.prior.policy",
)
"""Modules that hold formulas of algorithms. Not: networks, replay, runs, code with a hand-written gradient or
compiled (`agent.fused`, `*_compiled`), which tests hold to the code below."""

LEFT_OUT: dict[str, str] = {}
"""Functions without a formula of their own."""

EQUIVALENT: dict[str, str] = {}
"""`Mutant.key` -> why no value changes; these mutants are run but not counted."""
