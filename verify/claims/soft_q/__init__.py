"""Claims on soft Q-learning and on entropy-regularised policy gradients."""
