"""Scope of the mutation run: modules, exceptions with reasons, mutants argued to change no value."""

from pathlib import Path

from benchmarks.mutation import deep_scope

ROOT = Path(__file__).resolve().parents[2]

MODULES = (
    "operators.bellman",
    "operators.kernels",
    "operators.policies",
    "objective.elbo",
    "objective.posterior",
    "objective.residual",
    "objective.temperature_map",
    "objective.self_consistent",
    "gradients.pairs",
    "gradients.residual_error",
    "gradients.as_printed",
    "gradients.em_steps",
    "methods.em",
    "methods.merl",
    "methods.mpo",
    "methods.pseudo_likelihood",
    "gradients.projection",
    "continuous.boltzmann",
    "continuous.distributions",
    "continuous.quadrature",
    "gradients.approximators",
    "mdp.policy_system",
    "mdp.tabular",
    "variational.algorithms.model_based",
    "variational.algorithms.smcp",
    "variational.parts.expansion",
    "variational.parts.model_critic",
    "variational.parts.particle_law",
    "variational.parts.particles",
    "variational.parts.plans",
    "variational.algorithms.rerpi",
    "variational.algorithms.vmpo",
    "variational.parts.gaussian",
    "variational.parts.gaussian_fit",
    "variational.parts.joint_fit",
    "variational.parts.rank_weights",
    "variational.parts.top_share",
    "variational.algorithms.distral",
    "variational.algorithms.hdp",
    "variational.algorithms.iadp",
    "variational.algorithms.iterative",
    "variational.algorithms.erpg",
    "variational.algorithms.sql",
    "variational.parts.stein",
    "variational.parts.value_samples",
    "variational.parts.amortisation",
    "variational.parts.gaussian_inference",
    "variational.parts.information",
    "variational.parts.optimum",
    "variational.algorithms.classical",
    "variational.algorithms.mpo",
    "variational.algorithms.natural",
    "variational.algorithms.virel",
    "variational.parts.policy_trust_region",
)
"""Modules that hold formulas. Not: reading and writing files, generators, the command line, solvers (their
bounds have tests of their own against exact arithmetic)."""

LEFT_OUT = {
    "variational.parts.policy_trust_region._bracket": "search: ends of a bracket, not the root in it",
    "objective.temperature_map.value_range": "enclosure: wider or narrower by rounding, no formula of the paper",
    "objective.temperature_map.slope_range": "enclosure",
    "objective.temperature_map._variance_range": "enclosure",
    "objective.temperature_map.of": "rounding allowances",
    "objective.temperature_map.in_own_units": "units: exact powers of 2, by which nothing changes",
    "objective.self_consistent._root_in": "units",
    "objective.self_consistent._times": "units, rounded outwards",
    "objective.self_consistent._subdivide": "search: a change costs time or shows up as an undecided interval",
    "objective.self_consistent._classify": "search",
    "objective.self_consistent._read_run": "search",
    "objective.self_consistent._sign": "search",
    "objective.self_consistent._refine": "search",
    "objective.self_consistent._brent": "search",
    "objective.self_consistent.self_consistent_temperatures": "search",
    "continuous.quadrature.refine": "adaptive rule: a change costs panels, not the value",
    "continuous.quadrature.size": "rounding allowance",
    "continuous.quadrature.coefficients": "change of representation",
    "continuous.quadrature._bernstein": "error bound",
    "continuous.quadrature._sup": "error bound",
    "continuous.quadrature._taylor": "error bound",
    "continuous.quadrature._low_order": "error estimate",
    "continuous.quadrature._hides_a_peak": "adaptive rule",
    "continuous.quadrature._halve": "adaptive rule",
    "continuous.distributions._edges_within": "where panels start: costs panels, not the value",
    "continuous.distributions._width": "where panels start, as above",
    "mdp.policy_system.mix": "of solvers: their bounds are tested against exact arithmetic",
    "mdp.policy_system.direct_solve": "of solvers, as above",
    "operators.kernels.soft_max": "of soft solvers, as above",
    "operators.kernels.soft_weights": "of soft solvers, as above",
    "variational.parts.gaussian._enough": "search: the bracket of a root",
    "variational.parts.joint_fit._multiplier": "search",
    "variational.parts.rank_weights.tie_tolerance": "rounding allowance",
    "variational.parts.plans.__post_init__": "validation",
    "variational.parts.plans.require_count": "validation",
    "variational.parts.particles.check_particles": "validation",
    "variational.parts.expansion.require_model": "validation",
    "variational.parts.expansion.require_steps": "validation",
    "variational.parts.model_critic.model_or_perturbed": "validation",
    "variational.parts.particle_law._require_few": "validation",
    "variational.parts.information.require_same_actions": "validation",
    "variational.parts.information._rows": "validation",
    "variational.parts.optimum.regularised_optimum": "stopping rule: a change costs steps of Newton's method",
    "variational.algorithms.iadp.within": "underflow of probabilities to 0, which no claim draws; has a test of its own",
    "mdp.tabular.__post_init__": "validation",
    "mdp.tabular.load": "files",
    "mdp.tabular.save": "files",
}
"""Functions without a formula of their own (next to every `_as_*`, `_check_*` and `as_*` function)."""

