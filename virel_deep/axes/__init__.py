"""Torch implementation of an algorithm's parts: posteriors, priors, values, temperatures and losses."""
