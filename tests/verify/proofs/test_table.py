"""What is on record: every claim has a job or a reason, and every job fits its claim and its statement."""

import ast
import dataclasses
import importlib
import re
import tomllib
from pathlib import Path

import pytest

import verify.claims
from tests.support.proofs import JOBS, NAMES
from verify import recheck
from verify.engine import registry
from verify.engine.claim import A_LIMIT, expected_verdict
from verify.engine.registry import all_claims
from verify.engine.verdict import Verdict
from verify.proofs.listing import counts_of_page, counts_of_run, page
from verify.proofs.run import certified_verdict, certify_claim
from verify.proofs.table import all_jobs

PAGE = Path(__file__).resolve().parents[3] / "docs/certified.md"
STATEMENTS = tomllib.loads(Path(recheck.__file__).with_name("statements.toml").read_text())


def misfit(claim, jobs):
    """How `claim.not_certified` and the jobs contradict each other; empty if they do not."""
    forms, gap = {job.form for job in jobs}, claim.not_certified
    if claim.deep or not forms:
        silent = gap is None and not claim.deep
        return "no job and no reason" if silent else "jobs of a deep claim" if forms else partly(gap)
    wanted = {"printed"} | ({"corrected"} if claim.correction is not None else set())
    unproved = set() if gap is None else {gap.form}
    if unproved & forms or "" in unproved:
        return "a job and a reason not to have it"
    return "" if wanted <= forms | unproved else "a form with neither a job nor a reason"


def partly(gap):
    return "" if gap is None or not gap.form else "no job at all, but a reason for one form only"


@pytest.mark.parametrize("claim", all_claims().values(), ids=lambda claim: claim.id)
def test_every_form_of_a_claim_has_a_job_or_a_reason_not_to(claim):
    assert misfit(claim, all_jobs().get(claim.id, ())) == ""


@pytest.mark.parametrize(
    ("claim_id", "reason", "why"),
    [
        ("eq-36", None, "no job and no reason"),
        ("eq-36", dataclasses.replace(A_LIMIT, form="printed"), "no job at all"),
        ("eq-24", A_LIMIT, "a job and a reason"),
        ("eq-24", dataclasses.replace(A_LIMIT, form="printed"), "a job and a reason"),
        ("theorem-2", None, "neither a job nor a reason"),
        ("theorem-2-moreover-finite", dataclasses.replace(A_LIMIT, form="printed"), "a job and a reason"),
    ],
)
def test_a_reason_that_does_not_fit_the_jobs_is_found(claim_id, reason, why):
    claim = dataclasses.replace(all_claims()[claim_id], not_certified=reason)
    assert why in misfit(claim, all_jobs().get(claim_id, ()))


def test_two_proofs_of_one_claim_are_an_error_that_names_it(monkeypatch):
    optima, theorem_1 = (
        importlib.import_module(f"verify.claims.{t}.proofs") for t in ("optima", "theorem_1")
    )
    monkeypatch.setattr(optima, "JOBS", theorem_1.JOBS)
    with pytest.raises(ValueError, match="two modules prove the claim 'theorem-1-finite'"):
        all_jobs.__wrapped__()


# The wall: facts and proofs share no formula with the checks, nor with the library that these check.

CLAIMS = Path(verify.claims.__file__).parent
STRATEGIES = {"verify.claims.theorem_5.rates"}
"""Modules of strategies that a proof may draw from."""


def breaches(root):
    """`FILE: MODULE` for every import of a check, or of a formula of the library, by facts and proofs."""
    return [
        f"{path.relative_to(root)}: {module}"
        for path in sorted(root.rglob("*.py"))
        if path.stem.endswith(registry.PROOFS)
        for module in _imports(path)
        if not _is_allowed(module)
    ]


