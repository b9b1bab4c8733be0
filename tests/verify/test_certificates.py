"""Certificates: every kind re-checks, planted errors are not certified, files are whole or absent."""

import dataclasses
import json

import numpy as np
import pytest
from flint import ctx, fmpq

from verify import recheck
from verify.certificate import Certificate, Undecided, content_hash, document, write
from verify.certify import exact_claims as rational
from verify.certify import gradients, limits, solution
from verify.certify.instance import exactly
from verify.certify.kinds import certify_differs
from verify.certify.roots import certify_roots
from verify.certify.run import certified_verdict, certify_claim, draw, expected_verdict
from verify.certify.table import CERTIFIERS
from verify.registry import all_claims
from verify.verdict import Verdict
from virel_theory._validate import InputError
from virel_theory.approximators import LinearQ, TabularQ
from virel_theory.generate import garnet
from virel_theory.mdp import TabularMDP
from virel_theory.self_consistent import self_consistent_temperatures
from virel_theory.solvers import solve

# The counterexample of corollary-1: g = (52 sigma(-104/eps))^2 / 2 has the roots 0, 130.51 and 152.22.
THREE_ROOTS = {"mdp": TabularMDP([[[1.0], [1.0]]], [[104.0, 0.0]], 0.5), "q": np.array([[208.0, 104.0]])}


@pytest.mark.parametrize("claim_id", sorted(CERTIFIERS))
def test_every_job_certifies_and_every_certificate_rechecks(claim_id, tmp_path, capsys):
    for row in certify_claim(claim_id, seed=3, out=tmp_path, n_instances=8):
        assert row.ok, row.reason
        assert recheck.main_recheck([str(tmp_path / row.file)]) == 0
    assert "all true" in capsys.readouterr().out


def test_a_runs_results_file_stands_for_the_certificates_beside_it(tmp_path, capsys):
    folder = tmp_path / "certificates"
    folder.mkdir()
    (tmp_path / "results.json").write_text('{"schema": 1}')
    assert recheck.main_recheck([str(tmp_path / "results.json")]) == 2  # nothing to check is no success
    certify_claim("eq-24", seed=0, out=folder, n_instances=3)
    assert recheck.main_recheck([str(tmp_path / "results.json"), str(folder / "eq-24-printed.json")]) == 0
    assert capsys.readouterr().out.count("all true") == 1


@pytest.mark.parametrize("claim_id", sorted(CERTIFIERS))
def test_every_job_belongs_to_a_claim_on_record_and_fits_its_verdict(claim_id):
    claim = all_claims()[claim_id]
    for job in CERTIFIERS[claim_id]:
        if job.form == "printed":
            assert job.refutes == (claim.expected is Verdict.REFUTED)
        if job.form == "corrected":
            assert claim.correction is not None


IDENTITIES = [
    (claim_id, job)
    for claim_id, jobs in CERTIFIERS.items()
    for job in jobs
    if getattr(job.certify, "func", None) is not None and "sides" in job.certify.keywords and not job.refutes
]


@pytest.mark.parametrize(("claim_id", "job"), IDENTITIES, ids=[f"{c}-{job.form}" for c, job in IDENTITIES])
def test_a_planted_error_is_not_certified(claim_id, job):
    """A difference that is off by 2^-20 downwards is no identity and, next to zero, no inequality."""
    sides = job.certify.keywords["sides"]

    def wrong(x):
        return [-abs(ball) - fmpq(1, 2**20) for ball in sides(x)]

    (instance, *_) = draw(job.check_of(all_claims()[claim_id]).instances, seed=0, n=3)
    certify = job.certify.func
    parts = job.certify.keywords["parts"]
    assert isinstance(certify(claim_id, job.form, job.prepare(instance), parts=parts, sides=wrong), Undecided)


def test_an_em_that_takes_another_greedy_action_is_not_certified(monkeypatch):
    x = exactly({"mdp": TabularMDP([[[1.0], [1.0]]], [[0.0, 1.0]], 0.5)})
    wrong = [(tuple(2 * value for value in q), pi) for q, pi in rational.em_trace(x.mdp)]
    monkeypatch.setattr(rational, "em_trace", lambda _: wrong)
    assert isinstance(rational.certify_em("eq-39", "printed", x), Undecided)


def test_a_value_iteration_without_gamma_is_not_certified(monkeypatch):
    x = exactly(THREE_ROOTS)
    tables = rational.fixed_target_tables(x)
    monkeypatch.setattr(rational, "fixed_target_tables", lambda _: [*tables[:3], tables[2]])
    assert isinstance(rational.certify_fixed_target("eq-41", "corrected", x), Undecided)


