"""Data of training: environments, exact snapshots of their simulator, and the replay buffer."""
