"""What is mutated and what is not, with reasons; mutants that cannot change a value, argued one by one."""

MODULES = (
    "operators",
    "_kernels",
    "policies",
    "objective",
    "posterior",
    "residual",
    "_temperature",
    "self_consistent",
    "gradients",
    "gradients_as_printed",
    "gradients_em",
    "em",
    "merl",
    "mpo",
    "pseudo_likelihood",
    "projection",
    "continuous",
    "densities",
    "_quadrature",
    "approximators",
    "mdp",
)
"""Modules that hold formulas. Not: reading and writing files, generators, the command line, solvers (their
bounds have tests of their own against exact arithmetic)."""

LEFT_OUT = {
    "_temperature.value_range": "enclosure: wider or narrower by rounding, no formula of the paper",
    "_temperature.slope_range": "enclosure",
    "_temperature._variance_range": "enclosure",
    "_temperature.of": "rounding allowances",
    "_temperature.in_own_units": "units: exact powers of 2, by which nothing changes",
    "self_consistent._root_in": "units",
    "self_consistent._times": "units, rounded outwards",
    "self_consistent._subdivide": "search: a change costs time or shows up as an undecided interval",
    "self_consistent._classify": "search",
    "self_consistent._read_run": "search",
    "self_consistent._sign": "search",
    "self_consistent._refine": "search",
    "self_consistent._brent": "search",
    "self_consistent.self_consistent_temperatures": "search",
    "_quadrature.refine": "adaptive rule: a change costs panels, not the value",
    "_quadrature.size": "rounding allowance",
    "_quadrature.coefficients": "change of representation",
    "_quadrature._bernstein": "error bound",
    "_quadrature._sup": "error bound",
    "_quadrature._taylor": "error bound",
    "_quadrature._low_order": "error estimate",
    "_quadrature._hides_a_peak": "adaptive rule",
    "_quadrature._halve": "adaptive rule",
    "densities._edges": "where panels start: costs panels, not the value",
    "merl._steps_to_rounding": "number of sweeps: more than enough are taken",
    "mdp.__post_init__": "validation",
    "mdp.load": "files",
    "mdp.save": "files",
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
_WARNS = "log 0 is -inf either way; the original avoids numpy's warning"

EQUIVALENT: dict[str, str] = {
    "objective.elbo: 0.0 -> 1.0": _MISSING,
    "residual.residual_error: 0.0 -> 1.0": _MISSING,
    "_temperature.beta: 0.0 -> 1.0 #2": _MISSING,
    "gradients.centre_actions: 0.0 -> 1.0": _MISSING,
    "gradients.expect_next: 0.0 -> 1.0": _MISSING,
    "gradients.finite: 0.0 -> 1.0": _MISSING + " (every caller multiplies with a policy or a score, 0 there)",
    "posterior.posterior_action: log_joint - logsumexp(log_joint) -> (log_joint)": (
        "the conditional is normalised per state, so a factor that all pairs share cancels"
    ),
    "posterior.posterior_action: - -> +": "as above",
    "merl.soft_optimal_values: 1.0 -> 2.0": (
        "limit of steps where every reward is 0 and nothing is rounded: one step reaches the bound 0"
    ),
    "mpo.mpo_objective: any -> all": "-(log 0) * mass is -inf too: the early return avoids numpy's warning",
    "pseudo_likelihood._log: > -> >=": _WARNS,
    "projection._gram: True -> False": "rank of a symmetric matrix, by either factorisation",
    "continuous.boltzmann_expectation: > -> >=": "differs where the bound of Z equals Z exactly: error bound",
    "continuous._moments: 9 -> 10": _STEERS,
    "continuous._moments: max -> min": _STEERS,
    "continuous._moments: size if size > 0 else 1.0 -> (1.0)": _STEERS,
    "densities.differential_entropy: * -> /": _STEERS,
    "densities.differential_entropy: 8 + abs(value) -> (abs(value))": _STEERS,
    "_quadrature.plain_panels: abs -> negative": _STEERS,
    "_quadrature.highest: -2 -> (2)": _STEERS,
    "_quadrature.highest: + -> -": _STEERS,
    "_quadrature.highest: np.clip(np.real(roots), low, high) if roots.size else np.array([low]) "
    "-> (np.clip(np.real(roots), low, high))": "without critical points the ends are there all the same",
    "approximators.TanhQ._split: 1 -> 2": "numpy reads any negative size in `reshape` as the unknown one",
    "mdp.csr_transition: 1 -> 2": "as above",
    "projection._features: 1 -> 2": "as above",
    "_kernels.log_expect_rows: > -> >=": "a stored 0 may raise the shift; its term is 0 all the same",
    "posterior.posterior_elbo: 0.0 -> 1.0": _MISSING,
    "continuous.boltzmann_expectation: / -> * #2": _STEERS,
    "continuous._moments: 257 -> 258": _STEERS,
}
"""`Mutant.key` -> why no value changes; these mutants are run but not counted."""
