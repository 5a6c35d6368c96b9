"""What a job finds around it, and what is put back after it so that the next job finds the same."""

import _locale
import contextlib
import gc
import os
import signal
import socket
import sys
from collections.abc import Callable
from functools import partial
from operator import call, is_
from pathlib import Path
from typing import Any, TextIO

_SIGNALS = [
    int(getattr(signal, name))
    for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGALRM", "SIGCHLD", "SIGPIPE", "SIGUSR1", "SIGUSR2")
    if hasattr(signal, name)
]
"""Those that processes and their libraries set."""

_handler: Callable[[int], Any] = sys.modules["_signal"].getsignal
"""That of `signal` makes an enumeration's member of each answer, which takes longer than asking."""

_stop_timer: Callable[[int], int] | None = getattr(signal, "alarm", None)
"""That of `setitimer` is the same one, and takes longer to stop."""

_STREAMS = {"stdout": 1, "stderr": 2}


class Surroundings:
    """The interpreter as jobs shall find it; made in the main thread, before the first job.

    Put back are the working directory, environment, umask, signal handlers and timers, standard streams, locale,
    and the interpreter's own switches. What a job does to modules stays: it is their plugin's own.
    """

    def __init__(self) -> None:
        self._home = str(Path.cwd())
        self._kept = [(os.dup(number), number) for number in range(3) if _is_open(number)]
        self.settle()

    def settle(self) -> None:
        """Take what is there now for what every job shall find: a plugin was imported, and set what it needs."""
        self._environment = _variables()
        self._umask = _umask()
        self._switches = [*map(call, _SWITCHES)]
        self._handlers = [*map(_handler, _SIGNALS)]
        self._streams = [(name, getattr(sys, name)) for name in _STREAMS]

    def put_interpreter_back(self) -> None:
        """Undo what code of ours would meet too, whatever became of the job: so that its end can be told."""
        self._put_switches()
        self._put_handlers()
        for name, stream in self._streams:
            try:
                is_closed = stream.closed
            except ValueError:  # the job detached what is below it
                is_closed = True
            if is_closed:
                self.put_standard_back()
                setattr(sys, name, _opened(name))
            elif getattr(sys, name, None) is not stream:
                self.put_standard_back()  # one of the job may write as it goes
                setattr(sys, name, stream)

    def put_process_back(self) -> None:
        """Undo the rest, which only the next job would meet."""
        os.chdir(self._home)
        os.umask(self._umask)
        self._put_environment()
        self.put_standard_back()

    def _put_environment(self) -> None:
        if os.environ._data != self._environment:  # type: ignore[attr-defined]
            os.environ.clear()
            variables: Any = os.environb if os.supports_bytes_environ else os.environ
            variables.update(self._environment)

    def _put_switches(self) -> None:
        if [*map(call, _SWITCHES)] != self._switches:
            for (get, put), value in zip(_SWITCHES.items(), self._switches, strict=True):
                if get() != value:
                    put(value)

    def _put_handlers(self) -> None:
        if _stop_timer is not None:
            _stop_timer(0)
        if not all(map(is_, map(_handler, _SIGNALS), self._handlers)):  # one of a job may call itself equal
            for number, handler in zip(_SIGNALS, self._handlers, strict=True):
                if handler is not None and _handler(number) is not handler:
                    signal.signal(number, handler)

    def put_standard_back(self) -> None:
        """Without a look, which takes three times as long, and takes a file that was opened again for the same."""
        for kept, number in self._kept:
            try:
                os.dup2(kept, number)
            except OSError:  # the job closed what was kept
                pass


def _variables() -> dict[Any, Any]:
    """Give the environment as it is kept; a copy of the mapping takes a hundred times as long."""
    kept: dict[Any, Any] = os.environ._data  # type: ignore[attr-defined]
    return kept.copy()


def _is_open(number: int) -> bool:
    try:
        os.fstat(number)
    except OSError:
        return False
    return True


def _opened(name: str) -> TextIO:
    return open(_STREAMS[name], "w", encoding="utf-8", errors="backslashreplace", buffering=1, closefd=False)


def _umask() -> int:
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


def _locale_name() -> Callable[[], str | bytes]:
    """Give what tells the locale; Python's own decodes the names of all categories, which takes longer than asking."""
    if os.name != "posix":
        return partial(_locale.setlocale, _locale.LC_ALL)
    import ctypes

    ask = ctypes.PyDLL(None)["setlocale"]
    ask.argtypes, ask.restype = (ctypes.c_int, ctypes.c_char_p), ctypes.c_char_p
    return partial(ask, _locale.LC_ALL, None)


def _set_locale(before: str | bytes) -> None:
    with contextlib.suppress(_locale.Error):  # type: ignore[attr-defined]
        _locale.setlocale(_locale.LC_ALL, os.fsdecode(before))


_SWITCHES: dict[Callable[[], Any], Callable[[Any], Any]] = {
    sys.gettrace: sys.settrace,
    sys.getprofile: sys.setprofile,
    sys.getrecursionlimit: sys.setrecursionlimit,
    sys.getswitchinterval: sys.setswitchinterval,
    socket.getdefaulttimeout: socket.setdefaulttimeout,
    gc.isenabled: lambda was_enabled: gc.enable() if was_enabled else gc.disable(),
    _locale_name(): _set_locale,
}
"""How each is asked, and how it is put back."""
