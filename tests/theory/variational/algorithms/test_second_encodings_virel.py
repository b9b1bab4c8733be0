"""Second encodings, in plain loops, of virel and beta: from the paper's Algorithms 1 and 2, step by step.

Each encoding makes one iteration from the policy and the values before it, as in `test_second_encodings`. The
residual errors are sums over pairs and next states of squares of `r + gamma w(s') - Q`, as Algorithm 2 prints
them: no variance, no difference of values. 200 random MDPs each, with missing actions and absorbing states,
on dense and sparse storage and with one, two and complete backups in turn.

Tolerance, derived beforehand. Rewards are at most 4 and gamma 0.9, so values of both encodings are off by
less than dq = 1e-11 and so are residuals. A mean square m is then off by 2 dq sqrt(m) + dq^2, a temperature
by `scale` times that, called da, and a policy by at most 2 dq/alpha + spread da/alpha^2. Where that is above
1e-6, near a temperature of 0, policies are not compared: on a quarter of the iterates at most.
"""

import itertools
import math

import numpy as np
import pytest

from tests.support import plain
from virel_theory.variational.table import algorithm_row

N_STEPS, DQ, COARSE = 4, 1e-11, 1e-6
WORLDS = [40, pytest.param(200, marks=pytest.mark.long)]
"""Numbers of random MDPs: the first 40 always, all 200 by `make test-long`."""
SWEEPS = (1, 2, None)


def values_of(world, pi, v, sweeps):
    """Values of a policy, or `sweeps` backups of `v`, in loops over next states."""
    if sweeps is None:
        return plain.values(world, pi)
    for _ in range(sweeps):
        new = []
        for s in world.states:
            total = 0.0
            for a in world.actions[s]:
                total += pi[s][a] * world.reward[s][a]
                for t, p in world.rows[s][a]:
                    total += pi[s][a] * world.gamma * p * v[t]
            new.append(total)
        v = new
    return v


def boltzmann(row, alpha):
    """Row of (3); at the temperature 0 uniform over the maximisers."""
    top = max(row.values())
    if alpha == 0:
        weight = {a: float(x == top) for a, x in row.items()}
    else:
        weight = {a: math.exp((x - top) / alpha) for a, x in row.items()}
    return {a: x / sum(weight.values()) for a, x in weight.items()}


def squared_error(world, pi, q, d, *, sampled):
    """Mean over `d` and existing actions of the square of the (expected) temporal difference."""
    w = [sum(pi[s][a] * q[s][a] for a in q[s]) for s in world.states]
    total = 0.0
    for s in world.states:
        for a, x in q[s].items():
            deltas = [(p, world.reward[s][a] + world.gamma * w[t] - x) for t, p in world.rows[s][a]]
            mean = sum(p * y for p, y in deltas)
            square = sum(p * y * y for p, y in deltas) if sampled else mean * mean
            total += d[s] * square / len(q[s])
    return total


def virel_temperature(world, pi, q, d, sweeps, *, alpha):
    del world, pi, q, d, sweeps
    return alpha


def beta_temperature(world, pi, q, d, sweeps, *, scale, sampled):
    if sweeps is None and not sampled:
        return 0.0  # complete M-steps have no residual
    return scale * squared_error(world, pi, q, d, sampled=sampled)


CASES = [
    ("virel", virel_temperature, {"alpha": 0.7}),
    ("virel", virel_temperature, {"alpha": 0.0}),
    ("beta", beta_temperature, {"scale": 0.5, "sampled": False}),
    ("beta", beta_temperature, {"scale": 0.5, "sampled": True}),
    ("beta", beta_temperature, {"scale": 20.0, "sampled": False}),
]


def room(q, alpha, settings):
    """How far policies may be apart, and temperatures."""
    spread = max(max(x.values()) - min(x.values()) for x in q)
    scale = settings.get("scale", 0.0)
    da = scale * (2 * DQ * math.sqrt(alpha / scale) + DQ**2) if scale else 0.0
    return (2 * DQ / alpha + spread * da / alpha**2 if alpha else 0.0), da


def steps(name, temperature, settings, n_worlds):
    """Iterates of the algorithm, each with the second encoding's from the policy and the values before."""
    algorithm = algorithm_row(name).load()
    for k, (mdp, rng) in enumerate(plain.worlds(n_worlds, seed=11 + len(settings))):
        d, sweeps, world = rng.dirichlet(np.ones(mdp.n_states)), SWEEPS[k % 3], plain.plain(mdp)
        form = mdp.to_sparse() if k % 2 else mdp
        uniform = [{a: 1 / len(acts) for a in acts} for acts in world.actions]
        policy, v = uniform, [0.0] * mdp.n_states
        for x in itertools.islice(algorithm(form, sweeps=sweeps, d=d, **settings), N_STEPS):
            v = values_of(world, policy, v, sweeps)
            q = plain.backup(world, v)
            alpha = temperature(world, policy, q, d.tolist(), sweeps, **settings)
            new = [boltzmann(row, alpha) for row in q]
            yield f"{name} {settings}, MDP {k}, iteration {x.step}", mdp, x, (q, alpha, new, uniform, d)
            rows = plain.rows_of(x.policy)
            policy = [{a: row[a] for a in acts} for row, acts in zip(rows, world.actions, strict=True)]


@pytest.mark.parametrize("n_worlds", WORLDS)
@pytest.mark.parametrize(("name", "temperature", "settings"), CASES, ids=range(len(CASES)))
def test_every_iterate_is_that_of_the_second_encoding(n_worlds, name, temperature, settings):
    coarse, n = 0, 0
    for where, mdp, x, (q, alpha, new, uniform, d) in steps(name, temperature, settings, n_worlds):
        wanted = np.where(mdp.available, plain.table_of(q, mdp.n_actions), -np.inf)
        np.testing.assert_allclose(x.q, wanted, rtol=0, atol=DQ, err_msg=where)
        apart, da = room(q, alpha, settings)
        assert abs(x.temperature - alpha) <= da, where
        np.testing.assert_array_equal(x.posterior, x.policy, err_msg=where)
        np.testing.assert_allclose(x.prior, plain.table_of(uniform, mdp.n_actions), rtol=1e-15, err_msg=where)
        n, coarse = n + 1, coarse + (apart > COARSE)
        if apart <= COARSE:
            rows = plain.table_of(new, mdp.n_actions)
            np.testing.assert_allclose(x.policy, rows, rtol=0, atol=apart + 1e-14, err_msg=where)
            kl = sum(u * plain.kl(a, b) for u, a, b in zip(d, new, uniform, strict=True))
            np.testing.assert_allclose(x.kl, kl, rtol=0, atol=40 * apart + 1e-13, err_msg=where)
    assert coarse <= n / 4
