"""Tensor code of each design axis: posteriors, values, temperatures, losses."""
