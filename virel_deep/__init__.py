"""Deep agent: Algorithms 1 and 2 of the VIREL paper (App. H) and their relatives, for continuous control.

`virel train` and its kin run it; docs/deep.md says what it implements and where it leaves the paper. A policy
is read from a run by `virel_deep.run.policy.load_policy(run, seed)`. This package needs the `deep` extra, and
imports neither `virel_theory` nor `verify`: a comparison of its losses with the exact objectives compares two
independent codes.
"""
