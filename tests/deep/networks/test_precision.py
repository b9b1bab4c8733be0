"""What float32 products are exact to, and who decides."""

import threading

import pytest
import torch

from tests.support.studies import study_of
from virel_common.errors import InputError
from virel_deep.commands.run_folders import _precision as of_run
from virel_deep.networks import precision
from virel_deep.networks.precision import FLOAT32_LEVEL, WORTH_IT, chosen, products, relative_error
from virel_deep.networks.stacks import by_compiled, by_numpy, cpu_products
from virel_deep.study.record import precision_of


@pytest.fixture(autouse=True)
def forget():
    chosen.cache_clear()
    yield
    chosen.cache_clear()


def test_the_highest_precision_is_that_of_float32():
    # A sum of 256 products in any order: each of n roundings of 2^-24 at random, sqrt(256) of them at most.
    assert 2.0**-26 < relative_error("highest") < 16 * 2.0**-24


def test_an_explicit_choice_is_taken_as_it_is(monkeypatch):
    monkeypatch.setattr(precision, "relative_error", None)  # not even looked at
    assert chosen("highest", "cpu") == "highest"
    assert chosen("medium", "cpu") == "medium"
    assert chosen("compiled", "cpu") == "compiled"
    assert chosen("medium", "cuda") == "medium"


@pytest.mark.parametrize(
    ("error", "seconds", "wanted"),
    [
        (FLOAT32_LEVEL * 0.99, 0.99 / WORTH_IT, "medium"),
        (FLOAT32_LEVEL * 1.01, 0.1, "stacked"),
        (1.0, 1.01 / WORTH_IT, "stacked"),
        (1000.0, 0.1, "stacked"),
    ],
)
def test_auto_takes_medium_where_it_is_as_exact_and_faster(monkeypatch, error, seconds, wanted):
    monkeypatch.setattr(precision, "relative_error", {"medium": error, "highest": 1.0}.get)
    monkeypatch.setattr(precision, "_seconds", lambda: {"medium": seconds, "highest": 1.0})
    assert chosen("auto", "cpu") == wanted


def test_auto_never_takes_tf32_on_a_gpu(monkeypatch):
    monkeypatch.setattr(precision, "relative_error", {"medium": 1.0, "highest": 1.0}.get)
    monkeypatch.setattr(precision, "_seconds", lambda: {"medium": 0.1, "highest": 1.0})
    assert chosen("auto", "cuda") == "highest"


@pytest.mark.parametrize("asked", ["stacked", "compiled"])
def test_engines_of_the_cpu_are_refused_on_a_gpu(asked):
    with pytest.raises(InputError, match="`precision` must not be stacked or compiled on a GPU"):
        chosen(asked, "cuda")


@pytest.mark.parametrize(("asked", "numpy", "compiled"), [("stacked", True, False), ("compiled", True, True)])
def test_an_engine_computes_inside_the_block_alone(asked, numpy, compiled):
    with products(asked, "cpu"):
        assert (by_numpy(), by_compiled()) == (numpy, compiled)
    assert (by_numpy(), by_compiled()) == (False, False)


@pytest.mark.parametrize("asked", ["highest", "medium"])
def test_the_setting_holds_inside_the_block_and_ends_with_it(asked):
    before = torch.get_float32_matmul_precision()
    inside = []

    def fail():
        with products(asked, "cpu"):
            inside.append(torch.get_float32_matmul_precision())
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert inside == [asked]
    assert torch.get_float32_matmul_precision() == before


def test_threads_do_not_share_what_computes_their_products():
    inside, leave, seen = threading.Event(), threading.Event(), []

    def another():
        with cpu_products("compiled"):
            inside.set()
            assert leave.wait(30)
            seen.append((by_numpy(), by_compiled()))

    thread = threading.Thread(target=another)
    thread.start()
    assert inside.wait(30)
    assert (by_numpy(), by_compiled()) == (False, False)
    with cpu_products("numpy"):
        leave.set()
        thread.join(30)
        assert (by_numpy(), by_compiled()) == (True, False)
    assert seen == [(True, True)]
    assert (by_numpy(), by_compiled()) == (False, False)


def test_torchs_precision_is_set_by_one_thread_at_a_time_and_put_back():
    before, left, inside, seen = (
        torch.get_float32_matmul_precision(),
        threading.Event(),
        threading.Event(),
        [],
    )

    def another():
        with products("medium", "cpu"):
            inside.set()
            assert left.wait(30)
            seen.append(torch.get_float32_matmul_precision())

    thread = threading.Thread(target=another)
    with products("medium", "cpu"):
        thread.start()
        assert not inside.wait(0.2)  # it waits for its turn
    left.set()
    thread.join(30)
    assert seen == ["medium"]
    assert torch.get_float32_matmul_precision() == before


DECIDE = {
    "run": lambda: of_run("auto", "cpu", 1),
    "study": lambda: precision_of(study_of(("highest", "auto"))),
}


@pytest.mark.parametrize("decide", DECIDE.values(), ids=DECIDE)
def test_auto_is_measured_with_the_threads_of_the_training(monkeypatch, decide):
    # With other threads it may choose otherwise, and on a busy machine now this, now that.
    threads = []
    monkeypatch.setattr(precision, "relative_error", lambda _: 1.0)
    monkeypatch.setattr(
        precision, "_seconds", lambda: threads.append(torch.get_num_threads()) or {"highest": 1, "medium": 1}
    )
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        assert decide() == "stacked"
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
    assert threads == [1]
