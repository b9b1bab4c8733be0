"""Agents of K stacked seeds: acting, checkpoints, and the update, by hand-written gradients or autograd."""
