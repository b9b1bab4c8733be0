"""Command lines of the claims engine: parse the options, call, print, return an exit status."""
