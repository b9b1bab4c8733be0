"""PRISM's row form, its numbered reward structures, and files of other kinds and tools, which are refused."""

import gzip
import lzma

import numpy as np
import pytest

from tests.support.model_files import PRISM_LAB, PRISM_TRA, SREW, TREW, write_files
from virel_common.errors import InputError
from virel_theory import from_prism, garnet, load_mdp
from virel_theory.cli import main_solve

ROWS_TRA = "3 4 5\n0 0.5:0 0.5:1 fair\n0 1:1 sure\n1 1:2\n2 1:2\n"
ROWS_TREW = '# Reward structure "r"\n# Transition rewards\n3 4 2\n0 6:1\n0 4:1\n1\n2\n'
DTMC = "3 4\n0 0.5:1 0.5:2\n1 1:1\n2 1/1:2\n"


def exported(mdp, kind):
    """Text of an MDP as `.tra` in PRISM's own form or in row form, or as `.drn`; numbers to the last bit."""
    rows, dense = [], mdp.dense_transition
    pairs = [(s, a) for s in range(mdp.n_states) for a in range(mdp.n_actions) if mdp.available[s, a]]
    n_choices, n_entries = len(pairs), int((dense > 0).sum())
    counts = f"{mdp.n_states} {n_choices} {n_entries}"
    for s in range(mdp.n_states):
        if kind == "drn":
            rows.append(f"state {s}" + (" init" if s == 0 else ""))
        for k, a in enumerate(np.flatnonzero(mdp.available[s])):
            entries = [(t, repr(float(p))) for t, p in enumerate(dense[s, a]) if p > 0]
            if kind == "drn":
                rows.append(f"\taction a{a} [{float(mdp.reward[s, a])!r}]")
                rows += [f"\t\t{t} : {p}" for t, p in entries]
            elif kind == "rows":
                rows.append(f"{s} " + " ".join(f"{p}:{t}" for t, p in entries) + f" a{a}")
            else:
                rows += [f"{s} {k} {t} {p} a{a}" for t, p in entries]
    head = "@type: MDP\n@reward_models\nr\n@nr_states\n{}\n@nr_choices\n{}\n@model\n"
    return (head.format(mdp.n_states, n_choices) if kind == "drn" else counts + "\n") + "\n".join(rows) + "\n"


@pytest.mark.parametrize("seed", range(3))
def test_three_formats_of_a_random_mdp_give_its_arrays(tmp_path, seed):
    rng = np.random.default_rng(seed)
    mdp = garnet(7, 3, 3, gamma=0.9, rng=rng, missing=0.3)
    rewards = [
        f"{s} {k} {mdp.reward[s, a]}"
        for s in range(7)
        for k, a in enumerate(np.flatnonzero(mdp.available[s]))
    ]
    (tmp_path / "m.srew").write_text("\n".join(rewards) + "\n")
    for kind in ("tra", "rows", "drn"):
        path = tmp_path / ("m.drn" if kind == "drn" else "m.tra")
        path.write_text(exported(mdp, kind))
        found = load_mdp(path, 0.9)
        for s in range(7):  # the k-th choice of a state is action k
            kept = np.flatnonzero(mdp.available[s])
            np.testing.assert_array_equal(
                found.dense_transition[s, : len(kept)], mdp.dense_transition[s, kept]
            )
            np.testing.assert_array_equal(found.reward[s, : len(kept)], mdp.reward[s, kept])
            assert found.available[s].sum() == len(kept)


def test_rewards_in_row_form_are_those_of_the_transitions(tmp_path):
    plain = write_files(tmp_path, tra=PRISM_TRA, lab=PRISM_LAB, srew=SREW, trew=TREW)
    wanted = from_prism(plain["tra"], gamma=0.5, lab=plain["lab"], rew=[plain["srew"], plain["trew"]])
    rows = write_files(tmp_path, tra=ROWS_TRA, trew=ROWS_TREW)
    found = from_prism(rows["tra"], gamma=0.5, lab=plain["lab"], rew=[plain["srew"], rows["trew"]])
    np.testing.assert_array_equal(found.dense_transition, wanted.dense_transition)
    np.testing.assert_array_equal(found.reward, wanted.reward)
    none = write_files(tmp_path, trew="3 4 0\n0\n0\n1\n2\n")["trew"]
    assert (from_prism(rows["tra"], gamma=0.5, rew=none).reward == 0).all()


