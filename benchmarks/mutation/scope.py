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

ROUNDING = {"U", "eta_beta", "eta_v", "slack", "rounding", "noise", "truncation", "room"}
"""Names of rounding allowances: what is assigned to them, or multiplied with them, is an error bound."""

EQUIVALENT: dict[str, str] = {}
"""`Mutant.key` -> why no value changes."""
