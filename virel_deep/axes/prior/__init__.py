"""Priors: what the posterior is compared with, one file per kind of distribution or of learning."""
