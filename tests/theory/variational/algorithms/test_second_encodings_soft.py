"""Second encodings, in plain loops, of the exact algorithms with a fixed temperature: whole runs, own values.

Each encoding is written from the papers and the algorithms' docstrings, and runs on its own from the first
iterate to the last: 200 random MDPs each, with missing actions and absorbing states.

Tolerance, derived beforehand. Temperatures are at least 0.5, values below (4 + 0.5 log 64)/(1 - gamma) = 61,
systems' condition numbers below 20: one evaluation differs by less than 1e-11, log-ratios of policies by
four times that, and an iteration hands that on to the next values with a factor of at most 1/(1 - gamma):
1e-8 is ample for four iterations.
"""

import itertools
import math

import numpy as np
import pytest

from tests.support import plain
from virel_theory.variational.table import algorithm_row

N_STEPS, TOL = 4, 1e-8
WORLDS = [40, pytest.param(200, marks=pytest.mark.long)]
"""Numbers of random MDPs: the first 40 always, all 200 by `make test-long`."""


def _uniform(world):
    return [{a: 1 / len(acts) for a in acts} for acts in world.actions]


def _soft_values(world, pi, prior, alpha, penalties=None):
    """Values of `pi` with the penalty `alpha KL(pi || prior)` per step, or the given penalties."""
    cost = penalties or [alpha * plain.kl(x, p) for x, p in zip(pi, prior, strict=True)]
    gain = [sum(pi[s][a] * world.reward[s][a] for a in world.actions[s]) - cost[s] for s in world.states]
    return plain.values(world, pi, gain)


def _mean_kl(d, x, y):
    return sum(w * plain.kl(a, b) for w, a, b in zip(d, x, y, strict=True) if w > 0)


def _boltzmann(q, prior, alpha):
    return [plain.tempered(x, p, alpha) for x, p in zip(q, prior, strict=True)]


def sql_run(world, d, *, alpha):
    v, prior = [0.0] * len(world.actions), _uniform(world)
    while True:
        q = plain.backup(world, v)
        pi = [plain.tempered(x, p, alpha, rho=0.0) for x, p in zip(q, prior, strict=True)]
        v = [alpha * plain.log_sum_exp([y / alpha for y in x.values()]) for x in q]
        yield q, pi, prior, pi, alpha, _mean_kl(d, pi, prior)


def erpg_run(world, d, *, tau, step, form):
    """Gradients are written out: central differences of the objectives would be too coarse."""
    prior = _uniform(world)
    q = [dict.fromkeys(acts, 0.0) for acts in world.actions]
    while True:
        v_q = [
            tau * plain.log_sum_exp([math.log(p[a]) + x[a] / tau for a in x])
            for x, p in zip(q, prior, strict=True)
        ]
        pi = _boltzmann(q, prior, tau)
        v_pi = _soft_values(world, pi, prior, tau)
        q_pi, mu = plain.backup(world, v_pi), plain.occupancy(world, pi)
        new = []
        for s in world.states:
            row = {}
            for a in world.actions[s]:
                if form == "soft-q":
                    row[a] = q[s][a] - step * mu[s] * pi[s][a] * (q[s][a] - q_pi[s][a])
                else:
                    advantage = q_pi[s][a] - tau * math.log(pi[s][a] / prior[s][a]) - v_pi[s]
                    row[a] = q[s][a] + step * mu[s] * pi[s][a] * (advantage - (v_q[s] - v_pi[s]))
            new.append(row)
        q = new
        pi = _boltzmann(q, prior, tau)
        yield q, pi, prior, pi, tau, _mean_kl(d, pi, prior)


def sac_iterative_run(world, d, *, alpha, iterations, step, form, gate=0.0):
    prior = _uniform(world)
    pi = prior
    while True:
        q = plain.backup(world, _soft_values(world, pi, prior, alpha))
        pi = [_inferred(x, p, alpha, iterations, step, form, gate) for x, p in zip(q, prior, strict=True)]
        yield q, pi, prior, pi, alpha, _mean_kl(d, pi, prior)


def _inferred(q, p, alpha, iterations, step, form, gate):
    lam = {a: math.log(p[a]) for a in q}
    for _ in range(iterations):
        norm = plain.log_sum_exp(list(lam.values()))
        pi = {a: math.exp(lam[a] - norm) for a in lam}
        if form == "mirror":
            delta = {a: (1 - alpha * step) * lam[a] + step * (q[a] + alpha * math.log(p[a])) for a in q}
        else:
            g = {a: q[a] - alpha * (lam[a] - norm - math.log(p[a])) for a in q}
            mean = sum(pi[a] * g[a] for a in q)
            delta = {a: lam[a] + step * pi[a] * (g[a] - mean) for a in q}
        lam = {a: gate * lam[a] + (1 - gate) * delta[a] for a in q}
    norm = plain.log_sum_exp(list(lam.values()))
    return {a: math.exp(lam[a] - norm) for a in lam}


