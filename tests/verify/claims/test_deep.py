"""The bridge: deep claims catch errors planted in the deep agent, and only run where they are asked for."""

import dataclasses
import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch.autograd.function import once_differentiable
from torch.nn.functional import softplus

import tests.support.claims as fake
from verify.commands.documents import main_explain
from verify.commands.verify import main_claims, main_verify
from verify.engine import registry
from verify.engine.results import as_recorded, result_row
from verify.engine.runner import run_check, run_claim
from virel_deep.axes import advantage, categorical, losses, multistep, returns, rollout, value, weights
from virel_deep.axes.gaussian import kl_parts, likelihood, moments
from virel_deep.axes.model import model_q
from virel_deep.axes.posterior import (
    latent,
    pathwise,
    reweighted,
    smc_weights,
    steps,
    taken,
    tanh_gaussian,
    tilted,
)
from virel_deep.axes.prior import blind
from virel_deep.axes.prior import categorical as categorical_prior
from virel_deep.axes.prior import constant as prior
from virel_deep.axes.prior import policy as policy_prior
from virel_deep.axes.temperature import ResidualTemperature

RESIDUAL = losses.residual_error
KL = categorical_prior.kl
TEMPERED, RANKS = weights.tempered_weights, weights.rank_weights
ERRORS, PAIRS, SCORE = rollout.rollout_errors, taken.pair_weights, losses.score_loss
KL_PARTS = prior.kl_parts
EXPANDED, INCREMENT = model_q.expanded_q, smc_weights.log_increment
POWER = blind.Categorical.log_density
N_STEPS, RETRACE = returns.n_step_target, returns.retrace_target
THROUGH = model_q.ModelQ._through_model
ROOT = Path(__file__).resolve().parents[3]
CLAIMS = registry.all_claims()
DEEP_IDS = [claim.id for claim in CLAIMS.values() if claim.deep]
DEEP = dataclasses.replace(fake.HOLDS, id="deep-fake", deep=True, figures=None)


def test_deep_claims_are_those_whose_id_says_so():
    assert [name for name in CLAIMS if name.startswith("deep-")] == DEEP_IDS
    assert len(DEEP_IDS) == 30


@pytest.mark.parametrize("most", [5, pytest.param(200, marks=pytest.mark.long)])
@pytest.mark.parametrize("claim_id", DEEP_IDS)
def test_every_deep_claim_comes_out_as_on_record(claim_id, most):
    """On at most so many draws; `virel verify --deep` has no limit."""
    claim = CLAIMS[claim_id]
    check = dataclasses.replace(claim.check, n_random=min(claim.check.n_random, most))
    assert as_recorded(result_row(run_claim(dataclasses.replace(claim, check=check), seed=1)))


def unmasked_target(reward, terminated, v_next, *, gamma):  # noqa: ARG001
    return (reward + gamma * v_next).detach()


def undiscounted_target(reward, terminated, v_next, *, gamma):  # noqa: ARG001
    return (reward + v_next * (1 - terminated)).detach()


def less_discounted_target(reward, terminated, v_next, *, gamma):
    return (reward + 0.99 * gamma * v_next * (1 - terminated)).detach()


def doubled_slope(value, target):
    return 2 * (value - target) / value.shape[-1]


def printed_policy_loss(q, log_pi, alpha):
    return log_pi * (alpha - q)


def worst_action_loss(q, log_pi, alpha):
    return alpha * log_pi + q


def frozen_entropy_loss(q, log_pi, alpha):
    return alpha * log_pi.detach() - q


def always_soft(q, log_pi, alpha, *, soft):  # noqa: ARG001
    return (q - alpha * log_pi).detach()


def wrong_entropy(q, log_pi, alpha, *, soft):
    return q + alpha * log_pi if soft else q


def sum_of_critics(x):
    return x.square().mean(-1).flatten(1).sum(1) if x.ndim == 3 else RESIDUAL(x)


def alpha_of_root(self):
    return (self._scale * self.eps_omega.sqrt())[:, None]


def unsmoothed(self, eps_omega, *, first):  # noqa: ARG001
    self.eps_omega.copy_(eps_omega)


