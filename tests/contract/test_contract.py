"""Promises of every public function, checked for all of them; one without an entry in `table.py` fails.

Tolerance where the order of a sum changes (relabelling, CSR, padding): values are below 32 and sums have at
most 20 terms, the linear systems condition numbers below 1e3: 1e-10 is a hundred times that many ulps.
"""

import inspect

import numpy as np
import pytest

import virel_theory as vt
from tests.support.table import OTHERS, TABLES
from tests.support.worlds import AXES, embedded, make_world, pad, permuted, relabel

WORLD = make_world()
MASKED = embedded(WORLD)
NAMES = sorted(TABLES)


def public_functions():
    names = (name for name in vt.__all__ if inspect.isfunction(getattr(vt, name)))
    return sorted(names)


def call(name, world, **changed):
    """Call a public function with its arguments from the world, some of them changed."""
    function, entry = getattr(vt, name), TABLES[name]
    given = {arg: world.values[value] for arg, value in entry.names.items() if arg != "mdp"} | changed
    if "mdp" in entry.names:
        given.setdefault("mdp", world.mdp)
    if isinstance(given.get("hessian_vector"), np.ndarray):
        curvature = given["hessian_vector"]
        given["hessian_vector"] = lambda v: curvature @ v
    return function(**given)


def result(name, world, **changed):
    return TABLES[name].read(call(name, world, **changed))


def arrays_of(name, world):
    """`{argument: array}` of the array arguments of a function."""
    pairs = TABLES[name].names.items()
    values = {arg: world.values[value] for arg, value in pairs if arg != "mdp"}
    return {arg: value for arg, value in values.items() if isinstance(value, np.ndarray)}


def assert_close(name, found, wanted):
    np.testing.assert_allclose(found, wanted, rtol=TABLES[name].tol, atol=TABLES[name].tol)


def test_every_public_function_is_in_the_table():
    assert sorted({*TABLES, *OTHERS}) == public_functions()
    assert {*TABLES}.isdisjoint(OTHERS)


@pytest.mark.parametrize("name", NAMES)
def test_the_table_names_arguments_that_exist_and_all_required_ones(name):
    parameters = inspect.signature(getattr(vt, name)).parameters
    required = {p.name for p in parameters.values() if p.default is p.empty and p.kind is not p.VAR_KEYWORD}
    assert required <= {*TABLES[name].names} <= {*parameters}


@pytest.mark.parametrize("world", [WORLD, MASKED], ids=["all actions", "an action missing"])
@pytest.mark.parametrize("name", NAMES)
def test_results_are_float64_of_the_promised_shape(name, world):
    found, out = result(name, world), TABLES[name].out
    if out:
        assert found.dtype == np.float64
        assert found.shape == tuple(world.size(axis) for axis in out)
    else:
        assert type(found) is float


@pytest.mark.parametrize("name", NAMES)
def test_missing_actions_hold_what_is_promised_and_the_rest_is_as_without_them(name):
    entry = TABLES[name]
    found, wanted = np.asarray(result(name, MASKED)), np.asarray(result(name, WORLD))
    if "A" in entry.out:
        axis = entry.out.index("A")
        assert (np.take(found, [-1], axis=axis) == entry.missing).all()
        found = np.delete(found, -1, axis=axis)
    assert_close(name, found, wanted)


@pytest.mark.parametrize("name", [name for name in NAMES if "mdp" in TABLES[name].names])
def test_a_sparse_mdp_gives_what_the_dense_one_gives(name):
    assert_close(name, result(name, WORLD, mdp=WORLD.mdp.to_sparse()), result(name, WORLD))


@pytest.mark.parametrize("world", [WORLD, MASKED], ids=["all actions", "an action missing"])
@pytest.mark.parametrize("name", NAMES)
def test_relabelling_states_and_actions_relabels_the_result(name, world):
    rng = np.random.default_rng(1)
    states, actions = rng.permutation(world.mdp.n_states), rng.permutation(world.mdp.n_actions)
    wanted = relabel(result(name, world), TABLES[name].out, states, actions)
    assert_close(name, result(name, permuted(world, states, actions)), wanted)


@pytest.mark.parametrize("name", NAMES)
def test_inputs_may_be_read_only_and_stay_as_they_are(name):
    world = make_world()
    before = {arg: value.copy() for arg, value in arrays_of(name, world).items()}
    for value in arrays_of(name, world).values():
        value.flags.writeable = False
    result(name, world)
    for arg, value in arrays_of(name, world).items():
        np.testing.assert_array_equal(value, before[arg])


@pytest.mark.parametrize("name", [name for name in NAMES if TABLES[name].out])
def test_results_are_new_arrays(name):
    found = result(name, WORLD)
    ours = [*arrays_of(name, WORLD).values(), WORLD.mdp.reward, WORLD.mdp.transition, WORLD.mdp.initial]
    assert not any(np.shares_memory(found, array) for array in ours)


