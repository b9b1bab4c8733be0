"""Certificates: every kind re-checks, planted errors are not certified, files are whole or absent."""

import dataclasses
import re
import tomllib
from pathlib import Path

import numpy as np
import pytest
from flint import arb, fmpq

from verify import recheck
from verify.arithmetic.instance import Exact, exactly
from verify.claims.methods import em_proofs
from verify.claims.optima import roots
from verify.claims.optima.roots import with_roots
from verify.claims.residual_gradients import critic_facts, incremental_facts
from verify.engine.registry import all_claims
from verify.engine.verdict import Verdict
from verify.proofs import prepare, soft_facts
from verify.proofs import shared_facts as rational
from verify.proofs.certificate import Certificate, Undecided, content_hash, document, write
from verify.proofs.facts import Open, certify
from verify.proofs.listing import listing
from verify.proofs.reasons import PARTS, REASONS
from verify.proofs.run import certified_verdict, certify_claim, draw, expected_verdict
from verify.proofs.table import CERTIFIERS
from virel_theory.mdp.tabular import TabularMDP
from virel_theory.objective.self_consistent import self_consistent_temperatures

# The counterexample of corollary-1: g = (52 sigma(-104/eps))^2 / 2 has the roots 0, 130.51 and 152.22.
THREE_ROOTS = {"mdp": TabularMDP([[[1.0], [1.0]]], [[104.0, 0.0]], 0.5), "q": np.array([[208.0, 104.0]])}
JOBS = [(claim_id, job) for claim_id, jobs in CERTIFIERS.items() for job in jobs]
NAMES = [f"{claim_id}-{job.form}" for claim_id, job in JOBS]
STATEMENTS = tomllib.loads(Path(recheck.__file__).with_name("statements.toml").read_text())


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


@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize("exists", [True, False])
def test_a_results_file_that_is_missing_or_without_certificates_is_rejected_beside_good_ones(
    tmp_path, capsys, exists, first
):
    certify_claim("eq-24", seed=0, out=tmp_path, n_instances=3)
    empty, good = tmp_path / "run" / "results.json", tmp_path / "eq-24-printed.json"
    if exists:
        empty.parent.mkdir()
        empty.write_text('{"schema": 1}')
    names = [str(empty), str(good)]
    assert recheck.main_recheck(names if first else names[::-1]) == 2
    out, err = capsys.readouterr()
    assert out == f"{good}: 3 certificates, all true\n"
    (line,) = err.splitlines()
    assert line.startswith(f"{empty}: rejected: ")
    assert ("no certificates beside it" in line) == exists


def test_a_missing_results_file_does_not_stand_for_what_is_beside_it(tmp_path):
    certify_claim("eq-24", seed=0, out=tmp_path / "certificates", n_instances=3)
    assert recheck.main_recheck([str(tmp_path / "results.json")]) == 2


def test_messages_end_without_a_quote(tmp_path, capsys):
    recheck.main_recheck([str(tmp_path / "none.json")])
    assert capsys.readouterr().err.endswith("unreadable: No such file or directory\n")


# What is on record: every claim has a job, or a reason.


def test_every_claim_has_a_certifier_or_a_reason_not_to():
    on_record = {claim_id for claim_id, claim in all_claims().items() if not claim.deep}
    assert set(CERTIFIERS) | set(REASONS) == on_record
    assert not set(CERTIFIERS) & set(REASONS)


def test_every_printed_and_corrected_form_has_a_job_or_a_reason_not_to():
    forms = {claim_id: {job.form for job in jobs} for claim_id, jobs in CERTIFIERS.items()}
    for claim_id, found in forms.items():
        wanted = {"printed"} | ({"corrected"} if all_claims()[claim_id].correction is not None else set())
        assert wanted <= found or claim_id in PARTS, claim_id


def test_the_documentation_lists_what_is_certified():
    """Else: python -m verify.proofs.listing, into docs/certificates.md."""
    assert listing() in (Path(__file__).resolve().parents[3] / "docs/certificates.md").read_text()


@pytest.mark.parametrize(("claim_id", "job"), JOBS, ids=NAMES)
def test_every_job_fits_its_claims_verdict_and_its_statement(claim_id, job):
    claim = all_claims()[claim_id]
    if job.form == "printed":
        assert job.refutes == (claim.expected is Verdict.REFUTED)
    if job.form == "corrected":
        assert claim.correction is not None
    parts, *facts = recheck.CLAIMS[f"{claim_id} {job.form}"]
    relations = [re.search(r"[=!<>]=|>", fact).group() for fact in facts]
    assert (job.parts, [relation for relation, _ in job.facts]) == (parts, relations)


