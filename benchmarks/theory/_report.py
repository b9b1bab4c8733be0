"""Results of the solvers as a Markdown table, with summary numbers."""

import math
import statistics
from typing import Any

HEAD = (
    "| instance | ours, ms | best peer, ms | ratio | bound | method | sweep / floor (gather) | memory "
    "| threads, load | peers: ms, true error |\n"
    "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |"
)
ABOUT = """# Solvers, side by side

Written by `python -m benchmarks.theory.solvers`. Every contender runs in its own process, on the same MDP,
asked for the same accuracy. Runs alternate, and the table holds their medians.

- "ratio": our time divided by that of the best peer that met the accuracy.
- "bound": our guaranteed bound on |Q - Q*|.
- "sweep / floor": time of one sweep of T*, divided by the time to read the MDP's bytes once, at the bandwidth
  measured in turns with it; in brackets, divided by the time of gathering its values alone. Threads as in
  "threads".
- "memory": the MDP's bytes plus the largest resident bytes that a solve added, divided by the MDP's bytes,
  with 4 KiB pages; in brackets, with the huge pages that NumPy asks for, each of which counts whole once it
  is touched.
- "true error": |V - V*|, measured from our certified values, so exact up to the bound; bold if above the
  accuracy asked for.
- "threads, load": our threads, and the other processes that ran when the instance began. With a load on two
  cores, two threads of ours wait for each other; the peers have one thread and do not.
"""

ABOUT_CONDITIONS = """## Quiet and busy machines

Written by `python -m benchmarks.theory.conditions`: ours and the peers in turns, 20 alternations (fewer where
a contender's budget of seconds ran out), with nothing, with three busy loops, or with two processes beside
that stream through memory. "p90" is the 90th percentile. The ratio's p90 is that of our time divided by the
best peer's in the same alternation. "threads" is what `Solution.threads` of our last run says."""
CONDITIONS_HEAD = (
    "| instance | ours, ms | p90 | best peer, ms | p90 | ratio | p90 of ratios | threads | runs | load |\n"
    "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |"
)


ABOUT_DENSE = """## Small and dense

Written by `python -m benchmarks.theory.dense`, all in one process: Garnets whose rows reach all states, 10
actions (4 in stacks), accuracy 1e-8. Times are the least CPU times of so many turns, for each MDP. "pi" is
quantecon's default, policy iteration by LAPACK, which has no tolerance; "mpi" its modified policy iteration,
whose stopping rule is below rounding at gamma 0.9999. Bold: a peer that is further than
1e-8 from our value, our own bound added to it; it does not count for the ratio. Dense MDPs further up are
older."""
DENSE_HEAD = (
    "| MDPs | ours, us | pi, us | mpi, us | ratio | turns | bound | errors of the peers | method |\n"
    "| --- | --- | --- | --- | --- | --- | --- | --- | --- |"
)


def markdown(results: dict[str, Any]) -> str:
    """Write the whole page from the results."""
    lines = [ABOUT, _machine(results["machine"]), "", HEAD]
    lines += [_row(name, x, results["atol"]) for name, x in results["instances"].items()]
    found = results["instances"].values()
    ratios = [r for r in (ratio(x, results["atol"]) for x in found) if r]
    if ratios:
        mean = math.exp(sum(map(math.log, ratios)) / len(ratios))
        lines += [
            "",
            f"Geometric mean of the ratios: {mean:.3f}; largest: {max(ratios):.3f} of {len(ratios)}.",
        ]
    lines += [f"Not compared: {name}: {why}." for name, why in results["missing"].items()]
    lines += [line for note in results["notes"] for line in ("", note)]
    lines += conditions(results.get("conditions", {}))
    lines += dense(results.get("dense", {}))
    lines += billion(results["billion"]) if "billion" in results else []
    return "\n".join(lines) + "\n"


def conditions(found: dict[str, Any]) -> list[str]:
    """Lines on quiet and busy machines, one table per condition."""
    lines = ["", ABOUT_CONDITIONS] if found else []
    for title, instances in found.items():
        lines += ["", f"### {title}", "", CONDITIONS_HEAD]
        lines += [_condition_row(name, x) for name, x in instances.items()]
        ratios = [statistics.median(x["ours"]) / _best(x)[1] for x in instances.values()]
        worst = max(_tail(x) for x in instances.values())
        mean = math.exp(sum(map(math.log, ratios)) / len(ratios))
        line = f"Geometric mean of the ratios of medians: {mean:.3f}; largest: {max(ratios):.3f}"
        lines += ["", f"{line}; largest 90th percentile of the paired ratios: {worst:.3f}."]
    return lines


def billion(facts: dict[str, Any]) -> list[str]:
    """Lines on the largest MDP: what it took here, the floor of the same run, and what peers did."""
    made, solved, sweep = facts["made_s"], facts["solve_s"], facts["sweep_s"]
    floor, gather = facts["floor_s"], facts["gather_s"]
    made_of = f"{facts['mdp_bytes'] / 1e9:.1f} GB with {facts['indices']} indices"
    how = f"{facts['method']}; {facts['threads']}"
    took = (
        "Written by `python -m benchmarks.theory.billion`. "
        f"A Garnet of {facts['states']:,} states, 10 actions and 10 successors each: {made_of}, "
        f"drawn and checked in {made:.0f} s. `solve` took **{solved:.1f} s** "
        f"to a relative bound of {facts['relative_bound']:.1e} ({how}), "
        f"with a peak of **{facts['memory']:.2f} times** the MDP's bytes."
    )
    floors = (
        f"One sweep of T* takes {sweep:.2f} s. "
        f"Reading the MDP once at the bandwidth of the same run ({facts['bandwidth'] / 1e9:.0f} GB/s) "
        f"takes {floor:.2f} s, gathering its values alone {gather:.2f} s: "
        f"the solve is {solved / floor:.0f} readings, or {solved / gather:.0f} gatherings."
    )
    lines = ["## A billion transitions", "", took, "", floors, ""]
    peers = [_billion_peer(name, one) for name, one in facts["peers"].items()]
    return ["", *lines, *peers, f"{facts['cpu']}, {facts['date']}."]


