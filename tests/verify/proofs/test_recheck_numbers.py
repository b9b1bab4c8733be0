"""The checker's algebra: numbers, their derivatives, formulas, and that nothing in a file goes unread."""

import ast
import copy
import json
import math
import re
from contextlib import nullcontext

import pytest
from flint import arb, ctx, fmpq
from hypothesis import given
from hypothesis import strategies as st

from verify import recheck
from verify.checker import algebra as rc
from verify.checker import answer, formulas, limits, proving
from verify.proofs.certificate import content_hash

H = rc.H


@pytest.fixture(autouse=True)
def no_atoms():
    rc.start()


def number(x):
    with ctx.workprec(200):
        return float(rc.enclosure(x)())


E2, E3 = (lambda: rc.exp(fmpq(2))), (lambda: rc.exp(fmpq(3)))


def test_values_are_those_of_the_math_module():
    x = rc.divide(E2() + 1, E3() - E2()) + rc.log(E2() + E3()) * fmpq(1, 3)
    wanted = (math.e**2 + 1) / (math.e**3 - math.e**2) + math.log(math.e**2 + math.e**3) / 3
    assert number(x) == pytest.approx(wanted, rel=1e-14)


def test_identities_reduce_to_zero():
    a, b = E2(), E3()
    assert rc.zero(rc.divide(a, a + b) + rc.divide(b, a + b) - 1)
    assert rc.zero(rc.log(a * b) - 5)
    assert rc.zero(rc.log(rc.divide(a * a + 2 * a * b + b * b, a + b)) - rc.log(a + b))
    assert rc.zero(
        rc.log(fmpq(12, 35)) - 2 * rc.log(fmpq(2)) - rc.log(fmpq(3)) + rc.log(fmpq(5)) + rc.log(fmpq(7))
    )
    assert rc.zero(rc.log(rc.exp(rc.log(fmpq(2)) + 1)) - rc.log(fmpq(2)) - 1)


def test_what_is_off_by_little_does_not():
    a, b = E2(), E3()
    tiny = fmpq(1, 10**60)
    assert not rc.zero(rc.divide(a, a + b) + rc.divide(b, a + b) - 1 - tiny)
    assert not rc.zero(rc.log(a * b) - 5 - tiny)


def test_nested_inverses_are_eliminated():
    a, b = E2(), E3()
    inner = rc.divide(a, a + b)
    outer = rc.divide(rc.ONE, 1 + inner)  # (a + b)/(2 a + b)
    assert rc.zero(outer * (2 * a + b) - (a + b))
    assert rc.zero(rc.divide(outer, outer) - 1)


@given(x=st.fractions(-3, 3, max_denominator=8), y=st.fractions(1, 3, max_denominator=8))
def test_derivatives_are_those_of_calculus(x, y):
    rc.start()
    x, y = fmpq(x.numerator, x.denominator), fmpq(y.numerator, y.denominator)
    moving = x + H
    assert rc.zero(rc.slope(rc.exp(moving)) - rc.exp(x))
    assert rc.zero(rc.slope(rc.log(y + H)) - 1 / y)
    assert rc.zero(rc.slope(rc.divide(moving, y + H)) - (y - x) / y**2)
    sigmoid = rc.divide(rc.exp(moving), rc.exp(moving) + 1)
    assert rc.zero(rc.slope(sigmoid) - rc.at(sigmoid) * (1 - rc.at(sigmoid)))
    assert rc.zero(rc.slope(rc.log(sigmoid)) - (1 - rc.at(sigmoid)))


def test_a_number_that_still_moves_is_no_number():
    with pytest.raises(KeyError):
        rc.enclosure(rc.exp(fmpq(1)) * (1 + H))()


OUTSIDE = {
    "negative": lambda: rc.log(fmpq(-1)),
    "zero": lambda: rc.log(fmpq(0)),
    "a difference below zero": lambda: rc.log(rc.exp(fmpq(1)) - 3),
    "too long to factor": lambda: rc.log(fmpq(10**13)),
}


@pytest.mark.parametrize("name", OUTSIDE)
def test_logarithms_outside_their_domain_are_refused(name):
    with pytest.raises(limits.Rejected):
        OUTSIDE[name]()


