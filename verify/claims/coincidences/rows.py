r"""Claims that two exact algorithms, rows of Table 1 of Marino et al. or VIREL's own, have the same iterates.

Both sides: two functions of `virel_theory.variational.algorithms`, run for three steps with equal settings; their
        tables of action values and policies. They share the core (E-step, backups, solves), not their loops.
Bound:  rounding and its growth over the steps: see `tools`. V-MPO takes advantages below
        `tie_tolerance`, less than 2e-10 max|Q|, for 0, which moves log-policies by as much over eta: the `slack` there.
        beta and policy iteration must agree to the last bit: both are greedy on values by the same solve.
Teeth:  `perturb` doubles the temperature (or the step, or for beta without one the rewards) of one of the two.
"""

from functools import partial
from typing import Any

import numpy as np
from hypothesis import strategies as st

from verify.claims.coincidences.tools import STEPS, compared, first, gammas, warm
from verify.claims.instances import choices
from verify.engine.claim import Assumption, Check, Claim, NoProof
from verify.engine.verdict import Gap, Verdict, worst
from verify.strategies import instances, mdps, policies
from virel_theory.checks import Array
from virel_theory.mdp.tabular import TabularMDP
from virel_theory.variational.algorithms.classical import policy_iteration_steps, soft_policy_iteration_steps
from virel_theory.variational.algorithms.distral import distral
from virel_theory.variational.algorithms.erpg import erpg
from virel_theory.variational.algorithms.hdp import hdp
from virel_theory.variational.algorithms.iadp import iadp
from virel_theory.variational.algorithms.model_based import mb_sac
from virel_theory.variational.algorithms.mpo import mpo
from virel_theory.variational.algorithms.smcp import smcp
from virel_theory.variational.algorithms.sql import sql
from virel_theory.variational.algorithms.virel import beta
from virel_theory.variational.algorithms.vmpo import vmpo
from virel_theory.variational.core.iterate import Iterate, first_prior
from virel_theory.variational.core.regularised import regularised_value


def mpo_sql_gap(*, mdp: TabularMDP, alpha: float, perturb: float = 0.0) -> Gap:
    """Gap of MPO and soft Q-learning: first E-step from the uniform policy; k steps of a bandit at eta = k alpha."""
    hot = alpha * (1 + perturb)
    uniform = first_prior(None, mdp)
    v = regularised_value(mdp, pi=uniform, prior=uniform, alpha=0.0)
    once = compared(mdp, first(mpo(mdp, eta=hot), 1), first(sql(mdp, alpha=alpha, v0=v), 1), eta=alpha)
    bandit = TabularMDP(mdp.transition, mdp.reward, 0.0, mdp.initial, mdp.mask)
    many = first(mpo(bandit, eta=hot))
    cooled = [first(sql(bandit, alpha=alpha / k), 1)[0] for k in range(1, STEPS + 1)]
    return worst(once, compared(bandit, many, cooled, eta=alpha / STEPS))


def distral_sql_gap(
    *, mdp: TabularMDP, reward: Array, alpha: float, rho: float = 0.0, perturb: float = 0.0
) -> Gap:
    """Gap of Distral without distilled policy in its objective: each of two tasks against soft Q-learning."""
    tasks = [mdp, TabularMDP(mdp.transition, reward, mdp.gamma, mdp.initial, mdp.mask)]
    both = first(distral(tasks, alpha=alpha * (1 + perturb), exponent=rho, sweeps=1))
    v0 = alpha * np.log(mdp.available.sum(axis=1))
    gaps = [
        compared(task, [_task(x, i) for x in both], first(sql(task, alpha=alpha, v0=v0)), eta=alpha)
        for i, task in enumerate(tasks)
    ]
    return worst(*gaps)


def _task(x: Iterate, i: int) -> Iterate:
    """Tables of task i of an iterate of several tasks."""
    tables = {name: getattr(x, name)[i] for name in ("q", "posterior", "policy")}
    rest = (x.temperature, x.kl, x.value, x.error, x.bound)
    return Iterate(x.step, tables["q"], tables["posterior"], x.prior, tables["policy"], *rest)


