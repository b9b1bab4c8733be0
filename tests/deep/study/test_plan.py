"""The study file: what it means, and one line for everything that is wrong with it."""

from fractions import Fraction
from pathlib import Path

import pytest

from tests.support.studies import TWO_ARMS, study_of
from virel_common.errors import InputError
from virel_deep.design.parts import TargetQ
from virel_deep.design.presets import algorithm
from virel_deep.study.decide import reach, short_note
from virel_deep.study.environments import Environment, Length
from virel_deep.study.jobs import arm_algorithm, check_jobs, job_config, jobs_of
from virel_deep.study.plan import parse_study, read_study

ROOT = Path(__file__).resolve().parents[3]


def test_a_study_file_by_hand():
    study = study_of()
    assert (study.title, study.seeds, study.level) == ("Two arms", (0, 1, 2, 3), Fraction(1, 10))
    (hypothesis,) = study.hypotheses
    assert (hypothesis.better, hypothesis.than, hypothesis.score) == ("sac", "td3", "final")
    assert hypothesis.environments == tuple(env.name for env in study.environments)
    assert {env.length for env in study.environments} == {Length(2000)}
    assert (Length(2000).every(), Length(2000).evaluations()) == (1000, 2)
    assert study.span == "2,000"
    names = [job.name for job in jobs_of(study)]
    assert names == [
        "sac-InvertedPendulum-v5",
        "td3-InvertedPendulum-v5",
        "sac-Pendulum-v1",
        "td3-Pendulum-v1",
    ]


def test_a_job_is_the_run_that_virel_train_would_write():
    job = jobs_of(study_of())[1]
    config = job_config(study_of(), job)
    assert (config.preset, config.env, config.steps, config.seeds) == (
        "td3",
        "InvertedPendulum-v5",
        2000,
        (0, 1, 2, 3),
    )
    assert config.algorithm == algorithm("td3", "InvertedPendulum-v5", {"hidden": (8, 8), "data.batch": 16})


def test_three_tasks_have_the_default_intervals_rounded_to_their_copies():
    tasks = '{ name = "three", id = "Pendulum-v1", tasks = [{ g = 9.0 }, { g = 10.0 }, { g = 11.0 }] }'
    longer = tasks.replace(" }] }", " }], steps = 9000 }")
    study = study_of(('"InvertedPendulum-v5", "Pendulum-v1"', f'{longer}, "Pendulum-v1"'))
    of_three, *_, alone = (job_config(study, job) for job in jobs_of(study))
    assert (of_three.copies, of_three.eval_every, of_three.checkpoint_every) == (3, 999, 9999)
    assert (alone.copies, alone.eval_every, alone.checkpoint_every) == (1, 1000, 10_000)
    asked = study_of(
        ('"InvertedPendulum-v5", "Pendulum-v1"', tasks),
        ("steps = 2000", "steps = 2100\ncheckpoint_every = 300\nevaluation = { every = 600 }"),
    )
    config = job_config(asked, jobs_of(asked)[0])
    assert (config.eval_every, config.checkpoint_every) == (600, 300)
    few = short_note(study, study.hypotheses[0])
    assert few.endswith("; Pendulum-v1 has 2.")  # `three` has 10: 9, and that of the last step


def test_settings_of_the_runs_have_the_names_of_virel_train():
    run = "[run]\ncapacity = 500\nmax_episode_steps = 30\nkeep_best = true\nstop_return = -10.0\n"
    study = study_of(text=TWO_ARMS.partition("[[hypotheses]]")[0] + run)
    config = job_config(study, jobs_of(study)[0])
    assert (config.capacity, config.max_episode_steps) == (500, 30)
    assert (config.keep_best, config.stop_return) == (True, -10.0)
    with pytest.raises(
        InputError, match=r"run.stop_evaluations` must not be given without `stop_return`; found 2"
    ):
        study_of(text=TWO_ARMS.partition("[[hypotheses]]")[0] + "[run]\nstop_evaluations = 2\n")
    wrong = study_of(("[decision]", "[run]\ncapacity = 0\n[decision]"))
    with pytest.raises(InputError, match=r"^arms\.sac: `capacity` must be at least 1; found 0$"):
        job_config(wrong, jobs_of(wrong)[0])


def test_an_arms_own_settings_win_and_factors_multiply_what_the_environment_has():
    study = study_of(
        (
            '[arms.td3]\npreset = "td3"',
            '[arms.td3]\npreset = "beta"\nsettings.hidden = [4]\nmultiply.reward_scale = 10',
        )
    )
    found = arm_algorithm(study, study.arms["td3"], Environment("hop", "Hopper-v5", Length(2000)))
    assert (found.hidden, found.data.batch, found.reward_scale) == ((4,), 16, 50.0)


