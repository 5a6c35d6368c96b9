"""Settings of host and worker: one frozen Struct, read once from a file and the environment."""

import os
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import msgspec
from msgspec import Struct, field

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*")

LONGEST_SECONDS = 10 * 366 * 86_400
"""Ten years: longer than anything that is meant."""

_SHORTEST_SECONDS = 0.01
_RANGES: dict[str, tuple[float, float | None]] = {
    "port": (0, 65_535),
    **dict.fromkeys(
        ("drain_seconds", "lease_seconds", "tick_seconds", "sync_timeout_seconds", "plugin_load_seconds"),
        (_SHORTEST_SECONDS, LONGEST_SECONDS),
    ),
}

PREFIX = "FASTPROCESSES_"
"""What every environment variable of ours starts with."""


class SettingsError(ValueError):
    """The settings cannot be used as they are."""


class Settings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything an operator can decide. Each field is `FASTPROCESSES_<NAME>` or a key of the TOML file."""

    # Where things are
    host: str = "127.0.0.1"
    port: int = 8080
    public_url: str = ""
    """The URL clients use, when a proxy stands before the host: `https://example.org/ogcapi`."""
    data_dir: str = ""
    """Where the private store and large values lie; empty: the user's data folder."""
    redis_url: str = ""
    """The store. Empty: a private one, started and stopped with the host."""
    value_store_url: str = ""
    """Where large values lie, `file:///folder` that host and workers share. Empty: `values` in the data folder with a
    private store; with a store of your own they stay in it."""
    key_prefix: str = "fp"
    """First part of every key and channel; several installations can share one store."""
    environment: str = "default"
    """The name of this Python installation; jobs run where their process is installed."""

    # What is said about the service
    title: str = "fastprocesses"
    description: str = "Processes offered through OGC API - Processes."

    # Workers
    workers: int = 1
    slots: int = 0
    """Jobs a worker process runs at a time; 0: one a core."""
    drain_seconds: float = 7.0
    """How long stopping may take, running jobs included."""
    lease_seconds: float = 6.0
    """How long a worker may be silent before its jobs are taken away."""
    tick_seconds: float = 1.0
    cancel_grace_seconds: float = 1.0
    """How long a cancelled job may tidy up before it is killed."""
    executor_max_jobs: int = 1000
    """After how many jobs an executor is replaced."""
    executor_max_growth_mb: int = 512
    """By how much an executor's memory may have grown, between jobs, before it is replaced."""
    plugin_load_seconds: float = 30.0
    """How long one plugin may take to load."""

    # Jobs
    sync_timeout_seconds: float = 60.0
    """How long a synchronous execution may take."""
    max_queue_seconds: float = 86_400.0
    """How long a job may wait for a worker."""
    timeout_seconds: float = 3_600.0
    """How long a job may run when its process does not say."""
    max_run_seconds: float = 604_800.0
    """How long any job may run, whatever its process says."""
    memory_mb: int = 0
    """Memory of a job when its process does not say; 0: four fifths of the machine, shared by the slots."""
    max_queued_jobs: int = 100_000
    job_ttl_seconds: float = 604_800.0
    """How long a finished job and its results are kept."""
    unlisted_job_ttl_seconds: float = 60.0
    """How long a finished job without an entry in the job list is kept (a synchronous one)."""
    tombstone_seconds: float = 86_400.0
    """How long it is remembered that a job was deleted."""
    record_sync_jobs: bool = False
    """Synchronous executions appear in the job list."""
    keep_inputs: bool = False
    default_dialect: Literal["1.0", "2.0"] = "2.0"
    """How an execute request without marks of either version is answered."""

    # Limits on what comes in and goes out
    max_body_bytes: int = 64 * 1024 * 1024
    max_depth: int = 200
    max_number_digits: int = 400
    max_inline_bytes: int = 1024 * 1024
    """Values up to this size lie in the store, larger ones in the value store."""
    max_value_bytes: int = 256 * 1024 * 1024
    """The largest single input or output."""
    max_log_lines: int = 1000

    # Logs
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_format: Literal["auto", "console", "json"] = "auto"

    extra: dict[str, Any] = field(default_factory=dict)
    """Sections of plugins, not read by the host."""

    def __post_init__(self) -> None:
        """Refuse what cannot work, with the name of the setting.

        Raises:
            SettingsError: a value is out of its range.
        """
        for name in self.__struct_fields__:
            _check_range(name, getattr(self, name))
        for name in ("environment", "key_prefix"):
            if not _NAME.fullmatch(getattr(self, name)):
                raise SettingsError(
                    f"{name} must be letters, digits, '.', '_' and '-', not {getattr(self, name)!r}."
                )
        if self.value_store_url and not self.value_store_url.startswith("file:///"):
            raise SettingsError(f"value_store_url must be a file:/// URL, not {self.value_store_url!r}.")
        if self.lease_seconds < 2 * self.tick_seconds:
            raise SettingsError(
                "lease_seconds must be at least twice tick_seconds, or living workers lose their jobs."
            )

    @property
    def slot_count(self) -> int:
        """Jobs one worker process runs at a time."""
        return self.slots or os.cpu_count() or 1

    @property
    def memory_bytes(self) -> int:
        """Memory of a job when its process does not say."""
        if self.memory_mb:
            return self.memory_mb * 1024 * 1024
        machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        return int(machine * 0.8 / self.slot_count / max(self.workers, 1))

    @property
    def value_folder(self) -> Path | None:
        """The folder of large values; None: they stay in the store."""
        return Path(self.value_store_url.removeprefix("file://")) if self.value_store_url else None

    @classmethod
    def from_env(cls, environ: Mapping[str, str] | None = None, **overrides: Any) -> "Settings":
        """Read the file that `FASTPROCESSES_CONFIG` names, then the environment, then `overrides`; later ones win.

        Args:
            environ: Instead of `os.environ`.
            overrides: Single fields; `None` means not given.

        Raises:
            SettingsError: unknown name, unreadable file, or a value of the wrong type, each with its name.
        """
        environ = os.environ if environ is None else environ
        values: dict[str, Any] = {}
        if path := environ.get(PREFIX + "CONFIG"):
            values.update(_read_file(Path(path)))
        for name in cls.__struct_fields__:
            if name != "extra" and (text := environ.get(PREFIX + name.upper())) is not None:
                values[name] = text
        values.update({name: value for name, value in overrides.items() if value is not None})
        try:
            return msgspec.convert(values, cls, strict=False)
        except msgspec.ValidationError as error:
            raise SettingsError(f"The settings cannot be used: {error}") from None

    def to_env(self) -> dict[str, str]:
        """Give the environment variables that make `from_env` return the same settings, for a child process."""
        defaults = Settings()
        values = {name: getattr(self, name) for name in self.__struct_fields__ if name != "extra"}
        return {
            PREFIX + name.upper(): str(value).lower() if isinstance(value, bool) else str(value)
            for name, value in values.items()
            if value != getattr(defaults, name)
        }


def _check_range(name: str, value: Any) -> None:
    lowest, highest = _RANGES.get(name, (0, LONGEST_SECONDS if name.endswith("_seconds") else None))
    if not isinstance(value, int | float) or isinstance(value, bool):
        return
    if not value >= lowest or (highest is not None and value > highest):
        upper = "" if highest is None else f" and at most {highest:g}"
        raise SettingsError(f"{name} must be at least {lowest:g}{upper}, not {value:g}.")


def _read_file(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise SettingsError(f"The settings file {path} cannot be read: {error.strerror}.") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"The settings file {path} is not valid TOML: {error}.") from None
