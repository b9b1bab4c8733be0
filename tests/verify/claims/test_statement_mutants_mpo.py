"""Deliberate errors in the statements on MPO: each has to turn the verdict of its check.

A mutant replaces one name that a gap function takes its printed side from, or one argument of that function.
"""

import dataclasses

import numpy as np
import pytest

from verify.claims.mpo import divergences, dual, improvement, iterates, m_step, natural, tools
from verify.engine.runner import run_check

CLAIMS = {
    claim.id: claim
    for module in (improvement, m_step, natural, dual, divergences, iterates)
    for claim in module.CLAIMS
}


def scaled(function, factor):
    return lambda *args, **kwargs: factor * function(*args, **kwargs)


def with_arguments(function, **changes):
    """The function with keyword arguments mapped through the functions in `changes`."""

    def wrong(*args, **kwargs):
        return function(*args, **{k: changes[k](v) if k in changes else v for k, v in kwargs.items()})

    return wrong


def swapped(function):
    """The function with its first two arguments exchanged."""
    return lambda a, b, *rest, **kwargs: function(b, a, *rest, **kwargs)


def the_other_way(q, pi, *, original=tools.divergence):
    """Divergence KL(pi || q) of the actions that q takes."""
    return original(np.where(q != 0, pi, 0), q)


def undiscounted_backup(mdp, v):
    return mdp.reward + mdp.dense_transition @ v


def without_rewards(mdp, v):
    return mdp.gamma * (mdp.dense_transition @ v)


def colder(pi, values, alpha):
    return tools.tilted(pi, values, alpha / 2)


def opposite(pi, values, alpha):
    return tools.tilted(pi, -values, alpha)


def without_prior(pi, values, alpha):
    return tools.tilted(np.where(pi != 0, 1.0, 0.0) + 0 * pi, values, alpha)


def mean_kl(q, pi):
    return tools.divergence(q, pi) / q.shape[1]


DUAL = dual.dual


def without_budget(values, pi, d, epsilon, eta):
    return DUAL(values, pi, d, 0 * epsilon, eta)


def double_budget(values, pi, d, epsilon, eta):
    return DUAL(values, pi, d, 2 * epsilon, eta)


def even_states(values, pi, d, epsilon, eta):
    return DUAL(values, pi, 0 * d + 1 / len(d), epsilon, eta)


