"""The unit of the rewards: no algorithm knows it, and none fails where a probability underflows.

Tolerance of the comparison in another unit: powers of two scale without rounding, but roots are found within
some ulps of their logarithm, and 12 steps may multiply that by a factor of 1e5: 1e-9.
"""

from itertools import islice

import mpmath
import numpy as np
import pytest

from virel_common.errors import InputError
from virel_theory import TabularMDP, iterate, particle_law, plan_log_evidence
from virel_theory.variational.algorithms.smcp import TINY
from virel_theory.variational.parts.optimum import regularised_optimum
from virel_theory.variational.parts.plans import Plan
from virel_theory.variational.parts.rank_weights import tie_tolerance
from virel_theory.variational.table import ROWS

RNG = np.random.default_rng(0)
P, R = RNG.dirichlet(np.ones(4), size=(4, 2)), RNG.normal(size=(4, 2))
TASK = TabularMDP(P, R, 0.95)
HIDDEN = [0, 0, 1, 1]


def scaled(c):
    return TabularMDP(P, R * c, 0.95)


def settings(c):
    """`(algorithm, settings)`: every algorithm in its forms, with all that has a unit in the unit 1/c."""
    return [
        ("policy-iteration", {"sweeps": 3}),
        *[("soft-policy-iteration", {"alpha": c, "exponent": rho}) for rho in (0.0, 1.0)],
        ("virel", {"alpha": c}),
        ("virel", {"alpha": c, "sweeps": 2}),
        *[("beta", {"scale": 1 / c, "sampled": sampled}) for sampled in (False, True)],
        ("beta", {"scale": 1 / c, "sampled": True, "sweeps": None}),
        ("sql", {"alpha": c}),
        ("mpo", {"trust": 0.01, "sweeps": 2}),
        ("mpo", {"eta": c}),
        ("mpo-parametric", {}),
        ("natural-policy-gradient", {"step": 1 / c}),
        *[("rerpi", {"weights": weights, "trust": 0.1}) for weights in ("exp", "rank")],
        ("vmpo", {}),
        ("vmpo", {"eta": c, "trust": 0.01}),
        *[("erpg", {"form": form, "tau": c}) for form in ("policy-gradient", "soft-q")],
        *[("sac-iterative", {"form": form, "alpha": c}) for form in ("mirror", "gradient")],
        ("sac-iterative", {"alpha": c, "step": 0.25 / c, "gate": 0.25, "sweeps": 2}),
        ("smcp", {"alpha": c}),
        ("smcp", {"alpha": c, "particles": 4, "plans": 5}),
        ("mb-sac", {"alpha": c, "trace": 0.5, "noise": 0.1}),
        *[
            ("mb-iadp", {"alpha": c, "rollout": rollout, "observation": HIDDEN})
            for rollout in ("prior", "posterior")
        ],
        ("mb-mpo", {"noise": 0.1}),
        ("iadp", {"alpha": c, "observation": HIDDEN}),
        ("hdp", {"alpha": c, "observation": HIDDEN}),
        *[("distral", {"alpha": c, "exponent": rho}) for rho in (0.0, 0.5, 1.0)],
    ]


FORMS = [pytest.param(k, id=f"{k}-{name}") for k, (name, _) in enumerate(settings(1.0))]


def test_every_algorithm_is_here():
    assert {name for name, _ in settings(1.0)} == {row.name for row in ROWS}


@pytest.mark.parametrize("c", [2.0**-40, 2.0**40])
@pytest.mark.parametrize("k", FORMS)
def test_another_unit_of_the_rewards_changes_no_policy(k, c):
    (name, one), (_, other) = settings(1.0)[k], settings(c)[k]
    for x, y in zip(
        iterate(name, TASK, steps=12, **one), iterate(name, scaled(c), steps=12, **other), strict=True
    ):
        np.testing.assert_allclose(y.policy, x.policy, atol=1e-9)
        np.testing.assert_allclose(y.q / c, x.q, atol=1e-9 * np.abs(x.q).max())


