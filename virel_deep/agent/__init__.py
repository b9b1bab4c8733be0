"""Agents that train K seeds at once in stacked tensors: acting, checkpoints, and the gradient update."""
