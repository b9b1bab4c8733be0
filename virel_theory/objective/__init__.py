"""VIREL's objective, its posterior, the residual error, and the temperature that it defines."""
