"""A storage whose bandwidth is shared evenly by all that read and write."""

from __future__ import annotations

import heapq
import math


class SharedStorage:
    """Transfers that share ``bandwidth`` evenly, none faster than ``link`` (bytes a second).

    All have the same rate at any time, so it is enough to follow the bytes that one of them would
    have moved since the begin (processor sharing in virtual time).
    """

    def __init__(self, bandwidth: float, link: float) -> None:
        self.bandwidth, self.link = bandwidth, link
        self.moved = 0.0  # bytes, by all
        self._now = self._each = 0.0  # bytes that one would have moved
        self._ends: dict[int, float] = {}  # of each transfer, in these bytes
        self._heap: list[tuple[float, int]] = []

    def _rate(self) -> float:
        return min(self.link, self.bandwidth / len(self._ends)) if self._ends else 0.0

    def _go_to(self, now: float) -> None:
        each = self._rate() * (now - self._now) if now > self._now else 0.0
        self._each += each
        self.moved += each * len(self._ends)
        self._now = now

    def begin(self, now: float, name: int, size: float) -> None:
        self._go_to(now)
        self._ends[name] = self._each + size
        heapq.heappush(self._heap, (self._ends[name], name))

    def drop(self, now: float, name: int) -> None:
        self._go_to(now)
        self._ends.pop(name, None)

    def left(self, now: float, name: int) -> float:
        """Bytes that a transfer has yet to move."""
        self._go_to(now)
        return max(0.0, self._ends[name] - self._each) if name in self._ends else 0.0

    def next_end(self) -> float:
        """When the next transfer ends, if none begins or is dropped before."""
        while self._heap and self._ends.get(self._heap[0][1]) != self._heap[0][0]:
            heapq.heappop(self._heap)  # dropped
        if not self._heap:
            return math.inf
        return self._now + max(0.0, self._heap[0][0] - self._each) / self._rate()

    def end(self, now: float) -> int:
        """End that transfer at its time ``now``; its name."""
        self._go_to(now)
        end, name = heapq.heappop(self._heap)
        del self._ends[name]
        self._each = end  # without a rounding error
        return name