@pytest.mark.parametrize("c", [1e-12, 1e3, 1e6, 1e9, 1e12])
@pytest.mark.parametrize("k", FORMS)
def test_rewards_far_above_or_below_the_temperature_give_policies_and_true_bounds(k, c):
    name, given = settings(1.0)[k]
    for x in iterate(name, scaled(c), steps=12, **given):
        policy = x.policy.reshape(4, 2)  # one task, also for `distral`
        np.testing.assert_allclose(policy.sum(axis=1), 1.0, rtol=1e-12)
        own = np.einsum("sa,sat->st", policy, P)
        v = np.linalg.solve(np.eye(4) - 0.95 * own, (policy * R * c).sum(axis=1))
        assert (
            abs(v.mean() - x.value) <= x.error + 1e-12 * 20 * c
        )  # 20 c: size of the values; ulps of the solve
        assert np.isfinite([x.error, x.bound]).all()


EXTREME = [
    *[(name, {"alpha": 1e-300}) for name in ("soft-policy-iteration", "sql", "sac-iterative", "smcp")],
    *[("virel", {"alpha": alpha}) for alpha in (0.0, 1e-300, 1e300)],
    *[("beta", {"scale": scale}) for scale in (1e-300, 1e280)],
    *[(name, {"alpha": 1e-300}) for name in ("mb-sac", "mb-iadp", "iadp", "hdp", "distral")],
    *[(name, {"eta": 1e-300}) for name in ("mpo", "vmpo")],
    *[("erpg", {"form": form, "tau": 1e-300}) for form in ("policy-gradient", "soft-q")],
    ("sac-iterative", {"alpha": 1e-300, "form": "gradient"}),
    ("sac-iterative", {"form": "gradient", "step": 1e300}),
    ("smcp", {"alpha": 1e-300, "particles": 4, "plans": 3}),
    ("natural-policy-gradient", {"step": 1e300}),
]


@pytest.mark.parametrize(("name", "given"), EXTREME)
def test_temperatures_at_the_end_of_the_range_give_policies_and_finite_values(name, given):
    for x in iterate(name, scaled(1e10), steps=4, **given):
        np.testing.assert_allclose(x.policy.sum(axis=-1), 1.0, rtol=1e-14)
        assert np.isfinite(x.q).all()


@pytest.mark.parametrize("sparse", [False, True])
def test_values_out_of_range_are_not_blamed_on_a_discount_that_can_be_solved(sparse):
    task = TabularMDP(P, R, 1 - 1e-12)
    with pytest.raises(InputError, match=r"^rewards and regularisers, divided by 1 - gamma, must lie"):
        list(iterate("distral", task.to_sparse() if sparse else task, steps=2, alpha=1e300))


# SMCP, whose proposal underflows


def soft_recursion(c, n_steps, *, horizon=3):
    """Policies of SMCP with infinitely many particles, in 60 digits, from its docstring alone."""
    with mpmath.workdps(60):
        r = [[mpmath.mpf(float(x)) * c for x in row] for row in R]
        p = [[[mpmath.mpf(float(x)) for x in row] for row in pair] for pair in P]
        gamma, states, actions = mpmath.mpf(0.95), range(4), range(2)
        pi = [[mpmath.mpf(1) / 2] * 2 for _ in states]
        for _ in range(n_steps):
            own = mpmath.matrix(
                [[sum(pi[s][a] * p[s][a][t] for a in actions) for t in states] for s in states]
            )
            gain = [sum(pi[s][a] * (r[s][a] - (mpmath.log(2 * pi[s][a]))) for a in actions) for s in states]
            v = mpmath.lu_solve(mpmath.eye(4) - gamma * own, mpmath.matrix(gain))
            q = [[r[s][a] + gamma * sum(p[s][a][t] * v[t] for t in states) for a in actions] for s in states]
            pi = [_softmax(row) for row in q]
            ahead = [gamma**horizon * v[s] for s in states]
            for t in reversed(range(horizon)):
                q = [[gamma**t * r[s][a] + _log_mean(p[s][a], ahead) for a in actions] for s in states]
                ahead = [_log_mean([mpmath.mpf(1) / 2] * 2, row) for row in q]
            found = [_softmax(row) for row in q]
        return np.array([[float(x) for x in row] for row in found])


def _log_mean(weights, values):
    top = max(values)
    return top + mpmath.log(sum(w * mpmath.exp(x - top) for w, x in zip(weights, values, strict=True)))


def _softmax(row):
    top = max(row)
    mass = [mpmath.exp(x - top) for x in row]
    return [x / sum(mass) for x in mass]


