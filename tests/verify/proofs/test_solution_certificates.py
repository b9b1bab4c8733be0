"""`virel solve --certify`: a float solution becomes a proof that the checker repeats over the rationals."""

import base64
import json
import zlib
from fractions import Fraction

import numpy as np
import pytest
from flint import fmpq
from scipy.sparse import csr_array

from verify import recheck
from verify.arithmetic.exact import as_given
from verify.checker.second.deciding import verdicts
from verify.commands.recheck import main_recheck
from verify.proofs import solution
from verify.proofs.certificate import write
from verify.proofs.problem import packed, problem_digest
from virel_common.errors import InputError
from virel_theory.mdp.tabular import TabularMDP
from virel_theory.models.draw import garnet
from virel_theory.solvers.solve import solve


def array(text, dtype):
    return np.frombuffer(zlib.decompress(base64.b64decode(text)), dtype)


def proved(mdp, path, *, atol=1e-8, sense="max"):
    """The delta of the solver's policy; its certificate re-checks."""
    solved = solve(mdp, atol=atol, sense=sense)
    delta = solution.certify_solution(mdp, solved.policy, solved.value, path=path, sense=sense)
    assert len(recheck.recheck(path)) == 1
    return delta


@pytest.mark.parametrize("sparse", [False, True])
def test_the_solution_of_a_small_mdp_is_proved(sparse, tmp_path):
    mdp = garnet(30, 3, 4, gamma=0.99, rng=np.random.default_rng(1), sparse=sparse)
    assert 0 <= proved(mdp, tmp_path / "c.json") <= 1e-8


def test_that_of_a_larger_one_too_with_the_margin_of_a_float_sweep(tmp_path):
    mdp = garnet(2000, 3, 4, gamma=0.9, rng=np.random.default_rng(1), sparse=True)
    assert mdp.n_pairs > solution.MAX_EXACT
    assert proved(mdp, tmp_path / "c.json", atol=1e-6) <= 1e-5


def test_missing_actions_and_stored_zeros_are_left_out(tmp_path):
    mask = np.array([[True, False], [True, True]])
    rows = [[[0.0, 1.0], [0.0, 0.0]], [[0.5, 0.5], [1.0, 0.0]]]
    mdp = TabularMDP(rows, [[1.0, 0.0], [0.0, 2.0]], 0.9, mask=mask)
    proved(mdp, tmp_path / "c.json")
    (entry,) = json.loads((tmp_path / "c.json").read_text())["certificates"]
    pairs = entry["instance"]["model"]["pairs"]
    assert array(pairs["size"], "<i4").tolist() == [1, 2, 1]
    assert array(pairs["to"], "<i4").tolist() == [1, 0, 1, 0]


def stored(p, to, starts, *, gamma=0.9):
    """An MDP of one action, stored as it is given."""
    n = len(starts) - 1
    return TabularMDP(csr_array((p, to, starts), shape=(n, n)), np.arange(float(n))[:, None], gamma)


STORED = {
    "a successor twice": stored([0.5, 0.5, 1.0], [0, 0, 1], [0, 2, 3]),
    "unsorted": stored([0.25, 0.75, 1.0], [1, 0, 1], [0, 2, 3]),
    "both, and zeros": stored([0.25, 0.0, 0.5, 0.25, 1.0, 0.0, 1.0], [2, 1, 0, 2, 1, 0, 2], [0, 4, 5, 7]),
}


@pytest.mark.parametrize("name", STORED)
def test_entries_in_any_order_and_twice_are_the_same_mdp(name, tmp_path):
    mdp = STORED[name]
    dense = TabularMDP(mdp.csr_transition.toarray()[:, None], mdp.reward, mdp.gamma)
    assert proved(mdp, tmp_path / "c.json") < 1e-8
    assert proved(dense, tmp_path / "dense.json") < 1e-8
    models = [json.loads((tmp_path / f).read_text())["certificates"][0] for f in ("c.json", "dense.json")]
    assert models[0]["instance"]["model"]["pairs"] == models[1]["instance"]["model"]["pairs"]


