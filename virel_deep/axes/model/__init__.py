"""Learned model of the environment: its normalisation, the ensemble, and values expanded through it."""
