"""Claims on sequential Monte Carlo planning: Piche et al. 2019 (SMCP, ours), Macfarlane et al. 2024 (SPO)."""
