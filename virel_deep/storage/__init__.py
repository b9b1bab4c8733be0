"""Checkpoints: whole or absent, checksummed, without pickle."""
