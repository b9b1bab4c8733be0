"""What is made of results: tables, figures, the report page, the errata."""
