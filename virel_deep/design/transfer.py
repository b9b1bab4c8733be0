"""Algorithms for several tasks and for priors of earlier runs, and which prior suits which run; no torch."""

from collections.abc import Mapping
from pathlib import Path

from virel_common.errors import require
from virel_deep.design.algorithm import Algorithm
from virel_deep.design.hierarchy import Hierarchy
from virel_deep.design.priors import Blind
from virel_deep.design.records import changed
from virel_deep.design.run import RunConfig

PRIORS = "prior.npz"
"""File in a run folder with the priors of an earlier run that its seeds begin with."""


def with_tasks(algorithm: Algorithm, settings: Mapping[str, object], tasks: int) -> Algorithm:
    """Algorithm whose prior does not see the entries of several tasks, unless the settings say otherwise."""
    if tasks == 0 or not isinstance(algorithm.prior, Blind) or "prior.blind_last" in settings:
        return algorithm
    return changed(algorithm, {"prior.blind_last": tasks})


def with_prior(algorithm: Algorithm, settings: Mapping[str, object]) -> Algorithm:
    """Algorithm whose prior, taken from an earlier run, is frozen unless the settings say otherwise.

    Raises:
        InputError: it has no prior that could be taken from a run.
    """
    kinds = [kind.kind for kind in Blind.__subclasses__()]
    found = algorithm.prior.kind
    require(found in kinds, "prior", found, f"must be one of {', '.join(kinds)} to come from an earlier run")
    return algorithm if "prior.frozen" in settings else changed(algorithm, {"prior.frozen": True})


def check_prior(run: Path | str, old: RunConfig, new: RunConfig) -> None:
    """Raise `InputError` unless the prior of a run, named in messages, suits another but for its size."""
    mine, theirs = new.algorithm, old.algorithm
    kind = mine.prior.kind
    rule = f"must be a run whose prior is {kind!r}; the prior of {run} is"
    require(theirs.prior.kind == kind, "prior", theirs.prior.kind, rule)
    envs = {spec.id for spec in old.env_specs}
    others = [spec.id for spec in new.env_specs if spec.id not in envs]
    require(not others, "prior", str(run), f"must be a run in {', '.join(others)}, not in {', '.join(envs)}")
    plain = not (old.normalize or new.normalize)
    require(plain, "prior", str(run), "must be a run without --normalize, and so must be the new one")
    rule = f"must have the layers of the new run, hidden={mine.hidden}"
    require(theirs.hidden == mine.hidden, "prior", list(theirs.hidden), rule)
    if isinstance(mine.posterior, Hierarchy) and isinstance(theirs.posterior, Hierarchy):
        rule = f"must have the latents of the new run, {mine.posterior.latents}"
        found = theirs.posterior.latents
        require(found == mine.posterior.latents, "prior", found, rule)
    rule = "must be blind to the tasks that it was learned in, to be used in another one"
    assert isinstance(theirs.prior, Blind)
    seen = len(old.tasks) - theirs.prior.blind_last
    require(seen <= 0, "prior", f"prior.blind_last={theirs.prior.blind_last}", rule)
    blind, others_blind = (_blind(one) for one in (new, old))
    rule = f"must be blind to the entries of the new run, {blind}, beside the tasks"
    require(blind == others_blind, "prior", others_blind, rule)


def check_prior_size(seen: int, config: RunConfig, n_observation: int) -> None:
    """Raise `InputError` unless a prior that sees so many entries suits a run's observations of a size."""
    wanted = seen_by_prior(config, n_observation)
    require(seen == wanted, "prior", seen, f"must see as many entries as that of the new run, {wanted}")


def seen_by_prior(config: RunConfig, n_observation: int) -> int:
    """Number of entries of an observation that the prior of a run sees."""
    return n_observation - len({entry % n_observation for entry in config.algorithm.blind_to})


def _blind(of: RunConfig) -> list[int]:
    """Entries that the prior of a run is blind to, without those of its tasks; -1 is the last before them."""
    prior = of.algorithm.prior
    assert isinstance(prior, Blind)
    return [*prior.blind, *range(len(of.tasks) - prior.blind_last, 0)]
