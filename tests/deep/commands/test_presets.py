"""`virel presets`: the table of algorithms, every setting of one, and a wrong name in one line."""

import subprocess
import sys

import pytest

from virel_common.command import main
from virel_common.errors import InputError
from virel_deep.commands.presets import AXES, main_presets
from virel_deep.design.presets import PRESETS, preset_row
from virel_deep.design.records import described


def printed(argv, capsys):
    assert main_presets(argv) == 0
    return capsys.readouterr().out


def test_the_table_has_a_row_for_every_preset_with_its_parts_and_source(capsys):
    lines = printed([], capsys).splitlines()
    for name, row in PRESETS.items():
        [line] = [line for line in lines if line.split()[:1] == [name]]
        for part in (row.algorithm.value, row.algorithm.posterior, row.algorithm.temperature):
            assert part.kind in line
        assert " ".join(row.source.split()[:3]) in line


def test_a_preset_is_listed_with_every_setting_its_value_and_its_meaning(capsys):
    for name, row in PRESETS.items():
        text = printed([name], capsys)
        lines = text.splitlines()
        for setting in described(row.algorithm):
            [line] = [line for line in lines if line.split()[:1] == [setting.name]]
            assert str(setting.value) in line
            assert " ".join(setting.meaning.split()[:2]) in line
        assert max(map(len, lines)) <= 110
    assert (
        "Other kinds: tanh-gaussian, weighted, top-share, score, categorical, enumerated, "
        "top-share-categorical, score-categorical, tilted, latent, "
        "latent-categorical, iterative, stein, smc." in " ".join(printed(["td3"], capsys).split())
    )


def test_an_axis_is_listed_with_every_kind_its_file_and_its_settings(capsys):
    assert list(AXES) == ["value", "posterior", "prior", "temperature", "data"]
    for name, axis in AXES.items():
        text = printed([name], capsys)
        words = text.split()
        for kind, part in axis.kinds.items():
            [line] = [line for line in text.splitlines() if line.split()[:1] == [f"{name}={kind}"]]
            assert line.startswith(f"{name}={kind} ")
            assert f"({part.__module__.replace('.', '/')}.py)" in words
        settings = [setting for part in axis.kinds.values() for setting in described(part())]
        for setting in settings:
            assert setting.name in words
            assert " ".join(setting.meaning.split()[:2]) in text
        assert max(map(len, text.splitlines())) <= 110


def test_a_meaning_with_brackets_is_shown_whole(capsys):
    text = " ".join(printed(["sql"], capsys).split())
    assert "alpha log E[exp(Q / alpha) / pi], the actions" in text


def test_settings_that_a_source_has_for_some_environments_are_shown(capsys):
    text = printed(["beta"], capsys)
    assert "temperature.scale=0.0004" in text
    assert "Humanoid" in text


def test_the_parts_for_discrete_actions_are_shown(capsys):
    assert "discrete posterior=categorical" in " ".join(printed(["sac"], capsys).split())
    words = printed(["rerpi"], capsys).split()
    wanted = "posterior=enumerated prior=learned-categorical prior.trust=0.001 prior.price=10.0"
    assert set(wanted.split()) <= set(words)
    assert "none: a posterior of the kind deterministic" in printed(["td3"], capsys)
    footer = " ".join(printed([], capsys).split())
    assert "Where actions are discrete, tanh-gaussian is categorical" in footer
    assert "top-share, score and latent have -categorical at their end" in footer


@pytest.mark.parametrize("preset", ["mb-sac", "mb-mpo", "mb-iadp", "smcp"])
def test_a_model_has_no_discrete_form_for_the_reason_that_training_gives(preset, capsys):
    text = " ".join(printed([preset], capsys).split())
    assert "none: a value of the kind model is for continuous actions alone: its rollouts need a" in text


def test_a_preset_for_discrete_actions_alone_says_so(capsys):
    assert "discrete those above: it is for discrete actions alone" in " ".join(
        printed(["distral"], capsys).split()
    )


def test_the_delay_of_the_policy_is_said_to_be_that_of_averaged_targets(capsys):
    text = " ".join(printed(["sac"], capsys).split())
    assert "per update of the policy, and of target networks that are averaged (TD3: 2)" in text


def test_a_wrong_name_is_one_line(capsys):
    assert main_presets(["ppo"]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    known = f"{', '.join(PRESETS)}, or a part: {', '.join(AXES)}"
    line = f"virel presets: `preset` must be one of {known}; found 'ppo'; did you mean mpo?\n"
    assert captured.err == line
    assert main_presets(["temprature"]) == 2
    assert capsys.readouterr().err.endswith("; found 'temprature'; did you mean temperature?\n")
    with pytest.raises(InputError, match=r"distral, iadp, hdp; found 'sca'; did you mean sac\?$"):
        preset_row("sca")


def test_it_is_a_sub_command_and_needs_no_torch():
    script = (
        "import sys\nfrom virel_common.command import main\nassert main(['presets', 'sac']) == 0\n"
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", script], capture_output=True, check=False).returncode == 0
    assert main(["presets", "--help"]) == 0
