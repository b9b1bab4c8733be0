"""Operators on what a certificate claims: its claim and form, MDP, results, and parts of others."""

import copy
from fractions import Fraction

from tests.support.tampering.numbers import place

NAMES = ["eq-24", "theorem-3", "eq-41", "design-05", "app-c-3", "corollary-1", "eq-30", "solve", "eq-36", ""]
FORMS = ["printed", "corrected", "step-1", "step-2", "policy", "", "printed printed"]


def on_entry(change):
    """Operator that changes one certificate; `change` may say no by None."""

    def operator(body, rng, others):
        k = rng.randrange(len(body["certificates"]))
        changed = change(body["certificates"][k], rng, others)
        return None if changed is None else place(body, ("certificates", k), changed)

    return operator


def on_mdp(change):
    """Operator that changes a certificate's MDP, if it has one in fractions."""
    return on_entry(lambda x, rng, _: _with_mdp(x, rng, change) if "mdp" in x["instance"] else None)


def _with_mdp(x, rng, change):
    changed = change(x["instance"]["mdp"], rng)
    return None if changed is None else place(x, ("instance", "mdp"), changed)


def on_result(change):
    """Operator that changes the result of one fact."""

    def changed(x, rng, others):  # noqa: ARG001
        k = rng.randrange(len(x["result"]))
        result = change(x["result"][k], rng)
        return None if result is None else place(x, ("result", k), result)

    return on_entry(changed)


def on_enclosure(change):
    """Operator that changes the ends of one interval."""

    def changed(result, rng):
        key = rng.choice([key for key in result if isinstance(result[key], list)])
        return result | {key: change(*result[key], rng)}

    return on_result(changed)


def scaled(end, k):
    m, _, e = end.partition("p")
    return f"{m}p{int(e) + k}"


def nudged(end, k):
    m, _, e = end.partition("p")
    return f"{int(m) + k}p{e}"


def moved_mass(mdp, rng):
    """Probability from one successor to another: still a distribution."""
    rows = [row for *_, row in mdp["pairs"] if len(row) > 1]
    if not rows:
        return None
    row = rng.choice(rows)
    step = Fraction(row[0][1]) / rng.choice([2, 3, 1])
    row[0][1], row[1][1] = str(Fraction(row[0][1]) - step), str(Fraction(row[1][1]) + step)
    return mdp


def other_successor(mdp, rng):
    row = rng.choice(mdp["pairs"])[3]
    row[rng.randrange(len(row))][0] = rng.randrange(mdp["n_states"])
    return mdp


def other_reward(mdp, rng):
    pair = rng.choice(mdp["pairs"])
    pair[2] = str(Fraction(pair[2]) + rng.choice([1, -1, Fraction(1, 3)]))
    return mdp


def pair_of(change):
    return lambda mdp, rng: mdp | {"pairs": change(mdp["pairs"], rng)}


def from_other(name):
    """Operator that takes a part of another certificate."""

    def changed(x, rng, others):
        return x | {name: copy.deepcopy(rng.choice(others))[name]}

    return on_entry(changed)


def part_from_other(x, rng, others):
    theirs = rng.choice(others)["instance"]
    shared = sorted(set(theirs) & set(x["instance"]))
    return x | {"instance": x["instance"] | {k: theirs[k] for k in shared[:1]}} if shared else None


def on_delta(factor):
    """Operator on the delta of a solver's certificate."""

    def changed(x, rng, others):  # noqa: ARG001
        if "delta" not in x["instance"] or x["claim"] != "solve":
            return None
        return place(x, ("instance", "delta"), str(Fraction(x["instance"]["delta"]) * factor))

    return on_entry(changed)


def on_list(change):
    """Operator on the list of certificates."""
    return lambda body, rng, others: body | {"certificates": change(body["certificates"], rng, others)}