class PathOfActionOnly(tanh_gaussian._TanhGaussian):
    """`tanh_gaussian` whose log density carries no gradient through the action."""

    @staticmethod
    @once_differentiable
    def backward(ctx, grad_action, grad_log_pi):
        _, pushed, action = ctx.saved_tensors
        grad_u = grad_action * (1 - action.square())
        return torch.cat((grad_u, grad_u * pushed - grad_log_pi[..., None]), dim=-1), None


def tempered_at_half(log_prior, q, alpha, *, keep=1.0):
    return TEMPERED(log_prior, q, alpha / 2, keep=keep)


def without_prior(log_prior, q, alpha, *, keep=1.0):  # noqa: ARG001
    log_weight = (q / alpha).log_softmax(-1)
    return weights.Tempered(log_weight, log_weight - log_prior)


def less_discounted_errors(*args, gamma, steps):
    return ERRORS(*args, gamma=0.9 * gamma, steps=steps)


def one_step_errors(*args, gamma, steps):  # noqa: ARG001
    return ERRORS(*args, gamma=gamma, steps=1) * 1.01


def half_of_each_half(advantage, alpha, *, keep):
    """The top share of each half of a batch, not of the batch: what minibatches would keep."""
    both = [PAIRS(part, alpha, keep=keep) for part in advantage.chunk(2, dim=-2)]
    return tuple(torch.cat(of_both, dim=-2) for of_both in zip(*both, strict=True))


def entropy_paid(log_pi, advantage, log_ratio, alpha):
    return SCORE(log_pi, advantage, -log_ratio, alpha)


def no_bonus(log_pi, advantage, log_ratio, alpha):
    return SCORE(log_pi, advantage, 0 * log_ratio, alpha)


def unweighted_value(log_weight, q, log_ratio, alpha):  # noqa: ARG001
    return alpha[..., 0] * (log_weight + q / alpha).logsumexp(-1)


def from_worst(log_prior, q):
    return RANKS(log_prior, -q)


def ranks_alone(log_prior, q):
    return RANKS(0 * log_prior, q)


def ungated(head, output):  # noqa: ARG001
    return output.chunk(2, dim=-1)[0]


def less_discounted_model(*args, of, **along):
    return EXPANDED(*args, of=of._replace(gamma=0.99 * of.gamma), **along)


def without_divergence(*args, of, **along):
    return EXPANDED(*args, of=of._replace(soft=False), **along)


def one_step_less(critic, state, action, *, along, **rest):
    return EXPANDED(critic, state, action, along=along._replace(noise=along.noise[:, :, 1:]), **rest)


def undiscounted_gain(*args, gamma, step):  # noqa: ARG001
    return INCREMENT(*args, gamma=gamma, step=0)


def without_proposal(reward, ahead, here, log_ratio, *rest, **which):
    return INCREMENT(reward, ahead, here, 0 * log_ratio, *rest, **which)


def unguided(reward, ahead, here, *rest, **which):
    return INCREMENT(reward, ahead, 0 * here, *rest, **which)


def never_resampled(log_weight, uniform):  # noqa: ARG001
    return torch.arange(log_weight.shape[-1]).expand(log_weight.shape)


def other_divergence(p, q):
    return KL_PARTS(q, p)


def unweighted(log_p, *_):
    return log_p.mean(-1)


def joint(new, old, of):  # noqa: ARG001
    return 2 * likelihood(new, of)


def mixed_up(new, old, of):
    by_mean = likelihood(type(new)(new.mean, new.log_std.detach()), of)
    return by_mean + likelihood(type(new)(old.mean, new.log_std), of)


def around_their_mean(u, weight):
    of = moments(u, weight)
    return of._replace(first=0 * of.first)


def without_power(prior, state, action, pre):
    return POWER(prior, state, action, pre) / max(prior._exponent, 0.25)


def sees_the_rest(sight, state):
    """As many entries as the prior sees, the last ones instead of the first."""
    return state.flip(-1).index_select(-1, sight._index)


def along_the_policy(value, *args):
    """Rollouts of the policy where they should be the prior's."""
    value._by_prior = False
    return THROUGH(value, *args)


def never_bootstraps(target, places):
    """A target for which a time limit ends the task; `places` are those of both flags among its arguments."""

    def wrong(*args, **rest):
        terminated, truncated = (args[i] for i in places)
        return target(*args[: places[0]], torch.maximum(terminated, truncated), *args[places[1] :], **rest)

    return wrong


