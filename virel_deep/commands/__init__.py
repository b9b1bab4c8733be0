"""Command lines of the deep agent: parse, call, print."""
