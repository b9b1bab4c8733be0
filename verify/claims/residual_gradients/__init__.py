"""Claims about the gradients of residuals, objective and policy."""
