"""A second checker, for statements about rational numbers, over `fractions` alone: `virel recheck --second`.

It reads the certificates and `statements.toml` anew: no line is shared with the rest of `checker`, neither
the reading of files nor the parser of formulas nor the arithmetic. A number is a pair of fractions `a + h b`,
for the infinitesimal h. Formulas that need an exponential, a logarithm or a self-consistent temperature are
not decided, and the answer says so.
"""
