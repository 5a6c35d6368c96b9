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
"""A logger; name what happened in the first argument, all else in keywords."""


def configure_logging(settings: Settings, part: Part) -> None:
    """Send the log of this process to its standard error, as `log_level` and `log_format` say.

    Values bound with `job_context` are on every line, also on those of libraries. May be called again.

    Args:
        settings: `log_level`; `log_format`, where `auto` is `console` on a terminal and `json` elsewhere.
        part: What this process is; it stands on every line.
    """
    level = logging.getLevelNamesMapping()[settings.log_level.upper()]
    stamp, render = _stamper(part), _renderer(settings)
    structlog.configure(
        processors=[lambda logger, method, event: render(stamp(logger, method, event))],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.BytesLoggerFactory(_standard_error_of_bytes()),
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


def _stamper(part: Part) -> Callable[[Any, str, MutableMapping[str, Any]], MutableMapping[str, Any]]:
    """Give one step for what would be four of the library's: a third of the time of a line."""

    def stamp(logger: Any, method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        for name, value in _bound.get().items():
            event.setdefault(name, value)
        event["time"] = datetime.now(UTC)
        event["level"] = "error" if method == "exception" else method
        event["part"] = part
        if "exc_info" in event:
            structlog.processors.format_exc_info(logger, method, event)
        return event

    return stamp


def _renderer(settings: Settings) -> Callable[[MutableMapping[str, Any]], bytes]:
    if settings.log_format == "console" or (settings.log_format == "auto" and is_terminal()):
        colour = wants_colour()
        return lambda event: render_console(event, colour=colour).encode("utf-8", "backslashreplace")
    return _json_line


def render_json(event: MutableMapping[str, Any]) -> str:
    """Write one line of JSON: time, level, part and message first, then what else is known."""
    return _json_line(event).decode()


def _json_line(event: MutableMapping[str, Any]) -> bytes:
    if "message" in event:
        event["message_"] = event.pop("message")
    head = {
        "time": event.pop("time", ""),
        "level": event.pop("level", ""),
        "part": event.pop("part", ""),
        "message": event.pop("event", ""),
    }
    return msgspec.json.encode({**head, **event}, enc_hook=str)


def render_console(event: MutableMapping[str, Any], *, colour: bool) -> str:
    """Write one short line, `12:30:01 info  worker  what happened key=value`, and a traceback below it.

    Control characters are written as escapes: a log line is no way to a terminal for what comes from outside.
    """
    time, level, part, text = (
        str(event.pop(name, "")).strip().translate(_ONE_LINE) for name in ("time", "level", "part", "event")
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
