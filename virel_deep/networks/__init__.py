"""Stacked multilayer perceptrons with hand-written gradients, their autograd wrapper, and Adam."""
