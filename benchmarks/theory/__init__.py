"""Benchmarks of the exact-MDP core."""
