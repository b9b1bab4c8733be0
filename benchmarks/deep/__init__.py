"""Benchmarks of the deep agent: learning runs, a peer side by side, speed."""