IDENTITY = {bits: ["-1p-300", "1p-300"] for bits in ("64", "128", "256")}
CLAIMS = {
    "claim: another": on_entry(lambda x, rng, _: x | {"claim": rng.choice(NAMES)}),
    "claim: that of another certificate": from_other("claim"),
    "claim: another form": on_entry(lambda x, rng, _: x | {"form": rng.choice(FORMS)}),
    "claim: claim and form cut elsewhere": on_entry(
        lambda x, _rng, _: x | {"claim": f"{x['claim']} {x['form']}"}
    ),
    "instance: that of another certificate": from_other("instance"),
    "instance: a part of another certificate": on_entry(part_from_other),
    "instance: gamma one": on_mdp(lambda mdp, _rng: mdp | {"gamma": "1"}),
    "instance: another gamma": on_mdp(lambda mdp, rng: mdp | {"gamma": rng.choice(["0", "1/3", "99/100"])}),
    "instance: probability moved": on_mdp(moved_mass),
    "instance: another successor": on_mdp(other_successor),
    "instance: another reward": on_mdp(other_reward),
    "instance: a state more": on_mdp(lambda mdp, _rng: mdp | {"n_states": mdp["n_states"] + 1}),
    "instance: an action more": on_mdp(lambda mdp, _rng: mdp | {"n_actions": mdp["n_actions"] + 1}),
    "instance: a pair less": on_mdp(pair_of(lambda pairs, _rng: pairs[:-1])),
    "instance: a pair twice": on_mdp(pair_of(lambda pairs, _rng: [*pairs, pairs[-1]])),
    "instance: pairs in another order": on_mdp(pair_of(lambda pairs, _rng: pairs[::-1])),
    "result: that of another certificate": from_other("result"),
    "result: one fact less": on_entry(lambda x, _rng, _: x | {"result": x["result"][:-1]}),
    "result: one fact more": on_entry(lambda x, _rng, _: x | {"result": [*x["result"], x["result"][-1]]}),
    "result: facts swapped": on_entry(lambda x, _rng, _: x | {"result": x["result"][::-1]}),
    "result: that of an identity": on_result(lambda _x, _rng: dict(IDENTITY)),
    "result: that of an inequality": on_result(lambda _x, _rng: {"enclosure": ["0p0", "1p99"]}),
    "result: another component": on_result(lambda x, rng: x | {"component": rng.choice([0, 1, 2, -1, True])}),
    "interval: wider": on_enclosure(lambda low, high, _rng: [low, scaled(nudged(high, 1), 3)]),
    "interval: higher": on_enclosure(lambda low, high, _rng: [nudged(low, 1), nudged(high, 1)]),
    "interval: lower end higher": on_enclosure(
        lambda low, high, rng: [nudged(low, rng.choice([1, 9])), high]
    ),
    "interval: upper end lower": on_enclosure(lambda low, high, _rng: [low, nudged(high, -1)]),
    "interval: ends swapped": on_enclosure(lambda low, high, _rng: [high, low]),
    "interval: a point": on_enclosure(lambda low, _high, _rng: [low, low]),
    "interval: everything": on_enclosure(lambda _low, _high, _rng: ["-1p99999", "1p99999"]),
    "interval: huge exponents": on_enclosure(lambda _low, _high, _rng: ["-1p9999999", "1p9999999"]),
    "interval: tiny": on_enclosure(lambda _low, _high, _rng: ["-1p-9999", "1p-9999"]),
    "interval: three ends": on_enclosure(lambda low, high, _rng: [low, high, high]),
    "solver: smaller delta": on_delta(Fraction(1, 1000)),
    "solver: weaker delta": on_delta(9 * 10**299),
    "solver: negative delta": on_delta(-1),
    "certificates: none": on_list(lambda _xs, _rng, _others: []),
    "certificates: 200 copies": on_list(
        lambda xs, _rng, _others: xs * 200 if len(str(xs)) < 3000 else xs * 3
    ),
    "certificates: one of another claim": on_list(lambda xs, rng, others: [*xs, rng.choice(others)]),
}
