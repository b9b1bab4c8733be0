"""Exact rational, ball and dual-number arithmetic, and a second encoding of App. E on plain numbers."""
