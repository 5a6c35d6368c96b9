"""The parts put under one supervisor: a private store, workers and the host, or some of them."""

import os
import socket
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import msgspec
from fastprocesses_sdk.configured import OperatorSettings

from fastprocesses_host.child import child_command
from fastprocesses_host.exits import Exit, StartError
from fastprocesses_host.installed_servers import require_server
from fastprocesses_host.listening import is_open, listen, local_url_of, url_of
from fastprocesses_host.part import Launch, Part
from fastprocesses_host.private_store import PrivateStore, open_private, private_store, synced
from fastprocesses_host.settings import PREFIX, Settings, SettingsError
from fastprocesses_host.store.leftovers import remove_unfinished
from fastprocesses_host.supervisor import Supervisor

_OPEN = "anyone who reaches this machine can run processes: there is no authentication yet"
SAY_OPEN_AFTER_SECONDS = 0.1
_HOST_STAGE, _WORKER_STAGE, _STORE_STAGE = 1, 2, 3
_QUICK_SECONDS = 0.1
"""How long requests may go on to wait for their jobs when their workers are about to be stopped too."""
_FAREWELL_SECONDS = 2.0
"""What of `drain_seconds` is for telling those that still wait to come back."""
_FIXED = (
    "host",
    "port",
    "data_dir",
    "redis_url",
    "value_store_url",
    "key_prefix",
    "workers",
    "drain_seconds",
)
"""Settings that cannot change while the service runs."""
SAY_MISSING_AFTER_SECONDS = 4.0
"""When the user is told what is missing, if not everything is there by then."""
STORE_ANSWERS_WITHIN_SECONDS = 3.0
"""How long a store of the user's may take to answer for the first time."""


def run(
    settings: Settings, *, with_worker: bool = False, reread: Callable[[], Settings] | None = None
) -> Exit:
    """Run the host until it is told to stop: embedded, or on a store of the user's.

    Args:
        settings: Without `redis_url` a private store and the workers are started with the host.
        with_worker: Start the workers beside the host although the store is the user's.
        reread: Reads the settings again when SIGHUP asks for new children; None: they stay as they are.

    Raises:
        StartError: the port or the data folder is in use or no good, or there is no store, or no such server.
    """
    require_server(settings.http_server)
    with ExitStack() as stack:
        listener = stack.enter_context(listen(settings))
        current = _Current(settings, reread)
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
            remove_unfinished(store.data_dir / "values")
            parts.append(stack.enter_context(_store_part(store, settings)))
            data, with_worker = str(store.data_dir), True
        current.settings = settings
        if with_worker:
            parts += _worker_parts(current)
        start = _Start(settings, data=data)
        parts.append(_host_part(current, listener, start.heed, is_alone=not parts))
        supervisor = _supervisor(parts, current, on_stop=listener.close)
        start.supervisor = supervisor
        supervisor.after(SAY_MISSING_AFTER_SECONDS, start.say_missing)
        if is_open(settings):
            supervisor.after(SAY_OPEN_AFTER_SECONDS, lambda: supervisor.tell("warning", _OPEN))
        return supervisor.run()


def run_workers(settings: Settings, *, reread: Callable[[], Settings] | None = None) -> Exit:
    """Run workers on a store of the user's until told to stop.

    Args:
        settings: Of the workers.
        reread: As for `run`.

    Raises:
        StartError: the store does not answer or cannot be used.
    """
    if not settings.redis_url:
        raise StartError("A worker needs the store's URL: give --redis-url or set redis_url.", Exit.SETTINGS)
    _await_store(settings)
    current = _Current(settings, reread)
    supervisor = _supervisor(_worker_parts(current), current)
    supervisor.ready = True
    return supervisor.run()


class _Current:
    """The settings that the next child gets."""

    def __init__(self, settings: Settings, reread: Callable[[], Settings] | None) -> None:
        self.settings = settings
        self._asked = settings
        self._reread = reread

    def read_again(self, tell: Callable[[str, str], None]) -> bool:
        """Read the settings again; tell why nothing is to be restarted where they cannot be used."""
        if self._reread is None:
            return True
        try:
            found = self._reread()
        except SettingsError as error:
            tell("error", f"nothing is restarted: {error}")
            return False
        changed = [name for name in _FIXED if getattr(found, name) != getattr(self._asked, name)]
        if changed:
            tell("warning", f"a change of {', '.join(changed)} needs a stop and a start")
        fixed = {name: getattr(self.settings, name) for name in _FIXED}
        self.settings = msgspec.structs.replace(found, **fixed)
        return True


