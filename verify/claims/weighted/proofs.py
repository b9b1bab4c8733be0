"""Proofs on RERPI and V-MPO: Gaussian laws, monotone weights, the top share, the sign of the Lagrangian."""

from collections.abc import Sequence
from typing import Any

from flint import fmpq
from hypothesis import strategies as st

from verify.arithmetic import exact
from verify.arithmetic.exact import fraction_of
from verify.arithmetic.instance import Exact, exactly, without_mdp
from verify.claims.weighted import facts
from verify.proofs.draws import with_unit_features
from verify.proofs.facts import above, at_least, differs, equal, given
from verify.proofs.job import Jobs, proved, refuted
from verify.proofs.shared_facts import V_OF_PI
from verify.strategies import distributions, instances, mdps, policies, q_tables


def gaussian(instance: dict[str, Any]) -> Exact:
    """Exact instance of a Gaussian policy with mean 0 and a quadratic value."""
    names = {"bending": "curvature", "eps": "variance", "alpha": "eta", "delta": "distance"}
    return without_mdp(**{name: fraction_of(instance[key]) for name, key in names.items()})


def sphere(instance: dict[str, Any]) -> Exact:
    """Exact instance of the sphere function along the axis of the largest distance; `epsilon` is the temperature."""
    distance = max(instance["first"], key=abs)
    parts = {"bending": 2.0, "eps": instance["variance"], "alpha": instance["epsilon"], "delta": distance}
    return without_mdp(**{name: fraction_of(value) for name, value in parts.items()})


def two_gaussians(instance: dict[str, Any]) -> Exact:
    """Exact instance of two Gaussians: means delta and mu, standard deviations eps and alpha."""
    (delta, mu), (eps, alpha) = instance["mean"], instance["sigma"]
    parts = {"delta": delta, "mu": mu, "eps": eps, "alpha": alpha}
    return without_mdp(**{name: fraction_of(value) for name, value in parts.items()})


def reweighted(instance: dict[str, Any]) -> Exact:
    """Exact instance with V^pi and Q^pi, the policy of weights `c + 1[Q > delta]` and its values, delta a middle value."""
    x = exactly(instance)
    v = exact.evaluate_states(x.mdp, x.pi)
    x = x.with_parts(v=v, q=x.mdp.backup(v), delta=_middle(x.mdp.backup(v)), c=fmpq(1, 2))
    weight = [x.c + int(value > x.delta) for value in x.mdp.backup(v)]
    normaliser = x.mdp.mean(x.pi, weight)
    pi = tuple(p * w / normaliser[s] for (s, _), p, w in zip(x.mdp.pairs, x.pi, weight, strict=True))
    return x.with_parts(pi_theta=pi, v_new=exact.evaluate_states(x.mdp, pi))


def top_share(instance: dict[str, Any]) -> Exact:
    """Exact instance with V^pi and the threshold `delta` of the advantages; ties are kept by the fraction `share`."""
    x = exactly({"mdp": instance["mdp"], "pi": instance["pi"]})
    x = x.with_parts(v=exact.evaluate_states(x.mdp, x.pi))
    share = fraction_of(instance["keep"])
    return x.with_parts(delta=_middle(facts.advantage(x)), share=share, alpha=fraction_of(instance["eta"]))


def kept_pairs(instance: dict[str, Any]) -> Exact:
    """Exact instance of the kept mass `joint` and the advantages `f` of the kept pairs."""
    x = exactly({name: instance[name] for name in ("mdp", "q", "pi", "d")})
    mass = [x.d[s] * p for (s, _), p in zip(x.mdp.pairs, x.pi, strict=True)]
    joint, f, left = [], [], fraction_of(instance["keep"])
    for value in sorted(set(x.q), reverse=True):
        tied = [p for p, q in zip(mass, x.q, strict=True) if q == value]
        part = min(fmpq(1), left / sum(tied, fmpq(0)))
        joint += [p * part for p in tied if part > 0]
        f += [value for _ in tied if part > 0]
        left -= part * sum(tied, fmpq(0))
    names = {"alpha": "eps", "share": "keep", "chance": "epsilon"}
    return without_mdp(joint=joint, f=f, **{name: fraction_of(instance[key]) for name, key in names.items()})


def soft_policy(instance: dict[str, Any]) -> Exact:
    """Exact instance of a softmax policy of logits `omega`, the old policy `prior`, and psi over pairs."""
    names = ("mdp", "prior", "d", "alpha")
    x = with_unit_features(exactly({name: instance[name] for name in names}))
    tables = {
        name: exact.table_of(x.mdp, instance[key], name=key)
        for name, key in (("omega", "theta"), ("psi", "psi"))
    }
    return x.with_parts(share=fraction_of(instance["epsilon"]), **tables)


def all_kept(instance: dict[str, Any]) -> Exact:
    """Exact instance of a policy `pi_theta` that weighs all its pairs."""
    parts = {"mdp": "mdp", "q": "q", "pi_theta": "pi", "d": "d", "eps": "eps"}
    return exactly({name: instance[key] for name, key in parts.items()})


