"""What a job finds around it, and what is put back after it so that the next job finds the same."""

import contextlib
import gc
import os
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TextIO

_SIGNALS = [
    getattr(signal, name)
    for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGALRM", "SIGCHLD", "SIGPIPE", "SIGUSR1", "SIGUSR2")
    if hasattr(signal, name)
]
"""Those that processes and their libraries set."""

_STREAMS = {"stdout": 1, "stderr": 2}


class Surroundings:
    """The interpreter as jobs shall find it; made in the main thread, before the first job.

    Put back are the working directory, environment, umask, signal handlers and timers, standard streams, locale,
    and the interpreter's own switches. What a job does to modules stays: it is their plugin's own.
    """

    def __init__(self) -> None:
        self._home = str(Path.cwd())
        self._standard = [(number, os.dup(number)) for number in range(3) if _is_open(number)]

    @contextlib.contextmanager
    def job(self, workdir: str) -> Iterator[None]:
        """Run a job in its folder; afterwards put back what it changed."""
        environment = dict(os.environ)
        before = [(put, get()) for get, put in _SWITCHES]
        handlers = [(number, signal.getsignal(number)) for number in _SIGNALS]
        streams = [(name, getattr(sys, name)) for name in _STREAMS]
        os.chdir(workdir)
        try:
            yield
        finally:
            os.chdir(self._home)
            if dict(os.environ) != environment:
                os.environ.clear()
                os.environ.update(environment)
            for put, value in before:
                put(value)
            _put_handlers(handlers)
            self._put_standard()
            for name, stream in streams:
                setattr(sys, name, stream if not getattr(stream, "closed", False) else _opened(name))

    def _put_standard(self) -> None:
        for number, kept in self._standard:
            if not _is_same(number, kept):
                with contextlib.suppress(OSError):
                    os.dup2(kept, number)


def _opened(name: str) -> TextIO:
    return open(_STREAMS[name], "w", encoding="utf-8", errors="backslashreplace", buffering=1, closefd=False)


def _put_handlers(handlers: list[tuple[int, Any]]) -> None:
    if hasattr(signal, "setitimer"):
        signal.setitimer(signal.ITIMER_REAL, 0)
    for number, handler in handlers:
        if handler is not None and signal.getsignal(number) is not handler:
            signal.signal(number, handler)


def _is_open(number: int) -> bool:
    try:
        os.fstat(number)
    except OSError:
        return False
    return True


def _is_same(number: int, other: int) -> bool:
    try:
        return os.path.samestat(os.fstat(number), os.fstat(other))
    except OSError:
        return False


def _umask() -> int:
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


def _locale() -> str | None:
    module = sys.modules.get("locale")
    return module.setlocale(module.LC_ALL) if module is not None else None


def _set_locale(before: str | None) -> None:
    module = sys.modules.get("locale")
    if module is not None and before is not None and module.setlocale(module.LC_ALL) != before:
        with contextlib.suppress(module.Error):
            module.setlocale(module.LC_ALL, before)


_SWITCHES: list[tuple[Callable[[], Any], Callable[[Any], Any]]] = [
    (_umask, os.umask),
    (sys.gettrace, sys.settrace),
    (sys.getprofile, sys.setprofile),
    (sys.getrecursionlimit, sys.setrecursionlimit),
    (sys.getswitchinterval, sys.setswitchinterval),
    (socket.getdefaulttimeout, socket.setdefaulttimeout),
    (gc.isenabled, lambda was_enabled: gc.enable() if was_enabled else gc.disable()),
    (_locale, _set_locale),
]
"""How each is asked, and how it is put back."""
