"""Captured updates on the CPU, with a stand-in for the graph: what is captured, replayed and counted."""

import pytest
import torch

from tests.support.deep import agent_of, algorithm_of, differing, feed, own_of, update_data
from virel_deep.agent.capture import WARM_UP, CapturedUpdate

SIZES = {"hidden": (9, 7), "data.batch": 12}
UPDATES = 36


class Graphs:
    """Keeps the work that it captures, without running it, and runs it when told to, like a graph."""

    def __init__(self):
        self.captured, self.replayed = 0, 0

    def __call__(self, work):
        self.captured += 1

        def replay():
            self.replayed += 1
            work()

        return replay


def storage(data):
    """Tensors of the shapes of one update's data, with the axis of seeds."""
    batch, noise, own = data[0]
    empty = [torch.full((1, *x.shape), float("nan")) for x in (batch, noise, *(own or ()))]
    return empty[0], empty[1], tuple(empty[2:]) or None


@pytest.mark.parametrize(
    ("preset", "settings", "kinds"),
    [
        ("sac", {}, 1),
        ("td3", {}, 2),
        ("beta", {"temperature.period": 3, "temperature.smoothing": 0.5}, 2),
        ("beta-twin", {"temperature.batch": 8, "temperature.period": 2, "policy_delay": 3}, 4),
    ],
)
@pytest.mark.parametrize("graphs", [None, "stand-in"])
def test_captured_updates_have_the_bits_of_plain_ones(preset, settings, kinds, graphs):
    algorithm = algorithm_of(preset, **SIZES, **settings)
    data = update_data(algorithm, 5, 2, updates=UPDATES, seed=0)
    plain, captured = agent_of(algorithm, 5, 2), agent_of(algorithm, 5, 2)
    capture = Graphs() if graphs else None
    batch, noise, own = storage(data)
    update = CapturedUpdate(captured, batch, {"action": noise}, own and own_of(*own), capture=capture)
    for one in data:
        for place, value in zip((batch, noise, *(own or ())), (*one[:2], *(one[2] or ())), strict=True):
            place[0] = value
        update()
        feed(plain, [one])
    assert differing(captured.seed_state(0), plain.seed_state(0)) == []
    assert captured.updates == UPDATES
    assert captured.report() == plain.report()
    if capture:
        # Of each kind the first few run eagerly, the next is captured and replayed, like all after it. The
        # very first update, which smooths nothing, is a kind that never comes again.
        assert capture.captured == kinds
        assert capture.replayed == UPDATES - 1 - kinds * WARM_UP
