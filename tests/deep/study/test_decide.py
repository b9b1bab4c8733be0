"""Decisions on hypotheses, from run folders with returns of our choice."""

from fractions import Fraction

import numpy as np
import pytest
from scipy import stats

from tests.support.studies import study_of, write_jobs
from virel_deep.study.decide import decide, power_note, reach, short_note
from virel_deep.study.scores import last_half, read_results

ARMS, ENVS = ("sac", "td3"), ("InvertedPendulum-v5", "Pendulum-v1")
ONE_TASK = ('environments = ["InvertedPendulum-v5", "Pendulum-v1"]', 'environments = ["Pendulum-v1"]')


def flat(*levels):
    """Curves that stay at one level per seed, so that every score is that level."""
    return np.repeat(np.array(levels, np.float64)[:, None], 2, axis=1)


def curves(sac, td3, envs=ENVS):
    return {(arm, env): flat(*levels) for env in envs for arm, levels in (("sac", sac), ("td3", td3))}


def decided(tmp_path, study, scores, **more):
    write_jobs(tmp_path / "out", study, scores, **more)
    return decide(study, read_results(tmp_path / "out", study))


def test_every_seed_above_every_other_supports_and_the_reverse_contradicts(tmp_path):
    high, low = (5, 6, 7, 8), (1, 2, 3, 4)
    (one,) = decided(tmp_path / "a", study_of(), curves(high, low))
    assert (one.outcome, one.test.better, one.test.worse) == ("supported", Fraction(1, 70**2), 1)
    assert one.together == (1.0, 1.0, 1.0)
    (one,) = decided(tmp_path / "b", study_of(), curves(low, high))
    assert (one.outcome, one.test.worse) == ("contradicted", Fraction(1, 70**2))
    (one,) = decided(tmp_path / "c", study_of(), curves((1, 4, 5, 8), (2, 3, 6, 7)))
    assert (one.outcome, float(one.together.value)) == ("not decided", 0.5)


def test_the_threshold_is_met_exactly_at_the_level_over_both_directions(tmp_path):
    """Three seeds each: p = 1/20, and two directions, so that the level 1/10 just suffices."""
    three = (ONE_TASK, ("seeds = 4", "seeds = 3"))
    scores = curves((4, 5, 6), (1, 2, 3), ENVS[1:])
    (one,) = decided(tmp_path / "a", study_of(*three), scores)
    assert (one.outcome, one.test.better) == ("supported", Fraction(1, 20))
    (one,) = decided(tmp_path / "b", study_of(*three, ("level = 0.1", "level = 0.0999")), scores)
    assert one.outcome == "not decided"


def test_p_values_are_scipys_and_scores_are_those_of_the_runs(tmp_path):
    rng = np.random.default_rng(3)
    study = study_of(ONE_TASK, ('than = "td3"', 'than = "td3"\nscore = "area"'))
    scores = {(arm, "Pendulum-v1"): rng.normal(size=(4, 5)) for arm in ARMS}
    (one,) = decided(tmp_path, study, scores)
    means = [np.trapezoid(scores[arm, "Pendulum-v1"], axis=1) / 4 for arm in ARMS]
    assert float(one.test.better) == pytest.approx(
        stats.mannwhitneyu(*means, alternative="greater", method="exact").pvalue, rel=1e-12
    )


def test_pairs_are_seeds_of_the_same_number(tmp_path):
    study = study_of(ONE_TASK, ("seeds = 4", "seeds = 5"), ('than = "td3"', 'than = "td3"\npaired = true'))
    scores = curves((11, 21, 31, 41, 51), (10, 20, 30, 40, 50), ENVS[1:])
    (one,) = decided(tmp_path, study, scores)
    assert one.test.better == Fraction(1, 32)
    assert one.outcome == "supported"


def test_what_is_not_complete_is_not_decided_yet_and_what_it_waits_for_is_named(tmp_path):
    scores = curves((5, 6, 7, 8), (1, 2, 3, 4))
    (one,) = decided(tmp_path / "a", study_of(), scores, unfinished=["td3-Pendulum-v1"])
    assert (one.outcome, one.test, one.missing) == ("not decided yet", None, ("td3-Pendulum-v1",))
    del scores["td3", "Pendulum-v1"]
    (one,) = decided(tmp_path / "b", study_of(), scores)
    assert (one.outcome, one.together) == ("not decided yet", None)
    assert one.apart["InvertedPendulum-v5"] == (1.0, 1.0, 1.0)
    assert one.apart["Pendulum-v1"] is None


def test_arms_of_the_same_curves_are_equal_as_long_as_one_is_behind(tmp_path):
    rising = np.outer([1.0, 1.1, 1.2, 1.3], np.arange(1, 21))
    scores = {(arm, "Pendulum-v1"): rising for arm in ARMS}
    study, out = study_of(ONE_TASK), tmp_path / "out"
    write_jobs(out, study, scores, unfinished=["td3-Pendulum-v1"])
    for path in (out / "jobs" / "td3-Pendulum-v1").glob("*/metrics.jsonl"):
        path.write_text("".join(path.read_text().splitlines(keepends=True)[:10]))  # 5 of 20 evaluations
    (one,) = decide(study, read_results(out, study))
    assert (one.outcome, one.together.value) == ("not decided yet", 0.5)
    assert one.apart["Pendulum-v1"].value == 0.5


