"""Deep agents for continuous control: Algorithms 1 and 2 of the VIREL paper (App. H), SAC, TD3 and DDPG.

`virel train`, `evaluate`, `compare`, `watch` and `export` run it; docs/deep.md says what it implements and
where it deviates from the paper. `virel_deep.run.policy.load_policy(run, seed)` reads a policy from a run.
The package needs the extra `virel[deep]`. It imports neither `virel_theory` nor `verify`, so that a
comparison of its losses with the exact objectives compares two independent codes.
"""
