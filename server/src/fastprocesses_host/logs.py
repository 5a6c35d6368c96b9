"""Structured logs: short lines on a terminal, JSON lines elsewhere, also for libraries that use `logging`."""

import logging
import os
import sys
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any, BinaryIO, Literal, TextIO

import msgspec

from fastprocesses_host.settings import Settings


@contextmanager
def _without_rich() -> Iterator[None]:
    """Keep structlog from importing rich, 200 ms and 7 MB a process for tracebacks unused here."""
    hidden = "rich" not in sys.modules
    if hidden:
        sys.modules["rich"] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        if hidden:
            del sys.modules["rich"]


with _without_rich():
    import structlog
    from structlog.stdlib import ProcessorFormatter

Part = Literal["supervisor", "host", "worker"]

_CHATTY = ("asyncio", "dramatiq", "hypercorn", "uvicorn")
"""Libraries whose `info` is news only to whoever debugs them."""

_CONTROL = {code: f"\\x{code:02x}" for code in (*range(32), *range(127, 160)) if code not in (9, 10)}
_ONE_LINE = _CONTROL | {10: "\\n", 9: "\\t"}
_COLOURS = {"debug": "2", "info": "32", "warning": "33", "error": "31", "critical": "31;1"}

get_logger = structlog.get_logger
"""A logger; name what happened in the first argument, all else in keywords; `time` where it was not just now."""


def configure_logging(settings: Settings, part: Part) -> None:
    """Send the log of this process to its standard error, as `log_level` and `log_format` say.

    Values bound with `job_context` are on every line, also on those of libraries. May be called again.

    Args:
        settings: `log_level`; `log_format`, where `auto` is `console` on a terminal and `json` elsewhere.
        part: What this process is; it stands on every line.
    """
    level = logging.getLevelNamesMapping()[settings.log_level.upper()]
    stamp, render = stamper(part), _renderer(settings)
    file = _standard_error_of_bytes()
    structlog.configure(
        wrapper_class=_logger_class(level, stamp, render),
        logger_factory=lambda *_: file,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(_standard_error())
    handler.setFormatter(
        ProcessorFormatter(
            foreign_pre_chain=[stamp],
            processors=[
                ProcessorFormatter.remove_processors_meta,
                lambda _logger, _method, event: render(event).decode(),
            ],
        )
    )
    logging.basicConfig(level=level, handlers=[handler], force=True)
    logging.captureWarnings(capture=True)
    for name in _CHATTY:
        logging.getLogger(name).setLevel(level if level == logging.DEBUG else max(level, logging.WARNING))


render_json: "_Render" = msgspec.json.Encoder(enc_hook=str).encode
"""Write a stamped event as one line of JSON."""

_bound: ContextVar[Mapping[str, Any]] = ContextVar("bound", default=MappingProxyType({}))
"""What is on every line that this thread or task logs."""


@contextmanager
def job_context(job_id: str, **fields: Any) -> Iterator[dict[str, Any]]:
    """Put the job's id and `fields` on every line logged inside, in this thread or task.

    Yields:
        What is put there; it may be changed.
    """
    bound = {**_bound.get(), "job_id": job_id, **fields}
    token = _bound.set(bound)
    try:
        yield bound
    finally:
        _bound.reset(token)


def _standard_error() -> TextIO:
    """Give the descriptor itself: Dramatiq replaces `sys.stderr` by a pipe, and copies every line once more."""
    return open(2, "w", encoding="utf-8", errors="backslashreplace", buffering=1, closefd=False)


def _logger_class(
    level: int, stamp: "_Stamp", render: "_Render"
) -> type[structlog.typing.FilteringBoundLogger]:
    """Give the library's, with the steps of ours and no others: half of the time of a line."""
    filtering: Any = structlog.make_filtering_bound_logger(level)

    class Logger(filtering):  # type: ignore[misc]
        _logger: BinaryIO

        def _proxy_to_logger(self, method: str, event: str | None = None, **fields: Any) -> None:
            fields["event"] = event
            line = render(stamp(None, method, {**self._context, **fields} if self._context else fields))
            try:
                self._logger.write(line + b"\n")  # whole, whatever other threads write: the file has a lock
                self._logger.flush()
            except OSError:  # nothing fails because it cannot be told, as with `logging`
                return

    return Logger


def _standard_error_of_bytes() -> BinaryIO:
    return open(2, "wb", closefd=False)


def is_terminal() -> bool:
    """Whether standard error is a terminal; asked of the descriptor, since Dramatiq replaces `sys.stderr`."""
    try:
        return os.isatty(2)
    except OSError:
        return False


def wants_colour(environ: Mapping[str, str] | None = None) -> bool:
    """Whether lines may be coloured: on a terminal, unless NO_COLOR is set."""
    environ = os.environ if environ is None else environ
    return is_terminal() and not environ.get("NO_COLOR") and environ.get("TERM") != "dumb"


_Stamp = Callable[[Any, str, MutableMapping[str, Any]], MutableMapping[str, Any]]
_Render = Callable[[MutableMapping[str, Any]], bytes]


def stamper(part: Part) -> _Stamp:
    """Give one step for what would be five of the library's: a third of the time of a line.

    It puts time, level, part and message first, as JSON lines have them.
    """

    def stamp(logger: Any, method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        if "exc_info" in event:
            structlog.processors.format_exc_info(logger, method, event)
        if "message" in event:
            event["message_"] = event.pop("message")
        stamped = {
            "time": event.pop("time", None) or datetime.now(UTC),
            "level": "error" if method == "exception" else method,
            "part": part,
            "message": event.pop("event", ""),
            **event,
        }
        for name, value in _bound.get().items():
            stamped.setdefault(name, value)
        return stamped

    return stamp


def _renderer(settings: Settings) -> _Render:
    if settings.log_format == "console" or (settings.log_format == "auto" and is_terminal()):
        colour = wants_colour()
        return lambda event: render_console(event, colour=colour).encode("utf-8", "backslashreplace")
    return render_json


def render_console(event: MutableMapping[str, Any], *, colour: bool) -> str:
    """Write a stamped event as one short line, `12:30:01 info  worker  what happened key=value`.

    A traceback follows below it. Control characters are written as escapes: a log line is no way to a terminal for
    what comes from outside.
    """
    time, level, part, text = (
        str(event.pop(name, "")).strip().translate(_ONE_LINE) for name in ("time", "level", "part", "message")
    )
    time = time[11:19]
    traceback = str(event.pop("exception", "")).translate(_CONTROL)
    fields = " ".join(f"{key.translate(_ONE_LINE)}={_shown(value)}" for key, value in event.items())
    start = f"{time} {level:<7} {part:<6}"
    if colour:
        start = f"\x1b[2m{time}\x1b[0m \x1b[{_COLOURS.get(level, '0')}m{level:<7}\x1b[0m {part:<6}"
        fields = f"\x1b[2m{fields}\x1b[0m" if fields else ""
    return "  ".join(filter(None, (start, text, fields))) + (f"\n{traceback}" if traceback else "")


def _shown(value: Any) -> str:
    text = str(value).translate(_ONE_LINE)
    return f'"{text}"' if " " in text or not text else text
