"""Proofs of the claims on MPO: rational MDPs, policies and temperatures; posteriors and logarithms as atoms."""

import dataclasses
from typing import Any

import numpy as np
from flint import fmpq
from hypothesis import strategies as st

from verify.arithmetic import exact
from verify.arithmetic.exact import ExactMDP, fraction_of
from verify.arithmetic.instance import Exact, exactly, without_mdp
from verify.claims.mpo import facts, m_step_facts
from verify.proofs.draws import small
from verify.proofs.facts import above, at_least, differs, equal, given
from verify.proofs.job import Jobs, as_drawn, proved, refuted
from verify.proofs.shared_facts import V_OF_PI
from verify.strategies import distributions, instances, mdps, policies, q_tables, temperatures

_GAMMAS = st.sampled_from((0.5, 0.75, 0.9))
_MDPS = mdps(max_states=2, min_actions=2, max_actions=2, gammas=_GAMMAS, masked=True)
_WIDE = mdps(max_states=2, min_actions=2, max_actions=3, gammas=_GAMMAS, masked=True)
_ALPHAS = st.sampled_from((1.0, 0.5, 2.0, 0.25))


def with_values(instance: dict[str, Any]) -> Exact:
    """Exact instance with `v`, the values of the policy `pi`."""
    x = exactly(instance)
    return x.with_parts(v=exact.evaluate_states(x.mdp, x.pi))


def from_one_state(instance: dict[str, Any]) -> Exact:
    """Exact instance that starts in state number `start`, with `v` any state values, and the visits `rho`."""
    x = exactly({name: part for name, part in instance.items() if name not in ("start", "q")})
    start = [fmpq(int(s == instance["start"] % x.mdp.n_states)) for s in range(x.mdp.n_states)]
    mdp = dataclasses.replace(x.mdp, initial=tuple(start))
    table = exact.table_of(x.mdp, np.where(instance["mdp"].available, instance["q"], 0), name="q")
    return Exact(mdp, x.parts | {"v": mdp.best(table), "rho": exact.visits(mdp, x.pi)})


def with_share(instance: dict[str, Any]) -> Exact:
    """Exact instance with the temperature `alpha` and the prior exponent `share` of two coefficients."""
    x = exactly({name: part for name, part in instance.items() if name not in ("c_kl", "c_ent")})
    c_kl, c_ent = (fraction_of(instance[name]) for name in ("c_kl", "c_ent"))
    return x.with_parts(alpha=c_kl + c_ent, share=c_kl / (c_kl + c_ent))


def with_step(instance: dict[str, Any]) -> Exact:
    """Exact instance with values `v` and visits `rho` of `pi`, and a step of `share` over the sum of visits."""
    x = exactly({name: part for name, part in instance.items() if name != "share"})
    v, rho = exact.evaluate_states(x.mdp, x.pi), exact.visits(x.mdp, x.pi)
    return x.with_parts(v=v, rho=rho, step=fraction_of(instance["share"]) / sum(rho, fmpq(0)))


def _varied(x: dict[str, Any]) -> bool:
    """Whether the action values of the policy differ in some state, so that its gradient is not 0."""
    y = with_values(x)
    values = y.mdp.backup(y.v)
    return any(len({values[i] for i in own}) > 1 for own in y.mdp.of_state)


def _two_states() -> Exact:
    """The counterexample to (21): an action that stays, one that moves over; the second state pays 2 and 1."""
    one, zero = fmpq(1), fmpq(0)
    mdp = ExactMDP(
        n_states=2,
        n_actions=2,
        pairs=((0, 0), (0, 1), (1, 0), (1, 1)),
        rows=(((0, one),), ((1, one),), ((1, one),), ((0, one),)),
        reward=(zero, zero, fmpq(2), one),
        gamma=fmpq(1, 2),
        initial=(one, zero),
    )
    return Exact(mdp, {"features": [[one, zero] * 2], "omega": [zero], "alpha": one})


def _one_state() -> Exact:
    """The counterexample to (23): one state, two equally likely actions, rewards 1 and 0, no discount."""
    one, zero, half = fmpq(1), fmpq(0), fmpq(1, 2)
    mdp = ExactMDP(1, 2, ((0, 0), (0, 1)), (((0, one),), ((0, one),)), (one, zero), zero, (one,))
    return Exact(mdp, {"v": [half], "pi": [half, half], "rho": [one], "alpha": one, "step": half})


@st.composite
def _moves(draw: st.DrawFn) -> Exact:
    """Probabilities of two to four actions, and moves of their logits."""
    weights = draw(st.lists(st.integers(1, 5), min_size=2, max_size=4))
    f = draw(st.lists(st.integers(-3, 3), min_size=len(weights), max_size=len(weights)))
    return without_mdp(w=[fmpq(k, sum(weights)) for k in weights], f=[fmpq(k) for k in f])


