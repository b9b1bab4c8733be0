"""Claims on (37) and Theorem 5 ii) where eps_omega is the residual error of T^{pi_omega}, not of T*.

F.2 calls the limit "the objective eps_w from Section 3.1", and the target that it replaces is T^{pi_omega}. Under
that target eps_omega solves eps = g(omega, eps), the residual error of a policy at that very temperature, and the
limit of eps_{omega,k} is the residual error under T*: another number. ii) survives where Q* is in Omega.

Both sides, Bound, Teeth: as in `statement.py`; the temperatures are proved roots.
"""

from verify.claims import recorded
from verify.claims.instances import integer_tables, solved
from verify.claims.theorem_5.rates import EPS_K
from verify.claims.theorem_5.statement import (
    gap_37,
    gap_37_own_policy,
    gap_ii,
    gap_ii_own_policy,
)
from verify.engine.claim import Check, Claim, Correction, NoProof
from verify.engine.verdict import Verdict, Weight
from verify.strategies import instances, mdps, q_tables

_TWO_ACTIONS = recorded.one_state(10.0, 9.0, gamma=0.5)
_NO_PROOF = NoProof("self-consistent temperatures against a limit: the roots are proved, the limit is eq-37")
_READING = r"$\mathcal T_\omega = \mathcal T^{\pi_\omega}$, the operator of Section 3.1 that F.2 replaces."
_DERIVATION = r"""S = 1, A = 2, gamma = 1/2, r = (10, 9), Q = (1, 0): T* Q = (10.5, 9.5), so the limit is
$\tfrac12 9.5^2 = 45.125$. Under $\mathcal T^{\pi_\omega}$ the policy is nearly uniform at such a temperature, backs up
about 1/2 in place of 1, and the only root is $\varepsilon_\omega = 42.81$. With $\mathcal T_\omega = \mathcal T^*$ the
last equality of (37) is the definition of $\varepsilon_\omega$."""

CLAIMS = (
    Claim(
        id="eq-37-own-policy",
        title="The limit of the incremental residual error is that of T^{pi_w}",
        source="Eq. (37), App. F.2, last equality",
        statement=r"\lim_{k\to\infty}\varepsilon_{\omega,k} = \varepsilon_\omega",
        reading=_READING,
        check=Check(
            gap_37_own_policy,
            instances(mdp=mdps(max_states=2, max_actions=2), q=q_tables),
            recorded={"mdp": _TWO_ACTIONS, "q": recorded.Q},
        ),
        expected=Verdict.REFUTED,
        weight=Weight.COMPLETION,
        correction=Correction(
            statement=r"\lim_{k\to\infty}\varepsilon_{\omega,k} = \tfrac cp\|\mathcal T^*\hat Q_\omega - \hat Q_\omega\|_p^p,"
            r"\ \text{ which is } \varepsilon_\omega \text{ if } \mathcal T_\omega = \mathcal T^*",
            derivation=_DERIVATION,
            check=Check(gap_37, instances(mdp=mdps(max_states=3), q=q_tables, eps_k=EPS_K)),
        ),
        not_certified=_NO_PROOF,
    ),
    Claim(
        id="theorem-5-ii-own-policy",
        title="Minimum of the limit, against that of T^{pi_w}",
        source="Thm 5 ii), App. F.2",
        statement=r"\min_\omega\lim_{k\to\infty}\varepsilon_{\omega,k} = \min_\omega\varepsilon_\omega",
        reading=_READING
        + " Theorem 5 ii) does not ask for $Q^*$ in $\\Omega$; with Assumption 2, and the temperature 0 at $Q^*$,"
        " it holds as printed.",
        check=Check(
            gap_ii_own_policy,
            solved(shape=(2, 2), others=integer_tables(-3, 6, count=2)).map(
                lambda x: {name: x[name] for name in ("mdp", "others")}
            ),
            recorded={"mdp": _TWO_ACTIONS, "others": recorded.Q[None]},
        ),
        expected=Verdict.REFUTED,
        weight=Weight.COMPLETION,
        correction=Correction(
            statement=r"\text{for } \mathcal T_\omega = \mathcal T^*,\ \text{or if } Q^* \in \{\hat Q_\omega\}"
            r"\text{ and } \varepsilon_{\omega^*} \text{ is taken to be } 0",
            derivation=r"Omega of one member, the Q of claim `eq-37-own-policy`: 45.125 against 42.81. With $Q^*$ in $\Omega$ both"
            r" sides are 0: the left by (37), the right by the root 0 at $Q^*$.",
            check=Check(gap_ii, solved(shape=(2, 3), others=integer_tables(-3, 6, count=2))),
        ),
        not_certified=_NO_PROOF,
    ),
)
