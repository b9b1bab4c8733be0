"""Plumbing that every package shares: errors, files, terminal, versions. No mathematics, no numpy."""