MUTANTS = [
    # claim, module, name, wrong
    ("mpo-prop-1", improvement, "divergence", scaled(tools.divergence, 2)),
    ("mpo-prop-1", improvement, "divergence", swapped(tools.divergence)),
    ("mpo-prop-1", improvement, "divergence", scaled(tools.divergence, -1)),
    ("mpo-16", improvement, "action_value", undiscounted_backup),
    ("mpo-16", improvement, "action_value", without_rewards),
    (
        "mpo-16",
        improvement,
        "posterior_policy",
        with_arguments(improvement.posterior_policy, alpha=lambda a: a / 2),
    ),
    (
        "mpo-19-20",
        improvement,
        "posterior_policy",
        with_arguments(improvement.posterior_policy, alpha=lambda a: a / 2),
    ),
    (
        "mpo-19-20",
        improvement,
        "soft_maximum",
        with_arguments(improvement.soft_maximum, alpha=lambda a: 2 * a),
    ),
    (
        "mpo-19-20",
        improvement,
        "regularised_value",
        with_arguments(improvement.regularised_value, alpha=lambda a: 2 * a),
    ),
    ("mpo-19-20", improvement, "divergence", swapped(tools.divergence)),
    ("mpo-em", improvement, "tilted", opposite),
    ("mpo-em", improvement, "tilted", without_prior),
    ("mpo-em", improvement, "action_value", undiscounted_backup),
    ("mpo-em", improvement, "_phi", scaled(improvement._phi, 4)),
    ("mpo-a1", improvement, "divergence", scaled(tools.divergence, 2)),
    ("mpo-a1", improvement, "divergence", swapped(tools.divergence)),
    ("mpo-a1", improvement, "action_value", undiscounted_backup),
    ("mpo-21 repaired", m_step, "divergence", swapped(tools.divergence)),
    ("mpo-21 repaired", m_step, "divergence_along", scaled(m_step.divergence_along, 2)),
    ("mpo-21 repaired", m_step, "_optimum", lambda mdp, pi, _: tools.plain_value(mdp, pi)),
    ("mpo-23 repaired", m_step, "smoothness", scaled(m_step.smoothness, 0.001)),
    ("mpo-23 repaired", m_step, "smoothness", scaled(m_step.smoothness, -1)),
    ("mpo-23 repaired", m_step, "gradient", scaled(m_step.gradient, 3)),
    ("mpo-natural", natural, "solve_transposed", lambda mdp, _: np.full(mdp.n_states, 1 / mdp.n_states)),
    ("mpo-natural", natural, "_slope", scaled(natural._slope, 0.5)),
    ("mpo-natural", natural, "_slope", scaled(natural._slope, -1)),
    ("mpo-natural-rate", natural, "promised", scaled(natural.promised, 0.01)),
    ("mpo-natural-rate", natural, "promised", scaled(natural.promised, -1)),
    (
        "mpo-natural-rate",
        natural,
        "promised",
        lambda mdp, eta, t: natural.promised.__wrapped__(mdp, eta, t**9),
    ),
    ("mpo-dual", dual, "dual", without_budget),
    ("mpo-dual", dual, "dual", double_budget),
    ("mpo-dual", dual, "dual", even_states),
    ("mpo-dual", dual, "divergence", swapped(tools.divergence)),
    ("mpo-dual-slope", dual, "dual", double_budget),
    ("mpo-dual-slope", dual, "tilted", colder),
    ("mpo-dual-slope", dual, "divergence", mean_kl),
    ("mpo-dual-slope", dual, "divergence", the_other_way),
    ("mpo-dual-samples", dual, "dual", scaled(dual.dual, -1)),
    (
        "mpo-dual-samples",
        dual,
        "dual_value",
        with_arguments(dual.dual_value, prior=lambda p: p, eta=lambda e: 3 * e),
    ),
    ("mpo-dual-samples", dual, "N_SAMPLES", (4, 3, 2, 1)),
    ("design-11-exponent", dual, "soft_maximum", with_arguments(dual.soft_maximum, exponent=lambda r: 1 - r)),
    (
        "design-11-exponent",
        dual,
        "posterior_policy",
        with_arguments(dual.posterior_policy, exponent=lambda _: 1.0),
    ),
    ("design-11-exponent", dual, "soft_maximum", with_arguments(dual.soft_maximum, alpha=lambda a: 2 * a)),
    ("mpo-25 repaired", divergences, "_fisher", lambda p: np.diag(p[:-1])),
    ("mpo-25 repaired", divergences, "_fisher", scaled(divergences._fisher, 2)),
    ("mpo-25 repaired", divergences, "_fisher", lambda p: np.linalg.inv(divergences._fisher.__wrapped__(p))),
    ("mpo-26-27 repaired", divergences, "_parts", lambda a, b: divergences._parts.__wrapped__(b, a)),
    ("mpo-26-27 repaired", divergences, "_parts", lambda a, b: divergences._parts.__wrapped__(a, b)[::-1]),
    (
        "mpo-26-27 repaired",
        divergences,
        "_parts",
        lambda a, b: tuple(2 * x for x in divergences._parts.__wrapped__(a, b)),
    ),
    ("mpo-12", iterates, "divergence", swapped(tools.divergence)),
    ("mpo-12", iterates, "divergence", scaled(tools.divergence, 2)),
    ("mpo-12", iterates, "_log", lambda p: -p),
    ("mpo-parametric", iterates, "divergence", swapped(tools.divergence)),
    ("mpo-parametric", iterates, "divergence", scaled(tools.divergence, 2)),
    ("mpo-parametric", iterates, "action_value", undiscounted_backup),
    ("def-iterates", iterates, "tilted", colder),
    ("def-iterates", iterates, "action_value", undiscounted_backup),
    ("def-iterates", iterates, "divergence", swapped(tools.divergence)),
    ("def-iterates", iterates, "mpo", with_arguments(iterates.mpo, epsilon=lambda x: 2 * x)),
    ("def-iterates", iterates, "mpo", with_arguments(iterates.mpo, d=lambda d: np.full(len(d), 1 / len(d)))),
]


class Original:
    """Callable that keeps the original function reachable as `__wrapped__` while its name is replaced."""

    def __init__(self, function, wrong):
        self.__wrapped__, self.wrong = function, wrong

    def __call__(self, *args, **kwargs):
        return self.wrong(*args, **kwargs)


def check_of(name):
    claim = CLAIMS[name.removesuffix(" repaired")]
    check = claim.correction.check if name.endswith(" repaired") else claim.check
    return dataclasses.replace(check, named=tuple)


@pytest.mark.parametrize(
    ("claim", "module", "name", "wrong"),
    MUTANTS,
    ids=[f"{row[0]}-{row[2]}-{i}" for i, row in enumerate(MUTANTS)],
)
def test_an_error_in_the_statement_turns_the_verdict(claim, module, name, wrong, monkeypatch):
    original = getattr(module, name)
    monkeypatch.setattr(module, name, Original(original, wrong) if callable(wrong) else wrong)
    with np.errstate(all="ignore"):
        assert not run_check(check_of(claim), seed=0, shrink=False).ok


def test_every_claim_has_three_mutants_of_its_statement():
    for claim in CLAIMS.values():
        name = claim.id if claim.correction is None else f"{claim.id} repaired"
        assert sum(row[0] == name for row in MUTANTS) >= 3, name


@pytest.mark.parametrize("factor", [0.5, 0.25])
def test_shorter_steps_miss_the_rate_where_it_is_nearly_attained(factor, monkeypatch):
    ((_, bandit),) = natural.many_actions()
    assert natural.rate_gap(**bandit).ok
    short = with_arguments(natural.natural_policy_gradient, step=lambda step: factor * step)
    monkeypatch.setattr(natural, "natural_policy_gradient", short)
    assert not natural.rate_gap(**bandit).ok
