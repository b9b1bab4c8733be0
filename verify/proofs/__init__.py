"""Certificates: statements proved on exact instances."""
