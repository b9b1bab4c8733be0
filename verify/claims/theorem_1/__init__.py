"""Claims on Theorem 1: the limit of the Boltzmann distribution, and the printed proof step by step."""