def test_a_divisor_that_may_be_zero_is_undecided(monkeypatch):
    monkeypatch.setattr(rc, "MAX_BITS", 256)
    four = rc.exp(2 * rc.log(fmpq(2)))  # an atom of its own: 4, but not known to be
    with pytest.raises(limits.Rejected):
        rc.divide(rc.ONE, four - 4)


def test_an_indicator_of_a_number_that_may_be_zero_is_undecided(monkeypatch):
    monkeypatch.setattr(rc, "MAX_BITS", 256)
    four = rc.exp(2 * rc.log(fmpq(2)))
    with pytest.raises(limits.Rejected):
        formulas.EACH["zero"](four - 4)
    assert formulas.EACH["zero"](four - 5) == 0
    assert formulas.EACH["zero"](four - four) == 1


# Formulas on the MDP of two states: s0 goes to s0 or s1 with 1/4 and 3/4, or stays; s1 stays.

MDP = {
    "n_states": 2,
    "n_actions": 2,
    "gamma": "1/2",
    "initial": ["1/3", "2/3"],
    "pairs": [
        [0, 0, "1", [[0, "1/4"], [1, "3/4"]]],
        [0, 1, "2", [[0, "1"]]],
        [1, 0, "-1", [[1, "1"]]],
    ],
}


def formula(text, *, mdp=MDP, **parts):
    point = formulas.Instance({"mdp": mdp, **parts}, ["mdp", *parts])
    point.known["j"] = 0
    return point.value(formulas.parsed(text), {})


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("by(q)", ["5", "5"]),
        ("top(q)", ["3", "5"]),
        ("lowest(q)", ["0", "1", "1"]),
        ("E(top(q))", ["9/2", "3", "5"]),
        ("T(q)", ["13/4", "7/2", "3/2"]),
        ("into(q)", ["7/2", "13/2"]),
        ("under(uniform, q)", ["51/16", "13/4", "3/2"]),
        ("q - by(q)", ["-3", "-2", "0"]),
        ("plus(q - 3)", ["0", "0", "2"]),
        ("zero(top(q) - q)", ["0", "1", "1"]),
        ("xlog(0 * q, 0 * q, q)", ["0", "0", "0"]),
    ],
)
def test_formulas_are_evaluated_as_by_hand(text, wanted):
    assert list(map(str, formula(text, q=["2", "3", "5"]))) == wanted


@pytest.mark.parametrize(
    ("text", "wanted"), [("sum(q)", 10), ("mean(q)", fmpq(10, 3)), ("count(q)", 3), ("A", 2)]
)
def test_totals_too(text, wanted):
    assert formula(text, q=["2", "3", "5"]) == wanted


def test_walks_are_enumerated():
    """Horizon 2: s0 a0 to s0 (2 actions) or s1 (1), s0 a1 to s0 (2), s1 a0 to s1 (1)."""
    chances = formula("chance_of_walk()", horizon="2")
    assert list(map(str, chances)) == ["1/12", "1/12", "1/4", "1/3", "1/3", "2/3"]
    assert list(map(str, formula("total(r)", horizon="2"))) == ["2", "3", "0", "3", "4", "-2"]


# Whole files.


def certificate(**changes):
    """eq-24's statement, chain rule, on the MDP above."""
    parts = {"q": ["1", "0", "1/2"], "pi_theta": ["1/3", "2/3", "1"], "d": ["1/4", "3/4"], "eps": "1"}
    zero = {bits: ["-1p-200", "1p-200"] for bits in ("64", "128", "256")}
    entry = {
        "claim": "eq-24",
        "form": "printed",
        "instance": {"mdp": copy.deepcopy(MDP), **parts},
        "result": [zero],
    }
    return {"schema": 2, "versions": {"virel": "0"}, "certificates": [entry | changes]}


def outcome(body, path):
    path.write_text(json.dumps(body | {"sha256": content_hash(body)}))
    return recheck.main_recheck([str(path)])


def test_a_certificate_by_hand_is_true(tmp_path):
    assert outcome(certificate(), tmp_path / "c.json") == 0


def nodes(tree, path=()):
    if isinstance(tree, dict):
        yield path
    for key, child in (
        tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    ):
        yield from nodes(child, (*path, key))


@pytest.mark.parametrize("path", list(nodes(certificate())), ids=str)
def test_a_key_that_nothing_reads_is_rejected_wherever_it_is(path, tmp_path):
    body = certificate()
    node = body
    for key in path:
        node = node[key]
    node["extra"] = "versions may name anything" if path == ("versions",) else "x"
    assert outcome(body, tmp_path / "c.json") == (0 if path == ("versions",) else 2)


