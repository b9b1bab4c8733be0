"""Speed results as a Markdown page: one table per setting, and the targets of the specification."""

from collections.abc import Callable
from statistics import median
from typing import Any

from benchmarks.deep.speed.contenders import MODULES, OURS, PACED, PRODUCTS, is_ours
from benchmarks.deep.speed.flops import update_flops
from benchmarks.deep.speed.team import Setting

ABOUT = """# Speed of learning, side by side

Written by `python -m benchmarks.deep.speed`. HalfCheetah-v5, one update per environment step, a replay of
100,000 transitions, no evaluation and no checkpoints. Every contender has processes of its own, pinned to as
many cores as it has threads. Rounds alternate, and the tables hold medians of the rounds.
`sb3` and `sbx` are SAC with 2 x 256 units and batches of 256, like our `sac` and the `-twin` presets.
`virel` and `beta` are those of App. H, with 2 x 300 units and batches of 128. A name that ends in `/8` has an
update every 8 steps. `vmpo` and `erpg` make 10 and 1 updates at the end of every rollout.

- "steps/s": environment steps per second while learning, all seeds together. "/ sb3" and "/ sbx" divide them
  by the peer's in the same setting.
- "update": milliseconds per update and seed, minibatch included; with several processes, all of them at once.
- "floor": flops of an update's products, counted from the layer sizes, divided by the largest rate of
  products in the same setting and run, with torch's matmul precision "highest" (MKL) and "medium" (oneDNN).
- "rest": milliseconds per environment step and seed outside the update: acting, environment, replay, log.
- "CPU": CPU time divided by wall time and threads. If it is below 0.97 for one thread, other work ran at the
  same time, or the contender waited. "CPU, ms per step" hardly depends on other work.
"""
HEAD = (
    "| contender | seeds | steps/s | / sb3 | / sbx | update, ms | floor, ms: highest, medium "
    "| update / floor: highest, medium | rest, ms | CPU | CPU, ms per step | rounds |\n"
    "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |"
)

PRECISIONS = ("highest", "medium")

Entry = dict[str, Any]
Round = dict[str, Any]


class Table:
    """The measurements of one setting, and what is derived from them."""

    def __init__(self, name: str, entries: dict[str, Entry]) -> None:
        """Keep the contenders that finished a round, and the reasons of those that failed."""
        self.setting = Setting(*map(int, name.split("x")))
        self.entries = {key: entry for key, entry in entries.items() if entry["rounds"]}
        self.failed = {key: entry["failed"] for key, entry in entries.items() if "failed" in entry}

    def rate(self, key: str) -> float | None:
        """Environment steps per second, all seeds together."""
        return self._median(
            key, lambda one: sum(one["steps"] * self._of_each(key) / x["s"] for x in one["learn"])
        )

    def update_ms(self, key: str) -> float | None:
        """Milliseconds per update and seed, all processes together."""
        return self._median(
            key,
            lambda one: (
                1e3 * sum(x["s"] for x in one["update"]) / len(one["update"]) / one["steps"] / _seeds(key)
            ),
        )

    def rest_ms(self, key: str) -> float | None:
        """Milliseconds per environment step and seed outside updates; None for peers, which do not tell."""
        if not is_ours(key.rpartition("-")[0]):
            return None
        return self._median(
            key,
            lambda one: (
                1e3 * sum(x["s"] - x["inside_s"] for x in one["learn"]) / len(one["learn"]) / one["steps"]
            ) / self._of_each(key),
        )  # fmt: skip

    def cpu(self, key: str) -> float | None:
        """CPU time divided by wall time and threads."""
        threads = self.setting.threads
        return self._median(
            key, lambda one: min(x["cpu_s"] / x["s"] for x in (*one["learn"], *one["update"])) / threads
        )

    def cpu_ms(self, key: str) -> float | None:
        """Milliseconds of CPU time per environment step and seed while learning, all threads together."""
        return self._median(
            key,
            lambda one: (
                1e3 * sum(x["cpu_s"] for x in one["learn"]) / len(one["learn"]) / one["steps"]
            ) / self._of_each(key),
        )  # fmt: skip

    def floor_ms(self, key: str, precision: str) -> float | None:
        """Milliseconds that an update's products take at the largest rate measured in this setting."""
        products = self.entries.get(f"{PRODUCTS}-{self.setting.processes}")
        if products is None:
            return None
        peak = _peak(products, precision)
        name = key.rpartition("-")[0]
        preset, _ = PACED.get(name, ("sac" if name in MODULES else name, {}))
        return 1e3 * update_flops(preset) / peak

    def peer(self, name: str) -> float | None:
        """Environment steps per second of a peer, which has one seed per process."""
        return self.rate(f"{name}-{self.setting.processes}")

    def _of_each(self, key: str) -> int:
        """Number of seeds in each process."""
        return _seeds(key) // self.setting.processes

    def _median(self, key: str, value: Callable[[Round], float]) -> float | None:
        if key not in self.entries:
            return None
        return float(median(map(value, self.entries[key]["rounds"])))


