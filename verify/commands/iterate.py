"""Sub-command `virel iterate` of `virel_theory`, where `--out` also draws the figure."""

from collections.abc import Sequence
from pathlib import Path

from virel_theory import iterate_cli
from virel_theory.variational.record import Record


def main_iterate(argv: Sequence[str]) -> int:
    """Run `virel iterate`: an exact algorithm on an MDP; return the exit status."""
    return iterate_cli.main_iterate(argv, drawer=draw_curves)


def draw_curves(record: Record, folder: Path, command: str) -> list[Path]:
    """Draw value, bound, KL divergence and temperature against the iteration; return the files."""
    from verify.engine.plotdata import Curve, Figure, Panel  # noqa: PLC0415  (slow to import, needed last)
    from verify.report.figures import draw  # noqa: PLC0415  (matplotlib)

    def panel(title: str, ylabel: str, name: str, *, yscale: str = "linear") -> Panel:
        curve = Curve(record.algorithm, record.steps, record.series(name))
        return Panel(title, "iteration", ylabel, [curve], yscale="log" if yscale == "log" else "linear")

    panels = [
        panel("Expected return from the start", "p_0 V", "value"),
        panel("Distance from optimal, guaranteed", "bound on max_s V* - V", "bound", yscale="log"),
        panel("Divergence of the posterior from the prior", "E_d KL, nats", "kl"),
        panel("Temperature of the E-step", "temperature, reward units", "temperature"),
    ]
    caption = f"{record.algorithm}: {len(record.rows)} iterations."
    return draw(Figure(f"{record.algorithm}-curves", panels, caption), folder, command=command)