def across_episodes(target, places):
    """A target that takes the next episode in the window for more of this one."""
    return lambda *args, **rest: target(
        *args[: places[0]], *(0 * args[i] for i in places), *args[places[1] + 1 :], **rest
    )


def of_the_pair_before(*args, gamma, trace):
    """Cuts by the pair before: its own, where the target of a pair begins."""
    return RETRACE(*args[:-1], args[-1].roll(1, dims=-1), gamma=gamma, trace=trace)


def more_than_one(*args, gamma, trace):
    """Importance weights that are not cut, here by taking the densities for the other way round."""
    return RETRACE(*args[:-1], -args[-1], gamma=gamma, trace=trace)


def larger_q(critic, state, action):
    n = action.shape[2]
    pairs = torch.cat((state[:, :, None].expand(-1, -1, n, -1), action), dim=-1).flatten(1, 2)
    return critic(pairs).squeeze(-1).amax(1).view(len(state), -1, n)


def planted(what, claim_id, owner, name, wrong):
    return pytest.param(claim_id, owner, name, wrong, id=f"{claim_id}: {what}")


PLANTED = [
    planted("bootstraps at the end", "deep-q-loss", losses, "td_target", unmasked_target),
    planted("no discount", "deep-q-loss", losses, "td_target", undiscounted_target),
    planted("no half", "deep-q-loss", losses, "q_loss", lambda q, y: (y - q).square()),
    planted("absolute error", "deep-q-loss", losses, "q_loss", lambda q, y: 0.5 * (y - q).abs()),
    planted("no half by hand", "deep-q-loss", losses, "d_squared_loss", doubled_slope),
    planted("no half", "deep-v-loss", losses, "v_loss", lambda v, y: (v - y).square()),
    planted("no half by hand", "deep-v-loss", losses, "d_squared_loss", doubled_slope),
    planted("always soft", "deep-v-loss", losses, "state_value", always_soft),
    planted("as printed", "deep-policy-loss", losses, "policy_loss", printed_policy_loss),
    planted("worst action", "deep-policy-loss", losses, "policy_loss", worst_action_loss),
    planted("entropy's sign", "deep-evaluation-hard-soft", losses, "state_value", wrong_entropy),
    planted("no discount", "deep-evaluation-hard-soft", losses, "td_target", undiscounted_target),
    planted("a half", "deep-residual-temperature", losses, "residual_error", lambda x: RESIDUAL(x) / 2),
    planted("sum of critics", "deep-residual-temperature", losses, "residual_error", sum_of_critics),
    planted(
        "p = 1", "deep-residual-temperature", losses, "residual_error", lambda x: x.abs().flatten(1).mean(1)
    ),
    planted("root", "deep-residual-temperature", ResidualTemperature, "alpha", property(alpha_of_root)),
    planted("not smoothed", "deep-residual-temperature", ResidualTemperature, "observe_residual", unsmoothed),
    planted("torch's threshold", "deep-tanh-gaussian", tanh_gaussian, "softplus", lambda x, **_: softplus(x)),
    planted("softplus' sign", "deep-tanh-gaussian", tanh_gaussian, "softplus", lambda x, **_: softplus(-x)),
    planted("half the path", "deep-tanh-gaussian", tanh_gaussian, "_TanhGaussian", PathOfActionOnly),
    planted("entropy without gradient", "deep-tanh-gaussian", losses, "policy_loss", frozen_entropy_loss),
    planted("another range", "deep-tanh-gaussian", tanh_gaussian, "LOG_STD_RANGE", (-20.0, 4.0)),
    planted("less discount", "deep-em-policy-iteration", losses, "td_target", less_discounted_target),
    planted("worst action", "deep-em-policy-iteration", losses, "policy_loss", worst_action_loss),
    planted("half the temperature", "deep-mpo", weights, "tempered_weights", tempered_at_half),
    planted("the prior left out", "deep-mpo", weights, "tempered_weights", without_prior),
    planted("dual doubled", "deep-mpo", weights, "d_budget", lambda kl, *, epsilon: epsilon - 2 * kl),
    planted("half the temperature", "deep-vmpo", weights, "tempered_weights", tempered_at_half),
    planted("half of a minibatch", "deep-vmpo", taken, "pair_weights", half_of_each_half),
    planted("less discount", "deep-vmpo", rollout, "rollout_errors", less_discounted_errors),
    planted("dual doubled", "deep-vmpo", weights, "d_budget", lambda kl, *, epsilon: epsilon - 2 * kl),
    planted("a hundredth more", "deep-erpg", rollout, "rollout_errors", one_step_errors),
    planted("entropy's sign", "deep-erpg", losses, "score_loss", entropy_paid),
    planted("no bonus at the state", "deep-erpg", losses, "score_loss", no_bonus),
    planted("no half", "deep-erpg", losses, "v_loss", lambda v, y: (v - y).square()),
    planted("proposals not weighed", "deep-sql", losses, "optimal_value", unweighted_value),
    planted("no discount", "deep-sql", losses, "td_target", undiscounted_target),
    planted("no gate", "deep-iterative", steps, "gated_update", ungated),
    planted("the other divergence", "deep-iterative", prior, "kl_parts", other_divergence),
    planted("less discount", "deep-mb-sac", model_q, "expanded_q", less_discounted_model),
    planted("no divergence", "deep-mb-sac", model_q, "expanded_q", without_divergence),
    planted("one step less", "deep-mb-sac", model_q, "expanded_q", one_step_less),
    planted("no discount", "deep-mb-sac", losses, "td_target", undiscounted_target),
    planted("less discount", "deep-mb-mpo", model_q, "expanded_q", less_discounted_model),
    planted("half the temperature", "deep-mb-mpo", weights, "tempered_weights", tempered_at_half),
    planted("every step as the first", "deep-smcp", smc_weights, "log_increment", undiscounted_gain),
    planted("no proposal", "deep-smcp", smc_weights, "log_increment", without_proposal),
    planted("V(s) left out", "deep-smcp", smc_weights, "log_increment", unguided),
    planted("weights lost", "deep-smcp", smc_weights, "systematic", never_resampled),
    planted("no weights", "deep-mpo-m-step", categorical_prior, "likelihood", unweighted),
    planted("KL the other way", "deep-mpo-m-step", categorical_prior, "kl", lambda p, q: KL(q, p)),
    planted("half the temperature", "deep-mpo-m-step", reweighted, "tempered_weights", tempered_at_half),
    planted("no discount", "deep-mpo-m-step", losses, "td_target", undiscounted_target),
    planted("KL the other way", "deep-mpo-parametric", categorical_prior, "kl", lambda p, q: KL(q, p)),
    planted("worst action", "deep-mpo-parametric", pathwise, "policy_loss", worst_action_loss),
    planted("as printed", "deep-mpo-parametric", pathwise, "policy_loss", printed_policy_loss),
    planted("joint", "deep-rerpi", policy_prior, "decoupled_likelihood", joint),
    planted("new deviation by mean", "deep-rerpi", policy_prior, "decoupled_likelihood", mixed_up),
    planted("moments around the mean", "deep-rerpi", policy_prior, "moments", around_their_mean),
    planted("parts not apart", "deep-rerpi", policy_prior, "kl_parts_apart", kl_parts),
    planted("half the temperature", "deep-rerpi", reweighted, "tempered_weights", tempered_at_half),
    planted("entropy's sign", "deep-sac-discrete", losses, "state_value", wrong_entropy),
    planted("always hard", "deep-sac-discrete", losses, "state_value", lambda q, log_pi, alpha, *, soft: q),  # noqa: ARG005
    planted("no discount", "deep-sac-discrete", losses, "td_target", undiscounted_target),
    planted("frozen entropy", "deep-sac-discrete", pathwise, "policy_loss", lambda q, log_pi, alpha: -q),  # noqa: ARG005
    planted("worst action first", "deep-rerpi-rank", reweighted, "rank_weights", from_worst),
    planted("ranks without the prior", "deep-rerpi-rank", reweighted, "rank_weights", ranks_alone),
    planted("KL the other way", "deep-rerpi-rank", categorical_prior, "kl", lambda p, q: KL(q, p)),
    planted("mean for sum", "deep-sql-discrete", losses, "optimal_value", unweighted_value),
    planted("half the temperature", "deep-sql-discrete", tilted, "tempered_weights", tempered_at_half),
    planted("half of a minibatch", "deep-vmpo-discrete", taken, "pair_weights", half_of_each_half),
    planted("no weights", "deep-vmpo-discrete", categorical_prior, "likelihood", unweighted),
    planted("KL the other way", "deep-vmpo-discrete", categorical_prior, "kl", lambda p, q: KL(q, p)),
    planted("entropy's sign", "deep-erpg-discrete", taken, "score_loss", entropy_paid),
    planted("no bonus at the state", "deep-erpg-discrete", taken, "score_loss", no_bonus),
    planted("prior without its power", "deep-distral", blind.Categorical, "log_density", without_power),
    planted("half the temperature", "deep-distral", tilted, "tempered_weights", tempered_at_half),
    planted("proposals not weighed", "deep-distral", losses, "optimal_value", unweighted_value),
    planted("no discount", "deep-distral", losses, "td_target", undiscounted_target),
    planted("a fit to no weights", "deep-distral", blind, "likelihood", unweighted),
    planted("a prior that sees", "deep-distral", blind.Sight, "__call__", sees_the_rest),
    planted("entropy's sign", "deep-iadp", losses, "state_value", wrong_entropy),
    planted("no discount", "deep-hdp", losses, "td_target", undiscounted_target),
    planted("worst action", "deep-hdp", pathwise, "policy_loss", worst_action_loss),
    planted("no divergence in the reward", "deep-hdp", losses, "state_value", lambda q, *_, **__: q),
    planted("the other divergence", "deep-hdp", categorical, "kl", lambda p, q: KL(q, p)),
    planted("one latent for all", "deep-hdp", latent, "mixture", lambda log_p, given: given[..., 0, :]),  # noqa: ARG005
    planted("levels that see", "deep-hdp", blind.Sight, "__call__", sees_the_rest),
    planted("less discount", "deep-mb-iadp", model_q, "expanded_q", less_discounted_model),
    planted("one step less", "deep-mb-iadp", model_q, "expanded_q", one_step_less),
    planted("the policy's rollouts", "deep-mb-iadp", model_q.ModelQ, "_through_model", along_the_policy),
    planted("no discount", "deep-iadp", losses, "td_target", undiscounted_target),
    planted("worst action", "deep-iadp", pathwise, "policy_loss", worst_action_loss),
    planted("frozen entropy", "deep-iadp", pathwise, "policy_loss", lambda q, log_pi, alpha: -q),  # noqa: ARG005
    planted("a fit to no weights", "deep-iadp", blind, "likelihood", unweighted),
    planted("a prior that sees", "deep-iadp", blind.Sight, "__call__", sees_the_rest),
    planted(
        "limits end the task", "deep-n-step", returns, "n_step_target", never_bootstraps(N_STEPS, (1, 2))
    ),
    planted("across episodes", "deep-n-step", returns, "n_step_target", across_episodes(N_STEPS, (1, 2))),
    planted(
        "a step less", "deep-n-step", returns, "last", lambda alive: (alive.sum(-1).long() - 2).clamp(min=0)
    ),
    planted("the worst value", "deep-n-step", multistep, "state_value", lambda of, *_, **__: of.q.amin(-1)),
    planted(
        "limits end the task", "deep-retrace", returns, "retrace_target", never_bootstraps(RETRACE, (3, 4))
    ),
    planted("across episodes", "deep-retrace", returns, "retrace_target", across_episodes(RETRACE, (3, 4))),
    planted("the cut before", "deep-retrace", returns, "retrace_target", of_the_pair_before),
    planted("the other ratio", "deep-retrace", returns, "retrace_target", more_than_one),
    planted("the larger critic", "deep-retrace", value, "smaller_q", larger_q),
    planted("entropy's sign", "deep-retrace", losses, "state_value", wrong_entropy),
    planted(
        "limits end the task", "deep-advantage", advantage, "rollout_errors", never_bootstraps(ERRORS, (1, 2))
    ),
    planted(
        "across episodes", "deep-advantage", advantage, "rollout_errors", across_episodes(ERRORS, (1, 2))
    ),
    planted("less discount", "deep-advantage", advantage, "rollout_errors", less_discounted_errors),
    planted("biased V", "deep-em-policy-iteration", losses, "v_loss", lambda v, y: 0.5 * (v - y - 1e-6) ** 2),
]


