"""What a simulated cluster is made of, and what it is given to do."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Times:
    """Seconds that the same work takes: drawn from those that were ``seen``, evenly.

    Or, with a ``sigma``, log-normal around the median of them.
    """

    seen: tuple[float, ...]
    sigma: float | None = None

    @property
    def mean(self) -> float:
        if self.sigma is None:
            return float(np.mean(self.seen))
        return float(np.median(self.seen)) * math.exp(self.sigma**2 / 2)

    def draw(self, rng: np.random.Generator, count: int) -> np.ndarray:
        if self.sigma is None:
            return rng.choice(self.seen, count)
        return float(np.median(self.seen)) * np.exp(self.sigma * rng.standard_normal(count))

    def scaled(self, factor: float) -> Times:
        return Times(tuple(factor * seconds for seconds in self.seen), self.sigma)

    @classmethod
    def lognormal(cls, seen: Sequence[float]) -> Times:
        """The log-normal distribution with the median and the spread of those seen."""
        logs = np.log(np.asarray(seen, float))
        return cls((float(np.exp(np.median(logs))),), float(logs.std()))


NOTHING = Times((0.0,))


@dataclass(frozen=True)
class Cluster:
    """Nodes that share a storage. Times are in seconds, rates in bytes a second."""

    nodes: int
    workers: int = 1  # segments at once on a node
    start: float = 0.0  # until a node can work: program and weights loaded
    spread: float = 0.0  # standard deviation of ln(speed) among nodes
    slow_share: float = 0.0  # of the nodes are slower by ``slow_factor``
    slow_factor: float = 1.0
    failures: float = 0.0  # a node and hour
    notice: float = 0.0  # until the driver knows of a failure
    repair: float = 0.0  # until a node is back (and starts)
    bandwidth: float = math.inf  # of the storage, for all workers together
    link: float = math.inf  # of each worker to it

    def speeds(self, rng: np.random.Generator) -> np.ndarray:
        """How fast each node is; 1 is that of those whose times were measured."""
        speeds = np.exp(self.spread * rng.standard_normal(self.nodes))
        slow = rng.permutation(self.nodes) < round(self.slow_share * self.nodes)
        return np.where(slow, speeds / self.slow_factor, speeds)


@dataclass(frozen=True)
class Driver:
    """What one process does for all: it plans films, hands out segments and joins them."""

    plan: float = 0.0  # seconds an hour of film
    dispatch: float = 0.0  # seconds a segment
    join_rate: float = math.inf  # bytes of a film a second
    joiners: int = 1  # films joined at once


@dataclass(frozen=True)
class Archive:
    """Films of equal length, and what their segments cost on a node of speed 1."""

    hours: float
    film_hours: float
    segment_hours: float  # of film in a segment
    work: Times  # of a segment as part of a film in one piece
    overhead: Times = NOTHING  # of a segment besides
    bytes_in: float = 0.0  # of a segment
    bytes_out: float = 0.0
    teach: Times = NOTHING  # of a shot
    shots: float = 0.0  # taught, an hour of film

    @property
    def films(self) -> int:
        return max(1, math.ceil(self.hours / self.film_hours - 1e-9))

    @property
    def hours_of_film(self) -> float:
        """Each film's hours."""
        return self.hours / self.films

    @property
    def segments(self) -> int:
        """Of a film."""
        return max(1, math.ceil(self.hours_of_film / self.segment_hours - 1e-9))
