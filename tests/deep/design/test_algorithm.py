"""Algorithms and their parts: what they refuse, in words that name it; settings by dotted name."""

import math
from dataclasses import fields, replace

import pytest

from tests.support.deep import algorithm_of
from virel_common.errors import InputError
from virel_deep.design.algorithm import Algorithm
from virel_deep.design.data import Data
from virel_deep.design.fields import Part
from virel_deep.design.parts import Deterministic, Posterior, Prior, TanhGaussian, Uniform, Value, VNetwork
from virel_deep.design.presets import PRESETS
from virel_deep.design.records import changed, decode, described, encode
from virel_deep.design.temperature import Constant, Residual, Temperature, Zero

NAN, INF = math.nan, math.inf
AT_LEAST_0, FROM_0, FROM_1 = "must be finite and at least 0", "must be at least 0", "must be at least 1"
POSITIVE, NUMBER, WHOLE = "must be finite and positive", "must be a number", "must be a whole number"

BAD = [
    ("sac", "value.critics", 3, "must be 1 or 2"),
    ("sac", "value.critics", True, WHOLE),
    ("sac", "value.evaluation", None, "must be one of 'hard', 'soft', 'optimal'"),
    ("mpo", "value.steps", 0, FROM_1),
    ("mpo", "value.steps", 2.0, WHOLE),
    ("mpo", "value.trace", 1.5, r"must be in \[0, 1\] or None"),
    ("mpo", "value.trace", NAN, r"must be in \[0, 1\] or None"),
    ("sac", "value.trace", 1.0, "must be None if `value.steps` is 1"),
    ("mpo", "posterior.samples", 0, FROM_1),
    ("sac", "posterior.samples", 0, FROM_1),
    ("sac-iterative", "posterior.steps", 0, FROM_1),
    ("sac-iterative", "posterior.samples", 0, FROM_1),
    ("sac-iterative", "prior.std", 0.0, POSITIVE),
    ("sac-iterative", "temperature.epsilon", 0.0, POSITIVE),
    ("sql", "posterior.samples", 1, "must be at least 2"),
    ("sql", "posterior.samples", 5, "must be even"),
    ("mpo", "posterior.keep", 0.0, r"must be in \(0, 1\]"),
    ("mpo", "posterior.keep", 1.1, r"must be in \(0, 1\]"),
    ("mpo", "posterior.keep", 0.01, "must leave at least 2 actions with weight for a KL budget"),
    ("mpo", "posterior.samples", 1, "must leave at least 2 actions with weight for a KL budget"),
    ("mpo", "temperature.epsilon", 3.0, r"must be below log 20 for 20 actions with weight"),
    ("rerpi", "posterior.weights", "ranks", "must be one of 'softmax', 'rank'"),
    ("mpo", "prior.trust_mean", 0.0, POSITIVE),
    ("mpo", "prior.trust_spread", -1e-4, POSITIVE),
    ("mpo", "prior.trust_spread", NAN, POSITIVE),
    ("mpo", "prior.price_mean", 0.0, POSITIVE),
    ("mpo", "prior.price_spread", INF, POSITIVE),
    ("mpo-parametric", "prior.price_rate", 0.0, POSITIVE),
    ("mpo", "prior.likelihood", "mixed", "must be one of 'joint', 'decoupled'"),
    ("mpo", "temperature.epsilon", 0.0, POSITIVE),
    ("mpo", "temperature.initial", -1.0, POSITIVE),
    ("mpo", "temperature.rate", 0.0, POSITIVE),
    ("mpo", "temperature.steps", 0, FROM_1),
    ("sac", "target_period", -1, FROM_0),
    ("sac", "update_every", 0, FROM_1),
    ("sac", "updates_per_step", 0.0, POSITIVE),
    ("sac", "updates_per_step", INF, POSITIVE),
    ("sac", "learning_rate_end", -1e-5, AT_LEAST_0),
    ("sac", "learning_rate_end", "lin", "must be a number or None"),
    ("sac", "learning_rate_updates", 10, "must be 0 without a `learning_rate_end`"),
    ("sac", "policy_learning_rate", 0.0, POSITIVE),
    ("sac", "gradient_norm", 0.0, POSITIVE),
    ("sac", "posterior.mean_penalty", NAN, AT_LEAST_0),
    ("sac", "posterior.log_std_penalty", INF, AT_LEAST_0),
    ("td3", "posterior.exploration_noise", -0.1, AT_LEAST_0),
    ("td3", "posterior.target_noise", NAN, AT_LEAST_0),
    ("td3", "posterior.target_noise_clip", -1.0, AT_LEAST_0),
    ("virel", "temperature.alpha", -1.0, AT_LEAST_0),
    ("virel", "temperature.alpha", INF, AT_LEAST_0),
    ("beta", "temperature.scale", NAN, AT_LEAST_0),
    ("beta", "temperature.scale", "scaled", "must be a number or 'auto'"),
    ("beta", "temperature.scale", None, "must be a number or 'auto'"),
    ("beta", "temperature.batch", -1, FROM_0),
    ("beta", "temperature.period", 0, FROM_1),
    ("beta", "temperature.smoothing", 1.0, r"must be in \[0, 1\)"),
    ("beta", "temperature.smoothing", NAN, r"must be in \[0, 1\)"),
    ("sac", "temperature.initial", 0.0, POSITIVE),
    ("sac", "temperature.target_entropy", NAN, "must be finite or None"),
    ("sac", "temperature.target_entropy", "-3", "must be a number or None"),
    ("sac", "data.batch", 0, FROM_1),
    ("sac", "data.batch", 64.0, WHOLE),
    ("sac", "data.warmup", -1, FROM_0),
    ("sac", "data.warmup", 1e3, WHOLE),
    ("vmpo", "data.length", 0, FROM_1),
    ("vmpo", "data.length", 20.0, WHOLE),
    ("vmpo", "data.epochs", 0, FROM_1),
    ("vmpo", "posterior.keep", 0.0, r"must be in \(0, 1\]"),
    ("erpg", "value.steps", 0, FROM_1),
    ("erpg", "value.evaluation", "mild", "must be one of 'hard', 'soft'"),
    ("distral", "prior.exponent", 1.5, r"must be in \[0, 1\]"),
    ("distral", "prior.discounted", 1, "must be True or False"),
    ("distral", "prior.blind", 3, "must be a tuple of whole numbers"),
    ("iadp", "prior.blind_last", -1, FROM_0),
    ("hdp", "posterior.latents", 0, FROM_1),
    ("hdp", "prior.low_alpha", -0.1, "must be finite and at least 0"),
    ("hdp", "prior.exponent", 1.5, r"must be in \[0, 1\]"),
    ("mb-iadp", "value.rollout", "both", "must be one of 'posterior', 'prior'"),
    ("iadp", "prior.frozen", "no", "must be True or False"),
    ("sac", "gamma", 1.0, r"must be in \[0, 1\)"),
    ("sac", "gamma", -0.1, r"must be in \[0, 1\)"),
    ("sac", "gamma", NAN, r"must be in \[0, 1\)"),
    ("sac", "gamma", "0.9", NUMBER),
    ("sac", "polyak", 0.0, r"must be in \(0, 1\]"),
    ("sac", "polyak", 1.1, r"must be in \(0, 1\]"),
    ("sac", "policy_delay", 0, FROM_1),
    ("sac", "learning_rate", 0.0, POSITIVE),
    ("sac", "learning_rate", NAN, POSITIVE),
    ("sac", "reward_scale", -5.0, POSITIVE),
    ("sac", "reward_scale", INF, POSITIVE),
    ("mb-sac", "value.horizon", -1, FROM_0),
    ("mb-sac", "value.members", 0, FROM_1),
    ("mb-sac", "value.elites", 5, "must be at least 1 and at most `value.members`, 4"),
    ("mb-sac", "value.model_rate", 0.0, POSITIVE),
    ("smcp", "posterior.particles", 0, FROM_1),
    ("smcp", "posterior.steps", 0, FROM_1),
    ("sac", "hidden", (), "must be layer sizes of at least 1"),
    ("sac", "hidden", (8, 0), "must be layer sizes of at least 1"),
    ("sac", "hidden", 8, "must be a tuple of whole numbers, such as `64,64`, or `64,` for one number"),
    ("sac", "hidden", (8.0,), "must be a tuple of whole numbers"),
    ("sac", "value", "q", "must be one of target-q, v-network, "),
    (
        "sac",
        "posterior",
        "gaussian",
        "must be one of tanh-gaussian, deterministic, weighted, top-share, score, categorical, ",
    ),
    ("sac", "prior", "flat", "must be one of uniform, learned, previous, learned-categorical, "),
    ("sac", "temperature", "none", "must be one of constant, residual, dual, zero, budget"),
    ("sac", "data", "disk", "must be one of replay, rollouts"),
]


