"""The parts put under one supervisor: a private store, workers and the host, or some of them."""

import importlib.metadata
import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import msgspec
import platformdirs
from fastprocesses_sdk.configured import OperatorSettings

from fastprocesses_host.child import HOST_GRACE_SECONDS, child_command
from fastprocesses_host.exits import Exit, StartError
from fastprocesses_host.listening import is_open, listen, local_url_of, url_of
from fastprocesses_host.private_store import PrivateStore, open_private, private_store
from fastprocesses_host.settings import PREFIX, Settings
from fastprocesses_host.supervisor import Part, Supervisor

_OPEN = "anyone who reaches this machine can run processes: there is no authentication yet"
SAY_OPEN_AFTER_SECONDS = 0.1
_HOST_STAGE, _WORKER_STAGE, _STORE_STAGE = 1, 2, 3
SAY_MISSING_AFTER_SECONDS = 4.0
"""When the user is told what is missing, if not everything is there by then."""
STORE_ANSWERS_WITHIN_SECONDS = 3.0
"""How long a store of the user's may take to answer for the first time."""


def run(settings: Settings, *, with_worker: bool = False) -> Exit:
    """Run the host until it is told to stop: embedded, or on a store of the user's.

    Args:
        settings: Without `redis_url` a private store and the workers are started with the host.
        with_worker: Start the workers beside the host although the store is the user's.

    Raises:
        StartError: the port or the data folder is in use or no good, or there is no store.
    """
    with ExitStack() as stack:
        listener = stack.enter_context(listen(settings))
        settings = msgspec.structs.replace(settings, port=listener.getsockname()[1])
        parts = []
        if settings.redis_url:
            _await_store(settings)
            data = "in the store that --redis-url names"
        else:
            store = stack.enter_context(private_store(data_dir_of(settings), url=local_url_of(settings)))
            settings = msgspec.structs.replace(
                settings,
                data_dir=str(store.data_dir),
                redis_url=store.url,
                value_store_url=settings.value_store_url or f"file://{store.data_dir}/values",
            )
            parts.append(stack.enter_context(_store_part(store, settings)))
            data, with_worker = str(store.data_dir), True
        if with_worker:
            parts += _worker_parts(settings)
        reading, writing = stack.enter_context(_pipe())
        parts.append(_host_part(settings, listener, writing))
        supervisor = Supervisor(parts, drain_seconds=settings.drain_seconds, tell=_teller(settings))
        start = _Start(supervisor, reading, url=url_of(settings), data=data)
        supervisor.watch(reading, start.report)
        supervisor.after(SAY_MISSING_AFTER_SECONDS, start.say_missing)
        if is_open(settings):
            supervisor.after(SAY_OPEN_AFTER_SECONDS, lambda: supervisor.tell("warning", _OPEN))
        return supervisor.run()


def run_workers(settings: Settings) -> Exit:
    """Run workers on a store of the user's until told to stop.

    Raises:
        StartError: the store does not answer or cannot be used.
    """
    if not settings.redis_url:
        raise StartError("A worker needs the store's URL: give --redis-url or set redis_url.", Exit.SETTINGS)
    _await_store(settings)
    supervisor = Supervisor(
        _worker_parts(settings), drain_seconds=settings.drain_seconds, tell=_teller(settings)
    )
    supervisor.ready = True
    return supervisor.run()


class _Start:
    """What happens between the start of the children and the moment everything answers."""

    def __init__(self, supervisor: Supervisor, reading: int, *, url: str, data: str) -> None:
        self.supervisor = supervisor
        self.reading = reading
        self.url = url
        self.data = data
        self.missing = ["the host has not started yet"]
        self.unread = b""

    def report(self) -> None:
        """Read what the host reports; when nothing is missing any more, tell the user."""
        self.unread += os.read(self.reading, 65_536)
        *lines, self.unread = self.unread.split(b"\n")
        for line in lines:
            self._heed(line)

    def _heed(self, line: bytes) -> None:
        from fastprocesses_host.readiness import Readiness, summary  # not before the children are under way

        readiness = msgspec.json.decode(line, type=Readiness)
        self.missing = readiness.missing
        if self.missing or self.supervisor.ready:
            return
        self.supervisor.ready = True
        version = importlib.metadata.version("fastprocesses-host")
        with suppress(OSError):
            print(
                summary(version=version, url=self.url, plugins=readiness.plugins, data=self.data), flush=True
            )

    def say_missing(self) -> None:
        """Tell what is missing, if not everything is there."""
        if not self.supervisor.ready:
            self.supervisor.tell("warning", f"{self.url} is not ready yet: {'; '.join(self.missing)}")


