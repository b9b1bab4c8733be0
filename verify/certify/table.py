"""Which statements are certified, how, and on which instances: `CERTIFIERS[claim id]` is a sequence of jobs.

A claim on record as HOLDS comes out CERTIFIED with `virel verify --certify` if a job proves (not refutes) its
printed form on all instances tried; `verify.certify.run.expected_verdict` says for which that is on record.
Claims without a job are in `verify.certify.reasons`, with the reason.
"""

from verify.certify.job import Jobs
from verify.certify.table_gradients import ACTOR, CRITIC
from verify.certify.table_identities import EPISODES, LIKELIHOOD, LIMITS
from verify.certify.table_optima import ITERATIONS, OPTIMA, PROJECTION

CERTIFIERS: Jobs = LIKELIHOOD | EPISODES | LIMITS | OPTIMA | ITERATIONS | PROJECTION | ACTOR | CRITIC
