"""Presentation of results: tables for the terminal, figures, the report page, explanations and errata."""
