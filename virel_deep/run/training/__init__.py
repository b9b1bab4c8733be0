"""Pieces of the training loop: acting, learning, one seed's state and failures, checkpoints."""
