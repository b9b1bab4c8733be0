"""Theorem 5 and the incremental operator."""