@pytest.mark.parametrize(("claim_id", "owner", "name", "wrong"), PLANTED)
def test_an_error_in_the_deep_code_is_caught(monkeypatch, claim_id, owner, name, wrong):
    monkeypatch.setattr(owner, name, wrong)
    check = dataclasses.replace(CLAIMS[claim_id].check, n_random=60, named=tuple)
    assert not run_check(check, seed=0, shrink=False).ok


@pytest.fixture
def claims(monkeypatch):
    monkeypatch.setattr(registry, "all_claims", fake.registry(fake.HOLDS, fake.REFUTED, DEEP))


def verify(out, *args):
    """Exit status, and the ids in `results.json` if it is written."""
    status = main_verify([*args, "--jobs", "1", "--no-figures", "--out", str(out)])
    path = out / "results.json"
    return status, [row["id"] for row in json.loads(path.read_text())["claims"]] if path.is_file() else None


@pytest.mark.parametrize(
    ("args", "ids"),
    [
        ([], ["holds", "refuted"]),
        (["--all"], ["holds", "refuted"]),
        (["--deep"], ["holds", "refuted", "deep-fake"]),
        (["--all", "--deep"], ["holds", "refuted", "deep-fake"]),
        (["deep-fake"], ["deep-fake"]),
        (["deep-fake", "holds", "--deep"], ["deep-fake", "holds"]),
    ],
)
@pytest.mark.usefixtures("claims")
def test_deep_claims_run_where_the_flag_or_their_name_asks_for_them(tmp_path, args, ids):
    assert verify(tmp_path, *args) == (0, ids)


