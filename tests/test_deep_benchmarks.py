"""Commands of `benchmarks.deep`: what they can't measure is one line on stderr, never a traceback."""

import importlib
from importlib.util import find_spec

import pytest

from benchmarks.deep import residual, rows
from tests.support.deep import small_run


def test_a_run_that_has_no_residual_temperature_or_is_none_is_one_line(tmp_path, capsys):
    small_run(tmp_path, "td3", "InvertedPendulum-v5", steps=40)
    small_run(tmp_path / "beta", "beta", "InvertedPendulum-v5", steps=40)
    for argv, message in (
        ([str(tmp_path / "nothing")], f"`run` must be a run folder; {tmp_path}/nothing/config.json: No such"),
        ([str(tmp_path)], "`temperature` must be residual; found 'zero'"),
        ([str(tmp_path / "beta"), "--seed", "3"], "`seed` must be one of [0]; found 3"),
        ([str(tmp_path / "beta")], f"`folder` must hold a checkpoint; found '{tmp_path}/beta/seed-0/checkp"),
    ):
        assert residual.main(argv) == 2
        said = capsys.readouterr()
        assert (said.out, said.err.count("\n")) == ("", 1)
        assert said.err.startswith(f"benchmarks.deep.residual: {message}")


@pytest.mark.skipif(find_spec("stable_baselines3") is not None, reason="stable-baselines3 is installed")
@pytest.mark.parametrize("name", ["sb3", "sb3_updates"])
def test_without_stable_baselines3_its_commands_say_so_in_one_line(name):
    with pytest.raises(SystemExit) as stopped:  # with a text, which Python prints, and the status 1
        importlib.import_module(f"benchmarks.deep.{name}")
    needs = "No module named 'stable_baselines3'; it needs `pip install stable-baselines3`"
    assert stopped.value.code == f"benchmarks.deep.{name}: {needs}"


@pytest.mark.parametrize("options", [[], ["--table"]])
def test_a_row_that_does_not_exist_is_one_line(capsys, monkeypatch, options):
    monkeypatch.setattr(rows, "_train", lambda *_: 1)
    monkeypatch.setattr("sys.argv", ["rows", "mpo-Pendulum-v1", "no-such-task", *options])
    assert rows.main() == 2
    said = capsys.readouterr()
    assert (said.out, said.err.count("\n")) == ("", 1)
    assert said.err.startswith(
        "python -m benchmarks.deep.rows: `tasks` must be among mpo-InvertedPendulum-v5"
    )
    assert said.err.endswith("; found 'no-such-task'\n")


@pytest.mark.parametrize(
    ("command", "message"),
    [
        (("gpu", "--device", "cpu", "--study", "nothing.toml"), "`study` must be a study file; nothing.toml"),
        (("transfer", "--seeds", "0"), "`seeds` must be from 1 to 10000; found 0"),
    ],
)
def test_bad_input_is_one_line_before_anything_is_measured(tmp_path, monkeypatch, command, message):
    name, *arguments = command
    monkeypatch.setattr("sys.argv", [name, *arguments, "--out", str(tmp_path / "out")])
    with pytest.raises(SystemExit) as stopped:
        importlib.import_module(f"benchmarks.deep.{name}").main()
    assert str(stopped.value.code).startswith(f"benchmarks.deep.{name}: {message}")
    assert "\n" not in str(stopped.value.code)
    assert not (tmp_path / "out").exists()
