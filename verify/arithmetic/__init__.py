"""Exact rational, ball and dual-number arithmetic, and a second implementation of VIREL's App. E."""
