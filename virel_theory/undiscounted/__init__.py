"""Objectives without a discount: finite horizon, reachability, shortest paths, average reward."""
