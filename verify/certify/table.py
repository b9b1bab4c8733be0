"""Which statements are certified, how, and on which instances.

`CERTIFIERS[claim id]` is a sequence of `Job`s. A claim on record as HOLDS comes out
CERTIFIED with `virel verify --certify` if a job proves (not refutes) its printed form on all instances tried:
`verify.certify.run.expected_verdict` says for which claims that is on record.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from verify.certificate import Certificate, Undecided
from verify.certify import exact_claims as rational
from verify.certify import gradients, limits, others
from verify.certify import identities as ids
from verify.certify.instance import Exact, exactly
from verify.certify.kinds import Differences, certify_at_least, certify_differs, certify_equal
from verify.certify.roots import certify_roots
from verify.claim import Check, Claim

Certifier = Callable[[str, str, Any], Certificate | Undecided]


@dataclass(frozen=True, eq=False)
class Job:
    """`form`: `printed`, `corrected` or `step`.

    `refutes`: one counterexample is wanted, not a proof on all instances.

    `prepare` makes the certifier's input of a drawn instance.
    """

    form: str
    certify: Certifier
    prepare: Callable[[dict[str, Any]], Any] = exactly
    refutes: bool = False

    def check_of(self, claim: Claim) -> Check:
        """The check whose instances the job takes."""
        if self.form == "step":
            return next(step.check for step in claim.steps)
        if self.form == "corrected" and claim.correction is not None:
            return claim.correction.check
        return claim.check


G, GD, GQ = "mdp q pi_theta d eps", "mdp q d eps", "mdp q eps"
GM, DP, EM, MERL = "mdp q pi_theta pi_phi d eps", "mdp pi prior alpha", "joint w", "k1 gamma c"


def shifted(instance: dict[str, Any]) -> Exact:
    """`q = q_star + shift` (`q_star` where there is no shift)."""
    x = exactly(instance)
    shift = x.parts.get("shift") or (0,) * len(x.q_star)
    return x.with_parts(q=tuple(a + b for a, b in zip(x.q_star, shift, strict=True)))


def equal(sides: Differences, parts: str, *, form: str = "printed", prepare: Any = exactly) -> Job:
    """An identity."""
    return Job(form, partial(certify_equal, parts=parts, sides=sides), prepare)


def differs(sides: Differences, parts: str, *, form: str = "printed", prepare: Any = exactly) -> Job:
    """A refuted equality."""
    return Job(form, partial(certify_differs, parts=parts, sides=sides), prepare, refutes=True)


def at_least(sides: Differences, parts: str, *, prepare: Any = exactly) -> Job:
    """An inequality."""
    return Job("printed", partial(certify_at_least, parts=parts, sides=sides), prepare)


CERTIFIERS: dict[str, Sequence[Job]] = {
    "eq-05": (equal(ids.lower_bound, G),),
    "eq-11": (equal(ids.lower_bound, G), differs(ids.lower_bound_step, G, form="step")),
    "theorem-3": (differs(ids.theorem_3_printed, GD), equal(ids.theorem_3, G, form="corrected")),
    "eq-23": (differs(ids.eq_23_printed, GD), equal(ids.eq_23, GD, form="corrected")),
    "eq-24": (equal(ids.eq_24, G),),
    "app-d4-factorisation": (equal(ids.factorisation, GQ),),
    "eq-10": (equal(ids.eq_10, GQ),),
    "app-b-action-posterior": (equal(ids.action_posterior, GQ),),
    "app-b-elbo": (equal(ids.elbo, G),),
    "app-g-posterior": (equal(ids.prior_posterior, "mdp q pi_phi eps"),),
    "eq-42": (equal(ids.eq_42, GM),),
    "eq-42-omega": (differs(ids.eq_42_omega_printed, GM), equal(ids.eq_42_omega, GM, form="corrected")),
    "app-g-m-step-prior": (at_least(ids.best_prior, GM),),
    "eq-09": (equal(others.marginal, EM, prepare=others.hidden),),
    "design-02": (equal(others.marginal, EM, prepare=others.hidden),),
    "design-04": (at_least(others.marginal_bound, EM, prepare=others.hidden),),
    "design-05": (differs(others.mass_printed, "mdp pi"), equal(others.mass, "mdp pi", form="corrected")),
    "design-06": (at_least(others.evidence_bound, DP),),
    "design-07": (equal(others.by_steps, DP),),
    "design-10": (
        differs(partial(others.soft_values, start=2), DP),
        equal(partial(others.soft_values, start=1), DP, form="corrected"),
    ),
    "design-12": (
        differs(partial(others.maximum_entropy, dynamics=True), "mdp pi alpha"),
        equal(partial(others.maximum_entropy, dynamics=False), "mdp pi alpha", form="corrected"),
    ),
    "merl-counterexample": (equal(others.merl, MERL, prepare=others.talk),),
    "merl-counterexample-threshold": (at_least(others.merl_threshold, MERL, prepare=others.talk),),
    "theorem-4": (differs(gradients.theorem_4, GQ, prepare=gradients.explicit),),
    "eq-30": (differs(gradients.eq_30, GQ, prepare=gradients.explicit),),
    "eq-31": (differs(gradients.eq_31, GQ, prepare=gradients.tabular),),
    "eq-39": (Job("printed", rational.certify_em), Job("step", rational.refute_m_step, refutes=True)),
    "eq-40": (Job("printed", rational.certify_em),),
    "app-f5-policy-iteration": (Job("printed", rational.certify_em),),
    "eq-41": (
        Job("printed", rational.refute_value_step, refutes=True),
        Job("corrected", rational.certify_fixed_target),
    ),
    "talk-theorem-2-i": (Job("printed", rational.certify_optimum, shifted),),
    "talk-theorem-2-ii": (Job("printed", rational.certify_policy, shifted),),
    "corollary-1": (
        Job("printed", partial(certify_roots, need="positive"), shifted, refutes=True),
        Job("corrected", rational.certify_optimum, shifted),
    ),
    "corollary-1-ii": (Job("printed", rational.refute_no_choice, shifted, refutes=True),),
    "corollary-1-hence": (Job("printed", rational.certify_optimum, shifted),),
    "app-c-1": (Job("printed", limits.certify_cold),),
    "app-c-3": (
        Job("printed", partial(certify_roots, need="several"), shifted, refutes=True),
        Job("corrected", partial(certify_roots, need="odd"), shifted),
    ),
    "theorem-1-finite": (Job("printed", limits.certify_dirac, prepare=lambda instance: instance),),
}
