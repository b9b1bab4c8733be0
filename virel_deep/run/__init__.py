"""Training of one run: its folder, processes, training loop and logs."""
