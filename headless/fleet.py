"""A workflow for many inputs on several ComfyUI servers, each of which is given one at a time."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from queue import Empty, SimpleQueue

from tqdm import tqdm

from .client import BAR, ServerError
from .outcomes import results_of
from .server import Server
from .standin.workflow import NodeError, Prompt, WorkflowError
from .text import harmless

log = logging.getLogger(__name__)

POLL = 0.2  # seconds
PATIENCE = 15.0  # seconds for servers to be told that the work has ended


@dataclass(eq=False)
class Order:
    """A workflow to run: ``name`` tells it from others, ``prefix`` its results from theirs."""

    name: str
    prompt: Prompt
    prefix: str = ""
    refused: dict[Server, Exception] = field(default_factory=dict)  # by whom, and why


class Fleet:
    """``servers`` that do the same work. One that is gone is left out, its order goes to another.

    What a server refuses is offered to the others; a node that fails would fail there as well.
    """

    def __init__(
        self,
        servers: Sequence[Server],
        input_dir: Path,
        output_dir: Path,
        workflow: dict | None,
        check: Callable[[], None],
    ) -> None:
        self._servers = list(servers)  # that are there
        self._folders, self._workflow, self._check = (input_dir, output_dir), workflow, check
        self._changed = threading.Condition()
        self._waiting: deque[Order] = deque()
        self._at_work = 0
        self._ended = False
        self._results: SimpleQueue[tuple[Order, list[Path], Exception | None]] = SimpleQueue()

    def run(self, orders: Sequence[Order]) -> Iterator[Path]:
        """Yield each result as it comes.

        Orders that fail are logged and the others done before ``RuntimeError`` is raised; the error
        of an only one is raised itself. When the block that iterates is left, the servers are told.
        """
        self._waiting.extend(orders)
        threads = [
            threading.Thread(target=self._serve, args=(server,), daemon=True)
            for server in self._servers
        ]
        try:
            for thread in threads:
                thread.start()
            with tqdm(desc="all", total=len(orders), unit="run", **BAR) as bar:
                yield from results_of(self._outcomes(len(orders), bar), len(orders))
        finally:
            with self._changed:
                self._ended = True
                self._changed.notify_all()
            for thread in threads:
                if thread.ident:
                    thread.join(PATIENCE)

    def _outcomes(
        self, count: int, bar: tqdm
    ) -> Iterator[tuple[str, list[Path], Exception | None]]:
        for _ in range(count):
            order, paths, error = self._next()
            bar.update()
            yield order.name, paths, error

    def _next(self) -> tuple[Order, list[Path], Exception | None]:
        while True:
            self._check()
            try:
                return self._results.get(timeout=POLL)
            except Empty:
                continue

    def _serve(self, server: Server) -> None:
        """Do what there is to do, in a thread for each server."""
        while (order := self._take(server)) is not None:
            paths: list[Path] = []
            failure: Exception | None = None
            try:
                paths = server.run(
                    order.prompt,
                    *self._folders,
                    self._workflow,
                    prefix=order.prefix,
                    check=self._check_ended,
                )
            except (ServerError, WorkflowError) as error:
                self._refuse(server, order, error, is_gone=not server.is_there())
                continue
            except (KeyboardInterrupt, _Ended):
                return
            except Exception as error:
                failure = error
                if isinstance(error, NodeError):
                    failure = NodeError(f"{server.name}: {error}")
            with self._changed:
                self._at_work -= 1
                self._results.put((order, paths, failure))
                self._changed.notify_all()

    def _check_ended(self) -> None:
        if self._ended:
            raise _Ended

    def _take(self, server: Server) -> Order | None:
        """The next order for this server; None when there is no more to do for it."""
        with self._changed:
            while not self._ended and server in self._servers:
                for order in self._waiting:
                    if server not in order.refused:
                        self._waiting.remove(order)
                        self._at_work += 1
                        return order
                if not self._at_work:
                    return None
                self._changed.wait()  # what another does may come back
        return None

    def _refuse(self, server: Server, order: Order, error: Exception, *, is_gone: bool) -> None:
        with self._changed:
            self._at_work -= 1
            order.refused[server] = error
            self._waiting.appendleft(order)
            if is_gone:
                self._servers.remove(server)
                if self._servers:
                    log.warning("%s is given no more work: %s", server.name, error)
            for waits in [*self._waiting]:
                if not any(other not in waits.refused for other in self._servers):
                    self._waiting.remove(waits)
                    why = [*waits.refused.values(), error][0 if waits.refused else -1]
                    self._results.put((waits, [], why))
            self._changed.notify_all()


class _Ended(BaseException):
    """The work has ended, by whatever; no `Exception`, so that the server is told."""


def orders_of(prompts: Sequence[tuple[str, Prompt]]) -> list[Order]:
    """The prompts, each with the name of the file that it is of; "": of none."""
    stems = [Path(name).stem for name, _ in prompts]
    orders = []
    for (name, prompt), stem in zip(prompts, stems, strict=True):
        prefix = stem if stems.count(stem) == 1 else name.replace("/", "_")
        orders.append(Order(harmless(name, 100), prompt, f"{prefix}_" if name else ""))
    return orders
