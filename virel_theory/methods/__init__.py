"""Algorithms of the paper and its rivals as exact iterations."""