def test_entries_whose_sum_rounds_are_refused(tmp_path):
    mdp = stored([0.1, 0.2, 0.7, 1.0], [0, 0, 1, 1], [0, 3, 4])  # 0.1 + 0.2 is no float64
    with pytest.raises(InputError, match=r"duplicate entries whose sum is a float .* found \[0.1, 0.2\]"):
        proved(mdp, tmp_path / "c.json")
    assert list(tmp_path.iterdir()) == []


def test_costs_are_negative_rewards(tmp_path):
    mdp = garnet(10, 3, 3, gamma=0.9, rng=np.random.default_rng(2))
    assert proved(mdp, tmp_path / "c.json", atol=1e-9, sense="min") <= 2e-8


def test_the_float_bound_is_not_below_the_exact_one():
    for seed in range(20):
        mdp = garnet(12, 3, 4, gamma=0.9, rng=np.random.default_rng(seed))
        solved = solve(mdp, atol=1e-6, method="vi")
        bound = solution.policy_bound(mdp, solved.policy, solved.value)
        exact = as_given(mdp)
        chosen = [exact.pairs.index((s, int(a))) for s, a in enumerate(solved.policy)]
        v = [fmpq(*x.as_integer_ratio()) for x in bound.witness.tolist()]
        assert fmpq(*bound.delta.as_integer_ratio()) >= solution.exact_delta(exact, chosen, v)
        rows = [sum((p for _, p in row), fmpq(0)) for row in exact.rows]
        assert fmpq(*bound.norm.as_integer_ratio()) >= exact.gamma * max(rows)


def test_a_worse_policy_gets_a_larger_delta_that_covers_its_loss():
    mdp = TabularMDP([[[1.0], [1.0]]], [[0.0, 1.0]], 0.5)  # always action 0 loses 2 in value
    bound = solution.policy_bound(mdp, np.array([0]), np.array([2.0]))
    assert 2 <= bound.delta < 2.001


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"sense": "MAX"}, r"`sense` must be 'max' \(rewards\) or 'min' \(costs\); found 'MAX'"),
        (
            {"policy": np.array([0.0])},
            r"`policy` must be integers of shape \[1\]",
        ),
        ({"policy": [2]}, "`policy` must take actions that exist; found 2 in state 0"),
        (
            {"policy": [0, 0]},
            r"`policy` must be integers of shape \[1\]",
        ),
    ],
)
def test_another_sense_and_a_policy_that_is_none_are_refused(changes, message):
    mdp = TabularMDP([[[1.0], [1.0]]], [[0.0, 1.0]], 0.5)
    given = {"policy": [1], "value": [2.0], "sense": "max"} | changes
    with pytest.raises(InputError, match=message):
        solution.policy_bound(mdp, given["policy"], given["value"], sense=given["sense"])
    assert solution.policy_bound(mdp, [1], [2.0]).delta < 1e-12  # a list is as good as an array


def certificate_of(mdp, **changes):
    solved = solve(mdp, atol=1e-8)
    bound = solution.policy_bound(mdp, solved.policy, solved.value)
    parts = {"delta": Fraction(bound.delta), "norm": bound.norm} | changes
    return solution.certificate(mdp, parts.pop("policy", solved.policy), bound.witness, **parts)


SMALL = garnet(6, 2, 3, gamma=0.9, rng=np.random.default_rng(5))


def test_a_delta_that_is_too_small_is_not_true(tmp_path):
    write(tmp_path / "c.json", [certificate_of(SMALL, delta=Fraction(1, 10**30))])
    with pytest.raises(recheck.Rejected, match="outside its enclosure") as found:
        recheck.recheck(tmp_path / "c.json")
    assert found.value.args[1] == 1


def test_the_delta_of_the_best_policy_is_not_that_of_another(tmp_path):
    worse = 1 - solve(SMALL, atol=1e-8).policy
    write(tmp_path / "c.json", [certificate_of(SMALL, policy=worse)])
    with pytest.raises(recheck.Rejected, match="outside its enclosure"):
        recheck.recheck(tmp_path / "c.json")