@pytest.mark.parametrize("c", [1.0, 1e3, 1e6])
def test_smcp_is_its_recursion_whatever_underflows(c):
    """Values near 20 c have ulps of 4e-15 c, probabilities 200 times that as relative error: 1e-6 at 1e6."""
    found = next(islice(iterate("smcp", scaled(c), steps=3), 2, None))
    np.testing.assert_allclose(found.policy, soft_recursion(c, 3), atol=1e-6)


@pytest.mark.parametrize("c", [1e3, 1e12])
@pytest.mark.parametrize("particles", [1, 8])
def test_particles_plan_where_the_proposal_underflows(c, particles):
    *_, last = iterate("smcp", scaled(c), steps=6, particles=particles, plans=20)
    assert last.bound < 1e-9 * c  # 20 c is the size of the values: the planner has found the best policy


def test_a_proposal_that_underflowed_estimates_the_evidence_without_bias():
    """The action of reward 2000 has probability 2e-308, and carries all but e^-2000 of the evidence."""
    stay = np.eye(2)[:, None, :].repeat(2, axis=1)
    mdp = TabularMDP(stay, [[0.0, 2000.0], [0.0, 0.0]], 0.5)
    half = np.full((2, 2), 0.5)
    plan = Plan(mdp, [0.0, 0.0], half, 1.0, 1, proposal=[[1.0, TINY], [0.5, 0.5]])
    for particles in (1, 2):
        law = particle_law(plan, state=0, particles=particles)
        assert law.log_mean_evidence == pytest.approx(plan_log_evidence(plan)[0], rel=1e-13)


# Others that met the same kind of numbers


def test_a_posterior_that_outlives_its_prior_is_taken_within_it():
    """The blind prior underflows where the posterior has not yet: after 285 steps."""
    given = {"alpha": 0.3, "rollout": "posterior", "observation": HIDDEN, "horizon": 0}
    *_, last = iterate("mb-iadp", TASK, steps=320, **given)
    assert last.step == 320
    assert (last.prior == 0).any()


def test_ties_are_relative_to_the_values():
    q = np.array([[1.0, 0.5], [-4.0, -np.inf]])
    expected = 0.25e-10 + 32 * 2.0**-52 * 4
    assert tie_tolerance(q) == pytest.approx(expected, rel=1e-15, abs=0)
    assert tie_tolerance(q * 2.0**-40) == tie_tolerance(q) * 2.0**-40


def test_what_all_rewards_have_in_common_adds_its_rounding_alone_to_the_distance_of_ties():
    q = np.array([[1.0, 0.5], [-4.0, -np.inf]])
    assert tie_tolerance(q + 2.0**30) == pytest.approx(0.25e-10 + 2.0**-17, rel=1e-8, abs=0)
    assert tie_tolerance(np.array([[1e308, -1e308]])) == pytest.approx(1e298, rel=1e-4)


@pytest.mark.parametrize(
    ("name", "given"), [("rerpi", {"weights": "rank", "trust": 0.1}), ("vmpo", {}), ("vmpo", {"trust": 0.1})]
)
@pytest.mark.parametrize("offset", [0.0, 1e4, 1e8])
def test_weights_by_rank_and_top_shares_come_as_near_the_optimum_as_rounding_lets_them(name, given, offset):
    """Without rounding, 60 steps end within 1e-11. Values are below M = (3 + offset)/(1 - gamma).

    What is tied costs at most 3 ties, divided by 1 - gamma: 3 * (32 ulps of M + 4e-10), as half a spread is
    below 4. The bound's own rounding is below 32 ulps of M, divided by 1 - gamma (S = 4 and A = 2).
    """
    gamma = 0.99
    *_, last = iterate(name, TabularMDP(P, R + offset, gamma), steps=60, **given)
    largest = (3 + offset) / (1 - gamma)
    assert last.bound <= (128 * 2.0**-52 * largest + 12e-10) / (1 - gamma)


@pytest.mark.parametrize("c", [2.0**-60, 2.0**60])
def test_the_regularised_optimum_is_as_exact_in_any_unit(c):
    half = np.full((4, 2), 0.5)
    (q, pi), (other_q, other_pi) = (
        regularised_optimum(scaled(x), prior=half, alpha=x, exponent=0.5) for x in (1.0, c)
    )
    np.testing.assert_allclose(other_q / c, q, rtol=1e-12)
    np.testing.assert_allclose(other_pi, pi, rtol=1e-10)