def test_a_residual_error_that_forgets_a_pair_is_not_certified(monkeypatch):
    x = exactly({"mdp": TabularMDP([[[1.0], [1.0]]], [[0.0, 1.0]], 0.5), "q": np.array([[5.0, 2.0]])})
    monkeypatch.setattr(rational.exact, "residual_error", lambda *_: fmpq(0))
    assert isinstance(rational.certify_optimum("corollary-1", "corrected", x), Undecided)


# The counterexample of theorem-4 and eq-30: beta = (1, 1), eps = 1/2, pi = (1, e)/(1 + e).
GRADIENTS = {
    "mdp": TabularMDP([[[1.0], [1.0]]], [[1.0, 1.5]], 0.0),
    "model": (TabularQ(np.ones((1, 2), bool)), np.array([0.0, 0.5])),
    "eps": 0.5,
}


def test_theorem_4_as_printed_is_off_by_what_one_finds_by_hand(tmp_path):
    """Var(Q) = v/4, Cov(Q, e_1) = -v/2, v = e/(1+e)^2; deps = -1/2. Printed: -9v/4; true: -v + v/2."""
    v = np.e / (1 + np.e) ** 2
    x = gradients.explicit(GRADIENTS)
    (first, _), (first_30, _) = gradients.theorem_4(x), gradients.eq_30(x)
    assert float(first) == pytest.approx(-9 / 4 * v + v / 2, rel=1e-14)
    assert float(first_30) == pytest.approx(-9 / 4 * v, rel=1e-14)
    outcome = certify_differs("theorem-4", "printed", x, parts="mdp q eps", sides=gradients.theorem_4)
    write(tmp_path / "c.json", [outcome])
    assert recheck.recheck(tmp_path / "c.json") == 1


def test_the_corrected_theorem_4_is_not_refuted():
    x = gradients.explicit(GRADIENTS)
    sides = gradients.theorem_4_corrected
    assert isinstance(certify_differs("theorem-4", "printed", x, parts="mdp q eps", sides=sides), Undecided)


def test_eq_31_as_printed_is_off_by_one_at_a_single_pair():
    mdp = TabularMDP([[[1.0]]], [[0.0]], 0.0)
    x = gradients.tabular({"mdp": mdp, "model": (TabularQ(np.ones((1, 1), bool)), np.zeros(1)), "eps_k": 1.0})
    (difference,) = gradients.eq_31(x)
    assert difference == 1


def test_only_tabular_instances_with_an_explicit_temperature_are_certified():
    linear = LinearQ(np.ones((1, 2, 1)))
    with pytest.raises(InputError, match="tabular"):
        gradients.explicit(GRADIENTS | {"model": (linear, np.zeros(1))})
    with pytest.raises(InputError, match="gamma"):
        gradients.explicit(GRADIENTS | {"mdp": TabularMDP([[[1.0], [1.0]]], [[1.0, 1.5]], 0.5)})
    with pytest.raises(InputError, match="residual error"):
        gradients.explicit(GRADIENTS | {"eps": 1.0})


def test_tied_maxima_are_no_dirac():
    outcome = limits.certify_dirac("theorem-1-finite", "printed", {"f": [1, 1], "phi": [0, 1], "eps": 0.5})
    assert isinstance(outcome, Undecided)


@pytest.mark.parametrize("eps", [1.0, 0.01, 1e-4])
def test_a_dirac_limit_is_certified_at_any_temperature(eps, tmp_path):
    outcome = limits.certify_dirac(
        "theorem-1-finite", "printed", {"f": [3, 2, -4], "phi": [0, 1, -1], "eps": eps}
    )
    assert isinstance(outcome, Certificate)
    write(tmp_path / "c.json", [outcome])
    assert recheck.recheck(tmp_path / "c.json") == 1


def test_the_three_roots_are_isolated_as_the_float_solver_finds_them(tmp_path):
    outcome = certify_roots("corollary-1", "printed", exactly(THREE_ROOTS), need="positive")
    assert isinstance(outcome, Certificate)
    write(tmp_path / "c.json", [outcome])
    assert recheck.recheck(tmp_path / "c.json") == 1
    found = self_consistent_temperatures(THREE_ROOTS["mdp"], THREE_ROOTS["q"]).roots
    ends = [
        tuple(float(int(m)) * 2.0 ** int(e) for m, e in (x.split("p") for x in root))
        for root in outcome.result["roots"]
    ]
    assert [
        low <= root.eps <= high or abs(root.eps - low) < 1e-9
        for (low, high), root in zip(ends, found, strict=True)
    ] == [True] * 3


