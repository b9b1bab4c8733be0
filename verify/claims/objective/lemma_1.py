"""Claims on Lemma 1: lower and upper limits of the objective L, for continuous and finite action sets.

The checks, their bounds and their teeth are in `lemma_1_gaps.py` and, for (21), in `lemma_1_dirac.py`. On a
continuous action set a Dirac has differential entropy -inf; on a finite one its entropy is 0. Part i) needs
the first, part ii) the second (or a policy with finite differential entropy).
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from hypothesis import strategies as st
from numpy.polynomial import Polynomial

from verify.claims.instances import gym_instances
from verify.claims.objective import lemma_1_dirac as dirac
from verify.claims.objective import lemma_1_gaps as gaps
from verify.engine.claim import ON_AN_INTERVAL, Assumption, Check, Claim, Correction, Instance
from verify.engine.plotdata import Curve, Figure, Panel
from verify.engine.verdict import Verdict, Weight
from verify.strategies import distributions, instances, mdps, policies, q_tables, temperatures
from virel_theory.continuous.boltzmann import elbo_continuous
from virel_theory.continuous.distributions import Uniform

_COEF = st.lists(st.integers(-3, 3), min_size=1, max_size=3)
_TABLE = st.lists(_COEF, min_size=1, max_size=3)
_ABOVE_1 = st.lists(
    _COEF.map(lambda c: [1 + sum(abs(x) for x in c), *c[1:]]), min_size=1, max_size=3
)  # Q >= 1 on [-1, 1]
_NOT_ABOVE_0 = st.lists(_COEF.map(lambda c: [-sum(abs(x) for x in c), *c[1:]]), min_size=1, max_size=3)
_POSITIVE_MEAN = st.one_of(_ABOVE_1, _TABLE.filter(gaps.mixed_sign))
_POSITIVE = st.integers(1, 20).map(lambda k: k / 4)
_AT_MOST_0 = st.integers(0, 20).map(lambda k: -k / 4)
_ACTIONS = st.lists(st.integers(0, 5), min_size=5, max_size=5).map(np.array)

_NASCENT: dict[str, st.SearchStrategy[Any]] = {
    "q": _TABLE,
    "a_star": dirac.A_STAR,
    "shape": dirac.SHAPE,
    "eps": st.sampled_from((1.0, 0.25, 4.0)),
}
_FINITE_I = instances(
    mdp=mdps(masked=True), q=q_tables, actions=lambda _: _ACTIONS, d=distributions, eps=temperatures()
)


def _growth(q: st.SearchStrategy[list[list[int]]], *names: str, rate: bool = False) -> Check:
    parts = {
        "q": q,
        "policy": st.sampled_from(names),
        "n": st.sampled_from((1, 10, 100)),
        "rate": st.just(rate),
    }
    return Check(gaps.growth_gap, st.fixed_dictionaries(parts))


def _positive_gym() -> list[tuple[str, Instance]]:
    """Gymnasium MDPs as named instances, with a positive Q table: `|q| + 1/4` for their random q."""
    named = gym_instances(q=True, pi_theta=True, d=True, eps=True)()
    return [
        (name, x | {"q": np.where(x["mdp"].available, np.abs(x["q"]) + 0.25, -np.inf)}) for name, x in named
    ]


def figures(seed: int) -> Sequence[Figure]:
    """Figure of Lemma 1: L of a narrowing uniform policy (slope 1 in log sigma); `eps L` as eps falls."""
    q, centre = [Polynomial([1.0, 0.0, -1.0])], 0.25
    sigma, eps = 10.0 ** np.linspace(-0.5, -12, 24), 10.0 ** np.linspace(1, -6, 22)

    def value(s: float, e: float) -> float:
        return elbo_continuous(q, pi_theta=[Uniform(centre - s, centre + s)], d=[1.0], eps=e)

    along = np.array([value(s, 1.0) for s in sigma])
    limit = 1 - centre**2 + np.log(2 * sigma)
    excess = np.array([e * value(0.75, e) - (1 - centre**2 - 0.75**2 / 3) for e in eps])
    panels = [
        Panel(
            "i) the policy tends to a Dirac, eps = 1",
            "sigma",
            "L",
            [Curve("L", sigma, along), Curve("Q(a*)/eps + H(p) + log sigma", sigma, limit, "predicted")],
            "log",
        ),
        Panel(
            "ii) a fixed policy, eps tends to 0",
            "eps",
            "eps L - E[Q]",
            [Curve("eps L - E[Q]", eps, excess), Curve("eps H", eps, eps * np.log(1.5), "predicted")],
            "log",
            "log",
        ),
    ]
    return [
        Figure(
            "lemma-1-limits",
            panels,
            f"Q = 1 - a^2, uniform policies about 1/4. Not random (seed {seed} unused).",
        )
    ]


CLAIMS = (
    Claim(
        id="lemma-1-i",
        title="L at a Dirac policy, continuous actions",
        source="Lemma 1 i), App. D.3",
        statement=r"\varepsilon_\omega > 0,\ \pi_\theta(a|s) = \delta(a^*)\ \Rightarrow\ L(\omega,\theta) = -\infty",
        check=Check(
            gaps.dirac_gap,
            st.fixed_dictionaries(_NASCENT | {"n": st.sampled_from((1, 10, 100))}),
        ),
        expected=Verdict.GAP,
        weight=Weight.COMPLETION,
        assumptions=(
            Assumption(
                "nascent deltas of one shape",
                r"the proof's p_sigma = p((a - a*)/sigma)/sigma. On the whole line (1 - 1/n) U[-1/n, 0] + (1/n) U[0, e^(n^2)] tends to a Dirac too,"
                r" with H -> +inf; on a bounded A entropy is upper semicontinuous and every family has H -> -inf",
                Check(gaps.spread_gap, st.fixed_dictionaries({"n": st.integers(2, 5)}), n_random=4),
            ),
        ),
        steps=dirac.STEPS,
        figures=figures,
        not_certified=ON_AN_INTERVAL,
    ),
    Claim(
        id="lemma-1-i-finite",
        title="L at a Dirac policy, finite action sets",
        source="ours, beside Lemma 1 i) of App. D.3, which is about densities",
        statement=r"\varepsilon_\omega > 0,\ \pi_\theta(a|s) = \delta(a^*),\ |A| < \infty\ \Rightarrow\ L(\omega,\theta) = E_{d(s)}[\hat Q_\omega(a^*, s)]/\varepsilon_\omega",
        check=Check(gaps.finite_dirac_value_gap, _FINITE_I),
        expected=Verdict.HOLDS,
        printed=False,
    ),
    Claim(
        id="eq-20",
        title="L at a Dirac, before its entropy is known",
        source="Eq. (20), App. D.3",
        statement=r"L = E_{d(s)}\big[\hat Q_\omega(a^*, s)/\varepsilon_\omega + \mathcal H(\delta(a^*))\big]",
        check=Check(
            gaps.substituted_gap,
            st.fixed_dictionaries(_NASCENT | {"sigma": dirac.SIGMA}),
        ),
        expected=Verdict.HOLDS,
        not_certified=ON_AN_INTERVAL,
    ),
    Claim(
        id="eq-21",
        title="Differential entropy of a Dirac as a limit",
        source="Eq. (21), App. D.3",
        statement=r"\mathcal H(\delta(a^*)) = -\log p(-a^*) + \lim_{\sigma\to0}\log\sigma = -\infty",
        check=dirac.PRINTED_21,
        expected=Verdict.GAP,
        weight=Weight.COMPLETION,
        assumptions=(dirac.POSITIVE_AT_MINUS_A_STAR,),
        steps=dirac.STEPS,
        not_certified=ON_AN_INTERVAL,
    ),
    Claim(
        id="lemma-1-ii",
        title="L as the temperature falls, continuous actions",
        source="Lemma 1 ii), App. D.3",
        statement=r"\hat Q_\omega(\cdot) > 0,\ \pi_\theta \text{ any non-deterministic policy}\ \Rightarrow\ \lim_{\varepsilon_\omega\to0}L(\omega,\theta) = \infty",
        check=replace(
            _growth(_ABOVE_1, *gaps.POLICIES, gaps.SLOW),
            recorded={"q": [[1]], "policy": gaps.SLOW, "n": 1, "rate": False},
        ),
        expected=Verdict.REFUTED,
        weight=Weight.COMPLETION,
        assumptions=(
            Assumption(
                "Q > 0", "Q <= 0 leaves H or sends L to -inf", _growth(_NOT_ABOVE_0, "uniform", "gaussian")
            ),
        ),
        correction=Correction(
            r"0 < E_{d\pi_\theta}[\hat Q_\omega] < \infty,\ E_d[\mathcal H(\pi_\theta)] \in \mathbb R\ \Rightarrow\ "
            r"\varepsilon_\omega L \to E_{d\pi_\theta}[\hat Q_\omega],\quad L\to\infty",
            r"The proof takes entropy to be finite for every non-deterministic policy. The density $p(x) = 1/(x\log^2 x)$ on $(0, 1/e)$ has"
            r" $\mathcal H = -\int_1^\infty (t - 2\log t)\,t^{-2}dt = -\infty$, so that $L = -\infty$ for every $\varepsilon_\omega$. On an unbounded A it can also be"
            r" $+\infty$: the same $p$ on $(e, \infty)$ has $\mathcal H = \int_1^\infty (t + 2\log t)\,t^{-2}dt = \infty$, and with Q = 1"
            r" $\varepsilon_\omega L = \infty$ does not tend to 1. If both means are real, $\varepsilon_\omega L = E[Q] + \varepsilon_\omega E_d[\mathcal H]"
            r" \to E[Q]$, and $L \ge E[Q]/\varepsilon_\omega - |E_d[\mathcal H]| \to \infty$: only the mean of Q has to be positive, not Q.",
            _growth(_POSITIVE_MEAN, "uniform", "gaussian", rate=True),
        ),
        not_certified=ON_AN_INTERVAL,
    ),
    Claim(
        id="lemma-1-ii-finite",
        title="L as the temperature falls, finite action sets",
        source="Lemma 1 ii), App. D.3",
        statement=r"|A| < \infty,\ \hat Q_\omega(\cdot) > 0\ \Rightarrow\ L(\omega,\theta) \ge \min_h \hat Q_\omega(h)/\varepsilon_\omega \to \infty",
        check=Check(
            gaps.finite_growth_gap,
            instances(
                mdp=mdps(masked=True),
                q=lambda mdp: q_tables(mdp, values=_POSITIVE),
                pi_theta=policies,
                d=distributions,
                eps=temperatures(),
            ),
            named=_positive_gym,
        ),
        expected=Verdict.HOLDS,
        printed=False,
        assumptions=(
            Assumption(
                "Q > 0",
                "for Q = 0, L is the entropy, whatever eps; for Q < 0 it falls to -inf",
                Check(
                    gaps.finite_limit_gap,
                    instances(
                        mdp=mdps(),
                        q=lambda mdp: q_tables(mdp, values=_AT_MOST_0),
                        pi_theta=policies,
                        d=distributions,
                        n=st.sampled_from((1, 10)),
                    ),
                ),
            ),
            Assumption(
                "non-deterministic policy",
                "on finite sets a Dirac has entropy 0, and the limit is the same",
                Check(
                    gaps.finite_limit_gap,
                    instances(
                        mdp=mdps(),
                        q=lambda mdp: q_tables(mdp, values=_POSITIVE),
                        pi_theta=lambda mdp: policies(mdp, full_support=False),
                        d=distributions,
                        n=st.sampled_from((1, 10)),
                    ),
                ),
            ),
        ),
    ),
)
