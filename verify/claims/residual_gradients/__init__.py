"""Claims on gradients: E-step, M-step, residual error, Theorem 4, and the incremental residual."""
