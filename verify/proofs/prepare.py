"""From what the claims draw to exact instances: renamed parts, solved systems, exact values."""

from typing import Any

import numpy as np
from flint import fmpq

from verify.arithmetic import exact
from verify.arithmetic.exact import fraction_of, fractions
from verify.arithmetic.instance import Exact, exactly
from verify.claims.methods.em_proofs import em_tables, fixed_target_tables
from verify.claims.optima.roots import with_roots
from verify.claims.projection.projection_facts import weights

Instance = dict[str, Any]


def shifted(instance: Instance) -> Exact:
    """`q = q_star + shift` (`q_star` where there is no shift)."""
    x = exactly(instance)
    shift = x.parts.get("shift") or (0,) * len(x.q_star)
    return x.with_parts(q=tuple(a + b for a, b in zip(x.q_star, shift, strict=True)))


def roots(instance: Instance) -> Exact:
    """`shifted`, with all self-consistent temperatures isolated. Raises: Open: at a fold."""
    return with_roots(shifted(instance))


def at_optimum(instance: Instance) -> Exact:
    """`q = q_star`, and `pi_theta` where a policy is drawn as `pi`."""
    x = exactly(instance)
    return x.with_parts(q=x.q_star, pi_theta=x.parts.get("pi_theta", x.parts.get("pi")))


def other_member(instance: Instance) -> Exact:
    """Omega = {Q*, q}, q the first of `others`; `pi` is pi_theta, with its value `v`."""
    x = exactly({name: part for name, part in instance.items() if name != "others"})
    q = exact.table_of(x.mdp, instance["others"][0], name="others")
    x = x.with_parts(q=q, pi_theta=x.parts.get("pi"))
    return x if x.pi_theta is None else x.with_parts(v=exact.evaluate_states(x.mdp, x.pi_theta))


def two_members(instance: Instance) -> Exact:
    """Omega = {Q*, q}, the first two of `omegas`."""
    x = exactly({name: part for name, part in instance.items() if name != "omegas"})
    first, second = (exact.table_of(x.mdp, table, name="omegas") for table in instance["omegas"][:2])
    return x.with_parts(q_star=first, q=second)


def policy_values(instance: Instance) -> Exact:
    """With Q*, V^pi and the discounted visits of pi_theta."""
    x = exactly(instance)
    v, rho = exact.evaluate_states(x.mdp, x.pi_theta), exact.visits(x.mdp, x.pi_theta)
    return x.with_parts(q_star=exact.optimal_values(x.mdp), v=v, rho=rho)


def value_of_pi(instance: Instance) -> Exact:
    """With V^pi of `pi`; `q_star` is drawn."""
    x = exactly(instance)
    return x.with_parts(v=exact.evaluate_states(x.mdp, x.pi))


def dirac_policy(instance: Instance) -> Exact:
    """pi_theta takes in every state the action that `actions` names, modulo their number."""
    x = exactly({name: part for name, part in instance.items() if name != "actions"})
    chosen = [own[int(k) % len(own)] for own, k in zip(x.mdp.of_state, instance["actions"], strict=False)]
    return x.with_parts(pi_theta=exact.deterministic(x.mdp, chosen))


def least_policy(instance: Instance) -> Exact:
    """pi_theta takes the first of the worst actions."""
    x = exactly(instance)
    worst = exact.first_greedy(x.mdp, [-y for y in x.q])
    return x.with_parts(pi_theta=exact.deterministic(x.mdp, worst))


def residual_norms(instance: Instance) -> Exact:
    """`beta`, the weights d(h) of pairs as `weight`, c and p."""
    x = exactly({name: instance[name] for name in ("mdp", "c", "p_norm")})
    weight = exact.table_of(x.mdp, instance["d"], name="d")
    return x.with_parts(beta=exact.table_of(x.mdp, instance["beta"], name="beta"), weight=weight)


def finite_set(instance: Instance) -> Exact:
    """`f`, `phi` and `eps`; there is no MDP."""
    parts = {name: fractions(instance[name], name=name) for name in ("f", "phi")}
    return Exact(None, parts | {"eps": fraction_of(instance["eps"])})  # type: ignore[arg-type]


def two_steps(instance: Instance) -> Exact:
    """Episodes of two steps."""
    return exactly(instance).with_parts(horizon=fmpq(2))


def episodes(instance: Instance) -> Exact:
    """Episodes of `horizon` steps."""
    horizon = fmpq(instance["horizon"])
    return exactly({k: v for k, v in instance.items() if k != "horizon"}).with_parts(horizon=horizon)


def lottery(instance: Instance) -> Exact:
    """`chance`, `prize`, `share`, `c`."""
    names = {"chance": "p", "prize": "prize", "share": "share", "c": "c"}
    return Exact(None, {name: fraction_of(instance[key]) for name, key in names.items()})  # type: ignore[arg-type]


def talk(instance: Instance) -> Exact:
    """`k1`, `discount`, `c` of the MERL counterexample; its MDP is written out in `others.merl`."""
    names = {"k1": "k1", "discount": "gamma", "c": "c"}
    return Exact(None, {name: fraction_of(instance[key]) for name, key in names.items()})  # type: ignore[arg-type]


def em(instance: Instance) -> Exact:
    """With EM's tables."""
    x = exactly(instance)
    return x.with_parts(tables=em_tables(x.mdp))


def fixed_target(instance: Instance) -> Exact:
    """With the tables of EM with fixed target, from k = 1 on."""
    x = exactly(instance)
    return x.with_parts(tables=fixed_target_tables(x)[1:])


def log_linear(instance: Instance) -> Exact:
    """`policy`, features and parameters, as `features` and `omega`."""
    x = exactly({name: part for name, part in instance.items() if name != "policy"})
    table, omega = instance["policy"]
    return _featured(x, table, omega)


def soft_logits(instance: Instance) -> Exact:
    """The tabular softmax over logits `theta`."""
    x = exactly({name: part for name, part in instance.items() if name != "theta"})
    return _unit_features(x).with_parts(omega=exact.table_of(x.mdp, instance["theta"], name="theta"))


def unit_directions(instance: Instance) -> Exact:
    """Unit vectors as features: the tabular softmax at pi_theta."""
    return _unit_features(exactly(instance))


def projected_residual(instance: Instance) -> Exact:
    """`b` as `features`, `beta`, and the weights `zeta`."""
    x = exactly({"mdp": instance["mdp"]})
    beta = exact.table_of(x.mdp, instance["beta"], name="beta")
    x = _featured(x, instance["b"], ())
    return x.with_parts(beta=beta, zeta=weights(x.features, beta))


def at_optimum_with_feature(instance: Instance) -> Exact:
    """The same, and Q*."""
    x = one_feature(instance)
    return x.with_parts(q_star=exact.optimal_values(x.mdp))


def one_feature(instance: Instance) -> Exact:
    """`b` as the one feature."""
    x = exactly({name: part for name, part in instance.items() if name != "b"})
    return _featured(x, instance["b"], ())


def _featured(x: Exact, table: Any, omega: Any) -> Exact:
    columns = np.moveaxis(np.asarray(table), -1, 0)
    features = [exact.table_of(x.mdp, column, name="features") for column in columns]
    return x.with_parts(features=features, omega=fractions(omega, name="omega"))


def _unit_features(x: Exact) -> Exact:
    n = x.mdp.n_pairs
    return x.with_parts(features=[[fmpq(int(i == j)) for i in range(n)] for j in range(n)])
