"""Algorithms by name: the function `iterate`, the settings that it reads, the record of a run."""

import csv
import io
from typing import Literal

import numpy as np
import pytest
from numpy.typing import ArrayLike

from virel_common.errors import InputError
from virel_theory import Iterate, TabularMDP, iterate, puterman_two_state
from virel_theory.variational.record import Record, as_costs
from virel_theory.variational.settings import meanings_of, parse_settings, settings_of
from virel_theory.variational.table import ROWS, algorithm_row

ONE = TabularMDP([[[1.0], [1.0]]], [[1.0, 0.0]], 0.5)


def algorithm(
    mdp,
    *,
    rate: float = 0.5,
    times: int | None = None,
    form: Literal["a", "b"] = "a",
    prior: ArrayLike | None = None,
    model: TabularMDP | None = None,
):
    r"""An algorithm.

    Args:
        mdp: the MDP.
        rate: step size $\eta > 0$,
            per reward unit.
        times, form: as in `other`.
        prior: first policy; None: uniform.

    Returns: nothing.
    """
    return mdp, rate, times, form, prior, model


def iterate_of(step, bound):
    table = np.array([[1.0, -np.inf]])
    return Iterate(step, table, table, table, table, 2.0, 0.25, 3.0 * step, 1e-15, bound)


# The function


def test_it_yields_the_iterates_of_the_algorithm_and_no_more_than_asked_for():
    found = list(iterate("policy-iteration", ONE, steps=3))
    assert [x.step for x in found] == [1, 2, 3]
    assert found[0].policy.tolist() == [[1.0, 0.0]]
    assert found[0].value == pytest.approx(2.0, abs=1e-14)


def test_it_ends_with_the_first_policy_that_is_close_enough():
    found = list(iterate("mpo", ONE, steps=50, atol=0.3, epsilon=0.1))
    assert found[-1].bound <= 0.3 < found[-2].bound


def test_an_iterate_is_computed_when_it_is_asked_for_but_settings_are_checked_at_once():
    iterate("mpo", ONE, steps=10**12)
    with pytest.raises(InputError, match="`epsilon` must be positive"):
        iterate("mpo", ONE, epsilon=0.0)


def test_no_setting_is_hidden_by_an_argument_of_the_function():
    for row in ROWS:
        assert not {"algorithm", "mdp", "steps", "atol"} & set(settings_of(row.load())), row.name


def test_a_list_of_one_mdp_is_that_mdp_and_one_mdp_is_a_list_of_tasks():
    (one,), (listed,) = (list(iterate("mpo", mdp, steps=1)) for mdp in (ONE, [ONE]))
    np.testing.assert_array_equal(one.policy, listed.policy)
    (single,) = iterate("distral", ONE, steps=1)
    assert single.policy.shape == (1, 1, 2)


@pytest.mark.parametrize(
    ("arguments", "settings", "message"),
    [
        (("magic", ONE), {}, "`algorithm` must be one of"),
        ((None, ONE), {}, "`algorithm` must be one of policy-iteration, .*, distral; found None"),
        ((5, ONE), {}, "`algorithm` must be one of .*; found 5"),
        ((["mpo"], ONE), {}, r"`algorithm` must be one of .*; found \['mpo'\]"),
        ((ROWS[0], ONE), {}, r"`algorithm` must be one of .*; found Row\(name='policy-iteration'"),
        (("mpo", None), {}, "`mdp` must be a TabularMDP, or a list of them"),
        (("distral", [ONE, 5]), {}, "`mdp` must be a TabularMDP, or a list of them"),
        (("mpo", ONE), {"epsilon": "a"}, "`epsilon` must be a single number; found 'a'"),
        (("mpo", ONE), {"atol": None, "steps": "a"}, "`steps` must be a positive integer; found 'a'"),
        (("mpo", [ONE, ONE]), {}, "`mdp` must be a single MDP for mpo"),
        (("mpo", ONE), {"epsilonn": 1}, "`settings` must name a setting of mpo; found 'epsilonn'"),
        (("mpo", ONE), {"steps": 1.5}, "`steps` must be a positive integer"),
        (("mpo", ONE), {"steps": True}, "`steps` must be a positive integer"),
        (("mpo", ONE), {"atol": np.nan}, "`atol` must be non-negative"),
        (("mpo", ONE), {"prior": [[0.5, 0.6]]}, "`prior` must sum to 1"),
    ],
)
def test_bad_input_is_refused_before_the_first_iterate(arguments, settings, message):
    with pytest.raises(InputError, match=message):
        iterate(*arguments, **settings)


# Memory


def _arrays(name):
    """Every array that an algorithm can be given, none of them what it would take by itself."""
    rng = np.random.default_rng(0)
    shared = np.repeat(rng.dirichlet(np.ones(2 if name == "hdp" else 3), 1), 4, axis=0)
    given = {"prior": shared, "d": rng.dirichlet(np.ones(4)), "low": rng.dirichlet(np.ones(3), (2, 4))}
    given |= {"v0": np.arange(4.0), "observation": np.array([0, 0, 1, 2])}
    return {key: x for key, x in given.items() if key in settings_of(algorithm_row(name).load())}


def _tables(x):
    return [x.q.copy(), x.posterior.copy(), x.prior.copy(), x.policy.copy(), x.value, x.kl]


