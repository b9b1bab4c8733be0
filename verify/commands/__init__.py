"""Sub-commands of the claims engine: parse options, do the work, print results, return an exit status."""