def test_the_value_of_a_bad_policy_does_not_make_it_good(tmp_path):
    """Always action 0: V^pi = 0 = v exactly, but T v - v = 1, so no delta below 1/(1 - 1/2) is proved."""
    mdp = TabularMDP([[[1.0], [1.0]]], [[0.0, 1.0]], 0.5)
    for delta, status in ((Fraction(2), 0), (Fraction(2) - Fraction(1, 10**9), 1)):
        found = solution.certificate(mdp, np.array([0]), np.zeros(1), delta=delta, norm=0.5)
        write(tmp_path / "c.json", [found])
        assert recheck.main_recheck([str(tmp_path / "c.json")]) == status


def test_a_backup_that_does_not_contract_proves_nothing(tmp_path):
    """No reward: v = 0 has no residual, but a row sums to 1 + 2^-27, and gamma times that is above 1."""
    mdp = TabularMDP([[[1.0]]], [[0.0]], 1 - 2.0**-30)
    found = solution.certificate(mdp, np.array([0]), np.zeros(1), delta=Fraction(0), norm=0.9)
    found.instance["model"]["pairs"]["p"] = packed([1 + 2.0**-27], "<f8")
    write(tmp_path / "c.json", [found])
    assert recheck.main_recheck([str(tmp_path / "c.json")]) == 1


def changed(name, values, dtype):
    """The certificate with another packed array."""
    found = certificate_of(SMALL)
    part = found.instance if name in found.instance else found.instance["model"]
    part = part if name in part else part["pairs"]
    part[name] = packed(values(array(part[name], dtype)), dtype)
    return found


BROKEN = {
    "a successor that does not exist": ("to", lambda x: x + 6, "<i4"),
    "a successor twice": ("to", lambda x: 0 * x, "<i4"),
    "sizes that do not add up": ("size", lambda x: x + 1, "<i4"),
    "pairs that fall": ("s", lambda x: x[::-1], "<i4"),
    "an action that does not exist": ("a", lambda x: x + 1, "<i4"),
    "a negative probability": ("p", lambda x: -x, "<f8"),
    "a probability too few": ("p", lambda x: x[:-1], "<f8"),
    "no number": ("p", lambda x: x * np.nan, "<f8"),
    "a value too few": ("v", lambda x: x[1:], "<f8"),
    "no policy": ("pi", lambda x: x / 2, "<f8"),
    "an infinite reward": ("r", lambda x: x * np.inf, "<f8"),
    "rows that sum to 2": ("p", lambda x: 2 * x, "<f8"),
    "rows that sum to 1/10": ("p", lambda x: x / 10, "<f8"),
    "a row that sums to 1 + 2e-8": ("p", lambda x: x * np.where(np.arange(len(x)) < 3, 1 + 2e-8, 1), "<f8"),
    "an initial distribution below 0": ("initial", lambda x: x - np.eye(1, len(x))[0] + 1 / (len(x)), "<f8"),
    "an initial distribution of sum 2": ("initial", lambda x: 2 * x, "<f8"),
}


