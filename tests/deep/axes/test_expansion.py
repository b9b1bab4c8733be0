"""Values expanded through a model, and known bugs of public code: each has a test that finds it, planted."""

import pytest
import torch

from tests.support.deep import agent_of, algorithm_of, feed, update_data
from tests.support.source_mutants import mutated_code
from virel_deep.axes.model import ensemble
from virel_deep.axes.model.ensemble import Assigned
from virel_deep.axes.model.expansion import Horizon, Paths, expanded_q

N, A, B, H = 3, 2, 6, 3
SIZES = {"hidden": (12, 8), "data.batch": 20, "value.members": 3, "value.horizon": H}


@pytest.fixture(scope="module")
def state_after_updates():
    agent = agent_of(algorithm_of("mb-sac", **SIZES), N, A)
    feed(agent, update_data(agent.algorithm, N, A, updates=10, seed=0))
    return agent.seed_state(0)


@pytest.fixture
def trained(state_after_updates):
    """An agent of `mb-sac` after some updates, and a minibatch's states and actions."""
    agent = agent_of(algorithm_of("mb-sac", **SIZES), N, A)
    agent.load_seed_state(0, state_after_updates)
    rng = torch.Generator().manual_seed(1)
    return agent, torch.randn(1, B, N, generator=rng), torch.rand(1, B, 1, A, generator=rng) * 2 - 1


def noise_of(agent, seed=2):
    rng = torch.Generator().manual_seed(seed)
    width = agent.noise["rollout"].width
    uniform, normal = torch.rand(1, B, 1, generator=rng), torch.randn(1, B, width, generator=rng)
    return {"member": uniform, "rollout": normal}


class Altered:
    """A model whose steps are those of another one, in part replaced by numbers of our own."""

    def __init__(self, world, **replaced):
        self.world, self.replaced = world, replaced

    def follow(self, uniform):
        self.followed = self.world.follow(uniform)
        self.width, self.groups = self.followed.width, self.followed.groups
        return self

    def step(self, state, action, noise):
        found = self.followed.step(state, action, noise)
        ours = {name: torch.full_like(found.reward, number) for name, number in self.replaced.items()}
        return found._replace(**ours)


def expand(agent, state, action, world=None, h=H, *, soft=True, walk=None, seed=2):
    """Expanded values of an agent's critics, along a model of our choice."""
    noise, n = noise_of(agent, seed), state.shape[1]
    numbers = noise["rollout"].view(1, B, H, N + A)[:, :n, :h]
    followed = (world or agent.parts.value.world).follow(noise["member"][:, :n, 0])
    along = Paths(followed, walk or agent.parts.posterior.walk, numbers)
    of = Horizon(0.9, soft)
    critic = agent.networks["critic"]
    return expanded_q(critic, state, action, along=along, objective=agent.objective, of=of)


