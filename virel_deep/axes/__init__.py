"""Tensor code of the design axes: posteriors, priors, values, temperatures, and the losses that they use."""
