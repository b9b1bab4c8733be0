"""The mutation run's own parts: mutants are valid, every public formula has one, kernels really change."""

import inspect
import math
from types import CodeType

import pytest

import virel_theory
from benchmarks.mutation import by_tests, deep_scope
from benchmarks.mutation.isolate import in_children, install
from benchmarks.mutation.mutants import mutants_of, sample
from benchmarks.mutation.report import mutated_line, row
from benchmarks.mutation.run import Fate
from benchmarks.mutation.scope import EQUIVALENT, LEFT_OUT, MODULES, source_file

SOURCES = {module: source_file(module).read_text() for module in (*MODULES, *deep_scope.MODULES)}
ALL = {module: mutants_of(module, source) for module, source in SOURCES.items()}
SOME = [module for module, mutants in ALL.items() if mutants]
DELEGATES = {
    "bellman_policy": "the kernel's mean and _back_up, both mutated",
    "state_value": "the kernel's mean, mutated",
    "mpo_m_step_prior": "a copy of its argument",
    "temperature_map": "TemperatureMap.value, mutated",
    "temperature_map_derivative": "TemperatureMap.slope, mutated",
    "self_consistent_temperatures": LEFT_OUT["objective.self_consistent.self_consistent_temperatures"],
    "grad_eps_chain": "mean_over_pairs, mutated",
    "em_steps": "m_step_complete and e_step_complete in turn, both mutated",
    "discounted_occupancy": "mixed_rows and lu_solve, both mutated",
    "log_linear_score": "centre_actions, mutated",
    "grad_beta_optimal": "one_hot_argmax and grad_beta_fixed_policy, both mutated",
    "policy_iteration_steps": "classical._policy_iteration, mutated",
    "soft_policy_iteration_steps": "classical._soft_policy_iteration, mutated",
    "virel": "virel._iterates and boltzmann_policy, both mutated",
    "mpo_parametric": "policy_trust_region and mpo._iterates, both mutated",
    "natural_policy_gradient": "natural._iterates and natural._direction, both mutated",
    "regularised_optimum": LEFT_OUT["variational.parts.optimum.regularised_optimum"],
    "mb_sac": "expanded_action_value and model_based's helpers, all mutated",
    "mb_iadp": "model_based._asymmetric, mutated",
    "plan_posterior": "plans.plan_values and the posterior's helpers, mutated",
    "gaussian_iterates": "gaussian_posterior, _sampled and _iterates, all mutated",
    "gaussian_kl_parts": "gaussian_kl, mutated",
}
"""Public functions that may be without a mutant of their own."""


@pytest.mark.filterwarnings("ignore::SyntaxWarning")  # a mutant may take an entry of a number
@pytest.mark.parametrize("module", SOURCES)
def test_every_mutant_compiles_and_differs_from_the_source_in_meaning(module):
    before = instructions(compile(SOURCES[module], module, "exec"))
    for mutant in ALL[module]:
        assert instructions(compile(mutant.apply(SOURCES[module]), module, "exec")) != before, mutant.key


def instructions(code):
    """Instructions, names and constants of a module and of all functions in it, without line numbers."""
    constants = [instructions(x) if isinstance(x, CodeType) else repr(x) for x in code.co_consts]
    return code.co_code, code.co_names, code.co_varnames, constants


@pytest.mark.parametrize("module", SOME)
def test_the_report_shows_the_line_that_a_mutant_changed(module):
    mutant = ALL[module][0]
    line = mutated_line(Fate(mutant, killed_by="", how="", n_checks=0, seconds=0.0))
    assert mutant.after.strip().splitlines()[0] in line
    assert line != SOURCES[module].splitlines()[mutant.line - 1].strip()


def test_keys_are_unique_and_the_equivalent_ones_exist():
    keys = [mutant.key for mutants in ALL.values() for mutant in mutants]
    assert len(set(keys)) == len(keys)
    assert set(EQUIVALENT) <= set(keys)


@pytest.mark.parametrize("module", SOME)
def test_a_row_of_the_report_shows_the_line_as_the_mutant_has_it(module):
    mutant = ALL[module][0]
    shown = row(Fate(mutant, killed_by="", how="", n_checks=0, seconds=0.0))["mutated_line"]
    original = SOURCES[module].splitlines()[mutant.line - 1].strip()
    assert shown != original


def test_every_public_formula_has_a_mutant():
    mutated = {mutant.function.split(".")[0] for mutants in ALL.values() for mutant in mutants}
    public = {
        name
        for name in virel_theory.__all__
        if inspect.isfunction(f := getattr(virel_theory, name))
        and f.__module__.removeprefix("virel_theory.") in MODULES
    }
    assert public - mutated <= {*DELEGATES}


def test_a_sample_takes_each_function_and_the_same_seed_the_same_mutants():
    mutants = ALL["operators.policies"]
    chosen = sample(mutants, per_function=1, seed=3)
    assert {m.function for m in chosen} == {m.function for m in mutants}
    assert chosen == sample(mutants, per_function=1, seed=3)


def test_messages_checks_and_rounding_allowances_are_left_alone():
    lines = ('"""A - b."""', 'require(x > 1, "x", x + 1, f"{x * 2}")', "slack = 4 * U", "return x * 2")
    source = "def f(x):" + "".join(f"\n    {line}" for line in lines)
    assert {m.before for m in mutants_of("operators.bellman", source)} == {"*", "x * 2", "2"}


def test_a_mutated_module_is_the_one_that_runs_in_its_process():
    (mutant,) = [m for m in ALL["operators.policies"] if m.key.endswith("greedy_policy: max -> min")]

    def in_child():
        import sys  # noqa: PLC0415

        for name in [name for name in sys.modules if name.split(".")[0] == "virel_theory"]:
            del sys.modules[name]
        install(mutant)
        import virel_theory as mutated  # noqa: PLC0415

        return mutated.greedy_policy([[1.0, 0.0]]).tolist()

    ((_, answer, seconds),) = in_children([("x", in_child)], n_parallel=1, seconds=60)
    assert answer == [[0.5, 0.5]]  # at least the minimum: both
    assert math.isfinite(seconds)


def test_a_child_that_raises_hangs_or_dies_is_reported():
    def hang():
        while True:
            pass

    def die():
        import os  # noqa: PLC0415

        os._exit(3)

    answers = {
        label: answer
        for label, answer, _ in in_children(
            [("raise", lambda: 1 / 0), ("hang", hang), ("die", die)], n_parallel=3, seconds=1.0
        )
    }
    assert answers["raise"].startswith("raises ZeroDivisionError")
    assert answers["hang"] == "timeout"
    assert answers["die"] == "the process died"


@pytest.mark.long
def test_a_survivor_is_planted_under_tests_and_the_first_that_fails_is_named(monkeypatch):
    monkeypatch.setattr(by_tests, "STAGES", (("tests/deep/axes/test_gaussian.py",),))
    noticed, not_noticed = (
        mutant
        for module, key in (
            ("axes.gaussian", "kl_by_mean: 0.5 -> 1.0"),
            ("axes.weights", "effective_samples: -1 -> (1)"),
        )
        for mutant in ALL[module]
        if mutant.key.endswith(key)
    )
    assert by_tests.noticed_by(noticed).startswith("tests/deep/axes/test_gaussian.py::test_")
    assert by_tests.noticed_by(not_noticed) == ""
    assert by_tests.mutant_of(noticed.module, noticed.key) == noticed
    with pytest.raises(LookupError, match="has no mutant 'gone'"):
        by_tests.mutant_of("axes.gaussian", "gone")
