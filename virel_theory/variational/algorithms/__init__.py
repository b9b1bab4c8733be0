"""Rows of Table 1 of Marino et al. as exact algorithms: one file per row, each yields its iterates."""