_WITH_OTHER = instances(mdp=_MDPS, pi=policies, pi_theta=policies, alpha=_ALPHAS)
_STEPS = instances(mdp=_MDPS, pi=policies, alpha=_ALPHAS, share=st.sampled_from((1.0, 0.5, 0.25))).filter(
    _varied
)
_Q_STEP = ("mdp", "v", "pi", "pi_theta", "alpha")
_Q_FACTS = V_OF_PI, equal(facts.attained), at_least(facts.not_beaten)

BELLMAN_EQUATIONS = tuple(
    given(equal(part(equations)))
    for equations in (
        m_step_facts.plain_equations,
        m_step_facts.penalised_equations,
        m_step_facts.divergence_equations,
    )
    for part in (m_step_facts.values_of, m_step_facts.slopes_of)
)

JOBS: Jobs = {
    "design-11-exponent": (
        proved(
            "printed",
            ("mdp", "q", "pi", "prior", "alpha", "share"),
            given(at_least(facts.share_at_most_one)),
            at_least(facts.exponent_maximum),
            equal(facts.exponent_attained),
            prepare=with_share,
            instances=instances(
                mdp=_WIDE, q=q_tables, pi=policies, prior=policies, c_kl=_ALPHAS, c_ent=_ALPHAS
            ),
        ),
    ),
    "mpo-prop-1": (
        proved(
            "printed",
            ("mdp", "v", "pi", "prior", "alpha", "rho"),
            at_least(facts.penalty),
            given(equal(facts.visits_of_pi)),
            at_least(facts.penalty_along),
            prepare=from_one_state,
            instances=instances(
                mdp=_WIDE,
                q=q_tables,
                pi=policies,
                prior=policies,
                alpha=temperatures(),
                start=st.integers(0, 1),
            ),
        ),
    ),
    "mpo-19-20": (
        proved(
            "printed",
            _Q_STEP,
            *_Q_FACTS,
            at_least(facts.e_step_rises),
            prepare=with_values,
            instances=_WITH_OTHER,
        ),
    ),
    "mpo-21": (
        refuted(
            "printed",
            ("mdp", "features", "omega", "alpha"),
            *BELLMAN_EQUATIONS,
            above(m_step_facts.falling_objective),
            prepare=as_drawn,
            instances=st.builds(_two_states),
        ),
        proved("step-1", _Q_STEP, *_Q_FACTS, prepare=with_values, instances=_WITH_OTHER),
    ),
    "mpo-23": (
        refuted(
            "printed",
            ("mdp", "v", "pi", "rho", "alpha", "step"),
            V_OF_PI,
            given(equal(facts.visits_of_pi)),
            above(m_step_facts.some_slope),
            above(m_step_facts.slope_below_one_half),
            above(m_step_facts.too_small_a_fall),
            prepare=as_drawn,
            instances=st.builds(_one_state),
        ),
        proved(
            "corrected",
            ("mdp", "v", "pi", "rho", "alpha", "step"),
            V_OF_PI,
            given(equal(facts.visits_of_pi)),
            given(at_least(m_step_facts.short_step)),
            above(m_step_facts.enough_of_a_fall),
            prepare=with_step,
            instances=_STEPS,
        ),
    ),
    "mpo-em": (
        proved(
            "printed",
            ("mdp", "v", "pi", "alpha"),
            V_OF_PI,
            given(above(facts.varies)),
            at_least(facts.e_step_rises),
            at_least(facts.copy_rises),
            above(facts.rises),
            prepare=with_values,
            instances=instances(mdp=_WIDE, pi=policies, alpha=_ALPHAS).filter(_varied),
        ),
    ),
    "mpo-dual": (
        proved(
            "printed",
            ("mdp", "q", "pi", "pi_theta", "d", "eps"),
            at_least(facts.weak_duality),
            equal(facts.no_gap),
            instances=instances(
                mdp=_WIDE, q=q_tables, pi=policies, pi_theta=policies, d=distributions, eps=_ALPHAS
            ),
        ),
    ),
    "mpo-dual-slope": (
        proved(
            "printed",
            ("mdp", "q", "pi", "d", "eps"),
            equal(facts.dual_slope),
            equal(facts.dual_bend),
            at_least(facts.variance),
            instances=small(q=q_tables, pi=policies, d=distributions, eps=_ALPHAS),
        ),
    ),
    "mpo-25": (
        refuted(
            "printed",
            ("w", "f"),
            equal(facts.two_actions),
            equal(facts.one_free_logit),
            differs(facts.inverse_form),
            prepare=as_drawn,
            instances=st.builds(lambda: without_mdp(w=[fmpq(1, 2)] * 2, f=[fmpq(1), fmpq(0)])),
        ),
        proved("corrected", ("w", "f"), equal(facts.half_form), prepare=as_drawn, instances=_moves()),
    ),
}
