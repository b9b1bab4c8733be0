"""Claims on inference: iterative inference, models, and the residual as a temperature."""
