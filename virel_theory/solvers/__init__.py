"""Solvers of MDPs whose error bounds are guaranteed."""
