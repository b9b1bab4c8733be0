"""Proofs on soft Q-learning and regularised policy gradients: contraction, samples, bandit, n steps."""

from typing import Any

import numpy as np
from flint import fmpq
from hypothesis import strategies as st

from verify.arithmetic.exact import table_of
from verify.arithmetic.instance import Exact, exactly
from verify.claims.soft_q import facts
from verify.proofs.draws import GAMMAS, with_features
from verify.proofs.facts import above, at_least, differs, equal, given
from verify.proofs.job import Jobs, as_drawn, proved, refuted
from verify.proofs.shared_facts import UP_TO_THREE_STEPS
from verify.strategies import instances, mdps, policies, q_tables, temperatures


def two_tables(instance: dict[str, Any]) -> Exact:
    """Exact instance with two tables, `q` and `q_two`."""
    x = exactly({name: part for name, part in instance.items() if name != "q_two"})
    return x.with_parts(q_two=table_of(x.mdp, instance["q_two"], name="q_two"))


def with_samples(instance: dict[str, Any]) -> Exact:
    """Exact instance of one state with `horizon` drawn actions."""
    x = exactly({name: part for name, part in instance.items() if name != "n"})
    return x.with_parts(horizon=fmpq(instance["n"]))


def uneven(instance: dict[str, Any]) -> bool:
    """Whether the tables differ by no constant in a state of several actions: there sides would be equal."""
    on = instance["mdp"].available
    difference = np.subtract(instance["q"], instance["q_two"], where=on, out=np.zeros(on.shape))
    rows = [set(row[mask].tolist()) for row, mask in zip(difference, on, strict=True)]
    return all(len(row) > 1 or mask.sum() == 1 for row, mask in zip(rows, on, strict=True))


_SMALL = mdps(max_states=2, min_actions=2, max_actions=2, gammas=GAMMAS, masked=True)
_TABLES = instances(mdp=_SMALL, q=q_tables, q_two=q_tables, alpha=temperatures()).filter(uneven)
_SAMPLES = instances(
    mdp=mdps(max_states=1), q=q_tables, pi=policies, alpha=temperatures(), n=st.sampled_from((2, 3))
)
_SAME = instances(mdp=_SMALL, q=q_tables, alpha=temperatures())
PARTS = ("mdp", "features", "omega", "pi_phi", "d", "eps")
_FEATURES: dict[str, Any] = {
    "prepare": as_drawn,
    "instances": with_features("omega", "pi_phi", "d", "eps", where=lambda x: x.mdp.n_pairs <= 4),
}

JOBS: Jobs = {
    "sql-contraction": (
        proved(
            "printed",
            ("mdp", "q", "q_two", "alpha"),
            at_least(facts.contraction),
            at_least(lambda x: facts.contraction(x, swapped=True)),
            prepare=two_tables,
            instances=_TABLES,
        ),
    ),
    "sql-value-samples": (
        proved(
            "printed",
            ("mdp", "q", "pi", "alpha", "horizon"),
            UP_TO_THREE_STEPS,
            given(equal(facts.one_state)),
            equal(facts.unbiased),
            at_least(facts.jensen),
            at_least(facts.more_samples),
            prepare=with_samples,
            instances=_SAMPLES,
        ),
    ),
    "sql-policy-proposal": (
        proved("printed", ("mdp", "q", "alpha"), equal(facts.policy_proposal), instances=_SAME),
    ),
    "erpg-bandit": (
        proved("printed", tuple(p for p in PARTS if p != "d"), equal(facts.bandit), **_FEATURES),
    ),
    "erpg-n-step": (proved("printed", PARTS, equal(facts.n_steps(1)), equal(facts.n_steps(2)), **_FEATURES),),
    "erpg-coefficient": (proved("printed", PARTS, equal(facts.n_steps(1)), **_FEATURES),),
    "erpg-advantage-scale": (
        refuted(
            "printed",
            PARTS,
            above(facts.discounted),
            differs(facts.scaled(lambda x: 1 / x.mdp.gamma if x.mdp.gamma else fmpq(0))),
            **_FEATURES,
        ),
        proved("corrected", PARTS, equal(facts.scaled(lambda x: 1 / x.eps)), **_FEATURES),
    ),
}