ROUNDING = {
    "U",
    "TINY",
    "eta_beta",
    "eta_v",
    "eta_weights",
    "slack",
    "rounding",
    "noise",
    "truncation",
    "room",
    "lost",
}
"""Names of rounding allowances: what is assigned to them, or multiplied with them, is an error bound."""

_MISSING = "a missing action: the entry is multiplied with probability or weight 0, or masked afterwards"
_STEERS = "only steers the refinement of the quadrature, or enters its error bound"
_BOUND = "error bound, not the value; has a test of its own"
_WARNS = "log 0 is -inf either way; the original avoids numpy's warning"

EQUIVALENT: dict[str, str] = {
    "variational.algorithms.natural._advantage: np.where(taken, q, 0.0) - mix(policy, q)[:, None] "
    "-> (np.where(taken, q, 0.0))": "a constant per state, which the softmax of the logits takes out",
    "variational.algorithms.natural._advantage: - -> +": "as above",
    "variational.algorithms.natural._advantage: 0.0 -> 1.0 #2": "added to the logit -inf of an excluded action",
    "variational.parts.policy_trust_region._gaps: 0.0 -> 1.0": "multiplied with probability 0",
    "variational.parts.policy_trust_region._gaps: 0.0 -> 1.0 #2": "as above",
    "variational.parts.policy_trust_region._divergence: tau - 1 + x -> (x)": (
        "chooses between two forms of the same number"
    ),
    "variational.parts.policy_trust_region._divergence: 0.0 -> 1.0": "fills what is not used",
    "variational.parts.policy_trust_region._policy: weights / weights.sum(axis=1, keepdims=True) -> (weights)": (
        "the sum is 1 but for rounding: tau is the root of that equation"
    ),
    "variational.algorithms.smcp._simulator: mean -> sum": "normalised afterwards",
    "variational.parts.particle_law.particle_law: > -> >=": "before the first step all weights are 1: every choice of "
    "ancestors is the same system",
    "variational.parts.particle_law.particle_law: max(map(len, moves)) ** particles -> (max(map(len, moves)))": (
        "only the limit on the number of combinations"
    ),
    "variational.parts.particle_law._resampled: >= -> >": "differs where rounding decides",
    "variational.parts.particles.ParticlePlans.policy: np.exp(self.log_weight) -> (-np.exp(self.log_weight))": (
        "the law is normalised, so a factor that all weights share cancels"
    ),
    "variational.parts.particles._ancestors: - -> +": "as above",
    "objective.elbo.elbo: 0.0 -> 1.0": _MISSING,
    "objective.residual.residual_error: 0.0 -> 1.0": _MISSING,
    "objective.temperature_map.beta: 0.0 -> 1.0 #2": _MISSING,
    "gradients.pairs.centre_actions: 0.0 -> 1.0": _MISSING,
    "gradients.residual_error._parts: 0.0 -> 1.0": "multiplied with probability 0",
    "operators.policies.kl_divergence: 0.0 -> 1.0": _MISSING,
    "gradients.pairs.expect_next: 0.0 -> 1.0": _MISSING,
    "gradients.pairs.finite: 0.0 -> 1.0": _MISSING
    + " (every caller multiplies with a policy or a score, 0 there)",
    "objective.posterior.posterior_action: log_joint - logsumexp(log_joint) -> (log_joint)": (
        "the conditional is normalised per state, so a factor that all pairs share cancels"
    ),
    "objective.posterior.posterior_action: - -> +": "as above",
    "objective.posterior.posterior_action: logsumexp(log_joint) -> (-logsumexp(log_joint))": "as above",
    "methods.mpo.mpo_e_step_gradient: logits - logsumexp(logits, axis=1, keepdims=True) -> (logits)": (
        "a shift of all logits cancels in g - E_pi[g]"
    ),
    "methods.mpo.mpo_objective: any -> all": "-(log 0) * mass is -inf too: the early return avoids numpy's warning",
    "methods.pseudo_likelihood._log: > -> >=": _WARNS,
    "gradients.projection._gram: True -> False": "rank of a symmetric matrix, by either factorisation",
    "continuous.boltzmann.boltzmann_expectation: > -> >=": "differs where the bound of Z equals Z exactly: error bound",
    "continuous.boltzmann.boltzmann_expectation: slack / room -> (slack)": _BOUND,
    "continuous.boltzmann.boltzmann_expectation: slack / room if room > 0 else math.inf -> (slack / room)": _BOUND,
    "continuous.boltzmann._moments: > -> >=": _STEERS,
    "continuous.boltzmann._moments: 9 -> 10": _STEERS,
    "continuous.boltzmann._moments: max -> min": _STEERS,
    "continuous.boltzmann._moments: size if size > 0 else 1.0 -> (1.0)": _STEERS,
    "continuous.distributions.differential_entropy: * -> /": _STEERS,
    "continuous.distributions.differential_entropy: 8 + sum(map(abs, terms)) -> (sum(map(abs, terms)))": _STEERS,
    "continuous.distributions.differential_entropy: True -> False #2": _BOUND,
    "continuous.quadrature.plain_panels: abs -> negative": _STEERS,
    "continuous.quadrature.highest: 2 -> 3": _STEERS,
    "continuous.quadrature.highest: -2 -> (2)": _STEERS,
    "continuous.quadrature.highest: + -> -": _STEERS,
    "continuous.quadrature.highest: np.clip(np.real(roots), low, high) if roots.size else np.array([low]) "
    "-> (np.clip(np.real(roots), low, high))": "without critical points the ends are there all the same",
    "gradients.approximators.TanhQ._split: 1 -> 2": "numpy reads any negative size in `reshape` as the unknown one",
    "mdp.tabular.csr_transition: 1 -> 2": "as above",
    "mdp.tabular.row_length: 1 -> 2": "as above",
    "mdp.tabular.row_length: max -> min": "only error bounds of solvers use it; has a test of its own",
    "gradients.projection._features: 1 -> 2": "as above",
    "mdp.policy_system.mixed_rows: 1 -> 2": "as above",
    "mdp.policy_system.transposed: rows.T if isinstance(rows, np.ndarray) else sparse.csr_array(rows.T) -> (rows.T)": (
        "CSC in place of CSR, the same matrix"
    ),
    "mdp.policy_system.transposed: rows.T if isinstance(rows, np.ndarray) else sparse.csr_array(rows.T) "
    "-> (sparse.csr_array(rows.T))": "CSR in place of dense, the same matrix, solved by sparse LU",
    "operators.kernels.log_expect_rows: > -> >=": "a stored 0 may raise the shift; its term is 0 all the same",
    "variational.algorithms.vmpo._iterates: / -> *": "the total is 1 but for rounding",
    "variational.parts.gaussian_fit._sampled: 0.5 -> 1.0": "the temperature that spends a budget scales with Q",
    "variational.algorithms.vmpo._iterates: mass / mass.sum() -> (mass)": "as above",
    "variational.algorithms.vmpo._iterates: <= -> <": "differs at the tolerance of rounding itself",
    "variational.parts.top_share._threshold: >= -> >": "as above",
    "variational.parts.top_share._threshold: min(share, reached[-1]) - SLACK -> (min(share, reached[-1]))": (
        "a rounding allowance: the next pair would be kept with a fraction of its size"
    ),
    "variational.parts.top_share.top_share: 1.0 -> 2.0": "the fraction exceeds 1 by rounding only",
    "variational.parts.rank_weights._rank_weights: np.log((n + 0.5) / np.arange(1, n_actions + 1)) "
    "-> (-np.log((n + 0.5) / np.arange(1, n_actions + 1)))": "the normaliser changes its sign too",
    "variational.parts.rank_weights._rank_weights: 0.0 -> 1.0": _MISSING,
    "variational.parts.rank_weights._rank_weights: 0.0 -> 1.0 #2": _MISSING,
    "variational.parts.rank_weights._rank_weights: 0.0 -> 1.0 #3": _MISSING,
    "objective.temperature_map.scaled_variance: 0.0 -> 1.0": "multiplied with probability 0",
    "methods.em.em_fixed_target_steps: 0.0 -> 1.0": "multiplied with probability 0",
    "continuous.boltzmann._moments: 0 -> 1 #2": _STEERS,
    "continuous.boltzmann._moments: and -> or": _BOUND,
    "continuous.quadrature.boltzmann_panels: np.zeros(len(left), bool) if polynomial else "
    "_hides_a_peak(f(x), eps=eps, shift=shift) -> (_hides_a_peak(f(x), eps=eps, shift=shift))": _STEERS,
    "variational.parts.expansion.perturbed_model: model if mdp.is_sparse else model.to_dense() -> (model)": (
        "CSR in place of dense, the same matrix; has a test of its own"
    ),
    "variational.algorithms.hdp._by_latent: 0.0 -> 1.0": _MISSING,
    "variational.parts.stein.action_weights: np.exp(log_density) -> (-np.exp(log_density))": (
        "the normaliser changes its sign too"
    ),
    "variational.algorithms.natural._advantage: 0.0 -> 1.0": _MISSING,
    "variational.algorithms.natural._moved: 0.0 -> 1.0": _MISSING,
    "variational.parts.policy_trust_region.policy_trust_region: out if abs(out) > CLOSE else 0.0 -> (out)": (
        "search: the root within rounding"
    ),
    "variational.parts.policy_trust_region._gaps: > -> >= #2": "multiplied with probability 0",
    "variational.parts.policy_trust_region._divergence: abs -> negative": (
        "chooses between two forms of the same number"
    ),
    "variational.parts.rank_weights._rank_weights: np.cumsum(starts.ravel()) - 1 -> (np.cumsum(starts.ravel()))": (
        "only numbers the groups of tied actions"
    ),
    "variational.parts.rank_weights._rank_weights: - -> + #2": "as above",
    "variational.parts.joint_fit._divergence: > -> >=": "where d is 0 the policy stays, its divergence is 0",
    "variational.parts.top_share._threshold: > -> >=": (
        "a pair without mass reaches no share, and sets no threshold but within the tolerance of ties"
    ),
    "objective.posterior.posterior_elbo: 0.0 -> 1.0": _MISSING,
    "continuous.boltzmann.boltzmann_expectation: / -> * #2": _STEERS,
    "continuous.boltzmann._moments: 257 -> 258": _STEERS,
    "variational.parts.stein.tanh_rule: + -> -": "leaves out two of 641 nodes, of weight e^-38",
    "variational.parts.stein.tanh_rule: 1 -> 2": "one more node, of weight e^-40",
    "variational.parts.stein.action_weights: values - values.max() -> (values)": (
        "a factor that all nodes share cancels; the original cannot overflow"
    ),
    "variational.parts.value_samples._soft_means: 0.0 -> 1.0": _MISSING,
    "variational.parts.value_samples._soft_means: 0.0 -> 1.0 #2": _MISSING,
    "variational.parts.value_samples._soft_means: 0.0 -> 1.0 #3": _MISSING,
    "variational.parts.value_samples._log_chances: 0.0 -> 1.0": "of an action that was not drawn: masked afterwards",
    "variational.parts.value_samples.SampledValues.mean: 0.0 -> 1.0": "multiplied with probability 0",
    "variational.algorithms.erpg._soft_q: 0.0 -> 1.0": _MISSING,
    "variational.algorithms.erpg._soft_q: 0.0 -> 1.0 #2": _MISSING,
    "variational.algorithms.sql._iterates: 0.0 -> 1.0": "the prior is uniform on the actions that exist: its power cancels",
    "variational.algorithms.hdp._tilted: > -> >= #2": _WARNS,
    "variational.parts.amortisation._slowest: 1.0 -> 2.0": _MISSING,
    "variational.parts.amortisation._log_policy: 0.0 -> 1.0": _MISSING,
    "variational.parts.amortisation._log_policy: - -> +": "a shift of all logits cancels in g - E_pi[g]",
    "variational.parts.information.conditional_information: 1.0 -> 2.0": "0 divided by either",
    "variational.parts.information.latent_posterior: > -> >= #2": "the quotient is not used where the mass is 0",
    "variational.parts.information.latent_posterior: 1.0 -> 2.0": "as above",
}
"""`Mutant.key` -> why no value changes; these mutants are run but not counted."""


def package_of(module: str) -> str:
    """Package of a module such as `operators.bellman`; the names of both packages' modules differ."""
    return "virel_deep" if module in deep_scope.MODULES else "virel_theory"


def source_file(module: str) -> Path:
    """File of a module such as `operators.bellman`."""
    return ROOT / package_of(module) / f"{module.replace('.', '/')}.py"
