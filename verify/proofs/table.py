"""Which statements are certified, how, and on which instances: `CERTIFIERS[claim id]` is a sequence of jobs.

A claim on record as HOLDS comes out CERTIFIED with `virel verify --certify` if a job proves (not refutes) its
printed form on all instances tried; `verify.proofs.run.expected_verdict` says for which that is on record.
Claims without a job are in `verify.proofs.reasons`, with the reason.
"""

from verify.claims.methods.episode_proofs import EPISODES, LIKELIHOOD, LIMITS
from verify.claims.optima.proofs import ITERATIONS, OPTIMA, PROJECTION
from verify.claims.residual_gradients.proofs import ACTOR, CRITIC
from verify.proofs.job import Jobs

CERTIFIERS: Jobs = LIKELIHOOD | EPISODES | LIMITS | OPTIMA | ITERATIONS | PROJECTION | ACTOR | CRITIC
