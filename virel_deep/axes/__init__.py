"""Tensor code of an algorithm's parts: posteriors, priors, values, temperatures, and their losses."""
