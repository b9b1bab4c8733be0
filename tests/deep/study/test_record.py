"""The written-down plan: recorded before the first run, held against the file, changed only with a reason."""

import json

import pytest

from tests.support.studies import study_of
from virel_common.errors import InputError
from virel_deep.run.folder import read_config
from virel_deep.study.jobs import job_folder, jobs_of, prepare
from virel_deep.study.record import differing, read_record, register

FILE = "study.toml"


def test_the_plan_is_written_down_once_and_read_back(tmp_path):
    study = study_of()
    assert read_record(tmp_path / "out") is None
    record = register(study, tmp_path / "out", FILE)
    before = (tmp_path / "out" / "plan.json").read_bytes()
    assert register(study, tmp_path / "out", FILE) == record == read_record(tmp_path / "out")
    assert (tmp_path / "out" / "plan.json").read_bytes() == before
    (plan,) = record.plans
    assert (plan.sha256, plan.reason, plan.text) == (study.sha256, None, study.text)
    assert record.study == study
    assert record.precision == "highest"


def test_layout_and_comments_may_change_freely(tmp_path):
    register(study_of(), tmp_path, FILE)
    other = study_of(("seeds = 4", "# four are enough\nseeds   = 4"))
    assert register(other, tmp_path, FILE).plans[0].text == study_of().text


def test_a_changed_file_needs_a_reason_and_the_reason_is_kept(tmp_path):
    register(study_of(), tmp_path, FILE)
    other = study_of(("seeds = 4", "seeds = 6"), ("steps = 2000", "steps = 3000"))
    before = (tmp_path / "plan.json").read_bytes()
    for reason, rule in (
        (None, "`amend` must say why study.toml differs from the plan recorded in "),
        ("", "`amend` must be a reason in words, which the report shows: study.toml differs from the plan "),
        (" ", "`amend` must be a reason in words, which the report shows: study.toml differs from the plan "),
    ):
        with pytest.raises(InputError) as error:
            register(other, tmp_path, FILE, amend=reason)
        said = str(error.value)
        assert said.startswith(rule)
        assert said.endswith("; or put the file back" if reason is None else f"; found {reason!r}")
        assert "seeds: 4 -> 6; steps: 2000 -> 3000" in said
        assert "\n" not in said
        assert (tmp_path / "plan.json").read_bytes() == before
    record = register(other, tmp_path, FILE, amend="two more seeds")
    assert [plan.reason for plan in record.plans] == [None, "two more seeds"]
    assert [plan.sha256 for plan in record.plans] == [study_of().sha256, other.sha256]
    assert read_record(tmp_path) == record
    assert differing(record, study_of()) == ["seeds: 6 -> 4", "steps: 3000 -> 2000"]


def test_hypotheses_are_compared_by_their_names(tmp_path):
    record = register(study_of(), tmp_path, FILE)
    other = study_of(('than = "td3"', 'than = "td3"\nscore = "area"'))
    assert differing(record, other) == ["hypotheses.first.score: absent -> 'area'"]


def test_a_reason_without_a_change_or_a_plan_is_refused_and_nothing_is_made(tmp_path):
    with pytest.raises(InputError, match="`amend` must not be given: no plan has been written down"):
        register(study_of(), tmp_path / "out", FILE, amend="why")
    assert not (tmp_path / "out").exists()
    register(study_of(), tmp_path / "out", FILE)
    with pytest.raises(InputError, match=r"`amend` must not be given: study\.toml is still the plan"):
        register(study_of(), tmp_path / "out", FILE, amend="why")


def test_a_reason_that_is_recorded_already_may_be_repeated(tmp_path):
    """As by every job of an array, and by a job that its scheduler puts back into the queue."""
    register(study_of(), tmp_path, FILE)
    other = study_of(("level = 0.1", "level = 0.2"))
    record = register(other, tmp_path, FILE, amend="milder")
    assert register(other, tmp_path, FILE, amend="milder") == record == read_record(tmp_path)
    with pytest.raises(InputError, match=r"`amend` must not be given: study\.toml is still the plan"):
        register(other, tmp_path, FILE, amend="another reason")


SECOND = '[[hypotheses]]\nname = "second"\nbetter = "td3"\nthan = "sac"\n'
NO_VALUE = [
    (("data.batch = 16", "data.batch = 16.0"), "settings.data.batch: 16 -> 16.0"),
    (("[decision]", "[budget]\n[decision]"), "budget: absent -> {}"),
    (("[decision]", "[run]\nenv_arguments = {}\n[decision]"), "run.env_arguments: absent -> {}"),
]


@pytest.mark.parametrize(("change", "said"), NO_VALUE, ids=[said for _, said in NO_VALUE])
def test_a_change_that_changes_no_value_is_named_too(tmp_path, change, said):
    record = register(study_of(), tmp_path, FILE)
    other = study_of(change)
    assert other.sha256 != study_of().sha256
    assert differing(record, other) == [said]
    assert differing(record, study_of()) == []


def test_another_order_of_hypotheses_is_named(tmp_path):
    record = register(study_of(("[decision]", SECOND + "[decision]")), tmp_path, FILE)
    other = study_of(("[[hypotheses]]", SECOND + "[[hypotheses]]"))
    assert differing(record, other) == ["order of hypotheses: ['first', 'second'] -> ['second', 'first']"]