@pytest.mark.parametrize("path", list(nodes(certificate())), ids=str)
def test_a_key_that_is_missing_is_rejected_wherever_it_was(path, tmp_path):
    for key in list(_at(certificate(), path)):
        body = certificate()
        del _at(body, path)[key]
        assert outcome(body, tmp_path / "c.json") == (0 if path == ("versions",) else 2), key


def _at(tree, path):
    for key in path:
        tree = tree[key]
    return tree


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("mdp", "gamma"), "1"),
        (("mdp", "initial"), ["1/3", "1/3"]),
        (("mdp", "n_states"), 3),
        (("mdp", "n_states"), 10**30),
        (("mdp", "n_states"), True),
        (("mdp", "pairs", 0, 0), 1),
        (("mdp", "pairs", 0, 3, 0, 1), "1/2"),
        (("mdp", "pairs", 0, 3, 0, 0), 1),
        (("mdp", "pairs", 0, 3), []),
        (("mdp", "pairs"), []),
        (("mdp", "pairs", 0, 1), 2),
        (("pi_theta",), ["1/3", "1/3", "1"]),
        (("pi_theta",), ["-1/3", "4/3", "1"]),
        (("q",), ["1", "0"]),
        (("q",), {}),
        (("q",), 1),
        (("eps",), "0"),
        (("eps",), ["1"]),
    ],
)
def test_an_instance_that_is_none_is_rejected(path, value, tmp_path, capsys):
    body = certificate()
    instance = body["certificates"][0]["instance"]
    _at(instance, path[:-1])[path[-1]] = value
    assert outcome(body, tmp_path / "c.json") == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_a_claim_with_fewer_results_than_facts_is_rejected(tmp_path):
    assert outcome(certificate(result=[]), tmp_path / "c.json") == 2


def test_a_trace_of_one_table_claims_nothing(tmp_path):
    """There is no step in it of which anything would be proved."""
    zero = {bits: ["0p0", "0p0"] for bits in ("64", "128", "256")}
    parts = {"mdp": copy.deepcopy(MDP), "tables": [["0", "0", "0"]]}
    body = certificate(claim="eq-40", instance=parts, result=[zero] * 3)
    assert outcome(body, tmp_path / "c.json") == 2


def test_a_refutation_must_exclude_zero_and_name_a_component(tmp_path):
    """design-05: the printed product sums to the number of states, 2; the difference is 1."""
    base = {"claim": "design-05", "instance": {"mdp": MDP, "pi": ["1/2", "1/2", "1"]}}
    for ends, component, status in (
        (["1p0", "1p0"], 0, 0),
        (["1p-1", "3p0"], 0, 0),
        (["-1p0", "3p0"], 0, 1),
        (["0p0", "3p0"], 0, 1),
        (["2p0", "3p0"], 0, 1),
        (["1p0", "1p0"], 1, 2),
        (["1p0", "1p0"], -1, 2),
        (["1p0", "1p0"], "0", 2),
    ):
        body = certificate(**base, result=[{"enclosure": ends, "component": component}])
        assert outcome(body, tmp_path / "c.json") == status, (ends, component)


def test_enclosures_of_an_identity_must_shrink_with_the_precision(tmp_path):
    for bits, exponent, status in (("64", -34, 0), ("64", -32, 1), ("256", -130, 0), ("256", -128, 1)):
        body = certificate()
        body["certificates"][0]["result"][0][bits] = [f"-1p{exponent}", f"1p{exponent}"]
        assert outcome(body, tmp_path / "c.json") == status, (bits, exponent)


def test_a_claim_without_a_round_claims_nothing(tmp_path):
    """No features: there is no direction in which anything would be proved."""
    parts = {"mdp": copy.deepcopy(MDP), "features": [], "omega": []}
    body = certificate(
        claim="app-e3-optimal-target", instance=parts, result=[{"enclosure": ["1p0", "1p0"], "component": 0}]
    )
    assert outcome(body, tmp_path / "c.json") == 2


