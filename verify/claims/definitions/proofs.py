"""Proofs on definitions by linear algebra: the projection on features, and the score."""

from verify.claims.projection.proofs import MASKED_PROJECTION, PROJECTION
from verify.claims.residual_gradients.critic_facts import log_slope
from verify.claims.residual_gradients.proofs import NO_REWARD, SELF_CONSISTENT
from verify.proofs.facts import equal
from verify.proofs.job import Jobs, featured

JOBS: Jobs = {
    "def-projection": (PROJECTION,),
    "def-masked-projection": (MASKED_PROJECTION,),
    "def-score": (featured("printed", SELF_CONSISTENT, NO_REWARD, equal(log_slope)),),
}
