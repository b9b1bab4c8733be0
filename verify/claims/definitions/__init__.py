"""Claims that the library's definitions (operators, policies, densities, ...) are the printed ones."""
