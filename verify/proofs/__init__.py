"""Proofs of VIREL's claims on instances in rational numbers, and the certificate files that record them."""
