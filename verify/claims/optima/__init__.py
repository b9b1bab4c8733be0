"""Claims about what maximises the objective."""