def test_a_recorded_plan_that_was_edited_later_is_damaged(tmp_path):
    register(study_of(), tmp_path, FILE)
    register(study_of(("level = 0.1", "level = 0.2")), tmp_path, FILE, amend="milder")
    path = tmp_path / "plan.json"
    whole = path.read_text()
    for number, level in enumerate(("0.1", "0.2")):
        path.write_text(whole.replace(f"level = {level}", "level = 0.4"))
        with pytest.raises(InputError) as error:
            read_record(tmp_path)
        assert str(error.value).startswith(f"`{path}: plans[{number}].sha256` must be ")
        assert "\n" not in str(error.value)
    path.write_text(whole)
    assert len(read_record(tmp_path).plans) == 2


@pytest.mark.parametrize(
    "change", [{"plans": []}, {"versions": [1]}, {"versions": {"torch": 2}}, {"precision": 3}]
)
def test_a_damaged_part_of_a_record_is_one_line(tmp_path, change):
    register(study_of(), tmp_path, FILE)
    path = tmp_path / "plan.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(InputError) as error:
        read_record(tmp_path)
    (name,) = change
    assert str(error.value).startswith(f"`{path}: {name}` must ")
    assert "\n" not in str(error.value)


def test_jobs_without_their_plan_are_no_study(tmp_path):
    (tmp_path / "jobs").mkdir()
    with pytest.raises(InputError, match=r"`out` must not hold jobs without their plan\.json"):
        register(study_of(), tmp_path, FILE)


def test_a_short_study_may_grow_beyond_its_first_thousand_steps(tmp_path):
    study = study_of(("steps = 2000", "steps = 600"))
    register(study, tmp_path, FILE)
    run = prepare(tmp_path, study, jobs_of(study)[0], "highest")
    longer = study_of()
    register(longer, tmp_path, FILE, amend="longer")
    assert prepare(tmp_path, longer, jobs_of(longer)[0], "highest") == run
    config = read_config(run)
    assert (config.steps, config.log_every, config.eval_every) == (2000, 600, 1000)


def test_more_steps_and_seeds_reach_the_runs_that_have_begun(tmp_path):
    study = study_of()
    record = register(study, tmp_path, FILE)
    job = jobs_of(study)[0]
    run = prepare(tmp_path, study, job, record.precision)
    before = json.loads((run / "config.json").read_text())
    other = study_of(("seeds = 4", "seeds = 6"), ("steps = 2000", "steps = 3000"))
    register(other, tmp_path, FILE, amend="more")
    assert prepare(tmp_path, other, jobs_of(other)[0], record.precision) == run
    after = json.loads((run / "config.json").read_text())
    assert after["config"].pop("seeds") == [0, 1, 2, 3, 4, 5]
    assert after["config"].pop("steps") == 3000
    assert before["config"].pop("seeds") == [0, 1, 2, 3]
    assert before["config"].pop("steps") == 2000
    assert after == before


CANT = [
    (("seeds = 4", "seeds = 3"), "`seeds` must include [0, 1, 2, 3], those of the run in "),
    (("steps = 2000", "steps = 1000"), "`steps` must not be fewer than the 2000 of the run in "),
    (("data.batch = 16", "data.batch = 32"), "`algorithm` must stay as it was when the run in "),
    (("steps = 2000", "steps = 2000\ncheckpoint_every = 500"), "`checkpoint_every` must stay as it was"),
    (('[arms.sac]\npreset = "sac"', '[arms.sac]\npreset = "sac-v"'), "`preset` must stay as it was"),
]


@pytest.mark.parametrize(("change", "message"), CANT, ids=[change[1][-20:] for change, _ in CANT])
def test_a_change_that_would_make_another_run_is_refused_before_it_is_recorded(tmp_path, change, message):
    study = study_of()
    record = register(study, tmp_path, FILE)
    run = prepare(tmp_path, study, jobs_of(study)[0], record.precision)
    before = read_config(run)
    with pytest.raises(InputError) as error:
        register(study_of(change), tmp_path, FILE, amend="because")
    assert str(error.value).startswith(message)
    assert "name a new arm, or choose another --out" in str(error.value)
    assert "\n" not in str(error.value)
    assert read_record(tmp_path) == record
    assert read_config(run) == before


def test_a_new_arm_leaves_the_others_as_they_are(tmp_path):
    study = study_of()
    record = register(study, tmp_path, FILE)
    prepare(tmp_path, study, jobs_of(study)[0], record.precision)
    other = study_of(("[arms.td3]", '[arms.ddpg]\npreset = "ddpg"\n[arms.td3]'))
    register(other, tmp_path, FILE, amend="a third arm")
    assert job_folder(tmp_path, jobs_of(other)[0]).exists()


@pytest.mark.parametrize("text", ["", "{}", '{"format": 2}', '{"format": 1, "plans": [{}]}'])
def test_a_damaged_record_is_one_line(tmp_path, text):
    (tmp_path / "plan.json").write_text(text)
    with pytest.raises(InputError) as error:
        read_record(tmp_path)
    assert str(tmp_path / "plan.json") in str(error.value)
    assert "\n" not in str(error.value)
