"""Stop signals: like a Ctrl-C inside a block, and from the first moment of every command."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from virel_common.signals import stop_signals_interrupt

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2])
def test_a_schedulers_signals_are_a_ctrl_c_inside_the_block_alone(number):
    before = signal.signal(number, signal.SIG_DFL)  # these tests may run under `nohup`
    try:
        with pytest.raises(KeyboardInterrupt), stop_signals_interrupt():
            os.kill(os.getpid(), number)
        assert signal.getsignal(number) is signal.SIG_DFL
    finally:
        signal.signal(number, before)


def test_a_closing_terminal_interrupts_nothing_under_nohup():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with stop_signals_interrupt():
            os.kill(os.getpid(), signal.SIGHUP)
    except KeyboardInterrupt:
        pytest.fail("SIGHUP was heard")
    finally:
        signal.signal(signal.SIGHUP, before)


def interrupted_import(number):
    try:
        os.kill(os.getpid(), number)
    except KeyboardInterrupt:
        raise ImportError("initialization failed") from None


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGUSR1])
def test_an_import_that_fails_because_it_was_interrupted_is_an_interrupt(number):
    """As of `mujoco`, whose initialisation raises `ImportError` in the place of what interrupts it."""
    before = signal.signal(number, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt), stop_signals_interrupt():
            interrupted_import(number)
    finally:
        signal.signal(number, before)
    with pytest.raises(ImportError), stop_signals_interrupt():
        raise ImportError("without a signal it is what it is")


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP", "SIGUSR1", "SIGUSR2"])
def test_a_command_listens_before_it_imports_anything_that_takes_long(tmp_path, name):
    (tmp_path / "takes_long.py").write_text("import time\nprint('importing', flush=True)\ntime.sleep(60)\n")
    script = (
        "import signal, sys\n"
        "signal.signal(signal.SIGHUP, signal.SIG_DFL)  # these tests may run under nohup\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "from virel_common import signals\n"
        "from virel_common.command import SUBCOMMANDS, Subcommand, main\n"
        "signals.PATIENCE = 0.3  # the import would take a minute\n"
        "SUBCOMMANDS['slow'] = Subcommand('takes_long', 'main', '')\n"
        "sys.exit(main(['slow']))\n"
    )
    environment = os.environ | {"PYTHONPATH": f"{ROOT}{os.pathsep}{tmp_path}"}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    process = subprocess.Popen([sys.executable, "-c", script], env=environment, text=True, **pipes)
    assert process.stdout.readline() == "importing\n"
    process.send_signal(getattr(signal, name))
    _, said = process.communicate(timeout=30)
    assert (process.returncode, said) == (130, "virel: interrupted\n")


SLOW_LIBRARY = """\
import signal, sys, time
sys.path.insert(0, sys.argv[1])
signal.signal(signal.SIGINT, signal.default_int_handler)
from virel_common.signals import stop_signals_interrupt
try:
    with stop_signals_interrupt():
        import library
        print("imported", flush=True)
        time.sleep(60)
except KeyboardInterrupt:
    print("interrupted", signal.getitimer(signal.ITIMER_REAL)[0], flush=True)
"""
LIBRARY = """\
import time
print("importing", flush=True)
end = time.monotonic() + 1.5
while time.monotonic() < end:  # C++ that calls Python and can't bear an exception
    try:
        time.sleep(0.01)
    except KeyboardInterrupt:
        print("aborted", flush=True)
        raise
"""


def said_after(tmp_path, times):
    """Output of a process that gets a Ctrl-C, once or twice, while it imports a slow library."""
    (tmp_path / "library.py").write_text(LIBRARY)
    process = subprocess.Popen(
        [sys.executable, "-c", SLOW_LIBRARY, str(tmp_path)], stdout=subprocess.PIPE, text=True, cwd=ROOT
    )
    assert process.stdout.readline() == "importing\n"
    for _ in range(times):
        process.send_signal(signal.SIGINT)
        time.sleep(0.3)
    return process.communicate(timeout=30)[0].split("\n")[:-1]


def test_a_library_is_not_interrupted_while_it_is_imported(tmp_path):
    """Once it is there the signal is obeyed, and no timer is left."""
    assert said_after(tmp_path, times=1)[-1] == "interrupted 0.0"
    assert "aborted" not in said_after(tmp_path, times=1)


def test_a_second_signal_interrupts_the_import(tmp_path):
    assert said_after(tmp_path, times=2) == ["aborted", "interrupted 0.0"]
