"""Claims about the objective, its posterior and its bounds."""
