r"""Claim on HDP: the KL divergence of a hierarchy, its bound by levels, and the gap of that bound.

The text of Tirumala et al. 2019 beyond its introduction could not be had. So the statement is ours.

Both sides: `latent_policy`, `latent_posterior`, `chain_kl`, against the divergence of actions and of latents
        given actions, summed here over joint probabilities of (z, a), and a bound that is checked as an
        inequality.
Bound:  rounding. Sums of Z A terms with logarithms of at most B = 4 + max|log| of the drawn levels (a
        posterior's logarithm is at most that of one product of two levels): 32 (Z A + 16) u B.
Teeth:  `perturb` shifts the high level of the default against that of the other side.
"""

import numpy as np
from hypothesis import strategies as st

from verify.claims.instances import choices
from verify.engine.claim import Assumption, Check, Claim
from verify.engine.verdict import Gap, Verdict, worst
from verify.strategies import instances, policies
from virel_theory.checks import Array, U
from virel_theory.mdp.tabular import TabularMDP
from virel_theory.variational.parts.information import chain_kl, latent_policy, latent_posterior


def hierarchy_gap(
    *, high: Array, default_high: Array, low: Array, default_low: Array, perturb: float = 0.0
) -> Gap:
    """Gap of the chain rule, of the bound, and of the bound for a shared low level."""
    moved = (default_high + perturb) / (default_high + perturb).sum(axis=1, keepdims=True)
    chain = chain_kl(high, low, default_high=moved, default_low=default_low)
    pi, p = latent_policy(high, low), latent_policy(default_high, default_low)
    of_actions, of_latents = _kl(pi, p), _joint_kl(high, low, default_high, default_low) - _kl(pi, p)
    given = latent_posterior(high, low), latent_posterior(default_high, default_low)
    posterior_kl = (pi * _kl(*given)).sum(axis=1)
    shared = chain_kl(high, low, default_high=default_high), _kl(pi, latent_policy(default_high, low))
    bound = _bound(high, default_high, low, default_low)
    return worst(
        Gap(np.abs(chain - of_actions - posterior_kl).max(), bound),
        Gap(np.abs(of_latents - posterior_kl).max(), bound),
        Gap((of_actions - chain).max(), bound),
        Gap((shared[1] - shared[0]).max(), bound),
        Gap(np.abs(shared[0] - _kl(high, default_high)).max(), bound),
    )


def low_level_alone_gap(
    *, high: Array, default_high: Array, low: Array, default_low: Array, perturb: float = 0.0
) -> Gap:
    """Gap of "the high level's divergence bounds it though the low levels differ": KL(pi||p) minus it."""
    pi, p = latent_policy(high, low), latent_policy(default_high, default_low)
    bound = _bound(high, default_high, low, default_low)
    return Gap((_kl(pi, p) - _kl(high, default_high)).max() + perturb, bound)


def _kl(a: Array, b: Array) -> Array:
    """KL divergence over the last axis, term by term."""
    out: Array = (a * (np.log(np.where(a > 0, a, 1.0)) - np.log(np.where(a > 0, b, 1.0)))).sum(axis=-1)
    return out


def _joint_kl(high: Array, low: Array, default_high: Array, default_low: Array) -> Array:
    """KL divergence of (z, a) together, `[S]`, from products of the levels."""
    joint, other = (np.einsum("sz,zsa->sza", x, y) for x, y in ((high, low), (default_high, default_low)))
    return _kl(joint.reshape(len(high), -1), other.reshape(len(high), -1))


def _bound(*levels: Array) -> float:
    size = 4 + sum(float(np.abs(np.log(x[x > 0])).max()) for x in levels)
    return 32 * (levels[2][:, 0].size + 16) * U * size


def _levels(n_latents: int) -> st.SearchStrategy[dict[str, object]]:
    """Instances with `n_latents` latents: the rows of drawn policies are reused as levels."""

    def high(mdp: TabularMDP) -> st.SearchStrategy[Array]:
        stay = np.repeat(np.eye(mdp.n_states)[:, None, :], n_latents, axis=1)
        shaped = TabularMDP(stay, np.zeros((mdp.n_states, n_latents)), 0.0)
        return policies(shaped)

    def low(mdp: TabularMDP) -> st.SearchStrategy[Array]:
        return st.tuples(*[policies(mdp)] * n_latents).map(np.stack)

    return instances(
        mdp=choices(max_states=3, masked=True),
        high=high,
        default_high=high,
        low=low,
        default_low=low,
    ).map(lambda drawn: {name: part for name, part in drawn.items() if name != "mdp"})


_HIERARCHIES = st.sampled_from([1, 2, 3]).flatmap(_levels)

CLAIMS = (
    Claim(
        id="hdp-bound",
        title="the divergence of a hierarchy is bounded by those of its levels",
        source="ours, on Tirumala et al. 2019",
        statement=r"KL(\pi\|p) = KL(\pi^H\|p^H) + E_{\pi^H}[KL(\pi^L\|p^L)] - E_{\pi(a|s)}\big[KL(\pi(z|a, s)\|p(z|a, s))\big]"
        r"; \quad \pi^L = p^L:\ KL(\pi\|p) \le KL(\pi^H\|p^H)",
        check=Check(hierarchy_gap, _HIERARCHIES),
        expected=Verdict.HOLDS,
        assumptions=(
            Assumption(
                "shared low level",
                r"$\pi^L = p^L$, for the bound by the high level alone",
                without=Check(low_level_alone_gap, _HIERARCHIES),
            ),
        ),
        printed=False,
    ),
)