def test_every_statement_belongs_to_a_job_and_every_definition_to_a_statement():
    assert set(recheck.CLAIMS) == {f"{claim_id} {job.form}" for claim_id, job in JOBS} | {"solve policy"}
    claims, define = STATEMENTS["claims"].values(), STATEMENTS["define"]
    texts = [*(fact for _, *facts in claims for fact in facts), *define.values(), "T(q)"]
    words = set(re.findall(r"\w+", " ".join(texts)))
    assert {re.match(r"\w+", key)[0] for key in define} <= words
    assert {part for parts, *_ in claims for part in parts.split()} == set(STATEMENTS["parts"])


def test_verdicts_with_certificates_follow_the_rule_on_record(tmp_path):
    claim = all_claims()["eq-40"]
    rows = certify_claim("eq-40", seed=0, out=tmp_path, n_instances=3)
    assert certified_verdict(Verdict.HOLDS, rows) is expected_verdict(claim) is Verdict.CERTIFIED
    assert certified_verdict(Verdict.REFUTED, rows) is Verdict.REFUTED
    assert certified_verdict(Verdict.HOLDS, [dataclasses.replace(rows[0], undecided=1)]) is Verdict.HOLDS
    assert expected_verdict(all_claims()["theorem-3"]) is Verdict.REFUTED
    assert expected_verdict(all_claims()["eq-39"]) is Verdict.GAP


# Planted errors.

PROOFS = [(claim_id, job) for claim_id, job in JOBS if not job.refutes]


@pytest.mark.parametrize(("claim_id", "job"), PROOFS, ids=[f"{c}-{job.form}" for c, job in PROOFS])
def test_a_planted_error_in_any_fact_is_not_certified(claim_id, job):
    """A difference that is off by 2^-20 downwards is no identity and, next to zero, no inequality."""
    (instance, *_) = draw(job.instances_of(all_claims()[claim_id]), seed=0, n=3)
    x = job.prepare(instance)
    for k, (relation, sides) in enumerate(job.facts):

        def wrong(y, sides=sides):
            return [-abs(ball) - fmpq(1, 2**20) for ball in sides(y)]

        facts = [*job.facts[:k], ("==" if relation == "==" else ">=", wrong), *job.facts[k + 1 :]]
        assert isinstance(certify(claim_id, job.form, x, parts=job.parts, facts=facts), Undecided)


REFUTATIONS = [(claim_id, job) for claim_id, job in JOBS if job.refutes]


@pytest.mark.parametrize(("claim_id", "job"), REFUTATIONS, ids=[f"{c}-{job.form}" for c, job in REFUTATIONS])
def test_a_refuted_identity_is_not_certified_and_a_true_one_is_not_refuted(claim_id, job):
    """What a counterexample shows is lost if a difference is made to vanish, or to change its sign."""
    instances = draw(job.instances_of(all_claims()[claim_id]), seed=0, n=3)
    x = job.prepare(instances[0])
    for k, (relation, sides) in enumerate(job.facts):
        if relation in ("!=", ">"):

            def wrong(y, sides=sides):
                return [ball * 0 for ball in sides(y)]

            facts = [*job.facts[:k], (relation, wrong), *job.facts[k + 1 :]]
            assert isinstance(certify(claim_id, job.form, x, parts=job.parts, facts=facts), Undecided)


def test_an_em_that_takes_another_greedy_action_is_not_certified():
    mdp = TabularMDP([[[1.0], [1.0]]], [[0.0, 1.0]], 0.5)
    x = prepare.em({"mdp": mdp})
    wrong = x.with_parts(tables=[tuple(2 * value for value in q) for q in x.tables])
    facts = [("==", em_proofs.as_policy_iteration)]
    assert isinstance(certify("eq-39", "printed", x, parts="mdp tables", facts=facts), Certificate)
    assert isinstance(certify("eq-39", "printed", wrong, parts="mdp tables", facts=facts), Undecided)


def test_a_value_iteration_that_repeats_a_table_is_not_certified():
    x = prepare.fixed_target(THREE_ROOTS)
    wrong = x.with_parts(tables=[*x.tables[:3], x.tables[2]])
    facts = [("==", em_proofs.value_iteration)]
    assert isinstance(certify("eq-41", "corrected", wrong, parts="mdp q tables", facts=facts), Undecided)


