"""Benchmarks of the deep agent: learning runs, stable-baselines3 side by side, speed, profile."""
