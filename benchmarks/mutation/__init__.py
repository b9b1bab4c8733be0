"""Planted errors in formulas and losses: how many do the claims catch? See `__main__`.

A mutant is one formula with one small change: sign, operator, index, missing factor. It is killed if
a claim's verdict is no longer the one on record, a correction or a repair no longer holds, or a check raises.
"""
