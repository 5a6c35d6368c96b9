"""Hosts behind one address and workers, each a command of its own, on one store."""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

from tests.acceptance.load import Balancer
from tests.acceptance.service import COMMAND, Command, Service
from tests.support import wait_until

PLUGINS = {"PYTHONPATH": str(Path(__file__).parents[1] / "plugins"), "FASTPROCESSES_SLOTS": "2"}
"""Environment of commands that offer the processes of tests, two at a time."""


class Site:
    """What an operator runs on a store of their own."""

    def __init__(
        self, folder: Path, store_url: str, stack: ExitStack, environ: Mapping[str, str] | None = None
    ) -> None:
        self.folder = folder
        self.url = store_url
        self.environ = PLUGINS | dict(environ or {})
        self.balancer = stack.enter_context(closing(Balancer()))
        self._stack = stack
        self._number = 0

    def start_host(self) -> Service:
        host = Service(self._place(), "--redis-url", self.url, environ=self.environ)
        self._stack.enter_context(host)
        self.balancer.ports.append(int(host.url.rsplit(":", 1)[1]))
        return host

    def start_worker(self) -> Command:
        log = self._place() / "log"
        worker = Command(COMMAND, "worker", "--redis-url", self.url, log=log, environ=self.environ)
        self._stack.enter_context(worker)
        wait_until(lambda: "worker ready" in log.read_text(), 60, "the worker")
        return worker

    def _place(self) -> Path:
        self._number += 1
        place = self.folder / str(self._number)
        place.mkdir()
        return place


@contextmanager
def a_site(folder: Path, store_url: str, environ: Mapping[str, str] | None = None) -> Iterator[Site]:
    """Give a place for hosts and workers; whatever was started there is stopped afterwards."""
    with ExitStack() as stack:
        yield Site(folder, store_url, stack, environ)