def test_an_enclosure_need_not_be_tight_but_must_be_right(tmp_path):
    """By hand: prior and w are (1/2, 1/2), the likelihood is (1, 1/2), so that log p(O) = log(3/4)."""
    gap = math.log(3 / 4) - 0.5 * (math.log(1) + math.log(1 / 2))
    halves = ["1/2", "1/2"]
    base = {"claim": "design-04", "instance": {"joint": ["1", "1/2"], "w": halves, "p_z": halves}}
    attained = {bits: ["0p0", "0p0"] for bits in ("64", "128", "256")}  # by the posterior
    near, far = f"{int(gap * 2**40)}p-40", f"{int(gap * 2**40) + 1}p-40"
    for low, high, status in (
        (near, far, 0),
        ("0p0", "1p9", 0),
        (far, "1p0", 1),
        ("0p0", near, 1),
        ("-1p0", "1p0", 1),
    ):
        result = [{"enclosure": [low, high]}, attained]
        found = outcome(certificate(**base, result=result), tmp_path / "c.json")
        assert found == status, (low, high)


def test_balls_are_compared_surely():
    with ctx.workprec(64):
        wide = arb(1).union(arb(2))
    with pytest.raises(limits.Rejected, match="undecided"):
        rc.settle(lambda: wide, lambda x: x > fmpq(3, 2), lambda x: x < fmpq(3, 2))


@pytest.mark.parametrize(
    ("relation", "ends", "status"),
    [
        (ast.Gt, ["1p-1", "3p0"], 0),
        (ast.Gt, ["0p0", "3p0"], 1),
        (ast.GtE, ["0p0", "3p0"], 0),
        (ast.GtE, ["-1p-9", "3p0"], 1),
        (ast.Gt, ["2p0", "3p0"], 1),
    ],
)
def test_a_strict_inequality_needs_an_interval_without_zero(relation, ends, status):
    with pytest.raises(limits.Rejected) if status else nullcontext():
        proving.prove(relation, [fmpq(1)], {"enclosure": ends})


BROKEN = {
    "pi": (["-1", "2", "1"], "`pi`: must be probabilities that sum to 1; found -1, 2"),
    "d": (["1/2", "1/4"], "`d`: must be probabilities that sum to 1; found 1/2, 1/4"),
    "horizon": ("3/2", "`horizon`: must be a whole number below 100; found 3/2"),
    "eps": ("0", "`eps`: must be above 0; found 0"),
    "q": ("abc", "`q`: malformed"),
    "v": (["1"], "`v`: must have 2 numbers; found 1"),
    "rho": (["1", "1/0"], "`rho`: must be a text with a fraction such as -3/4; found '1/0'"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_part_that_breaks_its_rule_is_named_with_the_rule_and_what_was_found(name):
    value, why = BROKEN[name]
    with pytest.raises(limits.Rejected, match=re.escape(why)):
        formulas.Instance({"mdp": MDP, name: value}, ["mdp", name])


@pytest.mark.parametrize("gamma", ["-1/2", "1", "3/2"])
def test_a_discount_is_at_least_0_and_below_1(gamma):
    with pytest.raises(limits.Rejected, match=f"`gamma`: must be at least 0 and below 1; found {gamma}"):
        formulas.Instance({"mdp": MDP | {"gamma": gamma}}, ["mdp"])


def test_of_equal_actions_the_first_is_greedy():
    assert list(map(str, formula("lowest(q)", q=["3", "3", "5"]))) == ["1", "0", "1"]


@pytest.mark.parametrize(("rewards", "wanted"), [((1, 2, -1), 6), ((10, 11, 10), 2), ((-10, -11, -10), 2)])
def test_any_policy_is_within_the_spread_of_rewards_over_the_effective_horizon(rewards, wanted):
    """With gamma 1/2, all values lie between the least and the largest reward, over 1/2."""
    pairs = [[s, a, str(x), row] for (s, a, _, row), x in zip(MDP["pairs"], rewards, strict=True)]
    assert formula("any_policy", v=["0", "7"], mdp=MDP | {"pairs": pairs}) == wanted


def test_tables_that_do_not_meet_are_refused():
    with pytest.raises(limits.Rejected, match="do not meet"):
        formula("q + chance_of_walk()", q=["1", "2", "3"])


@pytest.mark.parametrize(("text", "wanted"), [("1/3", "0.3334"), ("2", "2"), ("10001/10000", "1.001")])
def test_a_delta_is_rounded_up(text, wanted):
    assert answer._rounded_up(text) == wanted
