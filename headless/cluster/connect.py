"""To a Ray cluster and away from it again."""

from __future__ import annotations

import logging
import os
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ..signals import NUMBERS

LOCAL, HERE = "local", "auto"  # a cluster of this machine's own, or the one that it belongs to
PATIENCE = 5  # seconds for the head to answer
SETTINGS = b"\0\0\0\4\0\0\0\0\0"  # the frame with which either end of HTTP/2 begins
PACKAGE = __package__.split(".headless")[0]


@contextmanager
def connected(address: str) -> Iterator[Any]:
    """Ray, connected to the cluster at ``address``; `LOCAL` starts one for the block.

    A program that is connected already stays with its cluster.
    Raises ``ValueError`` of one sentence when there is no Ray or no such cluster.
    """
    _check_address(address)
    if (connected_ray := sys.modules.get("ray")) and connected_ray.is_initialized():
        yield connected_ray
        return
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray
    except ImportError:
        raise ValueError(
            "--ray needs Ray, which is not installed here; install it (pip install ray)."
        ) from None
    options: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
    if address == LOCAL:
        _let_workers_import()
        options |= {"num_cpus": os.cpu_count(), "include_dashboard": False}
    # Ray takes SIGTERM for itself.
    handlers = {number: signal.getsignal(number) for number in NUMBERS}
    try:
        ray.init(address=address, configure_logging=True, **options)
    except Exception as error:
        raise ValueError(_why_not(address, error)) from None
    finally:
        for number, handler in handlers.items():
            if signal.getsignal(number) is not handler:
                signal.signal(number, handler)
    # What a raylet says would go to standard output, which is for the names of results; Ray has no
    # other switch for it.
    ray._private.worker._worker_logs_enabled = False
    try:
        yield ray
    finally:
        ray.shutdown()


def _check_address(address: str) -> None:
    if address in (LOCAL, HERE):
        return
    if Path(address).exists():
        raise ValueError(
            f"--ray {address}: that is a file, no address of a cluster; name the inputs before "
            "--ray."
        )
    if address.startswith("ray://"):
        raise ValueError(
            f"--ray {address}: Ray's client cannot carry films; make this machine a node (ray "
            "start --address=HOST:6379 --num-cpus=0), and name HOST:6379."
        )
    host, _, port = address.rpartition(":")
    if not host or not port.isdigit() or not 0 < int(port) < 65536:
        raise ValueError(
            f"--ray {address} is no address; name HOST:PORT (Ray's port is 6379), or local."
        )
    try:
        with socket.create_connection((host.strip("[]"), int(port)), PATIENCE) as connection:
            if os.environ.get("RAY_USE_TLS", "0") == "0" and not _speaks_http2(connection):
                raise OSError("something else does")
    except OSError as error:
        why = error.strerror or str(error)
        raise ValueError(
            f"--ray {address}: no cluster answers there ({why}); start one (ray start --head), or "
            "check the address."
        ) from None


def _speaks_http2(connection: socket.socket) -> bool:
    """Whether a server of gRPC may be there; Ray would wait for minutes for anything else."""
    connection.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + SETTINGS)
    return connection.recv(len(SETTINGS))[3:4] == SETTINGS[3:4]


def _why_not(address: str, error: Exception) -> str:
    first = (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
    if address == HERE:
        return (
            "There is no Ray cluster on this machine; start one (ray start --head), name the "
            "address of one, or use --ray local."
        )
    if address == LOCAL:
        return f"Ray does not start here: {first}."
    return (
        f"--ray {address}: {first}; make this machine a node of that cluster, with its Ray and "
        f"Python (ray start --address={address})."
    )


def _let_workers_import() -> None:
    """Let the processes that are started find the pack where this one found it."""
    root = str(Path(sys.modules[PACKAGE].__file__ or "").parents[1])
    paths = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    if root not in paths:
        os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [root, *paths]))
