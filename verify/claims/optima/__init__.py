"""Claims on optimality: Theorem 2, Corollary 1, App. C's target set, the VIREL talk's limit of eps L."""
