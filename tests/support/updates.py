"""Updates of ours beside those of a plain agent, from the same weights and data: how far they end apart."""

import torch

from tests.support.deep import agent_of, default_dtype, feed


def ordered(blocks):
    """Blocks of a network in the order of the naive agent's modules, in float64."""
    heads, layers = range(len(blocks["0.weight"])), range(len(blocks) // 2)
    return torch.cat(
        [
            x.double().flatten()
            for head in heads
            for i in layers
            for x in (blocks[f"{i}.weight"][head].T, blocks[f"{i}.bias"][head])
        ]
    )


def cast(noise, dtype):
    """Noise, a tensor or several by name, in another precision."""
    return {name: x.to(dtype) for name, x in noise.items()} if isinstance(noise, dict) else noise.to(dtype)


def agent_after(algorithm, sizes, dtype, data):
    """Our agent of seed 0 after some updates, computed in another precision; `sizes` are O and A."""
    with default_dtype(torch.float32):
        source = agent_of(algorithm, *sizes)
    with default_dtype(dtype):
        agent = agent_of(algorithm, *sizes)
        agent.load_seed_state(0, source.seed_state(0))
        feed(agent, [(batch.to(dtype), cast(noise, dtype), own) for batch, noise, own in data])
    return agent


def ours_after(algorithm, sizes, dtype, data):
    """Everything that seed 0 has learnt on our side, by name, in float64."""
    return learnt(agent_after(algorithm, sizes, dtype, data))


def learnt(agent):
    """Everything that seed 0 of an agent has learnt, by name, in float64."""
    state = agent.seed_state(0)
    names = [*agent.networks, *(f"target_{name}" for name in agent.targets)]
    out = {name: ordered(state[name]) for name in names}
    logs = {f"price_{name}": one["price"] for name, one in state.get("prior", {}).items()}
    if "log_alpha" in state["temperature"]:
        logs["eta"] = state["temperature"]["log_alpha"]
    return out | {name: torch.tensor([x], dtype=torch.float64) for name, x in logs.items()}


def naive_after(kind, algorithm, sizes, dtype, data):
    """The plain agent of a class after the same updates from the same weights; it is returned itself."""
    with default_dtype(torch.float32):
        source = agent_of(algorithm, *sizes)
    blocks = {
        name: {block: x.clone().to(dtype) for block, x in net.seed_blocks(net.flat, 0).items()}
        for name, net in source.networks.items()
    }
    with default_dtype(dtype):
        plain = kind(blocks, algorithm, *sizes)
        for batch, noise, _ in data:
            plain.update(batch.to(dtype), cast(noise, dtype))
    return plain


def parameters(plain):
    """Parameters of a plain agent's networks by name, in float64."""
    return {
        name: torch.cat([x.detach().double().flatten() for net in nets for x in net.parameters()])
        for name, nets in plain.networks().items()
    }


def distances(mine, theirs):
    """Distance of each of our tensors from its counterpart, over the length of that one."""
    assert mine.keys() == theirs.keys()
    return {name: float((mine[name] - theirs[name]).norm() / theirs[name].norm()) for name in theirs}
