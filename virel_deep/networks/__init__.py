"""Stacks of perceptrons, their hand-written gradients, one autograd Function around them, and Adam."""
