"""The objective of VIREL, its posterior, the residual error and the temperature it makes."""
