"""Which nodes there are, whether they can do the work, and how much of it at a time."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ...version import pack_version
from .connect import PACKAGE

log = logging.getLogger(__name__)

PATIENCE = 120  # seconds for a node to answer; a first worker is long to start
LEAST_FREE = 2**30  # bytes of disk of which a node should have more
FILM_CPUS = 2  # of a film's task: decoder, network and encoder work at once


@dataclass(frozen=True)
class Node:
    """A machine of the cluster, and what it says of itself (None: it has none)."""

    id: str
    name: str
    cpus: float
    gpus: float
    pack: str | None = None
    torch: str | None = None
    ffmpeg: str | None = None
    free: int = 0


@dataclass(frozen=True)
class Slots:
    """How much of the cluster a film's task takes, and how many there may be at a time."""

    cpus: int
    count: int
    gpu_share: float = 0.0
    gpu_count: int = 0


def look_at_nodes(ray: Any) -> list[Node]:
    """The nodes that can be given work, each asked about itself.

    Raises ``ValueError`` for a cluster without any, and ``RuntimeError`` for one that is silent.
    """
    from ray.exceptions import RayError, RayTaskError
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy as At

    alive = [
        Node(
            node["NodeID"],
            node["NodeName"],
            node["Resources"].get("CPU", 0),
            node["Resources"].get("GPU", 0),
        )
        for node in ray.nodes()
        if node["Alive"] and node["Resources"].get("CPU", 0) >= 1
    ]
    if not alive:
        raise ValueError("The cluster has no node with a free CPU; add one (ray start --address).")
    names = [node.name for node in alive]
    ask = ray.remote(num_cpus=0, max_retries=1)(_asked())
    found = {
        ask.options(scheduling_strategy=At(node.id, soft=False)).remote(PACKAGE): node
        for node in alive
    }
    done, silent = ray.wait(list(found), num_returns=len(found), timeout=PATIENCE)
    if silent:
        raise RuntimeError(
            f"The node {found[silent[0]].name} does not answer; see what ails it (ray status), or "
            "take it out of the cluster."
        )
    nodes = []
    for ref in done:
        node = found[ref]
        name = node.name if names.count(node.name) == 1 else f"{node.name}/{node.id[:6]}"
        try:
            facts = ray.get(ref)
        except RayTaskError:
            raise
        except RayError:  # it was counted as alive until now
            log.warning("The node %s has gone.", name)
            continue
        nodes.append(Node(node.id, name, node.cpus, node.gpus, **facts))
    if not nodes:
        raise RuntimeError("All nodes of the cluster have gone.")
    return sorted(nodes, key=lambda node: node.name)


def _asked() -> Callable[[str], dict[str, Any]]:
    def facts(package: str) -> dict[str, Any]:
        # Sent as it stands, for a node may have no such pack: it refers to nothing around it.
        import importlib
        import importlib.metadata
        import shutil
        import tempfile

        found: dict[str, Any] = {"free": shutil.disk_usage(tempfile.gettempdir()).free}
        try:
            found["torch"] = importlib.metadata.version("torch")
            version = importlib.import_module(f"{package}.version")
            found["pack"] = version.pack_version()
            found["ffmpeg"] = importlib.import_module(f"{package}.video").versions()
        except (ImportError, RuntimeError, OSError):
            pass
        return found

    return facts


def check_nodes(nodes: list[Node], ffmpeg: str, torch: str) -> None:
    """Raise ``ValueError`` for the first node that cannot do its part; warn where one may differ.

    Segments of one film must come from one version of the pack and of ffmpeg; torch's minor
    versions may differ in the last bits of chroma.
    """
    for node in nodes:
        pack = pack_version()
        if node.torch is None:
            raise ValueError(
                f"The node {node.name} has no torch; install the pack there (pip install)."
            )
        if node.pack is None:
            raise ValueError(
                f"The node {node.name} does not have the pack, or not in the Python of its Ray; "
                f"install version {pack} there."
            )
        if node.pack != pack:
            raise ValueError(
                f"The node {node.name} has version {node.pack} of the pack and this machine "
                f"{pack}; install the same on both."
            )
        if node.ffmpeg is None:
            raise ValueError(
                f"The node {node.name} has no ffmpeg; install imageio-ffmpeg there, or set "
                "IMAGEIO_FFMPEG_EXE."
            )
        if node.ffmpeg != ffmpeg:
            raise ValueError(
                f"The node {node.name} has another ffmpeg than this machine ({node.ffmpeg}; here "
                f"{ffmpeg}); install the same imageio-ffmpeg on both."
            )
        if minor(node.torch) != minor(torch):
            log.warning(
                "The node %s has torch %s and this machine %s: colours may differ in the last bit.",
                node.name,
                node.torch,
                torch,
            )
        if node.free < LEAST_FREE:
            log.warning(
                "The node %s has only %d MB of disk left for temporary files.",
                node.name,
                node.free // 10**6,
            )


def minor(version: str) -> list[str]:
    return version.split(".")[:2]


def slots_of(nodes: list[Node], gpu_share: float) -> Slots:
    """The slots for films: on a GPU a task takes ``gpu_share`` of it, and CPUs as elsewhere."""
    cpus = FILM_CPUS if all(node.cpus >= FILM_CPUS for node in nodes) else 1
    on_gpus = {
        node.id: min(int(node.cpus // cpus), int(node.gpus / gpu_share)) if node.gpus else 0
        for node in nodes
    }
    count = sum(int(node.cpus // cpus) - on_gpus[node.id] for node in nodes)
    return Slots(cpus, count, gpu_share, sum(on_gpus.values()))