def iadp_mpo_gap(
    *, mdp: TabularMDP, prior: Array, alpha: float, observation: Array | None = None, perturb: float = 0.0
) -> Gap:
    """Gap of IADP with nothing hidden: values, policy and prior minus those of MPO at the fixed temperature."""
    left = first(iadp(mdp, alpha=alpha * (1 + perturb), prior=prior, observation=observation))
    right = first(mpo(mdp, eta=alpha, prior=prior))
    return compared(mdp, left, right, eta=alpha, names=("q", "policy", "prior"))


def vmpo_mpo_gap(
    *, mdp: TabularMDP, prior: Array, alpha: float, keep: float = 1.0, perturb: float = 0.0
) -> Gap:
    """Gap of V-MPO with all pairs kept and every state visited: minus MPO at the same fixed temperature."""
    left = first(vmpo(mdp, keep=keep, eta=alpha * (1 + perturb), prior=prior))
    right = first(mpo(mdp, eta=alpha, prior=prior))
    size = max(float(np.abs(x.q[mdp.available]).max()) for x in left)
    return compared(mdp, left, right, eta=alpha, slack=2e-10 * (1 + size) / alpha)


def smcp_mpo_gap(*, mdp: TabularMDP, prior: Array, alpha: float, perturb: float = 0.0) -> Gap:
    """Gap of plans of one step: first law minus MPO's weights; all laws minus soft policy iteration's policies."""
    plans = first(smcp(mdp, alpha=alpha * (1 + perturb), horizon=1, prior=prior))
    weights = first(mpo(mdp, eta=alpha, prior=prior), 1)
    soft = first(soft_policy_iteration_steps(mdp, alpha=alpha, prior=prior))
    names = ("q", "policy")
    return worst(
        compared(mdp, plans[:1], weights, eta=alpha, names=names),
        compared(mdp, plans, soft, eta=alpha, names=names),
    )


def hdp_iadp_gap(
    *, mdp: TabularMDP, prior: Array, alpha: float, observation: Array, perturb: float = 0.0
) -> Gap:
    """Gap of HDP and IADP: one latent against nothing hidden; one latent per action against the same curtain."""
    hot = alpha * (1 + perturb)
    one = first(hdp(mdp, alpha=hot, latents=1, low=prior[None]))
    seeing = first(iadp(mdp, alpha=alpha, prior=prior))
    pure = np.repeat(np.eye(mdp.n_actions)[:, None, :], mdp.n_states, axis=1)
    blind = np.repeat(prior[:1], mdp.n_states, axis=0)
    curtain: dict[str, Any] = {"observation": observation, "prior": blind}
    each = first(hdp(mdp, alpha=hot, latents=mdp.n_actions, low=pure, low_step=0.0, **curtain))
    names = ("q", "policy", "prior")
    return worst(
        compared(mdp, one, seeing, eta=alpha, names=("q", "policy")),
        compared(mdp, each, first(iadp(mdp, alpha=alpha, **curtain)), eta=alpha, names=names),
    )


def mb_sac_gap(
    *, mdp: TabularMDP, prior: Array, alpha: float, h: int, noise: float = 0.0, perturb: float = 0.0
) -> Gap:
    """Gap of SAC on model values, no step or h steps through the true model: minus soft policy iteration."""
    hot, soft = alpha * (1 + perturb), first(soft_policy_iteration_steps(mdp, alpha=alpha, prior=prior))
    free = first(mb_sac(mdp, alpha=hot, horizon=0, prior=prior))
    through = first(mb_sac(mdp, alpha=hot, horizon=h, prior=prior, noise=noise))
    return worst(compared(mdp, free, soft, eta=alpha), compared(mdp, through, soft, eta=alpha))


def erpg_gap(*, mdp: TabularMDP, prior: Array, alpha: float, step: float, perturb: float = 0.0) -> Gap:
    """Gap of the two forms of the regularised policy gradient: policy gradient with value error minus soft Q."""
    left = first(erpg(mdp, tau=alpha, step=step * (1 + perturb), form="policy-gradient", prior=prior))
    right = first(erpg(mdp, tau=alpha, step=step, form="soft-q", prior=prior))
    return compared(mdp, left, right, eta=alpha)


def beta_policy_iteration_gap(
    *, mdp: TabularMDP, prior: Array, scale: float, perturb: float = 0.0, **settings: Any
) -> Gap:
    """Gap of beta, by default with complete M-steps, and policy iteration: values and policies, to the last bit."""
    reward = mdp.reward * (1 + perturb)
    moved = TabularMDP(mdp.transition, reward, mdp.gamma, mdp.initial, mdp.mask)
    left = first(beta(moved, scale=scale, prior=prior, **{"sweeps": None} | settings))
    right = first(policy_iteration_steps(mdp, prior=prior))
    return Gap(compared(mdp, left, right, eta=1.0).error, 0.0)


