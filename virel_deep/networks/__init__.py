"""Stacks of perceptrons, their gradients and their optimiser."""
