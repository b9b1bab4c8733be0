"""Proofs on values through a model, and on rollouts of the prior."""

from typing import Any

from verify.arithmetic import exact
from verify.arithmetic.instance import Exact, exactly
from verify.claims.inference import model_facts as facts
from verify.proofs.facts import at_least, equal, given
from verify.proofs.job import Jobs, proved
from verify.proofs.shared_facts import V_OF_PI, value_of


def valued(instance: dict[str, Any]) -> Exact:
    """Exact instance with the plain value `v` of its policy `pi`; the drawn critic becomes `rho`."""
    x = exactly({key: y for key, y in instance.items() if key in ("mdp", "pi", "prior", "alpha", "v")})
    return x.with_parts(rho=x.v, v=exact.evaluate_states(x.mdp, x.pi))


def prior_valued(instance: dict[str, Any]) -> Exact:
    """Exact instance with the plain value `v` of its prior."""
    x = exactly({key: instance[key] for key in ("mdp", "prior", "alpha")})
    return x.with_parts(v=exact.evaluate_states(x.mdp, x.prior))


JOBS: Jobs = {
    "model-expansion": (
        proved(
            "printed",
            ("mdp", "pi", "prior", "v", "alpha"),
            V_OF_PI,
            equal(facts.two_steps),
            equal(facts.three_steps),
            prepare=valued,
        ),
    ),
    "model-fading": (
        proved(
            "printed",
            ("mdp", "pi", "v", "rho"),
            V_OF_PI,
            equal(facts.fading),
            at_least(facts.not_above),
            at_least(facts.not_below),
            prepare=valued,
        ),
    ),
    "model-prior-rollouts": (
        proved(
            "printed",
            ("mdp", "prior", "v", "alpha"),
            given(equal(value_of("prior"))),
            equal(facts.attained),
            at_least(facts.e_step),
            prepare=prior_valued,
        ),
    ),
}
