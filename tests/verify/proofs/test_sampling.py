"""Drawing for proofs: uniform, by the seed alone, and over as soon as nothing new comes."""

from collections import Counter

from hypothesis import strategies as st
from hypothesis.internal.conjecture import providers

from tests.support.proofs import job_of
from verify.engine.registry import all_claims
from verify.proofs import run, sampling
from verify.proofs.job import as_drawn, proved
from verify.proofs.sampling import draw


def test_every_value_is_as_likely_as_another():
    """Of 1,000 draws of ten values each has 100, give or take five standard deviations of 9.5."""
    counts = Counter(draw(st.integers(-4, 5), seed=1, n=1000))
    assert set(counts) == set(range(-4, 6))
    assert all(52 <= n <= 148 for n in counts.values())
    first = Counter(data[0] % 2 for data in draw(st.binary(min_size=16, max_size=16), seed=1, n=1000))
    assert all(421 <= n <= 579 for n in first.values())


def test_the_same_seed_draws_the_same_and_another_seed_others():
    drawn = draw(st.binary(min_size=16, max_size=16), seed=2, n=50)
    assert drawn == draw(st.binary(min_size=16, max_size=16), seed=2, n=50)
    assert len(set(drawn) & set(draw(st.binary(min_size=16, max_size=16), seed=3, n=50))) <= 1


def test_what_is_not_bounded_is_drawn_too():
    drawn = draw(
        st.tuples(st.integers(), st.binary(max_size=3), st.floats(0, 1), st.booleans()), seed=4, n=50
    )
    assert len(set(drawn)) > 25


def test_no_constant_of_an_imported_module_is_drawn(monkeypatch):
    """hypothesis would draw such constants one time in twenty: draws would depend on imports."""
    asked = []
    found = providers._get_local_constants
    monkeypatch.setattr(providers, "_get_local_constants", lambda: asked.append(1) or found())
    draw(st.tuples(st.floats(0, 1), st.integers(), st.text(max_size=3)), seed=5, n=200)
    assert asked == []


def drawn_by_a_proof(monkeypatch, instances, *, n_instances):
    """Numbers of instances that the rounds of a proof of Eq. (24) draw, and its outcome."""
    rounds = []

    def watched(strategy, *, seed, n):
        rounds.append(n)
        return sampling.draw(strategy, seed=seed, n=n)

    monkeypatch.setattr(run, "draw", watched)
    job = job_of("eq-24", "printed")
    few = proved("printed", job.parts, *job.facts, instances=instances, prepare=as_drawn)
    return rounds, run._prove(few, all_claims()["eq-24"], 0, n_instances)


def test_a_proof_ends_when_a_round_draws_nothing_new(monkeypatch):
    job = job_of("eq-24", "printed")
    pool = [job.prepare(x) for x in draw(job.instances_of(all_claims()["eq-24"]), seed=0, n=30)]
    rounds, outcome = drawn_by_a_proof(monkeypatch, st.sampled_from(pool), n_instances=200)
    assert len(outcome.proofs) + outcome.trivial <= len(pool)
    assert outcome.reasons == []
    assert len(rounds) <= 3


def test_a_later_round_draws_what_is_missing(monkeypatch):
    claim = all_claims()["eq-24"]
    job = job_of("eq-24", "printed")
    wanted = job.instances_of(claim).map(job.prepare)
    rounds, outcome = drawn_by_a_proof(monkeypatch, wanted, n_instances=100)
    assert len(outcome.proofs) == 100
    assert rounds[0] == 125
    assert sum(rounds) < 2 * (100 + outcome.trivial)
