"""Exact, ball and dual arithmetic, and a second encoding of the model."""