def test_a_hidden_root_is_missed_by_no_checker(tmp_path):
    outcome = certify_roots("app-c-3", "printed", exactly(THREE_ROOTS), need="several")
    fewer = dataclasses.replace(outcome, result=outcome.result | {"roots": outcome.result["roots"][:2]})
    write(tmp_path / "c.json", [fewer])
    with pytest.raises(recheck.Problem, match="3 roots, not 2"):
        recheck.recheck(tmp_path / "c.json")


def test_near_a_fold_there_is_a_proof_or_none():
    """Two roots meet near a gap of 103.6 (corollary-1): either they are isolated, or nothing is claimed."""
    mdp = TabularMDP([[[1.0], [1.0]]], [[103.6, 0.0]], 0.5)
    with ctx.workprec(64):
        outcome = certify_roots(
            "app-c-3", "printed", exactly({"mdp": mdp, "q": np.array([[207.2, 103.6]])}), need="several"
        )
    assert isinstance(outcome, Undecided | Certificate)


def test_the_solution_of_a_small_mdp_is_embedded_and_rechecks(tmp_path):
    mdp = garnet(30, 3, 4, gamma=0.99, rng=np.random.default_rng(1))
    solved = solve(mdp, atol=1e-8)
    delta = solution.certify_solution(
        mdp, solved.policy, solved.value, path=tmp_path / "c.json", name="garnet"
    )
    assert 0 <= delta <= 1e-8
    assert recheck.recheck(tmp_path / "c.json") == 1


def test_the_float_bound_is_not_below_the_exact_one():
    for seed in range(20):
        mdp = garnet(12, 3, 4, gamma=0.9, rng=np.random.default_rng(seed))
        solved = solve(mdp, atol=1e-6, method="vi")
        bound = solution.policy_bound(mdp, solved.policy, solved.value)
        exact = solution.embedded(mdp, solved.policy, bound.witness).result["delta"]
        assert fmpq(*bound.delta.as_integer_ratio()) >= fmpq(exact)


def test_a_worse_policy_gets_a_larger_delta_that_covers_its_loss():
    mdp = TabularMDP([[[1.0], [1.0]]], [[0.0, 1.0]], 0.5)  # always action 0 loses 2 in value
    bound = solution.policy_bound(mdp, np.array([0]), np.array([2.0]))
    assert 2 <= bound.delta < 2.001


def test_costs_are_negative_rewards(tmp_path):
    mdp = garnet(10, 3, 3, gamma=0.9, rng=np.random.default_rng(2))
    solved = solve(mdp, atol=1e-9, sense="min")
    delta = solution.certify_solution(
        mdp, solved.policy, solved.value, path=tmp_path / "c.json", name="g", sense="min"
    )
    assert delta <= 2e-8
    assert recheck.recheck(tmp_path / "c.json") == 1


def test_a_large_mdp_is_named_by_its_hash_and_is_undecided_to_the_checker(tmp_path):
    mdp = garnet(2000, 3, 4, gamma=0.9, rng=np.random.default_rng(1), sparse=True)
    solved = solve(mdp, atol=1e-6)
    delta = solution.certify_solution(
        mdp, solved.policy, solved.value, path=tmp_path / "c.json", name="big.npz"
    )
    assert delta <= 1e-5
    (entry,) = json.loads((tmp_path / "c.json").read_text())["certificates"]
    assert entry["instance"]["mdp_sha256"] == solution.mdp_hash(mdp)
    with pytest.raises(recheck.Problem, match="not embedded"):
        recheck.recheck(tmp_path / "c.json")


def test_verdicts_with_certificates_follow_the_rule_on_record(tmp_path):
    claim = all_claims()["eq-40"]
    rows = certify_claim("eq-40", seed=0, out=tmp_path, n_instances=3)
    assert certified_verdict(Verdict.HOLDS, rows) is expected_verdict(claim) is Verdict.CERTIFIED
    assert certified_verdict(Verdict.REFUTED, rows) is Verdict.REFUTED
    assert certified_verdict(Verdict.HOLDS, [dataclasses.replace(rows[0], undecided=1)]) is Verdict.HOLDS
    assert expected_verdict(all_claims()["theorem-3"]) is Verdict.REFUTED
    assert expected_verdict(all_claims()["eq-39"]) is Verdict.GAP


def test_the_same_seed_writes_the_same_bytes(tmp_path):
    for folder in ("a", "b"):
        certify_claim("eq-24", seed=5, out=tmp_path / folder, n_instances=5)
    assert (tmp_path / "a/eq-24-printed.json").read_bytes() == (
        tmp_path / "b/eq-24-printed.json"
    ).read_bytes()


def test_the_hash_is_of_the_canonical_content():
    body = document([])
    digest = body.pop("sha256")
    assert digest == content_hash(dict(reversed(body.items())))


def test_an_unwritable_folder_leaves_no_file(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="file"):
        write(tmp_path / "file" / "c.json", [])
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
