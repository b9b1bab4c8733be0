"""One training run: its folder, its processes, its training loop and its logs."""
