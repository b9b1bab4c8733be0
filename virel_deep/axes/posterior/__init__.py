"""Posteriors over actions: sets of weighted actions at a state, one file per kind."""