def _billion_peer(name: str, facts: dict[str, Any]) -> str:
    if "failed" in facts:
        return f"{name}: {facts['failed']}.\n"
    took = f"{facts['s']:.0f} s, after {facts['prepare_s']:.0f} s to take the MDP over"
    return f"{name} took {took}; it differs from ours by {facts['relative_error']:.1e}, relative.\n"


def _best(x: dict[str, Any]) -> tuple[str, float]:
    """Peer with the smallest median, and that median in seconds."""
    medians = {name: statistics.median(runs) for name, runs in x["peers"].items()}
    name = min(medians, key=medians.__getitem__)
    return name, medians[name]


def _tail(x: dict[str, Any]) -> float:
    """90th percentile of our time divided by the best peer's in the same alternation."""
    return tail([mine / its for mine, its in zip(x["ours"], x["peers"][_best(x)[0]], strict=False)])


def tail(values: list[float]) -> float:
    """90th percentile: the smallest value that nine tenths do not exceed."""
    return sorted(values)[math.ceil(0.9 * len(values)) - 1]


def _condition_row(name: str, x: dict[str, Any]) -> str:
    peer, median = _best(x)
    cells = [
        name,
        f"{1e3 * statistics.median(x['ours']):.2f}",
        f"{1e3 * tail(x['ours']):.2f}",
        f"{peer} {1e3 * median:.2f}",
        f"{1e3 * tail(x['peers'][peer]):.2f}",
        f"{statistics.median(x['ours']) / median:.3f}",
        f"{_tail(x):.3f}",
        x["threads"],
        f"{min(len(x['ours']), len(x['peers'][peer]))}",
        f"{x['load']:.1f}",
    ]
    return "| " + " | ".join(cells) + " |"


def ratio(x: dict[str, Any], atol: float) -> float | None:
    """Our time divided by that of the best peer that met the accuracy; None without such a peer."""
    times = [p["s"] for p in x["peers"].values() if p.get("error", math.inf) <= atol + x["ours"]["bound"]]
    return x["ours"]["s"] / min(times) if times else None


def _row(name: str, x: dict[str, Any], atol: float) -> str:
    mine, peers = x["ours"], x["peers"]
    r = ratio(x, atol)
    best = f"{1e3 * mine['s'] / r:.2f}" if r else "-"
    gather = f" ({mine['sweep_s'] / mine['gather_s']:.2f})" if mine.get("gather_s") else ""
    small, huge = (1 + mine[key] / mine["mdp_bytes"] for key in ("extra_bytes", "huge_extra_bytes"))
    cells = [
        name,
        f"{1e3 * mine['s']:.2f}",
        best,
        f"{r:.3f}" if r else "-",
        f"{mine['bound']:.1e}",
        mine["method"],
        f"{mine['sweep_s'] / mine['floor_s']:.2f}{gather}",
        f"{small:.2f} ({huge:.2f})",
        f"{x['threads']}, {x['load']:.1f}",
        "; ".join(_peer(n, p, atol + mine["bound"]) for n, p in peers.items()) or "none",
    ]
    return "| " + " | ".join(cells) + " |"


def _peer(name: str, peer: dict[str, Any], limit: float) -> str:
    if "s" not in peer:
        return f"{name}: {peer['failed']}"
    error = f"{peer['error']:.1e}"
    return f"{name} {1e3 * peer['s']:.1f}, {error if peer['error'] <= limit else f'**{error}**'}"


def _machine(machine: dict[str, Any]) -> str:
    return "; ".join(f"{key}: {value}" for key, value in machine.items())


def dense(found: dict[str, Any]) -> list[str]:
    """Lines on small and dense MDPs."""
    if not found:
        return []
    ratios = [dense_ratio(x) for x in found.values()]
    line = f"Largest ratio: {max(ratios):.2f} of {len(ratios)}."
    return ["", ABOUT_DENSE, "", DENSE_HEAD, *(dense_row(name, x) for name, x in found.items()), "", line]


def dense_ratio(x: dict[str, Any]) -> float:
    """Our least time divided by that of the best peer that met the accuracy; 0 if none did."""
    good = [min(x["times"][name]) for name, error in x["errors"].items() if error <= x["atol"] + x["bound"]]
    return float(min(x["times"]["ours"]) / min(good)) if good else 0.0


def dense_row(name: str, x: dict[str, Any]) -> str:
    """Row of one dense MDP, or stack of them; its name begins with their number if it is a stack."""
    n = int(name.split(" x ", maxsplit=1)[0].replace(",", "")) if " x " in name else 1

    def cell(peer: str) -> str:
        if peer not in x["times"]:
            return "-"
        text = f"{1e6 * min(x['times'][peer]) / n:.1f}"
        wrong = peer != "ours" and x["errors"][peer] > x["atol"] + x["bound"]
        return f"**{text}**" if wrong else text

    times = " | ".join(cell(peer) for peer in ("ours", "policy_iteration", "modified_policy_iteration"))
    errors = ", ".join(f"{error:.1e}" for error in x["errors"].values())
    counts = f"{dense_ratio(x):.2f} | {len(x['times']['ours'])}"
    return f"| {name} | {times} | {counts} | {x['bound']:.1e} | {errors} | {x['method']} |"