@pytest.mark.parametrize("name", [row.name for row in ROWS])
def test_arrays_that_the_caller_reuses_change_no_later_iterate(name):
    rng = np.random.default_rng(1)
    mdp = TabularMDP(rng.dirichlet(np.ones(4), (4, 3)), rng.normal(size=(4, 3)), 0.9)
    undisturbed = [_tables(x) for x in iterate(name, mdp, steps=4, **_arrays(name))]
    given = _arrays(name)
    iterates = iterate(name, mdp, steps=4, **given)
    found = [_tables(next(iterates))]
    for x in given.values():
        if isinstance(x, np.ndarray):
            x[...] = np.roll(x, 1, axis=-1)
    found += [_tables(x) for x in iterates]
    for mine, other in zip(found, undisturbed, strict=True):
        for x, y in zip(mine, other, strict=True):
            np.testing.assert_array_equal(x, y)


@pytest.mark.parametrize("name", [row.name for row in ROWS])
def test_tables_of_an_iterate_are_read_only_and_shared_with_no_other(name):
    rng = np.random.default_rng(1)
    mdp = TabularMDP(rng.dirichlet(np.ones(4), (4, 3)), rng.normal(size=(4, 3)), 0.9)
    found = [[x.q, x.posterior, x.prior, x.policy] for x in iterate(name, mdp, steps=2)]
    for table in found[0]:
        with pytest.raises(ValueError, match="read-only"):
            table[...] = 0.0
        assert not any(np.shares_memory(table, other) for other in found[1])


def test_an_iterate_leaves_the_tables_that_it_is_made_of_writable():
    table = np.ones((1, 2))
    x = Iterate(1, table, table, table, table, 2.0, 0.25, 3.0, 1e-15, 0.5)
    table[...] = 0.0
    assert x.q.tolist() == x.policy.tolist() == [[1.0, 1.0]]


# Settings


def test_settings_are_the_keyword_only_parameters_with_their_meanings():
    found = settings_of(algorithm)
    assert list(found) == ["rate", "times", "form", "prior", "model"]
    assert found["rate"].default == 0.5
    assert found["rate"].meaning == "step size eta > 0, per reward unit"
    assert found["times"].meaning == found["form"].meaning == "as in `other`"
    assert found["prior"].meaning == "first policy; None: uniform"
    assert found["model"].meaning == ""


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("rate=2", 2.0),
        ("rate=1e-3", 1e-3),
        ("times=3", 3),
        ("times=None", None),
        ("form=b", "b"),
        ("form='b'", "b"),
        ("prior=[[0.5, 0.5]]", [[0.5, 0.5]]),
        ("prior=0,1", (0, 1)),
        ("model=None", None),
    ],
)
def test_a_text_becomes_a_value_of_the_settings_type(text, value):
    (found,) = parse_settings(algorithm, [text], algorithm="x").values()
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("rate=fast", "`rate` must be a number; found 'fast'"),
        ("rate=True", "`rate` must be a number; found True"),
        ("rate=[1]", r"`rate` must be a number; found \[1\]"),
        ("times=2.0", "`times` must be an integer or None; found 2.0"),
        ("form=c", "`form` must be 'a' or 'b'; found 'c'"),
        ("model=x.npz", "`model` must be None; found 'x.npz'"),
        ("mdp=1", "`set` must name a setting of x; found 'mdp'"),
        ("rate", "`set` must be NAME=VALUE; found 'rate'"),
        ("=1", "`set` must name a setting of x; found ''"),
    ],
)
def test_a_text_that_is_no_value_of_the_setting_is_refused(text, message):
    with pytest.raises(InputError, match=message):
        parse_settings(algorithm, [text], algorithm="x")


def test_a_docstring_without_arguments_has_no_meanings():
    assert meanings_of("Summary.\n\nReturns: x.", ["x"]) == {}


def test_a_name_inside_a_sentence_does_not_begin_a_meaning():
    doc = "Args: d: weights, that is d: [S] numbers. q: values.\nReturns: d: nothing."
    assert meanings_of(doc, ["d", "q"]) == {"d": "weights, that is d: [S] numbers", "q": "values"}


# Records


def test_a_record_keeps_numbers_of_all_iterates_and_tables_of_the_last():
    record = Record("mpo")
    for step, bound in ((1, 1 / 3), (2, np.inf)):
        record.add(iterate_of(step, bound))
    arrays = record.arrays()
    assert arrays["step"].tolist() == [1, 2]
    assert arrays["value"].tolist() == [3.0, 6.0]
    assert arrays["bound"].tolist() == [1 / 3, np.inf]
    assert arrays["q"] is record.last.q
    head, first, second = csv.reader(io.StringIO(record.csv()))
    assert head == ["step", "value", "error", "kl", "temperature", "bound"]
    assert first == ["1", "3.0", "1e-15", "0.25", "2.0", repr(1 / 3)]
    assert second[-1] == "inf"


def test_an_empty_record_has_no_tables():
    assert Record("mpo").arrays()["value"].shape == (0,)
    assert "q" not in Record("mpo").arrays()


def test_costs_change_the_sign_of_values_alone():
    x = as_costs(iterate_of(1, 0.5))
    assert (x.value, x.error, x.bound, x.kl) == (-3.0, 1e-15, 0.5, 0.25)
    assert x.q.tolist() == [[-1.0, np.inf]]
    minus = TabularMDP(*_negated(puterman_two_state(gamma=0.5)))
    *_, last = iterate("policy-iteration", minus, steps=3)
    assert as_costs(last).value == pytest.approx(6, rel=1e-12)


def _negated(mdp):
    return mdp.transition, -mdp.reward, mdp.gamma, mdp.initial, mdp.mask