def test_a_dtmc_in_row_form(tmp_path):
    files = write_files(tmp_path, tra=DTMC, trew="3 2\n0 1:1 3:2\n1\n2\n")
    found = from_prism(files["tra"], gamma=0.5, rew=files["trew"])
    assert found.reward[:, 0].tolist() == [2, 0, 0]
    assert found.dense_transition[:, 0].tolist() == [[0, 0.5, 0.5], [0, 1, 0], [0, 0, 1]]


@pytest.mark.parametrize(
    ("tra", "named"),
    [
        (ROWS_TRA.replace("0.5:1 fair", "0.5 fair"), "line 2` must list successors as PROBABILITY:STATE"),
        (ROWS_TRA.replace("0.5:1 fair", "0.5:1 0.5"), "line 2` must list successors as PROBABILITY:STATE"),
        (ROWS_TRA.replace("0.5:1", "0.5:x"), "line 2` must hold an integer"),
        (ROWS_TRA.replace("0.5:1", "often:1"), "line 2` must hold a finite number here; found 'often'"),
        (ROWS_TRA.replace("0.5:1", "0.5:9"), "must number states below 3|must lie in"),
        (ROWS_TRA.replace("3 4 5", "3 4 6"), "must hold the numbers"),
        (DTMC.replace("1 1:1", "0 1:1"), "line 3` must give each state of a DTMC one line"),
        (DTMC.replace("0.5:1", "[0.4,0.6]:1"), "line 2` must hold a finite number"),
    ],
)
def test_broken_rows_are_refused_with_their_line(tmp_path, tra, named):
    files = write_files(tmp_path, tra=tra, srew=SREW)
    with pytest.raises(InputError, match=named):
        from_prism(files["tra"], gamma=0.5, rew=files["srew"])


@pytest.mark.parametrize(
    ("rewards", "named"),
    [
        (ROWS_TREW + "77\n", "line 8` must number states below 3; found 77"),
        (ROWS_TREW + "foo\n", "line 8` must hold .*; found 'foo'"),
        (ROWS_TREW + "2 4:1\n", "line 8` must give state 2 no more lines than .*, 1; found 2"),
        (ROWS_TREW.replace("3 4 2", "3 9 2"), r"must announce .* of model.tra, \[3, 4\]; found \[3, 9\]"),
    ],
)
def test_rows_of_rewards_belong_to_the_choices_of_the_model(tmp_path, rewards, named):
    files = write_files(tmp_path, tra=ROWS_TRA, trew=rewards)
    with pytest.raises(InputError, match=named):
        from_prism(files["tra"], gamma=0.5, rew=files["trew"])


def test_a_state_without_its_reward_is_no_row(tmp_path):
    files = write_files(tmp_path, tra=PRISM_TRA, srew="3 2\n0\n2 9\n")
    with pytest.raises(InputError, match="line 2` must have 2 columns"):
        from_prism(files["tra"], gamma=0.5, rew=files["srew"])


@pytest.mark.parametrize(
    ("head", "named"),
    [
        ("# Transitions (CTMC)\n3 4 5\n", "in discrete time.*CTMC"),
        ("# Transitions (IMDP)\n3 4 5\n", "not an interval; found IMDP"),
        ("# Transitions (POMDP)\n3 4 5\n", "whose states are seen; found POMDP"),
        ("# Transitions (LTS)\n3 4 5\n", "with probabilities; found LTS"),
        ("# Transitions (PTA)\n3 4 5\n", "in discrete time.*PTA"),
        ("smg\n", "with one player; found SMG"),
        ("STATES 3\nTRANSITIONS 5\n", "found 'the format of MRMC'"),
        ("P = sparse(13,13);\n", "found 'the format of MATLAB'"),
    ],
)
@pytest.mark.parametrize("body", [PRISM_TRA, ROWS_TRA], ids=["plain", "rows"])
def test_models_of_other_kinds_and_tools_are_refused_by_their_head(tmp_path, head, named, body):
    files = write_files(tmp_path, tra=head + body.partition("\n")[2], srew=SREW)
    with pytest.raises(InputError, match=named):
        from_prism(files["tra"], gamma=0.5, rew=files["srew"])


@pytest.mark.parametrize(
    "tra", ["2 3\n0 0 2\n0 1 4\n1 1 1\n", "2 3\n0 2:0 4:1\n1 1:1\n", "2 2 2\n0 0 0 6\n1 0 1 1\n"]
)
def test_rates_without_a_head_are_refused_by_their_sum(tmp_path, tra):
    files = write_files(tmp_path, tra=tra, srew="2 1\n0 1\n")
    with pytest.raises(InputError, match=r"must hold probabilities.*not rates; found the sum 6 in state 0"):
        from_prism(files["tra"], gamma=0.5, rew=files["srew"])


def test_numbered_reward_structures_are_read_by_name_or_number(tmp_path, capsys):
    files = write_files(tmp_path, tra=ROWS_TRA, lab=PRISM_LAB)
    (tmp_path / "model2.srew").write_text('# Reward structure "tolls"\n# State rewards\n' + SREW)
    (tmp_path / "model2.trew").write_text(ROWS_TREW.replace('"r"', '"tolls"'))
    (tmp_path / "model12.srew.xz").write_bytes(lzma.compress(b"3 1\n1 5\n"))
    assert load_mdp(files["tra"], 0.5, reward="tolls").reward.tolist() == [[4, 5], [0, 0], [9, 0]]
    assert load_mdp(files["tra"], 0.5, reward="2").reward[2, 0] == 9
    assert load_mdp(files["tra"], 0.5, reward="12").reward[1, 0] == 5
    assert main_solve([str(files["tra"]), "--gamma", "0.5", "--reward", "tolls"]) == 0
    capsys.readouterr()
    for options in ([], ["--reward", "toll"]):
        assert main_solve([str(files["tra"]), "--gamma", "0.5", *options]) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert "['tolls', '12']" in line


def test_rewards_of_another_model_whose_name_only_ends_in_a_number_are_not_taken(tmp_path):
    files = write_files(tmp_path, tra=ROWS_TRA, lab=PRISM_LAB)
    (tmp_path / "model2.srew").write_text("3 1\n2 9\n")
    assert load_mdp(files["tra"], 0.5).reward[2, 0] == 9  # the second structure of `model`
    (tmp_path / "model2.tra.gz").write_bytes(gzip.compress(ROWS_TRA.encode()))
    with pytest.raises(InputError, match="rew"):  # now it is the only one of `model2`
        load_mdp(files["tra"], 0.5)
    assert load_mdp(tmp_path / "model2.tra.gz", 0.5).reward[2, 0] == 9


def test_a_file_and_its_compressed_copy_count_once_and_must_agree(tmp_path):
    files = write_files(tmp_path, tra=ROWS_TRA, lab=PRISM_LAB)
    (tmp_path / "model.srew").write_text("3 1\n2 9\n")
    (tmp_path / "model.srew.gz").write_bytes(gzip.compress(b"3 1\n2 9\n"))
    assert load_mdp(files["tra"], 0.5).reward[2, 0] == 9
    (tmp_path / "model.srew.gz").write_bytes(gzip.compress(b"3 1\n2 8\n"))
    with pytest.raises(InputError, match=r"model\.srew` must have the text.*; found 'model\.srew\.gz'"):
        load_mdp(files["tra"], 0.5)
