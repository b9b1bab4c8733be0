"""Claims that the deep agent computes the exact objects."""
