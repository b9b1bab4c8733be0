"""Presentation of claims and verdicts: terminal tables, figures, report page, explanations and errata."""
