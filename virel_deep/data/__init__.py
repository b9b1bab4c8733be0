"""Environments, their simulator's state, and the replay."""