def test_a_seed_that_a_rule_stopped_leaves_a_hypothesis_open(tmp_path):
    """A plan refuses such rules; a run folder may have them all the same."""
    study = study_of(ONE_TASK)
    write_jobs(tmp_path, study, curves((5, 6, 7, 8), (1, 2, 3, 4), ENVS[1:]))
    done = tmp_path / "jobs" / "sac-Pendulum-v1" / "seed-2" / "done.json"
    done.write_text('{"step": 500, "stopped": "return >= 7"}')
    (one,) = decide(study, read_results(tmp_path, study))
    assert (one.outcome, one.missing) == ("not decided yet", ("sac-Pendulum-v1",))


def test_paired_arms_show_the_share_of_pairs_with_ties_as_halves(tmp_path):
    study = study_of(ONE_TASK, ('than = "td3"', 'than = "td3"\npaired = true'))
    scores = curves((11, 21, 31, 40), (10, 20, 30, 40), ENVS[1:])
    (one,) = decided(tmp_path, study, scores)
    assert one.together.value == 3.5 / 4  # of all 16 comparisons of seeds it would be 9.5 / 16
    assert one.apart["Pendulum-v1"].value == 3.5 / 4


def test_an_environment_failure_leaves_a_hypothesis_open_and_divergence_counts_as_lowest(tmp_path):
    scores = curves((5, 6, 7, 8), (1, 2, 3, 4))
    (one,) = decided(tmp_path / "a", study_of(), scores, failed=[("sac-Pendulum-v1", 0, "environment")])
    assert one.outcome == "not decided yet"
    study = study_of(ONE_TASK)
    (one,) = decided(
        tmp_path / "b",
        study,
        curves((5, 6, 7, 8), (1, 2, 3, 4), ENVS[1:]),
        failed=[("sac-Pendulum-v1", 0, "diverged")],
    )
    assert one.outcome == "not decided"
    known = stats.mannwhitneyu([-9, 6, 7, 8], [1, 2, 3, 4], alternative="greater", method="exact")
    assert float(one.test.better) == pytest.approx(known.pvalue, rel=1e-12)
    assert float(one.together.value) == pytest.approx(known.statistic / 16)


def test_hypotheses_that_wait_keep_their_place_so_that_no_decision_is_withdrawn(tmp_path):
    """Two hypotheses bring four p-values: the first threshold is a quarter of the level, waiting or not."""
    second = '[[hypotheses]]\nname = "second"\nbetter = "td3"\nthan = "sac"\n'
    second += 'environments = ["InvertedPendulum-v5"]\n'
    study = study_of(
        ('than = "td3"', 'than = "td3"\nenvironments = ["Pendulum-v1"]'),
        ("[decision]\nlevel = 0.1", f"{second}[decision]\nlevel = 0.05"),
    )
    scores = curves((5, 6, 7, 8), (1, 2, 3, 4))
    waiting = ["sac-InvertedPendulum-v5"]
    one, other = decided(tmp_path / "a", study, scores, unfinished=waiting)
    assert (one.outcome, other.outcome) == ("not decided", "not decided yet")  # 1/70 > 0.05 / 4
    one, other = decided(tmp_path / "b", study, scores)
    assert (one.outcome, other.outcome) == ("not decided", "not decided")
    lenient = study_of(
        ('than = "td3"', 'than = "td3"\nenvironments = ["Pendulum-v1"]'),
        ("[decision]", f"{second}[decision]"),
    )
    one, other = decided(tmp_path / "c", lenient, scores, unfinished=waiting)
    assert (one.outcome, other.outcome) == ("supported", "not decided yet")  # 1/70 < 0.1 / 4
    one, other = decided(tmp_path / "d", lenient, scores)
    assert (one.outcome, other.outcome) == ("supported", "contradicted")


def test_the_score_over_the_last_half(tmp_path):
    study = study_of(ONE_TASK)
    write_jobs(tmp_path, study, {("sac", "Pendulum-v1"): np.arange(20.0).reshape(4, 5)})
    run = read_results(tmp_path, study)[0].run
    np.testing.assert_array_equal(last_half(run), [3.0, 8.0, 13.0, 18.0])


def test_what_a_hypothesis_can_reach_is_said_beforehand():
    study = study_of(ONE_TASK, ("seeds = 4", "seeds = 3"))
    (hypothesis,) = study.hypotheses
    assert reach(study, hypothesis) == (Fraction(1, 20), Fraction(1, 20), Fraction(1, 20))
    assert "it is decided alone at 0.05" in power_note(study, hypothesis)
    strict = study_of(ONE_TASK, ("seeds = 4", "seeds = 3"), ("level = 0.1", "level = 0.05"))
    assert "it can't be decided without more seeds" in power_note(strict, strict.hypotheses[0])


def test_a_final_score_over_fewer_than_ten_evaluations_is_said_to_be_the_mean_of_all():
    study = study_of()  # 2 evaluations of 1000 steps each
    assert short_note(study, study.hypotheses[0]) == (
        "first: a final score is the mean of the last 10 evaluations, or of all where there are fewer, from "
        "the start of training on; InvertedPendulum-v5 has 2, Pendulum-v1 has 2."
    )
    longer = study_of(("steps = 2000", "steps = 10_000"))
    assert not short_note(longer, longer.hypotheses[0])


def test_without_step_down_every_p_value_meets_the_same_threshold(tmp_path):
    study = study_of(("level = 0.1", 'level = 0.1\ncorrection = "bonferroni"'))
    assert reach(study, study.hypotheses[0])[1:] == (Fraction(1, 20), Fraction(1, 20))
    (one,) = decided(tmp_path, study, curves((5, 6, 7, 8), (1, 2, 3, 4)))
    assert one.outcome == "supported"