def test_a_whole_number_times_a_factor_stays_one_if_it_can():
    for factor, batch in ((2, 32), (0.5, 8)):
        study = study_of(('preset = "td3"', f'preset = "td3"\nmultiply."data.batch" = {factor}'))
        assert job_config(study, jobs_of(study)[1]).algorithm.data.batch == batch
    study = study_of(('preset = "td3"', 'preset = "td3"\nmultiply."data.batch" = 0.3'))
    with pytest.raises(InputError, match=r"`data\.batch` must be a whole number; found 4\.8"):
        job_config(study, jobs_of(study)[1])


@pytest.mark.parametrize(
    "settings",
    [
        'settings.value = { kind = "target-q", critics = 1, evaluation = "hard" }',
        'settings.value = { evaluation = "hard", critics = 1, kind = "target-q" }',
        'settings = { value = "target-q", "value.critics" = 1, "value.evaluation" = "hard" }',
    ],
)
def test_an_arm_may_have_another_part_with_settings_of_its_own(settings):
    study = study_of(('[arms.td3]\npreset = "td3"', f'[arms.td3]\npreset = "beta"\n{settings}'))
    found = arm_algorithm(study, study.arms["td3"], Environment("hop", "Hopper-v5", Length(2000)))
    assert found.value == TargetQ(critics=1, evaluation="hard")


def test_a_part_that_does_not_exist_is_refused_by_the_name_of_its_axis():
    study = study_of(('[arms.td3]\npreset = "td3"', '[arms.td3]\npreset = "beta"\nsettings.value.kind = "q"'))
    with pytest.raises(InputError, match=r"arms\.td3: `value` must be one of .*target-q.*; found 'q'$"):
        job_config(study, jobs_of(study)[1])


def test_the_identity_of_a_plan_is_what_it_says_not_how_it_is_laid_out():
    same = TWO_ARMS.replace("seeds = 4\nsteps = 2000", "# more\nsteps  =  2_000\nseeds = 4")
    assert study_of(text=same).sha256 == study_of().sha256
    assert study_of(("steps = 2000", "steps = 3000")).sha256 != study_of().sha256


