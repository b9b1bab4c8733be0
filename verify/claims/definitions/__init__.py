"""Claims that the library computes what the sources define."""
