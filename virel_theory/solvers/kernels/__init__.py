"""Compiled loops of the solvers, which check nothing; the caller owns the out-arguments."""