@pytest.mark.parametrize(
    "convert", [np.ndarray.tolist, lambda x: x.astype(np.float32)], ids=["list", "float32"]
)
@pytest.mark.parametrize("name", NAMES)
def test_lists_and_float32_give_the_same_bits(name, convert):
    """All values are exact in float32, and everything is computed in float64."""
    own = {"mask", "exists", "hessian_vector", "policy0", "observation"}
    converted = {arg: convert(value) for arg, value in arrays_of(name, WORLD).items() if arg not in own}
    np.testing.assert_array_equal(result(name, WORLD, **converted), result(name, WORLD))


@pytest.mark.parametrize("name", [n for n in NAMES if TABLES[n].names.get("q") in {"q", "beta"}])
def test_integers_are_taken_as_real_numbers(name):
    whole = np.rint(WORLD.values["q"] * 8).astype(np.int64)
    np.testing.assert_array_equal(result(name, WORLD, q=whole), result(name, WORLD, q=whole.astype(float)))


@pytest.mark.parametrize("shape", [(1, 1), (1, 3), (3, 1)])
@pytest.mark.parametrize("gamma", [0.0, 0.75])
@pytest.mark.parametrize("name", NAMES)
def test_one_state_one_action_and_no_future(name, gamma, shape):
    n_parameters = 1 if shape == (1, 1) else 2
    found = np.asarray(result(name, make_world(shape, n_parameters=n_parameters, gamma=gamma)))
    assert np.isfinite(found).all()


def bad_values(value_name, value):
    """`(what is wrong, value)` for an argument, by the kind of value that its name stands for."""
    axes = AXES.get(value_name, "")
    if value_name in {
        "eps",
        "eps_k",
        "c",
        "step_size",
        "atol",
        "tie_tol",
        "alpha",
        "epsilon",
        "eta",
        "exponent",
    }:
        yield from (("negative", -1.0), ("nan", np.nan), ("zero", 0.0))
    elif value_name == "gamma":
        yield from (("negative", -1.0), ("nan", np.nan), ("one", 1.0))
    elif value_name in {"horizon", "n_steps", "max_boxes", "k1"}:
        yield from (("negative", -1),)
    elif axes and isinstance(value, np.ndarray) and value.dtype == np.float64:
        yield "shape", np.zeros((7, *value.shape))
        yield "nan", _spoilt(value, np.nan)
        yield "inf", _spoilt(value, np.inf)
        yield "text", "nonsense"
        if value_name.startswith(("pi", "prior", "p", "d", "other")):
            yield "negative", _spoilt(value, -0.5)
            yield "sum", value * 2


def _spoilt(value, entry):
    out = value.copy()
    out[(0,) * out.ndim] = entry
    return out


BAD = [
    pytest.param(name, arg, wrong, id=f"{name}-{arg}-{label}")
    for name, entry in TABLES.items()
    for arg, value_name in entry.names.items()
    if arg not in {"mdp", "hessian_vector"}
    for label, wrong in bad_values(value_name, WORLD.values[value_name])
    if not (label == "zero" and arg in entry.zero_ok)
]


@pytest.mark.parametrize(("name", "arg", "wrong"), BAD)
def test_bad_input_is_one_error_that_names_the_argument(name, arg, wrong):
    with pytest.raises(vt.InputError) as error:
        result(name, WORLD, **{arg: wrong})
    assert f"`{arg}`" in str(error.value)


OTHER_CALLS = [
    pytest.param(arg, bad_call, id=f"{name}-{arg}")
    for name, calls in OTHERS.items()
    for arg, bad_call in calls.items()
]


@pytest.mark.parametrize(("arg", "bad_call"), OTHER_CALLS)
def test_bad_input_of_the_other_functions_is_one_error_that_names_the_argument(arg, bad_call):
    with pytest.raises(vt.InputError, match=arg):
        bad_call()


@pytest.mark.parametrize(
    "name", [n for n in NAMES if "A" in "".join(AXES.get(v, "") for v in TABLES[n].names.values())]
)
def test_mass_on_an_action_that_does_not_exist_is_bad_input(name):
    policies = [
        arg for arg, v in TABLES[name].names.items() if v in {"pi", "pi_theta", "pi_phi", "pi_0", "prior"}
    ]
    has_mask = "mdp" in TABLES[name].names or "q" in TABLES[name].names
    for arg in policies if has_mask else []:
        value = np.roll(pad(WORLD.values[TABLES[name].names[arg]], "pi"), 1, axis=1)
        with pytest.raises(vt.InputError) as error:
            result(name, MASKED, **{arg: value})
        assert f"`{arg}`" in str(error.value)


POLICIES = [
    "boltzmann_policy",
    "greedy_policy",
    "posterior_action",
    "e_step_complete",
    "mpo_posterior",
    "merl_policy",
]


@pytest.mark.parametrize("temperature", [1e-3, 0.5, 100.0])
@pytest.mark.parametrize("name", POLICIES)
def test_every_policy_that_the_package_computes_is_a_policy_to_the_package(name, temperature):
    """exp(q/eps - log-sum-exp) alone misses a row sum of 1 by max|q|/eps ulps, which `as_policy` refuses."""
    world = make_world((5, 4), seed=3)
    given = {arg: temperature for arg in ("eps", "c") if arg in TABLES[name].names}
    pi = result(name, world, **given)
    assert np.isfinite(vt.state_value(world.mdp, world.values["q"], pi=pi)).all()
