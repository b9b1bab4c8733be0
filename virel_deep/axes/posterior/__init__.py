"""Posteriors (policies): distributions of actions at a state, one file per kind."""
