"""Exact rational, ball and dual-number arithmetic, and a second encoding of VIREL's App. E."""