def _observations(mdp: TabularMDP) -> st.SearchStrategy[Array]:
    return st.lists(st.integers(0, 1), min_size=mdp.n_states, max_size=mdp.n_states).map(np.array)


def _rewards(mdp: TabularMDP) -> st.SearchStrategy[Array]:
    return st.lists(st.integers(-4, 4), min_size=mdp.reward.size, max_size=mdp.reward.size).map(
        lambda x: np.array(x, dtype=np.float64).reshape(mdp.shape)
    )


def _is_deterministic(mdp: TabularMDP) -> bool:
    p = mdp.dense_transition
    return bool(((p == 0) | (p == 1)).all())


_MDPS = mdps(max_states=4, gammas=gammas(), masked=True)
_PLAIN = mdps(max_states=4, gammas=gammas())
_CHOICES, _PLAIN_CHOICES = (
    choices(max_states=4, gammas=gammas(), masked=True),
    choices(max_states=4, gammas=gammas()),
)
_SURE = _CHOICES.filter(_is_deterministic)
_PRIORS: dict[str, Any] = {"prior": policies, "alpha": warm()}
_BETA: dict[str, Any] = {
    "mdp": _CHOICES,
    "prior": partial(policies, full_support=False),
    "scale": st.sampled_from((1.0, 0.125, 8.0)),
}
_ITERATES = NoProof("iterates of several steps: exponentials of numbers that hold exponentials")


def _same(claim_id: str, title: str, statement: str, gap: Any, parts: dict[str, Any], **rest: Any) -> Claim:
    """Claim of ours that two exact algorithms have the same iterates; two rows of Table 1, unless `rest` says else."""
    known: dict[str, Any] = {"source": "about Marino et al., Table 1", "not_certified": _ITERATES}
    return Claim(
        id=claim_id,
        title=title,
        statement=statement,
        check=Check(gap, instances(**parts), n_random=100),
        expected=Verdict.HOLDS,
        printed=False,
        **known | rest,
    )


def _needs(name: str, text: str, gap: Any, parts: dict[str, Any]) -> tuple[Assumption, ...]:
    return (Assumption(name, text, without=Check(gap, instances(**parts), n_random=100)),)