BAD = [
    (('title = "Two arms"', ""), "`study.toml: title` must be given"),
    (("steps = 2000", "steps = 0"), "`study.toml: steps` must be a whole number of at least 1; found 0"),
    (
        ("steps = 2000", "steps = 2e3"),
        "`study.toml: steps` must be a whole number of at least 1; found 2000.0",
    ),
    (("steps = 2000", "step = 2000\nsteps = 2000"), "`study.toml: key in the file` must be one of"),
    (
        ("steps = 2000", "steps = 500\nevaluation = { every = 501 }"),
        "`study.toml: evaluation.every` must be at most `steps` = 500, the last of which is always evaluated",
    ),
    (("seeds = 4", "seeds = [0, 1, 1]"), "`study.toml: seeds` must all be different; found [0, 1, 1]"),
    (
        ("seeds = 4", "seeds = [-1]"),
        "`study.toml: seeds` must be a list of whole numbers, none of them negative; found [-1]",
    ),
    (
        ("seeds = 4", "seeds = []"),
        "`study.toml: seeds` must be a list of whole numbers, none of them negative; found []",
    ),
    (("seeds = 4", "seeds = 4\nseeds = 5"), "study.toml: not TOML: "),
    (('"Pendulum-v1"', '"InvertedPendulum-v5"'), "`study.toml: environments` must all be different"),
    (("[arms.td3]", "[arms.'a/b']"), "`study.toml: arms` must be letters, digits and ._-"),
    (('preset = "td3"', ""), "`study.toml: arms.td3.preset` must be given"),
    (
        ('preset = "td3"', 'preset = "td3"\nset = 1'),
        "`study.toml: key in arms.td3` must be one of environments, multiply, preset, prior, settings",
    ),
    (
        ('than = "td3"', 'than = "ddpg"'),
        "`study.toml: hypotheses[0].than` must be one of sac, td3; found 'ddpg'",
    ),
    (('better = "sac"', ""), "`study.toml: hypotheses[0].better` must be given"),
    (('better = "sac"', 'better = "td3"'), "`study.toml: hypotheses[0].than` must be another arm"),
    (
        ('than = "td3"', 'than = "td3"\nscore = "best"'),
        "`study.toml: hypotheses[0].score` must be one of final, area",
    ),
    (
        ('than = "td3"', 'than = "td3"\nenvironments = ["Hopper-v5"]'),
        "`study.toml: hypotheses[0].environments` must be among those where both arms train, Inverted",
    ),
    (("level = 0.1", "level = 0.5"), "`study.toml: decision.level` must be between 0 and 0.5; found 0.5"),
    (("level = 0.1", "level = nan"), "`study.toml: decision.level` must be a finite number"),
    (
        ("level = 0.1", 'correction = "none"'),
        "`study.toml: decision.correction` must be one of holm, bonferroni",
    ),
    (
        ("[decision]", "[run]\ncopies = 2\n[decision]"),
        "`study.toml: key in run` must be one of capacity, env_arguments",
    ),
    (("[decision]", "[decisions]"), "`study.toml: key in the file` must be one of"),
    (
        ("[decision]", "[run]\nenv_arguments = 3\n[decision]"),
        "`study.toml: run.env_arguments` must be a table",
    ),
    (
        ("[decision]", "[run]\nenv_arguments = { g = 2024-01-01 }\n[decision]"),
        "`study.toml: run.env_arguments.g` must be text, a number, a truth value, a list or a table; found",
    ),
    (
        ('"Pendulum-v1"]', '{ name = "p", id = "Pendulum-v1", arguments = { g = [1, 07:32:00] } }]'),
        "`study.toml: environments[1].arguments.g[1]` must be text, a number, a truth value, a list",
    ),
    (
        ('"Pendulum-v1"]', '{ name = "index.html", id = "Pendulum-v1" }]'),
        "`study.toml: environments[1].name` must not be one of table.md, scores.csv, report.md, index.html",
    ),
    (('"Two arms"', '"Two\\narms"'), "`study.toml: title` must be one line; found"),
    (
        ("[decision]", "[run]\nstop_return = -10.0\n[decision]"),
        "`study.toml: run.stop_return` must be left out of a study with hypotheses: they compare arms at",
    ),
    (
        ("[decision]", "[run]\nstop_evaluations = 2\n[decision]"),
        "`study.toml: run.stop_evaluations` must be left out of a study with hypotheses",
    ),
]


@pytest.mark.parametrize(("change", "message"), BAD, ids=[change[1][:40] or change[0] for change, _ in BAD])
def test_what_is_wrong_with_a_study_file_is_one_line(change, message):
    with pytest.raises(InputError) as error:
        study_of(change)
    assert str(error.value).startswith(message)
    assert "\n" not in str(error.value)


WRONG_JOBS = [
    (('preset = "td3"', 'preset = "ppo"'), "`study.toml: arms.td3.preset` must be one of virel, beta"),
    (("hidden = [8, 8]", "layers = 3"), "study.toml: arms.sac: "),
    (("data.batch = 16", "data.batch = 0"), "study.toml: arms.sac: `data.batch` must be at least 1; found 0"),
    (('"Pendulum-v1"', '"Pendolum-v1"'), "study.toml: `env` must be"),
    (
        ('preset = "td3"', 'preset = "td3"\nmultiply.value = 2'),
        "study.toml: arms.td3: `multiply` must name settings that are numbers; found 'value'",
    ),
]


@pytest.mark.mujoco
@pytest.mark.parametrize(("change", "message"), WRONG_JOBS, ids=[change[1][:40] for change, _ in WRONG_JOBS])
def test_an_unknown_preset_setting_or_environment_is_one_line(change, message):
    with pytest.raises(InputError) as error:
        check_jobs(study_of(change), "study.toml")
    assert str(error.value).startswith(message)
    assert "\n" not in str(error.value)


@pytest.mark.long
@pytest.mark.mujoco
@pytest.mark.parametrize("name", sorted(path.stem for path in (ROOT / "studies").glob("*.toml")))
def test_the_shipped_studies_are_sound(name):
    path = f"studies/{name}.toml"
    study = read_study(ROOT / path)
    assert len(check_jobs(study, path)) == sum(len(arm.environments) for arm in study.arms.values())


@pytest.mark.mujoco
def test_the_study_in_the_guide_is_sound_and_can_be_decided():
    page = (ROOT / "docs/guide/studies.md").read_text()
    study = parse_study(page.partition("```toml\n")[2].partition("```")[0], "studies.md")
    assert len(check_jobs(study, "studies.md")) == 2
    p, first, _ = reach(study, study.hypotheses[0])
    assert p <= first
