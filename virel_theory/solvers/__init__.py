"""Solvers whose error bound is guaranteed."""