CLAIMS = (
    _same(
        "same-mpo-sql",
        "MPO's first E-step is soft Q-learning's policy, and k steps of a bandit cool it k-fold",
        r"p \text{ uniform},\ V_0 = V^p:\ \pi^{MPO}_1 = \pi^{SQL}_1 \text{ at } \eta = \alpha;\quad "
        r"\gamma = 0:\ \pi^{MPO}_k \text{ at } \eta = \pi^{SQL}_1 \text{ at } \alpha = \eta/k",
        mpo_sql_gap,
        {"mdp": _CHOICES, "alpha": warm()},
    ),
    _same(
        "same-distral-sql",
        "Distral with prior exponent 0 is soft Q-learning in every task",
        r"\rho = 0,\ V_0 = \alpha\log|A(s)|:\quad (Q_i, \pi_i)_k = (Q, \pi)^{SQL}_k \text{ of task } i",
        distral_sql_gap,
        {"mdp": _CHOICES, "reward": _rewards, "alpha": warm()},
        assumptions=_needs(
            "exponent 0",
            "the distilled policy is not in the objective",
            distral_sql_gap,
            {"mdp": _MDPS, "reward": _rewards, "alpha": warm(), "rho": st.just(0.5)},
        ),
    ),
    _same(
        "same-iadp-mpo",
        "IADP that hides nothing from its prior is MPO at a fixed temperature",
        r"x^D = x:\quad p_k = \pi_k,\ Q_k = Q^{\pi_{k-1}},\ (Q, \pi, p)^{IADP}_k = (Q, q, \pi)^{MPO}_k \text{ at } \eta = \alpha",
        iadp_mpo_gap,
        {"mdp": _CHOICES} | _PRIORS,
        assumptions=_needs(
            "nothing hidden",
            "the prior sees the whole state",
            iadp_mpo_gap,
            {
                "mdp": _PLAIN,
                "alpha": warm(),
                "observation": lambda mdp: st.just(np.zeros(mdp.n_states, dtype=int)),
                "prior": lambda mdp: st.just(first_prior(None, mdp)),
            },
        ),
    ),
    _same(
        "same-vmpo-mpo",
        "V-MPO that keeps all pairs is MPO at a fixed temperature",
        r"keep = 1,\ d^\pi > 0:\quad \psi_k(a|s) = q_k(a|s) \text{ at the same } \eta, \text{ step for step}",
        vmpo_mpo_gap,
        {"mdp": _CHOICES} | _PRIORS,
        assumptions=_needs(
            "all kept",
            "every pair is kept",
            vmpo_mpo_gap,
            {"mdp": _MDPS, "keep": st.just(0.5)} | _PRIORS,
        ),
    ),
    _same(
        "same-smcp-mpo",
        "planning one step: MPO's weights first, soft actor-critic's policies in every step",
        r"h = 1, \text{ deterministic dynamics}:\quad p(a_0|s,O) \propto p(a|s)e^{Q(s,a)/\alpha}:\ = q^{MPO}_1 \text{ at } "
        r"\eta = \alpha,\ = \pi^{SAC}_k \text{ for all } k",
        smcp_mpo_gap,
        {"mdp": _SURE} | _PRIORS,
        assumptions=_needs(
            "deterministic dynamics",
            "every pair has one successor (else the plan chooses its luck)",
            smcp_mpo_gap,
            {"mdp": _MDPS} | _PRIORS,
        ),
    ),
    _same(
        "same-hdp-iadp",
        "HDP with one latent, or one per action, is IADP",
        r"Z = 1,\ t = 1/\alpha:\ \text{IADP that hides nothing};\quad z = a,\ t = 0:\ \text{IADP with the same } x^D",
        hdp_iadp_gap,
        {"mdp": _PLAIN_CHOICES, "prior": policies, "alpha": warm(), "observation": _observations},
    ),
    _same(
        "same-mb-sac",
        "SAC on values through the true model, any number of steps, is SAC",
        r"\hat P = P,\ h \ge 0:\quad (\hat Q_h, \pi)_k = (Q_\pi, \pi)^{SAC}_k",
        mb_sac_gap,
        {"mdp": _CHOICES, "h": st.integers(1, 3)} | _PRIORS,
        assumptions=_needs(
            "true model",
            "the model is the MDP",
            mb_sac_gap,
            {"mdp": _MDPS, "h": st.integers(1, 3), "noise": st.just(0.5)} | _PRIORS,
        ),
    ),
    _same(
        "same-erpg-soft-q",
        "policy gradient with value error is the gradient of soft Q-learning",
        r"\tau\nabla(1-\gamma)J - \nabla E_\mu[\tfrac12(V_q - V_\pi)^2] = -\nabla E_\mu E_\pi[\tfrac12(q - Q_\pi)^2] "
        r"\text{ along all iterates}",
        erpg_gap,
        {"mdp": _CHOICES, "step": st.sampled_from((1.0, 0.5, 0.25))} | _PRIORS,
    ),
    _same(
        "same-beta-policy-iteration",
        "beta with complete M-steps has policy iteration's iterates",
        r"Q_{k-1} = Q^{\pi_{k-1}}:\ \varepsilon_k = 0,\ \pi_k = \text{uniform over } \arg\max_a Q_{k-1},\quad "
        r"(Q, \pi)^{beta}_k = (Q, \pi)^{PI}_k \text{ for all } k",
        beta_policy_iteration_gap,
        _BETA,
        source="about App. F.5 and Algorithm 2",
        not_certified=NoProof(
            "policy iteration's own steps, which `eq-40` and `app-f5-policy-iteration` certify"
        ),
        reading="Where the maximum is tied, the Dirac of (40) is the limit of (3): uniform over the maximisers.",
        assumptions=(
            *_needs(
                "complete M-steps",
                "the M-step evaluates the policy exactly",
                beta_policy_iteration_gap,
                _BETA | {"sweeps": st.just(1)},
            ),
            *_needs(
                "expected residual",
                "the residual error is the operator's, not that of sampled next states",
                beta_policy_iteration_gap,
                _BETA | {"sampled": st.just(True)},
            ),
        ),
    ),
)
