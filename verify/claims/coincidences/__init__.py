"""Claims that two exact algorithms, of Table 1 of Marino et al. or VIREL's, are one under equal settings."""
