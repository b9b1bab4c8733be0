"""One style for every figure, whatever the user's own settings."""

import subprocess
import sys

import matplotlib as mpl
import pytest

from virel_common.plot_style import OKABE_ITO, STYLE, UNDATED, style


def test_inside_the_block_only_the_style_counts_and_outside_the_user_s_settings():
    with mpl.rc_context({"font.size": 31.0, "lines.linestyle": ":"}):
        with style(STYLE | {"lines.linewidth": 2.5}):
            inside = [mpl.rcParams[name] for name in ("font.size", "lines.linestyle", "lines.linewidth")]
        outside = [mpl.rcParams[name] for name in ("font.size", "lines.linestyle")]
    assert (inside, outside) == ([8.0, "-", 2.5], [31.0, ":"])


@pytest.mark.parametrize("kind", UNDATED)
def test_the_same_figure_has_the_same_bytes_on_another_day(monkeypatch, tmp_path, kind):
    from matplotlib.figure import Figure  # noqa: PLC0415

    files = []
    for day in ("86400", "172800"):
        monkeypatch.setenv("SOURCE_DATE_EPOCH", day)
        with style(STYLE):
            figure = Figure()
            figure.subplots().plot([0, 1], [0, 1], color=OKABE_ITO[0])
            files.append(tmp_path / f"{day}.{kind}")
            figure.savefig(files[-1], metadata=UNDATED[kind])
    assert files[0].read_bytes() == files[1].read_bytes()


def test_matplotlib_is_imported_only_when_a_style_is_applied():
    script = "import sys, virel_common.plot_style; sys.exit('matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0