@pytest.mark.parametrize(("preset", "name", "value", "rule"), BAD, ids=str)
def test_a_setting_that_means_nothing_is_refused_by_name_rule_and_value(preset, name, value, rule):
    with pytest.raises(InputError, match=f"^`{name}` {rule}.*; found ") as caught:
        algorithm_of(preset, **{name: value})
    assert str(caught.value).endswith(f"found {value!r}")


def test_every_setting_of_the_presets_has_a_value_that_it_refuses():
    known = {setting.name for row in PRESETS.values() for setting in described(row.algorithm)}
    assert {name for _, name, _, _ in BAD} >= known - {"kind"}


def test_settings_of_a_part_given_as_a_dictionary_are_told_their_names():
    with pytest.raises(InputError, match=r"be given by names like data\.batch; found \{'batch': 3\}"):
        changed(PRESETS["sac"].algorithm, {"data": {"batch": 3}})


def test_a_kind_that_this_process_does_not_know_may_be_one_of_the_users_own():
    stored = encode(PRESETS["sac"].algorithm) | {"temperature": {"kind": "linear"}}
    with pytest.raises(InputError, match=r"budget \(one of your own must be defined .*\); found 'linear'"):
        decode(Algorithm, stored, "algorithm")


@pytest.mark.parametrize("axis", ["value", "posterior", "prior", "temperature", "data"])
def test_a_part_of_another_axis_or_none_is_refused(axis):
    for wrong in (None, Uniform() if axis != "prior" else Zero()):
        with pytest.raises(InputError, match=f"^`{axis}` must be a part of a kind in .*; found "):
            replace(PRESETS["sac"].algorithm, **{axis: wrong})


