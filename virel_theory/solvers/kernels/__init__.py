"""Compiled loops of the solvers. They check nothing."""
