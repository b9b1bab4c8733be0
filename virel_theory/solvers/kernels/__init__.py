"""Compiled loops of the solvers; they check nothing, and the caller owns the out-arguments."""