def _worker_parts(settings: Settings) -> list[Part]:
    return [
        Part(
            name="worker" if settings.workers == 1 else f"worker {number}",
            command=lambda: child_command("worker", ()),
            stage=_WORKER_STAGE,
            stop_seconds=settings.drain_seconds - _store_seconds(settings),
            environ=_environ(settings),
        )
        for number in range(1, settings.workers + 1)
    ]


def _host_part(settings: Settings, listener: socket.socket, report_fd: int) -> Part:
    descriptors = (listener.fileno(), report_fd)
    return Part(
        name="host",
        command=lambda: child_command("host", [str(descriptor) for descriptor in descriptors]),
        stage=_HOST_STAGE,
        stop_seconds=min(HOST_GRACE_SECONDS + 0.5, settings.drain_seconds / 4),
        environ=_environ(msgspec.structs.replace(settings, plugins=OperatorSettings(), plugins_file="")),
        pass_fds=descriptors,
    )


@contextmanager
def _store_part(store: PrivateStore, settings: Settings) -> Iterator[Part]:
    with open(store.log, "wb", opener=open_private) as log:
        yield Part(
            name="store",
            command=store.command,
            stage=_STORE_STAGE,
            stop_seconds=settings.drain_seconds,
            environ=_without_settings(),
            output=log.fileno(),
            last_words=store.last_words,
        )


def _store_seconds(settings: Settings) -> float:
    """How much of `drain_seconds` is kept for the store to write what it has."""
    return min(0.5, settings.drain_seconds / 10)


def _environ(settings: Settings) -> dict[str, str]:
    """Give the environment of a child: ours, with these settings in place of those it was started with."""
    return _without_settings() | settings.to_env()


def _without_settings() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}


def data_dir_of(settings: Settings) -> Path:
    """Give the folder of the private store and of large values."""
    return (
        Path(settings.data_dir or platformdirs.user_data_dir("fastprocesses", appauthor=False))
        .expanduser()
        .resolve()
    )


@contextmanager
def _pipe() -> Iterator[tuple[int, int]]:
    reading, writing = os.pipe()
    os.set_blocking(reading, False)
    try:
        yield reading, writing
    finally:
        os.close(reading)
        os.close(writing)


def _await_store(settings: Settings) -> None:
    """Wait until a store of the user's answers for the first time.

    Raises:
        StartError: it does not, or it cannot be used.
    """
    from fastprocesses_host.store.client import Store, StoreRefused, StoreUnavailable
    from fastprocesses_host.store.keys import Keys

    deadline = time.monotonic() + STORE_ANSWERS_WITHIN_SECONDS
    try:
        store = Store(settings.redis_url, Keys.of(settings.key_prefix))
    except ValueError as error:
        raise StartError(f"redis_url is not the URL of a store: {error}.", Exit.SETTINGS) from None
    try:
        while True:
            try:
                store.check()
                return
            except StoreRefused as error:
                raise StartError(str(error), Exit.SETTINGS) from None
            except StoreUnavailable as error:
                if time.monotonic() > deadline:
                    raise StartError(f"The store does not answer: {error.__cause__}", Exit.STORE) from None
                time.sleep(0.1)
    finally:
        store.close()


def _teller(settings: Settings) -> Callable[[str, str], None]:
    def tell(level: str, sentence: str) -> None:
        from fastprocesses_host import logs  # not before the children are under way

        logs.configure_logging(settings, "supervisor")
        getattr(logs.get_logger(), level)(sentence)

    return tell