class _Start:
    """What happens between the start of the children and the moment everything answers."""

    def __init__(self, settings: Settings, *, data: str) -> None:
        self.supervisor: Supervisor
        self.url = url_of(settings)
        self.data = data
        self.missing = ["the host has not started yet"]

    def heed(self, line: bytes) -> bool:
        """Read what a host reports; when nothing is missing for the first time, tell the user."""
        import importlib.metadata  # not before the children are under way, as all that is slow to import

        from fastprocesses_host.readiness import Readiness, summary

        readiness = msgspec.json.decode(line, type=Readiness)
        self.missing = readiness.missing
        if self.missing or self.supervisor.ready:
            return not self.missing
        self.supervisor.ready = True
        version = importlib.metadata.version("fastprocesses-host")
        with suppress(OSError):
            print(
                summary(version=version, url=self.url, plugins=readiness.plugins, data=self.data), flush=True
            )
        return True

    def say_missing(self) -> None:
        """Tell what is missing, if not everything is there."""
        if not self.supervisor.ready:
            self.supervisor.tell("warning", f"{self.url} is not ready yet: {'; '.join(self.missing)}")


def _supervisor(
    parts: list[Part], current: _Current, on_stop: Callable[[], None] = lambda: None
) -> Supervisor:
    tell = _teller(current.settings)
    return Supervisor(
        parts,
        drain_seconds=current.settings.drain_seconds,
        tell=tell,
        on_restart=lambda: current.read_again(tell),
        on_stop=on_stop,
    )


def _worker_parts(current: _Current) -> list[Part]:
    settings = current.settings
    return [
        Part(
            name="worker" if settings.workers == 1 else f"worker {number}",
            command=lambda launch: child_command("worker", [str(launch.report_fd)]),
            stage=_WORKER_STAGE,
            stop_seconds=settings.drain_seconds - _store_seconds(settings),
            retire_seconds=settings.max_run_seconds + settings.drain_seconds,
            environ=lambda: _environ(current.settings),
            heed=(lambda _: True) if sys.platform == "linux" else None,
        )
        for number in range(1, settings.workers + 1)
    ]


def _host_part(
    current: _Current, listener: socket.socket, heed: Callable[[bytes], bool], *, is_alone: bool
) -> Part:
    settings = current.settings
    share_seconds = settings.drain_seconds if is_alone else min(1.5, settings.drain_seconds / 4)
    stop_seconds = max(share_seconds - _FAREWELL_SECONDS, 0.0) if is_alone else _QUICK_SECONDS
    listen_fd = listener.fileno()

    def command(launch: Launch) -> list[str]:
        arguments = [str(listen_fd), str(launch.report_fd), str(stop_seconds)]
        return child_command("host", [*arguments, *(["successor"] if launch.is_successor else [])])

    def environ() -> dict[str, str]:
        return _environ(
            msgspec.structs.replace(current.settings, plugins=OperatorSettings(), plugins_file="")
        )

    return Part(
        name="host",
        command=command,
        stage=_HOST_STAGE,
        stop_seconds=share_seconds,
        retire_seconds=settings.sync_timeout_seconds + settings.drain_seconds,
        environ=environ,
        pass_fds=(listen_fd,),
        heed=heed,
    )


@contextmanager
def _store_part(store: PrivateStore, settings: Settings) -> Iterator[Part]:
    with open(store.log, "wb", opener=open_private) as log, synced(store):
        yield Part(
            name="store",
            command=lambda _: store.command(),
            stage=_STORE_STAGE,
            stop_seconds=settings.drain_seconds,
            environ=_without_settings,
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
    return Path(settings.data_dir or _usual_data_dir()).expanduser().resolve()


def _usual_data_dir() -> str:
    import platformdirs  # slow to import, and seldom needed where a service is deployed

    return platformdirs.user_data_dir("fastprocesses", appauthor=False)


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