def markdown(results: dict[str, Any]) -> str:
    """Write the whole page from the results."""
    tables = [Table(name, entries) for name, entries in results["settings"].items()]
    lines = [ABOUT, "; ".join(f"{key}: {value}" for key, value in results["of"].items()), ""]
    for table in tables:
        lines += [f"## {table.setting}", "", HEAD]
        lines += [_row(table, key) for key in table.entries if not key.startswith(PRODUCTS)]
        lines += ["", *_notes(table)]
    lines += ["## Targets", "", *_targets({str(x.setting): x for x in tables}), ""]
    lines += [f"Not compared: {name}: {why}." for name, why in results.get("missing", {}).items()]
    return "\n".join(lines).rstrip() + "\n"


def _row(table: Table, key: str) -> str:
    rate, update = table.rate(key), table.update_ms(key)
    floors = [table.floor_ms(key, precision) for precision in PRECISIONS]
    cells = [
        key.rpartition("-")[0],
        str(_seeds(key)),
        _text(rate, 1),
        *(_text(_over(rate, table.peer(peer)), 2) for peer in MODULES),
        _text(update, 2),
        ", ".join(_text(floor, 2) for floor in floors),
        ", ".join(_text(_over(update, floor), 2) for floor in floors),
        _text(table.rest_ms(key), 3),
        _text(table.cpu(key), 2),
        _text(table.cpu_ms(key), 2),
        str(len(table.entries[key]["rounds"])),
    ]
    return "| " + " | ".join(cells) + " |"


def _notes(table: Table) -> list[str]:
    """Lines below a table: rates of products, our precision, load, versions of the peers, failures."""
    lines = []
    products = table.entries.get(f"{PRODUCTS}-{table.setting.processes}")
    if products:
        peaks = {p: _peak(products, p) for p in PRECISIONS}
        lines.append(
            "Products: " + ", ".join(f"{p} {rate / 1e9:.0f} GFLOP/s" for p, rate in peaks.items()) + "."
        )
    taken = sorted({e["facts"]["precision"] for e in table.entries.values() if "precision" in e["facts"]})
    loads = [one["load"] for entry in table.entries.values() for one in entry["rounds"]]
    lines.append(
        f"Ours took {' and '.join(taken) or 'nothing'}. Load average at the rounds' starts: "
        f"{min(loads):.1f} to {max(loads):.1f}."
    )
    for key, entry in table.entries.items():
        if key.rpartition("-")[0] in MODULES:
            lines.append(
                f"{key}: " + ", ".join(f"{p} {v}" for p, v in entry["facts"]["versions"].items()) + "."
            )
    lines += [f"{key} failed: {why}." for key, why in table.failed.items()]
    return [*lines, ""]


def _targets(tables: dict[str, Table]) -> list[str]:
    """Lines of the specification's targets, each with what was found."""
    lines = []
    one = tables.get(str(Setting(1, 1)))
    if one:
        rate, update = one.rate("sac-1"), one.update_ms("sac-1")
        others = [one.rate(f"{name}-1") for name in ("virel", "beta")]
        slower = min((x for x in others if x), default=None)
        lines = [
            _target(
                "`sac`, steps/s over sb3's, one thread", _over(rate, one.peer("sb3")), 2.5, at_least=True
            ),
            _target(
                "`sac`, steps/s over SBX's, one thread", _over(rate, one.peer("sbx")), 1.3, at_least=True
            ),
            _target(
                "`sac`, update over the medium floor", _over(update, one.floor_ms("sac-1", "medium")), 1.6
            ),
            _target(
                "the slower of `virel` and `beta` over `sac`, steps/s",
                _over(slower, rate),
                1.0,
                at_least=True,
            ),
            _target("rest of a step with one seed, the largest, ms", _largest_rest(one), 0.6),
            _target(
                "`mpo` with an update every 8 steps over `sac`, steps/s",
                _over(one.rate("mpo/8-1"), rate),
                1.0,
                at_least=True,
            ),
        ]
    two = [tables[str(s)] for s in (Setting(1, 2), Setting(2, 1)) if str(s) in tables]
    if two:
        best = max((x for t in two if (x := t.rate("sac-4"))), default=None)
        peer = max((x for t in two if (x := t.peer("sb3"))), default=None)
        lines.append(
            _target(
                "`sac`, 4 seeds on two cores over sb3's best there", _over(best, peer), 3.0, at_least=True
            )
        )
    return lines


def _largest_rest(table: Table) -> float | None:
    return max((x for name in OURS if (x := table.rest_ms(f"{name}-1")) is not None), default=None)


def _target(what: str, found: float | None, bound: float, *, at_least: bool = False) -> str:
    rule = f"at {'least' if at_least else 'most'} {bound:g}"
    if found is None:
        return f"- {what}: {rule}; not measured"
    met = found >= bound if at_least else found <= bound
    return f"- {what}: {rule}; found {found:.2f}: {'met' if met else '**not met**'}"


def _peak(products: Entry, precision: str) -> float:
    """Flops per second of all processes together in the best round."""
    return float(max(sum(x[precision] for x in one["learn"]) for one in products["rounds"]))


def _seeds(key: str) -> int:
    return int(key.rpartition("-")[2])


def _over(a: float | None, b: float | None) -> float | None:
    return a / b if a is not None and b else None


def _text(x: float | None, digits: int) -> str:
    return "-" if x is None else f"{x:.{digits}f}"
