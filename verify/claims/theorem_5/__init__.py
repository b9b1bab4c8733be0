"""Claims on Theorem 5: incremental optimisation, its limits and minima, and descent in practice."""
