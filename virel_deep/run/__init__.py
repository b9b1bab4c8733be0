"""One run: its folder, its processes, its training loop, its logs."""