def _middle(values: Sequence[fmpq]) -> fmpq:
    """A value above which some of the values may lie: the lower median."""
    ordered = sorted(values)
    return ordered[(len(ordered) - 1) // 2]


_NUMBERS = st.integers(4, 64).map(lambda k: k / 8)  # of many values, so that few instances are drawn twice
_PAIR = mdps(max_states=2, min_actions=2, max_actions=2, masked=True)
_DUAL = instances(
    mdp=mdps(max_states=1, min_actions=2, max_actions=3),
    q=q_tables,
    pi=policies,
    d=distributions,
    keep=st.sampled_from((0.5, 0.75, 1.0)),
    eps=_NUMBERS,
    epsilon=_NUMBERS,
)
_SPHERE = st.fixed_dictionaries(
    {
        "first": st.integers(4, 4000).map(lambda k: [k / 4, -1.0]),
        "variance": st.sampled_from((1.0, 0.25, 4.0)),
        "epsilon": st.sampled_from((1.0, 0.5, 2.0)),
    }
)
_SOFT = instances(
    mdp=mdps(max_states=2, max_actions=2, masked=True),
    theta=q_tables,
    prior=policies,
    psi=policies,
    d=distributions,
    alpha=_NUMBERS,
    epsilon=_NUMBERS,
)
_WEIGHTS = instances(mdp=_PAIR, pi=policies, eps=_NUMBERS)
_SHARE = instances(mdp=_PAIR, pi=policies, keep=st.sampled_from((0.5, 0.25, 1.0)), eta=_NUMBERS)
_ALL_KEPT = instances(mdp=_PAIR, q=q_tables, pi=policies, d=distributions, eps=_NUMBERS)
GAUSSIAN = ("bending", "eps", "alpha", "delta")
SOFT = ("mdp", "features", "omega", "prior", "psi", "d", "alpha", "share")
E_STEP = (equal(facts.score_at(0)), equal(facts.score_at(1)))

JOBS: Jobs = {
    "rerpi-gaussian": (
        proved(
            "printed",
            GAUSSIAN,
            given(above(facts.posterior_exists)),
            *E_STEP,
            equal(facts.joint_law),
            equal(facts.decoupled_law),
            prepare=gaussian,
        ),
    ),
    "rerpi-shrinks": (
        refuted(
            "printed",
            GAUSSIAN,
            given(above(facts.posterior_exists)),
            *E_STEP,
            above(facts.joint_growth),
            prepare=gaussian,
        ),
        proved(
            "corrected",
            GAUSSIAN,
            given(above(facts.posterior_exists)),
            equal(facts.joint_law),
            prepare=gaussian,
        ),
    ),
    "rerpi-premature": (
        refuted(
            "printed",
            GAUSSIAN,
            above(facts.bending),
            *E_STEP,
            above(facts.spread_against_distance),
            prepare=sphere,
        ),
        proved(
            "corrected",
            GAUSSIAN,
            equal(facts.invariant),
            above(facts.shrinks),
            above(facts.stays_positive),
            at_least(facts.spends_less),
            prepare=sphere,
            instances=_SPHERE,
        ),
    ),
    "tanh-kl": (
        proved(
            "printed",
            ("delta", "mu", "eps", "alpha"),
            equal(facts.jacobian),
            equal(facts.tanh_kl),
            prepare=two_gaussians,
        ),
    ),
    "rerpi-improvement": (
        proved(
            "printed",
            ("mdp", "q", "pi", "pi_theta", "eps", "delta", "c", "v", "v_new"),
            at_least(facts.exponential_weights),
            at_least(facts.step_weights),
            V_OF_PI,
            given(equal(facts.fitted)),
            given(equal(facts.new_values)),
            at_least(facts.improvement),
            prepare=reweighted,
            instances=_WEIGHTS,
        ),
    ),
    "vmpo-improvement": (
        proved(
            "printed",
            ("mdp", "pi", "v", "delta", "share", "alpha"),
            V_OF_PI,
            given(at_least(facts.share_at_most_one)),
            at_least(facts.kept_advantage),
            prepare=top_share,
            instances=_SHARE,
        ),
    ),
    "vmpo-keep-one": (
        proved(
            "printed",
            ("mdp", "q", "pi_theta", "d", "eps"),
            equal(facts.all_kept),
            equal(facts.state_weights),
            prepare=all_kept,
            instances=_ALL_KEPT,
        ),
    ),
    "vmpo-dual": (
        proved(
            "printed",
            ("joint", "f", "alpha", "share", "chance"),
            given(equal(facts.kept_mass)),
            equal(facts.dual_slope),
            prepare=kept_pairs,
            instances=_DUAL,
        ),
    ),
    "vmpo-14-15": (
        refuted("printed", SOFT, differs(facts.lagrangian_printed), prepare=soft_policy),
        proved(
            "corrected",
            SOFT,
            equal(facts.lagrangian_corrected),
            equal(facts.multiplier_slope),
            prepare=soft_policy,
            instances=_SOFT,
        ),
    ),
}
