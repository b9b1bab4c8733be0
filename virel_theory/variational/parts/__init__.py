"""Pieces of single algorithms: Gaussian closed forms, particles, Stein directions, model expansion."""
