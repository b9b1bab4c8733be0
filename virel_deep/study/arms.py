"""Arms of a study: the algorithms that it compares, where each trains, and whose prior it starts from."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from virel_common.errors import require
from virel_deep.design.records import dotted
from virel_deep.study.environments import NAME, NAME_RULE, Environment
from virel_deep.study.toml_table import Table


@dataclass(frozen=True)
class Arm:
    """One algorithm of a study: a preset with changed settings."""

    name: str
    preset: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    """Settings that replace those of the preset and of the study; nested ones under dotted names."""
    multiply: Mapping[str, float] = field(default_factory=dict)
    """Factors for number settings, such as the reward scale that the preset has for each environment."""
    environments: tuple[str, ...] = ()
    """Names of the environments that it trains in."""
    prior: str | None = None
    """Arm whose learned priors its runs start from, seed by seed; None: none."""


def read_arms(table: Table, environments: Sequence[Environment]) -> dict[str, Arm]:
    """Read the table `arms` of a study file, and check which arm starts from which arm's prior."""
    tables = table.tables("arms")
    require(len(tables) > 0, f"{table.place}: arms", [], "must name an arm, as in [arms.sac]")
    arms = {name: _arm(one, name, environments, list(tables)) for name, one in tables.items()}
    for one in environments:
        used = any(one.name in arm.environments for arm in arms.values())
        require(used, table.name("environments"), one.name, "must each have an arm that trains there")
    for arm in arms.values():
        _check_circle(arm, arms, table.place)
    for arm in arms.values():
        for env in (one for one in environments if one.name in arm.environments):
            _check_source(arm, env, arms, environments, table.place)
    return arms


def sources(
    arm: Arm, env: Environment, arms: Mapping[str, Arm], environments: Sequence[Environment]
) -> list[str]:
    """Environments in which an arm's prior for an environment may be learned: there its ids are known."""
    assert arm.prior is not None
    taught = arms[arm.prior].environments
    return [one.name for one in environments if one.name in taught and env.ids <= one.ids]


def depth(arm: Arm, arms: Mapping[str, Arm]) -> int:
    """Number of arms whose priors lead to an arm's: those that train before it."""
    return 0 if arm.prior is None else 1 + depth(arms[arm.prior], arms)


def dotted_settings(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings by dotted name, from a table in which a part may be a name or a table with its `kind`.

    Example:
        >>> dotted_settings({"hidden": [64, 64], "value": {"kind": "target-q", "critics": 1}})
        {'hidden': (64, 64), 'value': 'target-q', 'value.critics': 1}
    """
    return {name: tuple(x) if isinstance(x, list) else x for name, x in dotted(settings).items()}


def _arm(table: Table, name: str, environments: Sequence[Environment], arms: Sequence[str]) -> Arm:
    require(NAME.fullmatch(name) is not None, f"{table.place}: arms", name, NAME_RULE)
    settings, multiply = table.table("settings"), table.table("multiply")
    factors = {key: multiply.number(key) for key in multiply.keep_all()}
    names = tuple(one.name for one in environments)
    chosen = table.texts("environments", names)
    for env in chosen:
        rule = f"must be among the study's {', '.join(names)}"
        require(env in names, table.name("environments"), env, rule)
    prior = None if table.take("prior", None) is None else table.choice("prior", arms)
    arm = Arm(name, table.text("preset"), dotted_settings(settings.keep_all()), factors, chosen, prior)
    table.no_other_keys()
    return arm


def _check_circle(arm: Arm, arms: Mapping[str, Arm], place: str) -> None:
    """Raise `InputError` if an arm's prior is, by way of others or not, its own."""
    chain = [arm.name]
    while (prior := arms[chain[-1]].prior) is not None:
        chain.append(prior)
        rule = "must not lead back to an arm that waits for it"
        require(chain.count(prior) == 1, f"{place}: arms.{arm.name}.prior", " <- ".join(chain), rule)


def _check_source(
    arm: Arm, env: Environment, arms: Mapping[str, Arm], environments: Sequence[Environment], place: str
) -> None:
    """Raise `InputError` unless exactly one run of the other arm can have learned the prior."""
    if arm.prior is None:
        return
    found = sources(arm, env, arms, environments)
    rule = (
        f"must be an arm with exactly one environment of {', '.join(sorted(env.ids))}, for {env.name}; "
        f"{arm.prior} has {', '.join(found) or 'none'}"
    )
    require(len(found) == 1, f"{place}: arms.{arm.name}.prior", arm.prior, rule)