def _imports(path):
    """Modules that a file imports; `from PACKAGE import NAME` counts as both `PACKAGE` and `PACKAGE.NAME`."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from {
                f"{node.module}.{alias.name}" if _is_package(node.module) else node.module
                for alias in node.names
            }


def _is_package(module):
    return (CLAIMS.parents[1] / module.replace(".", "/")).is_dir()


def _is_allowed(module):
    if module.startswith("verify.claims"):
        return module.endswith(registry.PROOFS) or module in STRATEGIES
    return not module.startswith(("virel_theory", "virel_deep"))


def test_facts_and_proofs_import_no_check_and_no_formula_of_the_library():
    assert breaches(CLAIMS) == []


@pytest.mark.parametrize(
    "line",
    [
        "from verify.claims.objective.theorem_3 import gap",
        "from verify.claims.objective import theorem_3",
        "import verify.claims.objective.theorem_3",
        "from virel_theory.objective.elbo import elbo",
        "def f():\n    from verify.claims.instances import boltzmann_loss",
    ],
)
def test_a_planted_import_of_a_check_is_found(line, tmp_path):
    (tmp_path / "facts.py").write_text("from verify.claims.objective import facts\n" + line + "\n")
    (found,) = breaches(tmp_path)
    assert found.startswith("facts.py: v")


def test_the_documentation_lists_what_is_certified():
    """Else: virel verify --certify, then python -m verify.proofs.listing RESULTS.json > docs/certified.md."""
    text = PAGE.read_text()
    counts = counts_of_page(text)
    assert set(counts) == {(claim_id, job.form) for claim_id, job in JOBS}
    assert page(counts) == text


@pytest.mark.parametrize("claim_id", ["eq-09", "merl-counterexample"])
def test_the_documented_counts_are_those_of_a_run(claim_id, tmp_path):
    found = [dataclasses.asdict(row) for row in certify_claim(claim_id, seed=0, out=tmp_path)]
    counts = counts_of_run([{"certificates": found}])
    assert counts.items() <= counts_of_page(PAGE.read_text()).items()


@pytest.mark.long
def test_all_documented_counts_are_those_of_a_run(tmp_path):
    rows = [certify_claim(claim_id, seed=0, out=tmp_path) for claim_id in all_jobs()]
    found = [{"certificates": list(map(dataclasses.asdict, row))} for row in rows]
    assert counts_of_run(found) == counts_of_page(PAGE.read_text())


def test_every_statement_has_words():
    words = STATEMENTS["proofs"] | STATEMENTS["refutations"]
    assert {*words} == {*STATEMENTS["claims"]} - {"solve policy"} | ({"solve policy"} & {*words})
    assert all(len(text) > 20 for text in words.values())
    refuted = {f"{claim_id} {job.form}" for claim_id, job in JOBS if job.refutes}
    assert {*STATEMENTS["refutations"]} == refuted
    assert {*STATEMENTS["headlines"]} <= {f"{claim_id} {job.form}" for claim_id, job in JOBS}


@pytest.mark.parametrize(("claim_id", "job"), JOBS, ids=NAMES)
def test_every_job_fits_its_claims_verdict_and_its_statement(claim_id, job):
    claim = all_claims()[claim_id]
    if job.form == "printed":
        assert job.refutes == (claim.expected is Verdict.REFUTED)
    if job.form == "corrected":
        assert claim.correction is not None
    parts, *facts = recheck.CLAIMS[f"{claim_id} {job.form}"]
    relations = [re.search(r"[=!<>]=|>", fact).group() for fact in facts]
    assert (" ".join(job.parts), [fact.relation for fact in job.facts]) == (parts, relations)


def test_every_statement_belongs_to_a_job_and_every_definition_to_a_statement():
    assert set(recheck.CLAIMS) == {f"{claim_id} {job.form}" for claim_id, job in JOBS} | {"solve policy"}
    claims, define = STATEMENTS["claims"].values(), STATEMENTS["define"]
    texts = [*(fact for _, *facts in claims for fact in facts), *define.values(), "T(q)", "any_policy"]
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


def test_no_two_definitions_share_a_name():
    """The checker would take the last one without a word, and with it another meaning."""
    names = [re.findall(r"\w+", head)[0] for head in STATEMENTS["define"]]
    assert sorted({name for name in names if names.count(name) > 1}) == []
    parts = {*STATEMENTS["parts"]}
    assert sorted(parts & {*names}) == []
