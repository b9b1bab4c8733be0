"""Proofs of claims on exact instances, and the certificate files that record them."""
