"""Evaluation in a process of its own, which an environment may end: that fails a seed, not the command."""

from functools import partial
from pathlib import Path

from virel_common.terminal import DONE, INTERRUPTED
from virel_deep.design.environment import either
from virel_deep.design.run import RunConfig
from virel_deep.results.evaluate_seed import Asked, Evaluated, evaluate_seed
from virel_deep.run.apart import Channel, Death, Work, train_apart
from virel_deep.run.signals import hear_stops_of


def evaluate_apart(run: Path, config: RunConfig, asked: Asked) -> list[Evaluated | str]:
    """Evaluate every seed of a run in another process; what a seed failed of stands in its place.

    Of a process that dies, the seeds after the one that it died of go on in a new one.

    Raises:
        KeyboardInterrupt: a signal asked for a stop.
    """
    found: list[Evaluated | str] = []

    def hear(_work: Work, _kind: str, _number: int, outcome: Evaluated | str) -> None:
        found.append(outcome)

    def bury(death: Death) -> list[Work]:
        for seed in config.seeds[len(found) :][:1]:
            where = f"{either(config.eval_specs)} ended the process of its evaluation"
            found.append(f"seed {seed}: {where} {death.how}")
        left = list(config.seeds[len(found) :])
        return [death.work._replace(seeds=left)] if left else []

    work = Work(f"the evaluation of {run}", run, config, list(config.seeds), resume=False)
    status = train_apart([work], 1, partial(_child, asked=asked), hear=hear, bury=bury)
    if status == INTERRUPTED:
        raise KeyboardInterrupt
    return found


def _child(work: Work, channel: Channel, parent: int, *, asked: Asked) -> None:
    """Evaluate seeds one after another in a process of its own, which ends with its parent."""
    status = INTERRUPTED
    if hear_stops_of(parent):
        for seed in work.seeds:
            channel.tell("evaluated", seed, evaluate_seed(work.run, work.config, seed, asked))
        status = DONE
    channel.tell("status", status, None)
