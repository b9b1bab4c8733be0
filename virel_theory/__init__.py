"""Exact-MDP core of the VIREL toolkit: numpy, numba and scipy only."""