@pytest.mark.parametrize(
    ("preset", "settings", "message"),
    [
        (
            "td3",
            {"value": "v-network", "value.evaluation": "hard"},
            "`value` must be 'target-q' for a deterministic posterior; found 'v-network'",
        ),
        (
            "td3",
            {"temperature": "constant"},
            "`temperature` must be 'zero' for a deterministic posterior; found 'constant'",
        ),
        (
            "sac",
            {"posterior": "deterministic"},
            "`temperature` must be 'zero' for a deterministic posterior; found 'dual'",
        ),
        (
            "td3",
            {"value.evaluation": "soft"},
            "`value.evaluation` must be 'hard' if the temperature is 'zero'; found 'soft'",
        ),
        (
            "sac",
            {"temperature": "zero"},
            "`value.evaluation` must be 'hard' if the temperature is 'zero'; found 'soft'",
        ),
        (
            "td3",
            {"value.steps": 3, "value.trace": 1.0},
            "`value.trace` must be None if the posterior is 'deterministic'; found 1.0",
        ),
        (
            "sac-iterative",
            {"value.steps": 3, "value.trace": 1.0},
            "`value.trace` must be None if the posterior is 'iterative'; found 1.0",
        ),
        (
            "sac",
            {"value.steps": 3},
            "`value.steps` must be 1 if `value.evaluation` is 'soft' and `value.trace` is None; found 3",
        ),
        (
            "sql",
            {"value.steps": 2},
            "`value.steps` must be 1 if `value.evaluation` is 'optimal' and `value.trace` is None; found 2",
        ),
        (
            "distral",
            {"policy_learning_rate": 1e-3},
            "`policy_learning_rate` must be None for a tilted posterior; found 0.001",
        ),
        (
            "sac",
            {"posterior": "weighted"},
            "`prior` must be 'learned' for a weighted posterior; found 'uniform'",
        ),
        (
            "mpo",
            {"temperature": "zero"},
            "`temperature` must be 'budget', 'constant' or 'residual' for a weighted posterior; found 'zero'",
        ),
        (
            "mpo",
            {"temperature": "constant", "temperature.alpha": 0.0},
            "`temperature.alpha` must be positive for a weighted posterior; found 0.0",
        ),
        (
            "mpo",
            {"value": "v-network"},
            "`value` must be 'model' or 'target-q' for a weighted posterior; found 'v-network'",
        ),
        (
            "mpo",
            {"value.evaluation": "soft"},
            "`value.evaluation` must be 'hard' for a weighted posterior; found 'soft'",
        ),
        (
            "td3",
            {"prior": "fixed"},
            "`posterior` must be 'iterative' or 'tanh-gaussian' for a fixed prior; found 'deterministic'",
        ),
        (
            "sac",
            {"temperature.epsilon": 1.0},
            "`temperature.epsilon` must be None for a uniform prior; found 1.0",
        ),
        (
            "sac-iterative",
            {"temperature.target_entropy": -1.0},
            "`temperature.target_entropy` must be None for a fixed prior; found -1.0",
        ),
        (
            "mpo-parametric",
            {"temperature": "dual"},
            "`prior` must be 'fixed' or 'uniform' for a dual temperature; found 'previous'",
        ),
        (
            "sac-iterative",
            {"prior": "learned"},
            "`prior` must be 'fixed' or 'uniform' for an iterative posterior; found 'learned'",
        ),
        (
            "sac-iterative",
            {"temperature": "zero", "value.evaluation": "hard"},
            "`temperature` must not be 'zero' for an iterative posterior; found 'zero'",
        ),
        (
            "sql",
            {"temperature": "dual"},
            "`temperature` must be 'constant' for a Stein posterior; found 'dual'",
        ),
        (
            "sql",
            {"value.evaluation": "soft"},
            "`value.evaluation` must be 'optimal' for a Stein posterior; found 'soft'",
        ),
        (
            "sql",
            {"temperature.alpha": 0.0},
            "`value.evaluation` must not be 'optimal' if the temperature may be 0; found 'optimal'",
        ),
        (
            "sql",
            {"value.steps": 3, "value.trace": 1.0},
            "`value.trace` must be None if the posterior is 'stein'; found 1.0",
        ),
        (
            "rerpi",
            {"posterior.weights": "rank"},
            "`temperature` must be 'zero' for weights by rank, which have none; found 'budget'",
        ),
        (
            "rerpi",
            {"posterior.weights": "rank", "temperature": "zero", "posterior.keep": 0.5},
            "`posterior.keep` must be 1 for weights by rank; found 0.5",
        ),
        (
            "rerpi",
            {"temperature": "zero"},
            "`temperature` must be 'budget', 'constant' or 'residual' for a weighted posterior; found 'zero'",
        ),
        (
            "mpo",
            {"posterior": "tanh-gaussian"},
            "`posterior` must be 'weighted' or 'top-share' for a learned prior; found 'tanh-gaussian'",
        ),
        (
            "mpo-parametric",
            {"posterior": "deterministic", "value.trace": None},
            "`posterior` must be 'tanh-gaussian' for a previous prior; found 'deterministic'",
        ),
        (
            "sac",
            {"prior": "previous"},
            "`prior` must be 'fixed' or 'uniform' for a dual temperature; found 'previous'",
        ),
        (
            "sac",
            {"temperature": "budget"},
            "`prior` must not be 'uniform' for a KL budget; found 'uniform'",
        ),
        ("vmpo", {"data": "replay"}, "`data` must be 'rollouts' for advantages; found 'replay'"),
        ("sac", {"data": "rollouts"}, "`value` must be 'advantage' for rollouts; found 'target-q'"),
        (
            "vmpo",
            {"update_every": 8},
            "`update_every` must be 1 for rollouts, which say themselves when updates are due; found 8",
        ),
        (
            "vmpo",
            {"data.batch": 64},
            "`settings` must name one of data.length, data.epochs; found 'data.batch'",
        ),
        (
            "vmpo",
            {"data.warmup": 100},
            "`settings` must name one of data.length, data.epochs; found 'data.warmup'",
        ),
        (
            "vmpo",
            {"posterior": "weighted"},
            "`posterior` must be 'top-share' or 'score' (or -categorical) for advantages; found 'weighted'",
        ),
        (
            "vmpo",
            {"value.evaluation": "soft"},
            "`value.evaluation` must be 'hard' for a top-share posterior; found 'soft'",
        ),
        (
            "vmpo",
            {"prior": "uniform"},
            "`prior` must be 'learned' for a top-share posterior; found 'uniform'",
        ),
        (
            "vmpo",
            {"temperature": "dual"},
            (
                "`temperature` must be 'budget', 'constant' or 'residual' for a top-share posterior; "
                "found 'dual'"
            ),
        ),
        (
            "vmpo",
            {"temperature": "constant", "temperature.alpha": 0.0},
            "`temperature.alpha` must be positive for a top-share posterior; found 0.0",
        ),
        (
            "vmpo",
            {"temperature": "residual", "temperature.batch": 9},
            "`temperature.batch` must be 0 for rollouts, which are read whole; found 9",
        ),
        (
            "mpo",
            {"posterior": "top-share"},
            "`value` must be 'advantage' for a top-share posterior; found 'target-q'",
        ),
        (
            "sac",
            {"posterior": "score"},
            "`value` must be 'advantage' for a score posterior; found 'target-q'",
        ),
        (
            "erpg",
            {"data.epochs": 4},
            "`data.epochs` must be 1 for a score posterior; found 4",
        ),
        (
            "erpg",
            {"prior": "learned"},
            "`prior` must be one that never changes, as 'uniform', for a score posterior; found 'learned'",
        ),
        (
            "erpg",
            {"temperature": "zero"},
            "`value.evaluation` must be 'hard' if the temperature is 'zero'; found 'soft'",
        ),
    ],
)
def test_a_combination_that_means_nothing_is_refused_by_the_part_that_cannot(preset, settings, message):
    with pytest.raises(InputError) as caught:
        algorithm_of(preset, **settings)
    assert str(caught.value) == message


