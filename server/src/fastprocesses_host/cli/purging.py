"""`jobs purge`: jobs that nobody needs any more are removed from the store of this installation, before their time."""

import re
import sys
import time
from collections.abc import Callable, Collection

import typer
from msgspec import Struct

from fastprocesses_host.cli.told import CallError, tell
from fastprocesses_host.exits import Exit
from fastprocesses_host.ogc.jobs import Status
from fastprocesses_host.settings import Settings
from fastprocesses_host.store import operations
from fastprocesses_host.store.client import Store, StoreFull, StoreRefused, StoreUnavailable
from fastprocesses_host.store.keys import Keys

_AGE = re.compile(r"(\d{1,9})(s|m|h|d|w)")
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_SAID_EVERY_SECONDS = 0.5


class Choice(Struct, frozen=True, kw_only=True):
    """Which jobs."""

    older_than_seconds: float = 0.0
    """They ended so long ago."""
    process_id: str = ""
    statuses: Collection[str] = ()
    dismiss: bool = False
    """Those under way too: they are stopped."""


class Removed(Struct, frozen=True, kw_only=True):
    """What came of it; also what would, before anything is done."""

    jobs: int
    under_way: int
    """Left alone, because they have not ended."""
    is_dry: bool


def read_age(text: str) -> float:
    """Read a time span, `90s`, `15m`, `12h`, `7d` or `2w`; give it in seconds.

    Raises:
        CallError: it is none.
    """
    found = _AGE.fullmatch(text.strip().lower())
    if not found:
        raise CallError(f"--older-than {text!r} is no time span such as 90s, 15m, 12h, 7d or 2w.", Exit.USAGE)
    return float(int(found[1]) * _UNITS[found[2]])


def read_statuses(names: Collection[str]) -> tuple[str, ...]:
    """Check that these are states of jobs.

    Raises:
        CallError: one is none.
    """
    known = [status.value for status in Status if status is not Status.CREATED]
    for name in names:
        if name not in known:
            raise CallError(f"--status {name!r} is none of {', '.join(known)}.", Exit.USAGE)
    return tuple(dict.fromkeys(names))


def purge(settings: Settings, choice: Choice, *, is_dry: bool, is_sure: bool, may_ask: bool) -> Removed:
    """Count the jobs, ask whether they are to go, and remove them, a bounded number at a time.

    Whatever ends after it was begun is left alone. Interrupted it has removed some, each of them wholly.

    Args:
        settings: Of this installation.
        choice: Which jobs.
        is_dry: Only count them.
        is_sure: Do not ask.
        may_ask: There is somebody to ask.

    Raises:
        CallError: there is no store, nobody said yes, or the store went away.
    """
    store = Store(_store_url(settings), Keys.of(settings.key_prefix))
    try:
        latest_ms = store.check() - round(choice.older_than_seconds * 1000)
        found = _walk(store, choice, latest_ms, is_dry=True)
        if is_dry:
            return found
        if found.jobs and not is_sure:
            _require_consent(found.jobs, may_ask=may_ask)
        return _walk(store, choice, latest_ms, is_dry=False, of=found.jobs)
    except StoreRefused as error:
        raise CallError(str(error), Exit.STORE) from None
    except (StoreUnavailable, StoreFull) as error:
        raise CallError(f"{error} What was removed stays so; say the same again.", Exit.STORE) from None
    finally:
        store.close()


def _store_url(settings: Settings) -> str:
    """Give the URL of the store: that of the settings, else that of the service which runs on the data folder.

    Raises:
        CallError: no service runs there.
    """
    from fastprocesses_host.embedded import data_dir_of
    from fastprocesses_host.private_store import noted_store_url

    data_dir = data_dir_of(settings)
    url = settings.redis_url or noted_store_url(data_dir)
    if not url:
        raise CallError(
            f"No service runs on {data_dir}. Start it, name its folder with --data-dir, or its store with --redis-url.",
            Exit.UNREACHABLE,
        )
    return url


def _require_consent(count: int, *, may_ask: bool) -> None:
    if not may_ask:
        raise CallError(
            f"{_jobs(count)} would be removed, and there is no terminal to ask on. Say --yes, or --dry-run.",
            Exit.USAGE,
        )
    question = f"Remove {_jobs(count)} with results and logs? This cannot be undone"
    if not typer.confirm(question, err=True):
        raise CallError("Nothing was removed.", Exit.REFUSED)


def _walk(store: Store, choice: Choice, latest_ms: int, *, is_dry: bool, of: int = 0) -> Removed:
    jobs, under_way, after = 0, 0, ""
    say = _progress(of)
    try:
        while True:
            done = store.run(
                operations.purge(
                    after=after,
                    latest_ms=latest_ms,
                    process_id=choice.process_id,
                    statuses=choice.statuses,
                    is_dry=is_dry,
                    dismiss=choice.dismiss,
                )
            )
            jobs, under_way, after = jobs + done.jobs, under_way + done.under_way, done.last
            say(jobs)
            if not after:
                return Removed(jobs=jobs, under_way=under_way, is_dry=is_dry)
    except KeyboardInterrupt:
        if not is_dry:
            tell(f"{_jobs(jobs)} removed so far.")
        raise


def _progress(of: int) -> Callable[[int], None]:
    """Give what tells on a terminal how far it is."""
    said_seconds = time.monotonic()

    def say(count: int) -> None:
        nonlocal said_seconds
        if of and sys.stderr.isatty() and time.monotonic() - said_seconds > _SAID_EVERY_SECONDS:
            said_seconds = time.monotonic()
            typer.echo(f"\r{count} of {of} jobs removed", err=True, nl=False)
            if count >= of:
                tell("")

    return say


def as_text(removed: Removed) -> str:
    """Tell what came of it."""
    verb = "would be removed" if removed.is_dry else "removed"
    left = f" {_jobs(removed.under_way)} under way left alone." if removed.under_way else ""
    return f"{_jobs(removed.jobs)} {verb}.{left}"


def _jobs(count: int) -> str:
    return "1 job" if count == 1 else f"{count} jobs"
