"""Theorem 1: the Boltzmann policy tends to a Dirac."""
