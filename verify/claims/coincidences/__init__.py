"""Claims that two rows of Table 1 of Marino et al. are one algorithm under equal settings."""
