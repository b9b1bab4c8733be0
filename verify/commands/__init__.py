"""Sub-commands of `virel` that check and present claims: parse options, run, print, return an exit status."""
