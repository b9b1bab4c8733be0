"""Claims on methods: EM as policy iteration, MERL, MPO, pseudo-likelihood, and Marino et al."""
