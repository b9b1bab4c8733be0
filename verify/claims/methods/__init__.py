"""Claims about EM, MERL, MPO, pseudo-likelihood and the design paper."""
