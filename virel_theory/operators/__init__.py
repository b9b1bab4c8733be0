"""Bellman operators and policies."""
