"""Name of a cluster: parsed, looked for, and what to say where it can't be used."""

import re
import socket
from collections.abc import Iterator
from concurrent.futures import BrokenExecutor
from contextlib import contextmanager
from importlib.util import find_spec
from typing import NamedTuple

from virel_common.errors import InputError, require

TIMEOUT = 15.0
"""Seconds that an engine has to answer."""
FORMS = "ray://HOST:PORT, ray://auto, ray://local or dask://HOST:PORT"
PACKAGES = {"ray": "ray", "dask": "distributed"}
IN_PLACE_OF_AN_ADDRESS = {("ray", "auto"), ("ray", "local")}


class Engine(NamedTuple):
    """Kind and address of a cluster; on the command line `ray://head:10001` is `("ray", "head:10001")`."""

    kind: str
    address: str

    def __str__(self) -> str:
        """Name of the cluster as typed on the command line, such as `ray://head:10001`."""
        return f"{self.kind}://{self.address}"


def parse_engine(text: str) -> Engine:
    """Parse the name of a cluster, such as `ray://head:10001`, into its kind and address.

    Raises:
        InputError: the text has none of the forms `FORMS`, or the engine's package is not installed.

    Example:
        >>> parse_engine("slurm://head")
        Traceback (most recent call last):
        virel_common.errors.InputError: `engine` must be ray://HOST:PORT, ray://auto, ray://local or \
dask://HOST:PORT; found 'slurm://head'
    """
    kind, separator, address = text.partition("://")
    require(bool(separator) and kind in PACKAGES, "engine", text, f"must be {FORMS}")
    if (kind, address) not in IN_PLACE_OF_AN_ADDRESS:
        host, _, port = address.rpartition(":")
        require(bool(host) and "/" not in address, "engine", text, f"must be {FORMS}")
        require(
            _is_host(host.strip("[]")), "engine", text, "must name a host, in labels of 1 to 63 characters"
        )
        valid = port.isascii() and port.isdigit() and 0 < int(port) < 2**16
        require(valid, "engine", text, "must end with a port between 1 and 65535")
    if find_spec(PACKAGES[kind]) is None:
        raise InputError(
            f"`engine` {text} needs {kind}, which is not installed: pip install '.[cluster]' in the "
            "toolkit's folder"
        )
    return Engine(kind, address)


def _is_host(name: str) -> bool:
    """Whether the system may be asked for the address of a host of this name."""
    try:
        name.encode("idna")
    except UnicodeError:
        return False
    return True


def require_reachable(engine: Engine) -> None:
    """Raise `InputError` unless something listens at the cluster's address.

    A cheap look before anything is written. Whether it is Ray or Dask that listens, `run_jobs` finds out.
    """
    if (engine.kind, engine.address) in IN_PLACE_OF_AN_ADDRESS:
        return
    host, _, port = engine.address.rpartition(":")
    try:
        with socket.create_connection((host.strip("[]"), int(port)), timeout=TIMEOUT) as connection:
            if engine.kind == "dask":  # its scheduler speaks first; Dask's client would wait for it for ever
                connection.recv(1)
    except OSError as error:
        raise unreachable(engine, error.strerror or error) from None


@contextmanager
def losses_named(engine: Engine) -> Iterator[None]:
    """Turn the exceptions of Ray and Dask for a lost job or connection into `InputError` or `BrokenExecutor`.

    What a job raises is none of this: it travels in the job's outcome, and so does `lost_job`.

    Raises:
        InputError: the cluster can't import this package.
        BrokenExecutor: anything else.
    """
    try:
        yield
    except InputError:
        raise
    except Exception as error:
        if missing := re.search(r"No module named '([\w.]+)'", str(error)):
            raise not_installed(engine, missing[1]) from error
        raise lost_job(engine, error) from error


def lost_job(engine: Engine, reason: object) -> BrokenExecutor:
    """Exception for a job that an engine has given up, because it took its workers with it, say."""
    return BrokenExecutor(f"{engine} lost a job ({_first_line(reason)})")


def not_installed(engine: Engine, name: str | None) -> InputError:
    """What to do about a package that a machine of a cluster lacks."""
    return InputError(f"a machine of {engine} lacks {name}; install the packages of this machine on each")


def unreachable(engine: Engine, reason: object) -> InputError:
    """What to do about a cluster that does not answer."""
    advice = {
        "ray": "HOST:PORT is where Ray's client server listens, port 10001 if Ray was not told another",
        "dask": "HOST:PORT is what the scheduler shows when it starts, port 8786 if it was not told another",
    }
    return InputError(f"can't reach the engine {engine} ({_first_line(reason)}); {advice[engine.kind]}")


def _first_line(reason: object) -> str:
    return next(iter(str(reason).splitlines()), "") or type(reason).__name__
