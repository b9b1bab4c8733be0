"""Index of numbered equations, theorems etc. of the paper and its talk, with the claims that check each.

No entry is left out in silence. Some entries are definitions, which cannot be false. Their claims are the
ones that use them.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Entry:
    """Numbered equation, theorem, lemma etc. of the paper or its talk, with the claims about it."""

    label: str
    """Number of the entry, e.g. `Eq. (5)`."""
    text: str
    """Subject of the entry, in a few words."""
    claims: tuple[str, ...]
    """Ids of the claims that check the entry or, if it is a definition, that use it."""
    is_definition: bool = False
    """Whether the entry is a definition, which cannot be false."""


def _definition(label: str, text: str, *claims: str) -> Entry:
    return Entry(label, text, claims, is_definition=True)


def _claim(label: str, text: str, *claims: str) -> Entry:
    return Entry(label, text, claims)


ENTRIES: tuple[Entry, ...] = (
    # Theorems, lemmas and corollaries first: what a reader looks for.
    _claim(
        "Theorem 1",
        "Boltzmann to Dirac",
        "theorem-1",
        "theorem-1-rates",
        "theorem-1-finite",
        "theorem-1-density-range",
    ),
    _claim("Lemma 1", "limits of L", "lemma-1-i", "lemma-1-i-finite", "lemma-1-ii", "lemma-1-ii-finite"),
    _claim(
        "Theorem 2",
        "maximisers of L are optimal",
        "theorem-2",
        "theorem-2-variational-policy",
        "theorem-2-moreover",
        "theorem-2-moreover-finite",
    ),
    _claim("Theorem 2 (talk)", "eps = 0 is sufficient", "talk-theorem-2-i", "talk-theorem-2-ii"),
    _claim("Corollary 1", "eps = 0 is necessary", "corollary-1", "corollary-1-ii", "corollary-1-hence"),
    _claim("Theorem 3", "maximising L is minimising a KL", "theorem-3"),
    _claim("Theorem 4", "derivative of the Boltzmann policy", "theorem-4"),
    _claim(
        "Theorem 5",
        "incremental optimisation",
        "theorem-5-i",
        "theorem-5-ii",
        "theorem-5-ii-own-policy",
        "theorem-5-iii",
        "theorem-5-descent",
        "app-f2-fixed-k",
    ),
    # Main body
    _definition("Eq. (1)", "RL objective J", "talk-limit-j", "app-e4-policy-gradient"),
    _claim(
        "Definitions in use",
        "operators, policies, temperatures and more, against loops over their definitions",
        "def-operators",
        "def-policies",
        "def-approximators",
        "def-projection",
        "def-merl",
        "def-evaluation",
        "def-densities",
        "def-boltzmann-density",
        "def-pseudo-likelihood",
        "def-pseudo-maximiser",
        "def-score",
        "def-updates",
        "def-masked-projection",
        "def-temperature-map",
        "def-self-consistent",
    ),
    _claim("Eq. (2)", "residual error in its printed normalisations", "eq-02"),
    _definition("Eq. (3)", "Boltzmann policy", "eq-29", "theorem-1-finite", "app-b-action-posterior"),
    _definition("Eq. (4)", "objective L", "eq-05", "theorem-3", "lemma-1-i"),
    _claim("Eq. (5)", "L, log-partition, KL and entropy", "eq-05"),
    _claim("Eq. (6)", "E-step", "eq-06"),
    _claim("Eq. (7)", "M-step", "eq-07"),
    _definition("Assumption 1", "0 < Q* < inf", "theorem-2", "lemma-1-ii"),
    _definition("Assumption 2", "Q* is representable", "theorem-2", "theorem-5-iii"),
    _definition("Assumption 3", "unique smooth maximum of Q*", "theorem-2", "talk-theorem-2-ii"),
    _definition("Assumption 4", "pi_omega is representable", "theorem-3"),
    _definition("Assumption 5", "Q_omega is C3", "app-f1-gradient", "eq-35"),
    _definition("Definition 1", "locally C2", "theorem-1", "eq-17"),
    _definition("Definition 2", "target set", "app-c-1", "theorem-5-i"),
    _claim("Talk: limit of eps L", "lim eps L = J", "talk-limit-j", "talk-limit-dropped-term"),
    _claim(
        "Talk: MERL",
        "its bound, and the counterexample",
        "talk-merl-elbo",
        "merl-counterexample",
        "merl-counterexample-threshold",
    ),
    _claim(
        "Talk: pseudo-likelihood",
        "marginal likelihood and risk",
        "pseudo-likelihood-marginal",
        "pseudo-likelihood-jensen",
        "pseudo-likelihood-risk-seeking",
        "talk-reverse-kl",
    ),
    # Appendices A-C
    _definition("Eq. (8)", "log-marginal likelihood", "eq-09"),
    _claim("Eq. (9)", "its decomposition", "eq-09"),
    _claim("Eq. (10)", "posterior over pairs", "eq-10"),
    _claim(
        "App. B",
        "action posterior and ELBO",
        "app-b-action-posterior",
        "app-b-elbo",
        "app-b-minimising",
        "app-b-closer",
    ),
    _claim(
        "App. C",
        "target set and Omega_c",
        "app-c-1",
        "app-c-2",
        "app-c-3",
        "app-c-test-function",
        "app-c-1-sequences",
    ),
    # Appendix D
    _claim("Eq. (11)", "derivation of (5)", "eq-11"),
    *(_claim(f"Eq. ({n})", "proof of Theorem 1", f"eq-{n}") for n in range(12, 20)),
    _claim("Eq. (20)", "proof of Lemma 1", "eq-20"),
    _claim("Eq. (21)", "entropy of a Dirac", "eq-21"),
    _claim("Eq. (22)", "limit of the Boltzmann policy", "talk-theorem-2-ii", "theorem-1-finite"),
    _claim("Eq. (23)", "proof of Theorem 3", "eq-23"),
    _claim("Eq. (24)", "chain rule of the KL", "eq-24", "app-d4-factorisation"),
    # Appendix E
    _claim("Eq. (25)", "gradient of the E-step", "eq-25"),
    _claim("App. E.2", "gradient of the M-step", "app-e2"),
    _claim("Eq. (26)", "gradient of the residual error", "eq-26", "app-e3-optimal-target"),
    _claim("Eq. (27)", "gradient of the residual", "eq-27"),
    _claim("Eq. (28)", "the two together", "eq-28"),
    _claim("Eq. (29)", "derivative of the policy", "eq-29"),
    _claim("Eq. (30)", "gradient of the self-consistent error", "eq-30"),
    _claim("Eq. (31)", "gradient of the incremental residual", "eq-31", "app-e3-log-derivative-k"),
    _claim("App. E.4", "policy gradients", "app-e4-policy-gradient", "app-e4-exchange"),
    # Appendix F
    _claim("Eq. (32)", "tangent weights", "eq-32"),
    _claim(
        "Eq. (33)",
        "projected residual error",
        "eq-33",
        "eq-33-always-zero",
        "app-f1-convergence",
        "app-f1-gradient",
        "app-f1-theorem-2",
    ),
    _claim("Eq. (34)", "auxiliary weights", "eq-34"),
    _claim("Eq. (35)", "parameter update and step sizes", "eq-35", "app-f1-two-timescales"),
    _claim("Eq. (36)", "incremental operator", "eq-36"),
    _claim("Eq. (37)", "its limit", "eq-37", "eq-37-own-policy"),
    _claim("Eq. (38)", "limit of minimisers", "eq-38"),
    _claim(
        "App. F.3",
        "direct methods, and why eps_omega is a surrogate",
        "app-f3-direct",
        "app-f3-direct-m-step",
        "app-f3-surrogate",
    ),
    _definition("App. F.4", "nascent deltas (prose)", "theorem-1", "theorem-1-rates"),
    _claim("Eq. (39)", "M-step is evaluation", "eq-39"),
    _claim("Eq. (40)", "E-step is improvement", "eq-40", "app-f5-policy-iteration"),
    _claim("Eq. (41)", "fixed target", "eq-41"),
    # Appendices G, H
    _claim("App. G", "MPO's posterior", "app-g-posterior", "app-g-m-step-prior"),
    _claim("Eq. (42)", "MPO's objective", "eq-42", "eq-42-omega"),
    _claim("Eq. (43)", "MPO's E-step", "eq-43"),
    _claim("App. H", "policy losses and the temperature of beta", "app-h-policy-loss", "alg-2-temperature"),
    # Marino, Piche and Yue
    _definition("Design (1)", "trajectories", "design-05"),
    _claim("Design (2)", "decomposition", "design-02"),
    _definition("Design (3)", "ELBO", "design-02"),
    _claim("Design (4)", "best posterior", "design-04"),
    _claim("Design (5)", "structured posterior", "design-05"),
    _claim("Design (6)", "variational bound", "design-06"),
    _claim("Design (7)", "step by step", "design-07"),
    _definition("Design (8)", "soft V", "design-10"),
    _definition("Design (9)", "soft Q", "design-10"),
    _claim("Design (10)", "V from Q", "design-10"),
    _claim("Design (11)", "Boltzmann posterior", "design-11"),
    _claim("Design (12)", "maximum entropy", "design-12"),
    _definition("Design (13)", "Gaussian posterior (deep agent)", "deep-tanh-gaussian"),
    _definition("Design (14)", "tanh (deep agent)", "deep-tanh-gaussian"),
    _definition("Design (15)", "iterative gated update (deep agent)", "deep-iterative"),
    _definition("Design (16)", "objective of one step", "design-11"),
    # Statements about the algorithms of Table 1 of Marino et al..
    # MPO (Abdolmaleki et al. 2018b)
    _claim("Design (11), exponent", "posterior with a prior exponent", "design-11-exponent"),
    _claim("MPO Prop. 1", "regularised values lie below the plain ones", "mpo-prop-1"),
    _claim("MPO (16)", "optimal values and posterior of the regularised problem", "mpo-16"),
    _claim("MPO (19), (20)", "the E-step improves", "mpo-19-20"),
    _claim("MPO (21)", "the M-step improves J", "mpo-21"),
    _claim("MPO (23)", "decrease per gradient step", "mpo-23"),
    _claim("MPO, complete M-step", "EM with a copied prior", "mpo-em"),
    _claim("MPO at fixed temperature", "natural policy gradient", "mpo-natural", "mpo-natural-rate"),
    _claim("MPO (9)", "dual of the E-step", "mpo-dual", "mpo-dual-slope"),
    _claim("MPO (9), sampled", "dual from N samples", "mpo-dual-samples"),
    _claim("MPO (25)", "second-order form of the KL", "mpo-25"),
    _claim("MPO (26), (27)", "parts of the Gaussian KL", "mpo-26-27"),
    _claim("MPO A.1", "support of the posterior", "mpo-a1"),
    _claim("MPO (7), (12)", "steps in a trust region, on tables", "mpo-12", "mpo-parametric"),
    _definition("MPO, iterates", "what an exact algorithm reports", "def-iterates"),
    # Design space: RERPI and V-MPO
    _claim("RERPI", "weights that grow with values improve", "rerpi-improvement"),
    _claim("RERPI, Gaussian", "E-step and variance in closed form", "rerpi-gaussian", "rerpi-samples"),
    _claim("RERPI, variance", "the joint fit shrinks the variance", "rerpi-shrinks", "rerpi-premature"),
    _claim("tanh-Gaussian KL", "KL after the tanh", "tanh-kl"),
    _claim("V-MPO (4)", "loss of the temperature", "vmpo-dual"),
    _claim("V-MPO (14), (15)", "Lagrangian of the trust region", "vmpo-14-15"),
    _claim("V-MPO, improvement", "any share, any temperature", "vmpo-improvement"),
    _claim("V-MPO, all kept", "V-MPO against MPO", "vmpo-keep-one"),
    # Design space: soft Q-learning and entropy-regularised policy gradients
    _claim(
        "Soft Q-learning", "contraction and monotonicity", "sql-contraction", "sql-improvement", "def-sql"
    ),
    _claim("Soft values from samples", "bias of the estimate", "sql-value-samples", "sql-policy-proposal"),
    _claim(
        "Stein sampler",
        "one particle, and the space of the score",
        "sql-stein",
        "sql-stein-one",
        "sql-stein-boundary",
        "sql-stein-space",
        "def-stein-flow",
    ),
    _claim("Soft Q-learning (28)", "gradient of the entropy", "sql-28"),
    _claim("Schulman: bandit", "soft Q gradient and policy gradient", "erpg-bandit"),
    _claim(
        "Schulman: n steps",
        "the same on an MDP",
        "erpg-n-step",
        "erpg-coefficient",
        "erpg-advantage-scale",
        "erpg-fixed-point",
        "def-erpg",
    ),
    _claim("Schulman: natural gradient", "damped soft Q regression", "erpg-natural"),
    _claim(
        "Schulman: bonus",
        "entropy bonus of one step, and the uniform prior",
        "erpg-naive-bonus",
        "erpg-uniform-kl",
        "erpg-uniform-kl-episodes",
    ),
    # Design space: sequential Monte Carlo planning
    _claim("SMC: evidence", "unbiased estimate", "smc-unbiased", "smc-evidence"),
    _claim("SMC: first action", "its law, and the rate in N", "smc-consistent", "smc-rate"),
    _claim(
        "SMC: limit",
        "risk-seeking posterior and MERL policy",
        "smc-limit",
        "smc-limit-discount",
        "smc-limit-risk",
    ),
    _claim("SMC: weights", "when increments are constant", "smc-weights", "smc-weights-variance"),
    _claim("SMC: one step", "MPO's weights", "smc-one-step"),
    _claim(
        "SMC, SPO, models: code",
        "iterates and simulator",
        "smc-simulator",
        "smcp-iterates",
        "spo-iterates",
        "model-iterates",
    ),
    _claim(
        "SPO (6), (8), (10)",
        "weights, advantages, first actions",
        "spo-advantage",
        "spo-telescope",
        "spo-marginal",
    ),
    # Design space: learned priors
    _claim(
        "Distral",
        "closed forms of both blocks, ascent, limits of the exponent",
        "distral-blocks",
        "distral-monotone",
        "distral-decoupled",
        "distral-deterministic",
        "distral-backups",
    ),
    _claim("Distral: distilled prior", "weights of the mixture", "distral-distilled"),
    _claim("IADP", "what the hidden part costs, ascent", "iadp-information", "iadp-monotone"),
    _claim("HDP", "bound by the hierarchy, ascent", "hdp-bound", "hdp-monotone"),
    # Design space: iterative inference, models, temperature
    _claim(
        "Iterative inference: gap",
        "gap is a KL divergence, n steps are a temperature",
        "iterative-gap",
        "iterative-temperature",
    ),
    _claim(
        "Iterative inference: ascent",
        "gradient steps and amortisation",
        "iterative-ascent",
        "iterative-ascent-finite",
    ),
    _claim("Iterative inference: gate", "limits of the gated update (15)", "iterative-gate"),
    _claim("Models", "expansion and simulation lemma", "model-expansion", "model-fading", "model-simulation"),
    _claim("Models: rollouts of the prior", "which values they estimate", "model-prior-rollouts"),
    _claim("Residual temperature", "in every row of Table 1", "variational-residual"),
    # Design space: coincidences
    _claim(
        "Coincidences",
        "two rows that are one algorithm",
        "same-mpo-sql",
        "same-distral-sql",
        "same-iadp-mpo",
        "same-vmpo-mpo",
        "same-smcp-mpo",
        "same-hdp-iadp",
        "same-mb-sac",
        "same-erpg-soft-q",
        "same-beta-policy-iteration",
    ),
    # Not printed anywhere: the deep agent's code against the exact objects (virel verify --deep)
    _claim("Deep: critic", "J^Q and J^V", "deep-q-loss", "deep-v-loss"),
    _claim(
        "Deep: several steps", "n steps, Retrace, advantages", "deep-n-step", "deep-retrace", "deep-advantage"
    ),
    _claim("Deep: evaluation", "hard and soft state values", "deep-evaluation-hard-soft"),
    _claim("Deep: policy", "policy loss and posterior", "deep-policy-loss", "deep-tanh-gaussian"),
    _claim("Deep: temperature", "residual error of Algorithm 2", "deep-residual-temperature"),
    _claim("Deep: limit", "complete steps are policy iteration", "deep-em-policy-iteration"),
    _claim(
        "Deep: MPO",
        "E-step, slope of its dual, M-step, parametric form",
        "deep-mpo",
        "deep-mpo-m-step",
        "deep-mpo-parametric",
    ),
    _claim("Deep: RERPI", "Gaussian M-steps, joint and decoupled", "deep-rerpi"),
    _claim("Deep: RERPI, enumerated", "weights by rank on enumerated actions", "deep-rerpi-rank"),
    _claim("Deep: SAC", "soft targets and policy loss on enumerated actions", "deep-sac-discrete"),
    _claim("Deep: V-MPO", "advantages, weights of a rollout's pairs, slope of the dual", "deep-vmpo"),
    _claim("Deep: V-MPO, enumerated", "M-step of a categorical policy", "deep-vmpo-discrete"),
    _claim("Deep: ERPG", "policy gradient with the divergence inside returns", "deep-erpg"),
    _claim("Deep: ERPG, enumerated", "score of a categorical policy", "deep-erpg-discrete"),
    _claim("Deep: SQL", "targets are soft value iteration", "deep-sql"),
    _claim("Deep: SQL, enumerated", "critics and Boltzmann policy", "deep-sql-discrete"),
    _claim("Deep: inference", "steps of iterative inference", "deep-iterative"),
    _claim("Deep: models", "values through a model, and weights of them", "deep-mb-sac", "deep-mb-mpo"),
    _claim("Deep: models, learned prior", "values along a learned prior", "deep-mb-iadp"),
    _claim("Deep: planning", "law of a particle planner", "deep-smcp"),
    _claim("Deep: learned priors", "Distral and IADP on enumerated actions", "deep-distral", "deep-iadp"),
    _claim("Deep: hierarchy", "HDP on enumerated latents and actions", "deep-hdp"),
)


def position(claim_id: str) -> tuple[int, int]:
    """Sort key of a claim in printed order: index of the entry of `ENTRIES` that states it, place in it.

    A claim that no entry names comes after all entries.
    """
    for index, entry in enumerate(ENTRIES):
        if claim_id in entry.claims and not entry.is_definition:
            return index, entry.claims.index(claim_id)
    return len(ENTRIES), 0


def on_record(claim_id: str) -> bool:
    """Whether a claim is one of the record's, not of somebody's own file.

    Example:
        >>> on_record("theorem-3"), on_record("my-claim")
        (True, False)
    """
    return any(claim_id in entry.claims for entry in ENTRIES)
