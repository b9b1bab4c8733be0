"""Streams of random numbers: one for each purpose of each seed, the same for ever."""

from itertools import product

import numpy as np
import torch

from virel_deep.streams import STREAMS, generator, stream


def test_no_two_streams_begin_alike():
    drawn = {
        tuple(stream(seed, name, *key).generate_state(4))
        for seed, name, key in product(range(20), STREAMS, [(), (0,), (1,), (1000,), (1000, 0)])
    }
    assert len(drawn) == 20 * len(STREAMS) * 5
    first = {torch.rand(4, generator=generator(*of)).numpy().tobytes() for of in product(range(20), STREAMS)}
    assert len(first) == 20 * len(STREAMS)


def test_a_stream_is_where_it_always_was():
    # Else a run that is resumed under a later version would go on elsewhere: names are only ever appended.
    for place, name in enumerate(("weights", "acting", "learning", "environment", "evaluation")):
        always = np.random.SeedSequence(7, spawn_key=(place, 3)).generate_state(2)
        assert (stream(7, name, 3).generate_state(2) == always).all()


def test_a_generator_starts_again_alike():
    assert torch.equal(
        torch.rand(5, generator=generator(3, "acting")), torch.rand(5, generator=generator(3, "acting"))
    )
