"""Claims on optimality: Theorem 2, Corollary 1, the target set of App. C, and the talk's limit of eps L."""
