"""Claims on methods: EM as policy iteration, MERL, MPO, pseudo-likelihood, the design paper."""