def one_by_one(agent, state, action):
    """Expanded values `[n]` of single actions, a rollout after the other, asking all members at each step."""
    world, noise, gamma = agent.parts.value.world, noise_of(agent), 0.9
    n, alpha = state.shape[1], float(agent.temperature.alpha)
    uniform, elites = noise["member"][0, :n, 0], world.elites[0].tolist()
    rank = uniform.argsort().argsort().tolist()
    out, followed = [], []
    for b in range(n):
        member = elites[sum((i + 1) * n // len(elites) <= rank[b] for i in range(len(elites)))]
        followed.append(member)
        at, a, total, weight = state[:, b : b + 1], action[:, b : b + 1, 0], 0.0, 1.0
        for xi in noise["rollout"][:, b : b + 1].view(1, 1, H, N + A).unbind(2):
            found = world.step(at, a, torch.tensor([[member]]), xi[..., :N])
            total = total + weight * found.reward
            weight = gamma * weight * (1 - found.ends)
            walked = agent.parts.posterior.walk(found.state, xi[..., N:], agent.objective)
            total = total - weight * alpha * walked.log_ratio[:, :, 0]
            at, a = found.state, walked.action[:, :, 0]
        q = agent.networks["critic"](torch.cat((at, a), -1)).squeeze(-1).amin(1)
        out.append((total + weight * q).item())
    return torch.tensor(out), followed


@pytest.mark.parametrize("n", [1, 2, 3, 4, 5, 6])  # as many rollouts as members, fewer, and no multiple
def test_a_rollout_has_one_member_to_its_end_and_rollouts_have_different_ones(trained, n):
    # Members that are drawn again at every step belong to no model.
    agent, state, action = trained
    with torch.no_grad():
        found = expand(agent, state[:, :n], action[:, :n])[0, :, 0]
        wanted, followed = one_by_one(agent, state[:, :n], action[:, :n])
    counts = [followed.count(member) for member in range(3)]
    assert max(counts) - min(counts) <= 1
    torch.testing.assert_close(found, wanted, rtol=1e-5, atol=1e-5)


def test_nothing_counts_after_the_end_of_an_episode(trained):
    # d3rlpy, issue 101: rollouts went on past terminal states.
    agent, state, action = trained
    world = agent.parts.value.world
    found = expand(agent, state, action, Altered(world, ends=1.0))[0, :, 0]
    noise = noise_of(agent)
    of, xi = world.follow(noise["member"][..., 0]), noise["rollout"].view(1, B, H, N + A)[:, :, 0, :N]
    first = of.step(*map(of.groups.arranged, (state, action[:, :, 0], xi)))
    torch.testing.assert_close(found, of.groups.restored(first.reward)[0])


def test_the_horizon_counts_the_steps_of_the_model(trained):
    # x35f/model_based_rl, issue 2: the schedule of horizons had no effect. Here there is none: h is fixed.
    agent, state, action = trained
    one = Altered(agent.parts.value.world, reward=1.0, ends=0.0)
    critic = agent.networks["critic"]
    critic.flat.zero_()
    for h in (1, 2, 3):
        found = expand(agent, state, action, one, h, soft=False)
        torch.testing.assert_close(found, torch.full_like(found, sum(0.9**i for i in range(h))))


def test_values_stay_bounded_when_the_model_explodes(trained):
    # mbrl-lib, issues 137 and 138: critics exploded, bootstrapped from states that the model made up.
    agent, state, action = trained
    world = agent.parts.value.world
    agent.networks["model"].flat.mul_(1e6)
    of = world.normaliser
    at, a = state, action[:, :, 0]
    for i in range(20):
        found = world.follow(torch.rand(1, B)).step(at, a, torch.randn(1, B, N))
        assert (found.state >= of.least[..., :N]).all(), i
        assert (found.state <= of.most[..., :N]).all(), i
        assert (found.reward.abs() <= torch.maximum(of.least.abs(), of.most.abs())[..., -1]).all(), i
        at = found.state


def test_no_gradient_of_inference_reaches_the_model_or_later_actions(trained):
    # variational_rl, commit d845c47: the model received gradients of inference.
    agent, state, action = trained
    action.requires_grad_()
    q = expand(agent, state, action)
    networks = [agent.networks[name].parameters for name in ("model", "policy", "critic")]
    found = torch.autograd.grad(q.sum(), [action, *networks], allow_unused=True)
    assert found[0].abs().min() > 0
    assert found[1:] == (None, None, None)


def test_the_policy_step_leaves_the_model_alone():
    algorithm = algorithm_of("mb-sac", **SIZES)
    agent, twin = (agent_of(algorithm, N, A) for _ in range(2))
    data = update_data(algorithm, N, A, updates=3, seed=0)
    feed(agent, data)
    twin.parts.posterior.loss = lambda *_: None  # no policy step at all
    twin.parts.prior.loss = lambda *_: None
    feed(twin, data)
    # The model's data are the same, and so are its bits, whatever inference did meanwhile.
    assert torch.equal(agent.networks["model"].flat, twin.networks["model"].flat)
    assert not torch.equal(agent.networks["policy"].flat, twin.networks["policy"].flat)


def test_rollouts_follow_the_policy_and_pay_its_divergence(trained):
    # variational_rl follows the learned prior, without divergence: that is the prior's value, not pi's.
    agent, state, action = trained
    walk, ratios = agent.parts.posterior.walk, []

    def spied(at, noise, objective):
        found = walk(at, noise, objective)
        ratios.append(world.groups.restored(found.log_ratio[:, :, 0])[0])
        return found

    world = Altered(agent.parts.value.world, ends=0.0)
    soft = expand(agent, state, action, world, walk=spied)[0, :, 0]
    hard = expand(agent, state, action, world, soft=False)[0, :, 0]
    alpha = float(agent.temperature.alpha)
    paid = sum(0.9 ** (i + 1) * alpha * ratio for i, ratio in enumerate(ratios))
    assert len(ratios) == H
    torch.testing.assert_close(hard - soft, paid, rtol=1e-4, atol=1e-5)
    with torch.no_grad():
        agent.networks["policy"].flat.mul_(2.0)  # another policy, other values
    assert not torch.allclose(expand(agent, state, action, world)[0, :, 0], soft)


def test_all_actions_of_a_state_share_its_random_numbers(trained):
    agent, state, action = trained
    twice = torch.cat((action, action), dim=2)
    found = expand(agent, state, twice)
    torch.testing.assert_close(found[..., 0], found[..., 1])


PLANTED = [
    (
        Assigned.step,
        "differentiable(of_group, fixed=True)",
        "differentiable(of_group.roll(t := int(noise[0, 0, 0] > 0), 0), fixed=True).roll(-t, 0)",
        test_a_rollout_has_one_member_to_its_end_and_rollouts_have_different_ones,
    ),
    (expanded_q, " * (1 - found.ends)", "", test_nothing_counts_after_the_end_of_an_episode),
    (expanded_q, "noise.unbind(2)", "noise.unbind(2)[:1]", test_the_horizon_counts_the_steps_of_the_model),
    (
        ensemble._moved,
        ".clamp(least[..., :n], most[..., :n])",
        "",
        test_values_stay_bounded_when_the_model_explodes,
    ),
    (
        Assigned.step,
        "self._networks.differentiable(of_group, fixed=True)",
        "self._world.network.differentiable(inputs)[:, 0]",
        test_no_gradient_of_inference_reaches_the_model_or_later_actions,
    ),
    (expanded_q, "if of.soft", "if False", test_rollouts_follow_the_policy_and_pay_its_divergence),
]


@pytest.mark.parametrize(
    ("function", "old", "new", "check"), PLANTED, ids=[x[3].__name__[5:] for x in PLANTED]
)
def test_a_known_bug_is_found_when_it_is_planted(monkeypatch, trained, function, old, new, check):
    monkeypatch.setattr(function, "__code__", mutated_code(function, old, new))
    more = (B,) if check is test_a_rollout_has_one_member_to_its_end_and_rollouts_have_different_ones else ()
    with pytest.raises(AssertionError):
        check(trained, *more)