def test_whole_numbers_are_numbers():
    settings = {"temperature.initial": 1, "gamma": 0, "temperature.target_entropy": -3}
    assert algorithm_of("sac", **settings).temperature.initial == 1


# --- settings by dotted name


def test_a_part_is_exchanged_by_name_with_its_defaults_and_settings_of_its_own_in_any_order():
    for names in (("temperature", "temperature.scale"), ("temperature.scale", "temperature")):
        values = {"temperature": "residual", "temperature.scale": 1e-3}
        chosen = changed(PRESETS["sac"].algorithm, {name: values[name] for name in names})
        assert chosen == replace(PRESETS["sac"].algorithm, temperature=Residual(scale=1e-3))


def test_a_part_may_be_given_as_one():
    chosen = changed(PRESETS["sac"].algorithm, {"temperature": Constant(alpha=0.2), "value": VNetwork()})
    assert (chosen.temperature, chosen.value) == (Constant(alpha=0.2), VNetwork())


def test_several_parts_change_at_once_where_each_alone_would_not_fit():
    settings = {"posterior": "deterministic", "temperature": "zero", "value.evaluation": "hard"}
    assert changed(PRESETS["sac"].algorithm, settings).posterior == Deterministic()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            "batchsize",
            "`settings` must name one of value, value.critics, .*, gradient_norm; found 'batchsize'",
        ),
        (
            "temperature.scale",
            "`settings` must name one of temperature.initial, temperature.target_entropy, .*; .*scale'",
        ),
        ("prior.x", "`settings` must name none of prior, as prior=uniform has no settings; found 'prior.x'"),
        (
            "prior.price_rate",
            (
                "`settings` must name none of prior, as prior=uniform has no settings; "
                "prior=.*learned.* has price_rate; found 'prior.price_rate'"
            ),
        ),
        ("batch", "`settings` must name one of value, .*; similar: data.batch; found 'batch'"),
        ("gamma.x", "`gamma` must be set as a whole: it has no settings; found 'gamma.x'"),
        ("data.batch.x", "`settings` must name one of data.batch, data.warmup; .*found 'data.batch.x'"),
        ("", "`settings` must name one of value, .*; found ''"),
    ],
)
def test_a_name_that_is_no_setting_is_one_line_with_those_that_are(name, message):
    with pytest.raises(InputError, match=f"^{message}$") as caught:
        changed(PRESETS["sac"].algorithm, {name: 1})
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("preset", PRESETS)
def test_every_setting_is_described_and_an_algorithm_comes_back_from_json(preset):
    algorithm = PRESETS[preset].algorithm
    assert decode(Algorithm, encode(algorithm), "algorithm") == algorithm
    settings = described(algorithm)
    names = [setting.name for setting in settings]
    assert len(set(names)) == len(names) >= len(fields(Algorithm))
    for setting in settings:
        assert setting.meaning.endswith((".", ")")), setting
        assert "\n" not in setting.meaning
    # A description is enough to set everything again.
    assert changed(PRESETS["sac"].algorithm, {one.name: one.value for one in settings}) == algorithm


@pytest.mark.parametrize("axis", [Value, Posterior, Prior, Temperature, Data])
def test_every_kind_of_an_axis_has_defaults_and_knows_its_place(axis):
    for name, kind in axis.kinds.items():
        part = kind()
        assert (part.kind, part.axis) == (name, axis.axis)
        assert decode(axis, encode(part), axis.axis) == part
    assert TanhGaussian.kinds is Posterior.kinds
    assert not hasattr(Part, "kinds")