def test_a_residual_error_that_forgets_a_pair_is_not_certified(monkeypatch):
    x = exactly({"mdp": TabularMDP([[[1.0], [1.0]]], [[0.0, 1.0]], 0.5), "q": np.array([[5.0, 2.0]])})
    x = x.with_parts(q_star=(fmpq(1), fmpq(2)))
    monkeypatch.setattr(rational.exact, "residual_error", lambda *_: fmpq(0))
    facts = [("==", rational.zero_iff_optimal)]
    assert isinstance(certify("corollary-1", "corrected", x, parts="mdp q", facts=facts), Undecided)


# Gradients: Theorem 4's smallest counterexample, beta = (1, 1), eps = 1/2, pi = (1, e)/(1 + e).


def two_armed(gamma):
    """One state; Q = (0, 1/2) is tabular."""
    x = exactly({"mdp": TabularMDP([[[1.0], [1.0]]], [[0.0, 0.0]], gamma)})
    unit = [(fmpq(1), fmpq(0)), (fmpq(0), fmpq(1))]
    return x.with_parts(features=unit, omega=(fmpq(0), fmpq(1, 2)), beta=(fmpq(1), fmpq(1)))


def test_theorem_4_as_printed_is_off_by_what_one_finds_by_hand(tmp_path):
    """Var(Q) = v/4, Cov(Q, e_1) = -v/2, v = e/(1+e)^2; deps = -1/2. Printed: -9v/4; true: -v + v/2."""
    v = np.e / (1 + np.e) ** 2
    x = two_armed(0.0)
    (first, _), (first_30, _) = critic_facts.theorem_4(x), critic_facts.eq_30(x)
    assert float(first) == pytest.approx(-v / 2 + 9 / 4 * v, rel=1e-14)
    assert float(first_30) == pytest.approx(9 / 4 * v, rel=1e-14)
    job, _ = CERTIFIERS["theorem-4"]
    outcome = certify("theorem-4", "printed", x, parts=job.parts, facts=job.facts)
    write(tmp_path / "c.json", [outcome])
    assert recheck.recheck(tmp_path / "c.json") == 1


@pytest.mark.parametrize("gamma", [0.0, 0.5, 0.99])
def test_the_corrected_theorem_4_is_not_refuted_and_proved_at_any_discount(gamma, tmp_path):
    x, (_, job) = two_armed(gamma), CERTIFIERS["theorem-4"]
    differs = [("!=", critic_facts.theorem_4_corrected)]
    assert isinstance(certify("theorem-4", "printed", x, parts=job.parts, facts=differs), Undecided)
    proved = certify("theorem-4", "corrected", x, parts=job.parts, facts=job.facts)
    write(tmp_path / "c.json", [proved])
    assert recheck.recheck(tmp_path / "c.json") == 1


def test_the_derivative_of_the_temperature_is_that_of_the_root_that_floats_find():
    """A central difference of the self-consistent temperature, gamma = 1/2; 1e-6 is its truncation."""
    x = two_armed(0.5)
    critic = critic_facts.Critic(x, 1)
    reward = [float(r) for r in critic.reward]
    mdp = TabularMDP([[[1.0], [1.0]]], [reward], 0.5)
    step = 2.0**-12
    ends = [
        next(
            root.eps
            for root in self_consistent_temperatures(mdp, np.array([[0.0, 0.5 + s]])).roots
            if abs(root.eps - 0.5) < 0.05
        )
        for s in (-step, step)
    ]
    assert (ends[1] - ends[0]) / (2 * step) == pytest.approx(float(critic.d_eps), abs=1e-6)


def test_eq_31_as_printed_is_off_by_one_at_a_single_pair():
    x = exactly({"mdp": TabularMDP([[[1.0]]], [[0.0]], 0.0)})
    x = x.with_parts(features=[(fmpq(1),)], omega=(fmpq(0),), eps_k=fmpq(1))
    (difference,) = incremental_facts.eq_31(x, gamma=False, with_q=False)
    assert difference == -1


# Limits.


def dirac(f, phi, eps):
    return Exact(None, {"f": tuple(map(fmpq, f)), "phi": tuple(map(fmpq, phi)), "eps": eps})


DIRAC = next(job for job in CERTIFIERS["theorem-1-finite"])


def test_tied_maxima_are_no_dirac():
    x = dirac([1, 1], [0, 1], fmpq(1, 2))
    assert isinstance(
        certify("theorem-1-finite", "printed", x, parts=DIRAC.parts, facts=DIRAC.facts), Undecided
    )