@pytest.mark.usefixtures("claims")
def test_a_run_without_deep_claims_says_so_unless_claims_were_named(tmp_path, capsys):
    line = "1 claims about the deep agent were not run; --deep runs them"
    for args, said in ([], True), (["--deep"], False), (["holds"], False):
        verify(tmp_path, *args)
        assert (line in capsys.readouterr().out.splitlines()) is said


@pytest.mark.usefixtures("claims")
def test_the_flag_beside_claims_that_are_not_deep_is_bad_input(tmp_path, capsys):
    assert verify(tmp_path, "holds", "--deep") == (2, None)
    assert capsys.readouterr().err == (
        "virel verify: `deep` must come without claim ids, or with the id of a claim about the deep agent;"
        " found ('holds',)\n"
    )


def test_claims_say_how_the_deep_ones_are_run(capsys):
    assert main_claims([]) == 0
    assert capsys.readouterr().out.count("(--deep)") == len(DEEP_IDS)


@pytest.mark.parametrize("args", [["--deep"], ["deep-fake"]])
@pytest.mark.usefixtures("claims")
def test_without_torch_deep_claims_are_one_line_status_2_and_no_folder(monkeypatch, tmp_path, capsys, args):
    monkeypatch.setitem(sys.modules, "torch", None)
    assert verify(tmp_path / "out", *args) == (2, None)
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("virel verify: claims about the deep agent need torch")
    assert line.endswith("it comes with `make deep` in the toolkit's folder; or choose other claims")
    assert not (tmp_path / "out").exists()


@pytest.mark.usefixtures("claims")
def test_without_torch_other_claims_run_as_before_and_deep_ones_are_explained_to_be_missing(
    monkeypatch, tmp_path, capsys
):
    monkeypatch.setitem(sys.modules, "torch", None)
    assert verify(tmp_path) == (0, ["holds", "refuted"])
    capsys.readouterr()
    assert main_explain(["deep-fake"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("virel explain: claims about the deep agent need torch")


def test_a_process_that_cannot_import_torch_lists_all_claims_and_runs_those_of_the_paper(tmp_path):
    """`torch.py` first on the path stands for a missing (or broken) installation."""
    (tmp_path / "torch.py").write_text(
        "raise ModuleNotFoundError(\"No module named 'torch'\", name='torch')\n"
    )
    script = (
        f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n"
        "from virel_common.command import main\n"
        f"out = ['--jobs', '1', '--no-figures', '--out', {str(tmp_path / 'out')!r}]\n"
        "print([main(['claims']), main(['verify', 'eq-24', *out]), main(['verify', '--deep', *out])])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "[0, 0, 2]"
    assert "No module named 'torch'" in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr
