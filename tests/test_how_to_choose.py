"""The guide on choosing an algorithm shows the tables that its script prints."""

from pathlib import Path

import pytest

from benchmarks.theory import choose

GUIDE = Path(__file__).resolve().parent.parent / "docs" / "guide" / "how_to_choose.md"
LONG = [name for name in choose.MDPS if name != "lottery"]


@pytest.mark.parametrize("name", ["lottery", *(pytest.param(name, marks=pytest.mark.long) for name in LONG)])
def test_a_table_of_the_guide_is_what_the_script_prints(name):
    assert choose.table(name) in GUIDE.read_text()


def test_the_deviation_of_a_return_is_that_of_a_coin():
    # the lottery pays 3 or -1 after one step, then again: variances 4 add up with weights gamma^(2 + 4 k)
    mdp = choose.lottery()
    always = choose.greedy([1, 0, 0, 0], 2)
    gamma = mdp.gamma
    assert choose.deviation(mdp, always) == pytest.approx((4 * gamma**2 / (1 - gamma**4)) ** 0.5, rel=1e-12)
    sure = choose.greedy([0, 0, 0, 0], 2)
    assert choose.deviation(mdp, sure) == pytest.approx(0, abs=1e-6)
