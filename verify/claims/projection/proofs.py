"""Proofs for App. F.1: projection weights, the projected residual error, its gradient and its updates."""

from typing import Any

from flint import fmpq
from hypothesis import assume
from hypothesis import strategies as st

from verify.arithmetic import exact
from verify.arithmetic.instance import Exact, exactly
from verify.claims.projection import curve_facts, facts
from verify.claims.projection.curve_facts import Curve
from verify.claims.projection.facts import weights
from verify.proofs.draws import Instances, halves, with_features, with_table_features
from verify.proofs.facts import above, at_least, differs, equal, given
from verify.proofs.job import Jobs, as_drawn, featured, proved, refuted
from verify.proofs.shared_facts import IS_OPTIMUM, POSITIVE_OPTIMUM


def projected(name: str) -> Instances:
    """Hypothesis strategy that draws features b, a table `name`, its projection weights `zeta`, and `other`.

    `other` are weights to compare with. The table's entries are halves. `E[b b^T]` is regular.
    """
    return _projected(name).filter(lambda x: x.zeta is not None)


@st.composite
def _projected(draw: st.DrawFn, name: str) -> Exact:
    x = draw(with_features())
    table = draw(halves(x.mdp.n_pairs, 8))
    parts = {name: table, "zeta": weights(x.features, table), "other": draw(halves(len(x.features)))}
    return x.with_parts(**parts)


def curved() -> Instances:
    """Hypothesis strategy that draws a quadratic critic Q, a policy and projection weights `zeta` of beta.

    The derivatives of `zeta` are `dzeta`. `E[b b^T]` is regular.
    """
    return _curved().filter(lambda x: x.zeta is not None)


@st.composite
def _curved(draw: st.DrawFn) -> Exact:
    x = draw(with_features("omega", "pi"))
    size, n = len(x.features), x.mdp.n_pairs
    rows = {(i, j): draw(halves(n, 2)) for i in range(size) for j in range(i, size)}
    x = x.with_parts(
        hessian=[[rows[min(i, j), max(i, j)] for j in range(size)] for i in range(size)],
        step=draw(st.sampled_from([fmpq(1, 2), fmpq(1, 4), fmpq(1, 8)])),
    )
    c = Curve(x)
    zeta = weights(c.b, c.beta)
    if zeta is None:
        return x.with_parts(zeta=None)
    return x.with_parts(zeta=zeta, dzeta=[c.slope_of_zeta(zeta, j) for j in range(size)])


def projected_residual(instance: dict[str, Any]) -> Exact:
    """Exact instance (rational MDP) with `features` b, a residual `beta`, its projection weights `zeta`."""
    x = exactly({"mdp": instance["mdp"]})
    beta = exact.table_of(x.mdp, instance["beta"], name="beta")
    x = with_table_features(x, instance["b"], ())
    return x.with_parts(beta=beta, zeta=weights(x.features, beta))


def one_feature(instance: dict[str, Any]) -> Exact:
    """Exact instance (rational MDP) with the drawn table `b` as its one feature."""
    x = exactly({name: part for name, part in instance.items() if name != "b"})
    return with_table_features(x, instance["b"], ())


def one_feature_and_optimum(instance: dict[str, Any]) -> Exact:
    """Exact instance (rational MDP) with the drawn table `b` as its one feature, and with Q*."""
    x = one_feature(instance)
    return x.with_parts(q_star=exact.optimal_values(x.mdp))


def _is_regular(x: Exact) -> bool:
    return facts.system(x) != 0


@st.composite
def inverted(draw: st.DrawFn, *, masked: bool = False) -> Exact:
    """Exact instance with features b, the inverse of `E[b b^T]`, a table `beta` and its projection weights.

    With `masked`, some state lacks an action.
    """
    x = draw(with_features(where=lambda x: facts.inverse_gram(x.features) is not None))
    assume(not masked or x.mdp.n_pairs < x.mdp.n_states * x.mdp.n_actions)
    beta = draw(halves(x.mdp.n_pairs, 8))
    inverse = facts.inverse_gram(x.features)
    return x.with_parts(beta=beta, gram_inverse=inverse, zeta=weights(x.features, beta))


SQUARE, INVERTED = ("mdp", "beta", "features", "zeta"), ("mdp", "beta", "features", "gram_inverse", "zeta")
QUADRATIC = ("mdp", "features", "hessian", "omega", "pi", "zeta", "dzeta")
WEIGHTS_SOLVE = (
    given(equal(curve_facts.curved_normal_equation)),
    given(equal(curve_facts.curved_slope_equation)),
)
BY_INVERSE = given(equal(facts.is_inverse)), given(equal(facts.weights_by_inverse))
NORMAL = equal(facts.normal_equation("beta"))
PROJECTION = proved(
    "printed",
    INVERTED,
    *BY_INVERSE,
    NORMAL,
    equal(facts.orthogonal),
    equal(facts.idempotent),
    prepare=as_drawn,
    instances=inverted(),
)
"""Proof that the projection by the inverse of `E[b b^T]` is orthogonal and idempotent."""
MASKED_PROJECTION = proved(
    "printed", INVERTED, *BY_INVERSE, NORMAL, prepare=as_drawn, instances=inverted(masked=True)
)
"""The normal equation, where a state lacks an action."""
_curved_q = {"prepare": as_drawn, "instances": curved()}
_one_feature: dict[str, Any] = {"n_features": 1, "where": _is_regular}

JOBS: Jobs = {
    "eq-32": (
        proved(
            "printed",
            ("mdp", "q", "features", "zeta", "other"),
            given(equal(facts.normal_equation("q"))),
            equal(facts.rise),
            prepare=as_drawn,
            instances=projected("q"),
        ),
    ),
    "eq-33": (
        proved(
            "printed",
            SQUARE,
            given(equal(facts.normal_equation("beta"))),
            equal(facts.both_forms),
            prepare=projected_residual,
        ),
    ),
    "eq-33-always-zero": (
        refuted(
            "printed",
            ("mdp", "features"),
            differs(facts.not_zero_at_zero),
            at_least(facts.no_zero_above),
            at_least(facts.no_zero_below),
            prepare=one_feature,
        ),
        featured(
            "corrected",
            ("mdp", "features", "pi"),
            given(above(facts.regular)),
            equal(facts.zero_of_policy),
            equal(facts.slope_of_moment),
            **_one_feature,
        ),
    ),
    "app-f1-convergence": (
        refuted(
            "printed",
            ("mdp", "q_star", "features", "pi"),
            IS_OPTIMUM,
            POSITIVE_OPTIMUM,
            equal(facts.constant_moment),
            above(facts.error_left),
            prepare=one_feature_and_optimum,
        ),
        featured(
            "corrected",
            ("mdp", "features", "omega", "pi"),
            given(above(facts.regular)),
            equal(facts.slope_of_error),
            **_one_feature,
        ),
    ),
    "app-f1-gradient": (
        proved("printed", QUADRATIC, *WEIGHTS_SOLVE, equal(curve_facts.projected_gradient), **_curved_q),
    ),
    "eq-35": (
        refuted(
            "printed",
            (*QUADRATIC, "step"),
            *WEIGHTS_SOLVE,
            differs(curve_facts.update(scaled=False)),
            **_curved_q,
        ),
        proved(
            "corrected",
            (*QUADRATIC, "step"),
            *WEIGHTS_SOLVE,
            equal(curve_facts.update(scaled=True)),
            **_curved_q,
        ),
    ),
}