@pytest.mark.parametrize("name", BROKEN)
@pytest.mark.filterwarnings("ignore:invalid value")  # 0 * inf
def test_arrays_that_are_no_mdp_are_rejected(name, tmp_path, capsys):
    write(tmp_path / "c.json", [changed(*BROKEN[name])])
    assert recheck.main_recheck([str(tmp_path / "c.json")]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert verdicts((tmp_path / "c.json").read_bytes())["solve policy"].startswith("false")


def test_sums_may_be_off_by_rounding(tmp_path):
    found = certificate_of(SMALL, delta=Fraction(1))
    pairs = found.instance["model"]["pairs"]
    pairs["p"] = packed((1 - 2.0**-30) * array(pairs["p"], "<f8"), "<f8")
    write(tmp_path / "c.json", [found])
    assert recheck.main_recheck(["--second", str(tmp_path / "c.json")]) == 0


def test_a_claim_about_an_exact_mdp_takes_no_packed_one(tmp_path):
    """Rows that sum to 1 within rounding only are for solvers."""
    found = certificate_of(SMALL)
    found.instance["mdp"] = found.instance.pop("model")
    write(tmp_path / "c.json", [found])
    assert recheck.main_recheck([str(tmp_path / "c.json")]) == 2


def test_an_mdp_too_large_to_embed_is_an_error(tmp_path, monkeypatch):
    monkeypatch.setattr(solution, "MAX_ENTRIES", 10)
    with pytest.raises(InputError, match="at most 10 entries"):
        proved(SMALL, tmp_path / "c.json")
    assert list(tmp_path.iterdir()) == []


def test_the_answer_names_the_mdp_and_a_digest_of_another_is_refused(tmp_path, capsys):
    path = str(tmp_path / "c.json")
    write(tmp_path / "c.json", [certificate_of(SMALL)])
    mine, other = problem_digest(SMALL), problem_digest(SMALL, sign=-1)
    assert recheck.main_recheck([path, "--problem", mine]) == 0
    assert f"MDP {mine}\n" in capsys.readouterr().out
    assert recheck.main_recheck([path, "--problem", other]) == 2
    assert "it is about the MDP" in capsys.readouterr().err


def test_the_digest_is_of_what_the_arrays_say_not_of_how_they_are_packed(tmp_path):
    found = certificate_of(SMALL)
    pairs = found.instance["model"]["pairs"]
    pairs["p"] = base64.b64encode(zlib.compress(array(pairs["p"], "<f8").tobytes(), 9)).decode()
    write(tmp_path / "c.json", [found, certificate_of(SMALL)])
    (first, second) = recheck.recheck(tmp_path / "c.json")
    assert first == second
    assert first.problem == problem_digest(SMALL)


def test_a_delta_that_says_nothing_is_visible(tmp_path, capsys):
    write(tmp_path / "c.json", [certificate_of(SMALL, delta=Fraction(9 * 10**299))])
    assert recheck.main_recheck([str(tmp_path / "c.json")]) == 0
    assert "delta 9e+299, which says nothing: any policy is within" in capsys.readouterr().out


def test_the_command_holds_certificates_against_the_users_own_mdp(tmp_path, capsys):
    path, mdp = str(tmp_path / "c.json"), str(tmp_path / "mdp.npz")
    write(tmp_path / "c.json", [certificate_of(SMALL)])
    SMALL.save(mdp)
    assert main_recheck([path, "--mdp", mdp]) == 0
    assert main_recheck([path, "--mdp", mdp, "--gamma", "0.8"]) == 2
    assert main_recheck([path, "--mdp", mdp, "--sense", "min"]) == 2
    assert main_recheck([path, "--mdp", str(tmp_path / "none.npz")]) == 2
    assert capsys.readouterr().err.count("\n") == 3


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--gamma", "3"], "`gamma` must come with --mdp; found 3.0"),
        (["--gamma", "0"], "`gamma` must come with --mdp; found 0.0"),
        (["--sense", "min"], "`sense` must come with --mdp; found 'min'"),
        (["--goal", ""], "`goal` must come with --mdp; found ''"),
        (["--reward", "time"], "`reward` must come with --mdp; found 'time'"),
        (["--mdp", "mdp.npz", "--problem", "0000"], "`problem` must not be combined with --mdp, which has"),
        (["--mdp", "mdp.npz", "--problem", ""], "`problem` must not be combined with --mdp, which has"),
        (["--mdp", ""], "`mdp` must be a file or gym:ID; found ''"),
    ],
)
def test_an_option_of_the_command_is_refused_rather_than_ignored(
    tmp_path, monkeypatch, capsys, options, message
):
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "c.json", [certificate_of(SMALL)])
    SMALL.save("mdp.npz")
    assert main_recheck(["c.json", *options]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"virel recheck: {message}")
