"""All proof jobs by claim id, collected from the modules called `*proofs` below `verify/claims/`.

A claim on record as HOLDS comes out CERTIFIED with `virel verify --certify` if a job proves its printed form
on every instance tried. The claim itself says which forms have no job, and why: `Claim.not_certified`.
"""

import importlib
from functools import cache

from verify.engine.registry import proof_modules
from verify.proofs.job import Jobs


@cache
def all_jobs() -> Jobs:
    """All proof jobs by claim id, from the `JOBS` of every `*proofs` module below `verify/claims/`.

    Raises:
        ValueError: if two modules have jobs for one claim.
    """
    jobs: Jobs = {}
    for name in proof_modules():
        for claim_id, found in getattr(importlib.import_module(name), "JOBS", {}).items():
            if claim_id in jobs:
                raise ValueError(f"two modules prove the claim {claim_id!r}; the second is {name}")
            jobs[claim_id] = found
    return jobs