def _groups(mdp):
    """Observations that join states with the same actions, two by two in order of the states."""
    seen, names, out = {}, {}, []
    for row in mdp.available.tolist():
        key = tuple(row)
        seen[key] = seen.get(key, -1) + 1
        out.append(names.setdefault((key, seen[key] // 2), len(names)))
    return out


def _blind(pi, d, observation):
    out = []
    for o in observation:
        same = [s for s, other in enumerate(observation) if other == o]
        mass = sum(d[s] for s in same)
        weight = {s: (d[s] / mass if mass > 0 else 1 / len(same)) for s in same}
        out.append({a: sum(weight[s] * pi[s][a] for s in same) for a in pi[same[0]]})
    return out


def iadp_run(world, _, *, alpha, observation):
    prior = _uniform(world)
    pi = prior
    while True:
        q = plain.backup(world, _soft_values(world, pi, prior, alpha))
        pi = _boltzmann(q, prior, alpha)
        d = plain.occupancy(world, pi)
        kl = _mean_kl(d, pi, prior)
        prior = _blind(pi, d, observation)
        yield q, pi, prior, pi, alpha, kl


def hdp_run(world, _, *, alpha, latents, low_step, observation):
    high = [dict.fromkeys(range(latents), 1 / latents) for _ in world.states]
    default = high
    low = [
        [{a: 0.5 / len(acts) + 0.5 * (a == acts[z % len(acts)]) for a in acts} for acts in world.actions]
        for z in range(latents)
    ]
    while True:
        pi = _mixed(world, high, low)
        cost = [alpha * plain.kl(x, p) for x, p in zip(high, default, strict=True)]
        q = plain.backup(world, _soft_values(world, pi, None, alpha, cost))
        of_latent = [
            {z: sum(low[z][s][a] * q[s][a] for a in q[s]) for z in range(latents)} for s in world.states
        ]
        high = _boltzmann(of_latent, default, alpha)
        low = [[plain.tempered(q[s], low[z][s], 1 / low_step) for s in world.states] for z in range(latents)]
        pi = _mixed(world, high, low)
        d = plain.occupancy(world, pi)
        kl = _mean_kl(d, high, default)
        default = _blind(high, d, observation)
        yield q, pi, _mixed(world, default, low), pi, alpha, kl


def _mixed(world, high, low):
    return [
        {a: sum(high[s][z] * low[z][s][a] for z in high[s]) for a in world.actions[s]} for s in world.states
    ]


def _expanded(model, v, pi, prior, alpha, steps, trace):
    """Action values of 1 to h steps through a model, mixed with weights 1 - t, (1 - t) t, ..., t^(h - 1)."""
    tables, ahead = [], v
    for _ in range(steps):
        q = plain.backup(model, ahead)
        tables.append(q)
        ahead = [
            sum(pi[s][a] * q[s][a] for a in q[s]) - alpha * plain.kl(pi[s], prior[s]) for s in model.states
        ]
    weights = [(1 - trace) * trace**i for i in range(steps - 1)] + [trace ** (steps - 1)]
    return [
        {a: sum(w * t[s][a] for w, t in zip(weights, tables, strict=True)) for a in tables[0][s]}
        for s in model.states
    ]


def _astray(mdp, noise, seed):
    """The perturbed model's lists: with probability `noise` a pair leads to a drawn state."""
    wrong = np.random.default_rng(seed).integers(mdp.n_states, size=mdp.shape)
    world = plain.plain(mdp)
    for s in world.states:
        if all(world.rows[s][a] == [(s, 1.0)] for a in world.actions[s]):
            continue
        for a in world.actions[s]:
            row = {t: (1 - noise) * p for t, p in world.rows[s][a]}
            row[int(wrong[s, a])] = row.get(int(wrong[s, a]), 0.0) + noise
            world.rows[s][a] = list(row.items())
    return world


def mb_sac_run(world, d, *, alpha, horizon, trace, model):
    prior = _uniform(world)
    pi = prior
    while True:
        v = _soft_values(world, pi, prior, alpha)
        q = _expanded(model, v, pi, prior, alpha, horizon, trace) if horizon else plain.backup(world, v)
        pi = _boltzmann(q, prior, alpha)
        yield q, pi, prior, pi, alpha, _mean_kl(d, pi, prior)


def mb_iadp_run(world, d, *, alpha, horizon, trace, model, rollout, observation):
    prior = _uniform(world)
    pi = prior
    while True:
        rho = prior if rollout == "prior" else pi
        v = _soft_values(world, rho, prior, alpha)
        q = _expanded(model, v, rho, prior, alpha, horizon, trace)
        pi = _boltzmann(q, prior, alpha)
        kl, prior = _mean_kl(d, pi, prior), _blind(pi, d, observation)
        yield q, pi, prior, pi, alpha, kl


def _plan(model, v, prior, alpha, horizon):
    """Law of a plan's first action, by the sum over all trajectories, and alpha times its log-messages."""
    out_pi, out_q = [], []
    for start in model.states:
        mass = {a: [] for a in model.actions[start]}
        paths = [
            (a, start, a, 0.0, 0.0) for a in model.actions[start]
        ]  # first action, s, a, reward, log-chance
        for t in range(horizon):
            ahead = []
            for first, s, a, gained, log_chance in paths:
                gained_now = gained + model.gamma**t * model.reward[s][a]
                chance = log_chance + (math.log(prior[s][a]) if t else 0.0)
                for s_next, p in model.rows[s][a]:
                    if t + 1 == horizon:
                        total = (gained_now + model.gamma**horizon * v[s_next]) / alpha
                        mass[first].append(total + chance + math.log(p))
                    else:
                        ahead += [
                            (first, s_next, b, gained_now, chance + math.log(p))
                            for b in model.actions[s_next]
                        ]
            paths = ahead
        q = {a: alpha * plain.log_sum_exp(x) for a, x in mass.items()}
        out_q.append(q)
        out_pi.append(plain.tempered(q, prior[start], alpha))
    return out_q, out_pi


def smcp_run(world, d, *, alpha, horizon):
    prior = _uniform(world)
    pi = prior
    while True:
        v = _soft_values(world, pi, prior, alpha)
        pi = _boltzmann(plain.backup(world, v), prior, alpha)
        q, acts = _plan(world, v, prior, alpha, horizon)
        yield q, acts, prior, acts, alpha, _mean_kl(d, acts, prior)


def soft_policy_iteration_run(world, d, *, alpha, exponent):
    prior = _uniform(world)
    pi = prior
    while True:
        cost = [
            alpha * sum(x[a] * (math.log(x[a]) - exponent * math.log(p[a])) for a in x if x[a] > 0)
            for x, p in zip(pi, prior, strict=True)
        ]
        q = plain.backup(world, _soft_values(world, pi, prior, alpha, cost))
        pi = [plain.tempered(x, p, alpha, rho=exponent) for x, p in zip(q, prior, strict=True)]
        yield q, pi, prior, pi, alpha, _mean_kl(d, pi, prior)


CASES = [
    ("sql", sql_run, {"alpha": 0.7}),
    ("soft-policy-iteration", soft_policy_iteration_run, {"alpha": 0.6, "exponent": 0.5}),
    ("soft-policy-iteration", soft_policy_iteration_run, {"alpha": 0.6, "exponent": 1.0}),
    ("erpg", erpg_run, {"tau": 0.7, "step": 0.8, "form": "policy-gradient"}),
    ("erpg", erpg_run, {"tau": 0.7, "step": 0.8, "form": "soft-q"}),
    ("sac-iterative", sac_iterative_run, {"alpha": 0.8, "iterations": 2, "step": 0.5, "form": "mirror"}),
    (
        "sac-iterative",
        sac_iterative_run,
        {"alpha": 0.8, "iterations": 3, "step": 0.3, "form": "gradient", "gate": 0.25},
    ),
    ("iadp", iadp_run, {"alpha": 1.0, "observation": _groups}),
    ("hdp", hdp_run, {"alpha": 1.0, "latents": 2, "low_step": 0.5, "observation": _groups}),
    ("mb-sac", mb_sac_run, {"alpha": 0.7, "horizon": 3, "trace": 0.6, "model": 0.2}),
    ("mb-sac", mb_sac_run, {"alpha": 0.7, "horizon": 0, "trace": 1.0, "model": 0.0}),
    (
        "mb-iadp",
        mb_iadp_run,
        {"alpha": 1.0, "horizon": 2, "trace": 0.5, "model": 0.2, "rollout": "prior", "observation": _groups},
    ),
    (
        "mb-iadp",
        mb_iadp_run,
        {
            "alpha": 1.0,
            "horizon": 2,
            "trace": 1.0,
            "model": 0.2,
            "rollout": "posterior",
            "observation": _groups,
        },
    ),
    ("smcp", smcp_run, {"alpha": 0.8, "horizon": 2}),
]


def _both(settings, mdp, seed):
    """Settings for the algorithm and for the encoding: `model` is the noise of the perturbed model."""
    ours, theirs = dict(settings), dict(settings)
    if "observation" in settings:
        ours["observation"] = theirs["observation"] = settings["observation"](mdp)
    if "model" in settings:
        theirs |= {"noise": theirs.pop("model"), "seed": seed}
        ours["model"] = _astray(mdp, settings["model"], seed)
    return ours, theirs


@pytest.mark.parametrize("n_worlds", WORLDS)
@pytest.mark.parametrize(
    ("name", "run", "settings"), CASES, ids=[f"{n}-{i}" for i, (n, _, _) in enumerate(CASES)]
)
def test_every_iterate_is_that_of_the_second_encoding(n_worlds, name, run, settings):
    algorithm = algorithm_row(name).load()
    for k, (mdp, rng) in enumerate(plain.worlds(n_worlds, seed=len(name) + len(settings))):
        d = rng.dirichlet(np.ones(mdp.n_states))
        ours, theirs = _both(settings, mdp, k)
        known = {} if name in ("iadp", "hdp") else {"d": d}
        found = itertools.islice(algorithm(mdp, **known, **theirs), N_STEPS)
        wanted = run(plain.plain(mdp), d.tolist(), **ours)
        for number, (iterate, one) in enumerate(zip(found, wanted, strict=False), start=1):
            assert iterate.step == number
            _compare(f"{name} {settings}, MDP {k}, iteration {number}", mdp, iterate, one)


def _compare(where, mdp, iterate, wanted):
    q, posterior, prior, policy, temperature, kl = wanted
    table = np.where(mdp.available, plain.table_of(q, mdp.n_actions), -np.inf)
    np.testing.assert_allclose(iterate.q, table, rtol=TOL, atol=TOL, err_msg=where)
    pairs = ((iterate.posterior, posterior), (iterate.prior, prior), (iterate.policy, policy))
    for found, rows in pairs:
        np.testing.assert_allclose(
            found, plain.table_of(rows, mdp.n_actions), rtol=0, atol=TOL, err_msg=where
        )
    assert iterate.temperature == temperature, where
    np.testing.assert_allclose(iterate.kl, kl, rtol=TOL, atol=TOL, err_msg=where)


def distral_run(worlds, *, alpha, exponent):
    prior = _uniform(worlds[0])
    while True:
        tables, policies, visits, divergence = [], [], [], 0.0
        for world in worlds:
            q = [dict.fromkeys(acts, 0.0) for acts in world.actions]
            for _ in range(300):  # gamma^300 < 1e-13 at gamma 0.9
                v = [
                    alpha * plain.log_sum_exp([exponent * math.log(p[a]) + x[a] / alpha for a in x])
                    for x, p in zip(q, prior, strict=True)
                ]
                q = plain.backup(world, v)
            pi = [plain.tempered(x, p, alpha, rho=exponent) for x, p in zip(q, prior, strict=True)]
            d = plain.occupancy(world, pi)
            divergence += _mean_kl(d, pi, prior) / len(worlds)
            tables, policies, visits = [*tables, q], [*policies, pi], [*visits, d]
        new = []
        for s, acts in enumerate(worlds[0].actions):
            mass = sum(d[s] for d in visits)
            weight = [d[s] / mass if mass > 0 else 1 / len(worlds) for d in visits]
            new.append({a: sum(w * pi[s][a] for w, pi in zip(weight, policies, strict=True)) for a in acts})
        prior = new
        yield tables, policies, prior, divergence


@pytest.mark.parametrize("n_worlds", WORLDS)
@pytest.mark.parametrize("exponent", [0.5, 1.0])
def test_every_iterate_of_distral_is_that_of_the_second_encoding(n_worlds, exponent):
    algorithm = algorithm_row("distral").load()
    for k, (mdp, rng) in enumerate(plain.worlds(n_worlds, seed=5, max_states=3)):
        tasks = [
            mdp,
            type(mdp)(mdp.transition, mdp.reward[::-1] + rng.normal(), mdp.gamma, mdp.initial, mdp.mask),
        ]
        found = itertools.islice(algorithm(tasks, alpha=0.8, exponent=exponent), 3)
        wanted = distral_run([plain.plain(task) for task in tasks], alpha=0.8, exponent=exponent)
        for iterate, (q, pi, prior, kl) in zip(found, wanted, strict=False):
            where = f"MDPs {k}, iteration {iterate.step}"
            for i in range(2):
                table = np.where(mdp.available, plain.table_of(q[i], mdp.n_actions), -np.inf)
                np.testing.assert_allclose(iterate.q[i], table, rtol=TOL, atol=TOL, err_msg=where)
                rows = plain.table_of(pi[i], mdp.n_actions)
                np.testing.assert_allclose(iterate.policy[i], rows, rtol=0, atol=TOL, err_msg=where)
            rows = plain.table_of(prior, mdp.n_actions)
            np.testing.assert_allclose(iterate.prior, rows, rtol=0, atol=TOL, err_msg=where)
            np.testing.assert_allclose(iterate.kl, kl, rtol=TOL, atol=TOL, err_msg=where)