@pytest.mark.parametrize("eps", [fmpq(1), fmpq(1, 100), fmpq(1, 10**4)])
@pytest.mark.parametrize("phi", [[0, 1, -1], [0, fmpq(1, 3), fmpq(-2, 7)], [fmpq(1, 3)] * 3])
def test_a_dirac_limit_is_certified_at_any_temperature_and_any_oscillation(eps, phi, tmp_path):
    """osc(phi) (n - 1) is no integer in the second case: the bound itself is never rounded."""
    x = dirac([3, 2, -4], phi, eps)
    outcome = certify("theorem-1-finite", "printed", x, parts=DIRAC.parts, facts=DIRAC.facts)
    assert isinstance(outcome, Certificate)
    write(tmp_path / "c.json", [outcome])
    assert recheck.recheck(tmp_path / "c.json") == 1


def test_the_bound_of_a_dirac_limit_is_attained_where_it_should_be():
    """n = 2: bound less deviation is osc w^2/(1 + w), bound plus deviation osc w (2 + w)/(1 + w), by hand."""
    x = dirac([1, 0], [0, fmpq(1, 3)], fmpq(1))
    w = float(np.exp(-1))
    (less,), (plus,) = soft_facts.dirac(x, side=1), soft_facts.dirac(x, side=-1)
    assert float(less) == pytest.approx(w**2 / (1 + w) / 3, rel=1e-14)
    assert float(plus) == pytest.approx(w * (2 + w) / (1 + w) / 3, rel=1e-14)


def test_a_loss_above_its_bound_is_not_certified():
    x = exactly(
        {"mdp": TabularMDP([[[1.0], [1.0]]], [[0.0, 0.0]], 0.5), "q": np.array([[1.0, 0.0]]), "eps": 1.0}
    )
    facts = [(">=", lambda y: [bound - arb(1) / 2 for bound in soft_facts.loss_bound(y, entropic=True)])]
    assert isinstance(certify("app-c-1", "printed", x, parts="mdp q eps", facts=facts), Undecided)


# Self-consistent temperatures.


def test_the_three_roots_are_isolated_as_the_float_solver_finds_them():
    x = with_roots(exactly(THREE_ROOTS))
    found = self_consistent_temperatures(THREE_ROOTS["mdp"], THREE_ROOTS["q"]).roots
    ends = [
        (float(low.p) / float(low.q), float(high.p) / float(high.q))
        for low, high in zip(x.low, x.high, strict=True)
    ]
    assert [
        low <= root.eps <= high or abs(root.eps - low) < 1e-9
        for (low, high), root in zip(ends, found, strict=True)
    ] == [True] * 3


def roots_certificate(x):
    jobs = {job.form: job for job in CERTIFIERS["app-c-3"]}
    return certify("app-c-3", "printed", x, parts=jobs["printed"].parts, facts=jobs["printed"].facts)


def test_a_hidden_root_is_missed_by_no_checker(tmp_path):
    x = with_roots(exactly(THREE_ROOTS))
    fewer = roots_certificate(x.with_parts(low=x.low[:2], high=x.high[:2]))
    write(tmp_path / "c.json", [fewer])
    with pytest.raises(recheck.Problem, match="3 roots, not 2"):
        recheck.recheck(tmp_path / "c.json")


@pytest.mark.parametrize(
    ("ends", "why"),
    [
        (lambda ends: ends[:-1], "too early|roots, not"),
        (lambda ends: ends[-1:], "may turn"),
        (lambda ends: [ends[0], *ends], "do not rise"),
    ],
)
def test_boxes_that_show_nothing_are_rejected(ends, why, tmp_path):
    x = with_roots(exactly(THREE_ROOTS))
    write(tmp_path / "c.json", [roots_certificate(x.with_parts(ends=ends(x.ends)))])
    with pytest.raises(recheck.Problem, match=why):
        recheck.recheck(tmp_path / "c.json")


@pytest.mark.parametrize(("gap", "n_roots"), [(103.5, 1), (103.75, 3)])
def test_on_either_side_of_a_fold_the_roots_are_counted(gap, n_roots):
    """Two more roots appear at a gap of 25.9/gamma^2 = 103.6 (corollary-1)."""
    mdp = TabularMDP([[[1.0], [1.0]]], [[gap, 0.0]], 0.5)
    assert len(with_roots(exactly({"mdp": mdp, "q": np.array([[2 * gap, gap]])})).low) == n_roots


def test_with_too_few_boxes_nothing_is_claimed(monkeypatch):
    monkeypatch.setattr(roots, "MAX_BOXES", 3)
    with pytest.raises(Open, match="fold"):
        with_roots(exactly(THREE_ROOTS))


# Files.


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
