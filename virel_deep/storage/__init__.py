"""Checkpoints of training runs: each is whole or absent, checksummed, and loaded without pickle."""
