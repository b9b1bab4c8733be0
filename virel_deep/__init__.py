"""Deep VIREL agent: not built yet.

Its configuration, losses, replay, trainer and command line will come as modules of this package and need the
`deep` extra (`pip install virel[deep]`). It will import neither `virel_theory` nor `verify`, so that a
comparison of its losses with the exact objectives compares two independent codes.
"""
