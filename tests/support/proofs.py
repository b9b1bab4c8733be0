"""What the tests of proofs share: all jobs with their names, and an instance with three roots."""

import numpy as np

from verify.proofs.table import all_jobs
from virel_theory.mdp.tabular import TabularMDP

JOBS = [(claim_id, job) for claim_id, jobs in all_jobs().items() for job in jobs]
NAMES = [f"{claim_id}-{job.form}" for claim_id, job in JOBS]

# The counterexample of corollary-1: g = (52 sigma(-104/eps))^2 / 2 has the roots 0, 130.51 and 152.22.
THREE_ROOTS = {"mdp": TabularMDP([[[1.0], [1.0]]], [[104.0, 0.0]], 0.5), "q": np.array([[208.0, 104.0]])}


def job_of(claim_id, form):
    """The job that proves or refutes one form of a claim."""
    (job,) = [job for job in all_jobs()[claim_id] if job.form == form]
    return job
