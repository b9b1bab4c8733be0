"""Data of training: environments, the exact state of their simulator, and the replay."""
