"""Command lines of the theory: parse, call, print."""
