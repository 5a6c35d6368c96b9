"""Settings of host and worker: one frozen Struct, read once from a file and the environment."""

import os
import re
from collections.abc import Mapping
from importlib.util import find_spec
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Any, Literal, Self

import msgspec
from fastprocesses_sdk.configured import ENVIRONMENT_PREFIX, OperatorSettings
from fastprocesses_sdk.settings import HIDDEN
from msgspec import Struct

from fastprocesses_host.outbound import OutboundRules, read_headers
from fastprocesses_host.signing import read_secrets

Network = IPv4Network | IPv6Network
ServerName = Literal["hypercorn", "uvicorn"]

_QUEUE = re.compile(r"[A-Za-z0-9_-]+")
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*")
_PUBLIC_URL = re.compile(r"https?://[\w.:\[\]-]+(/[\w.~!$&'()*+,;=:@%/-]*)?", re.ASCII | re.IGNORECASE)
_ROOT_PATH = re.compile(r"(/[\w.~!$&'()*+,;=:@ -]+)+", re.ASCII)
_ORIGIN = re.compile(r"\*|null|[a-z][a-z0-9+.-]*://[\w.:\[\]-]+", re.ASCII | re.IGNORECASE)
_OBJECT_STORE_URL = re.compile(r"(s3|gs|az)://[A-Za-z0-9._-]+(/[A-Za-z0-9._=-]+)*/?")
_TABLES = ("plugins", "value_store")
_EVERYBODY = ("0.0.0.0/0", "::/0")

LONGEST_SECONDS = 10 * 366 * 86_400
"""Ten years: longer than anything that is meant."""

_SHORTEST_SECONDS = 0.01
_RANGES: dict[str, tuple[float, float | None]] = {
    "port": (0, 65_535),
    "callback_slots": (1, 1000),
    "callback_retries": (0, 20),
    "signed_url_seconds": (1.0, 604_800.0),
    **dict.fromkeys(
        ("outbound_stall_seconds", "fetch_timeout_seconds", "callback_timeout_seconds"),
        (_SHORTEST_SECONDS, LONGEST_SECONDS),
    ),
    **dict.fromkeys(
        (
            "drain_seconds",
            "lease_seconds",
            "tick_seconds",
            "sync_timeout_seconds",
            "plugin_load_seconds",
            "event_heartbeat_seconds",
            "upload_ttl_seconds",
            "value_store_timeout_seconds",
        ),
        (_SHORTEST_SECONDS, LONGEST_SECONDS),
    ),
}

PREFIX = "FASTPROCESSES_"
"""What every environment variable of ours starts with."""
REPORT_VARIABLE = PREFIX + "REPORT_FD"
"""No setting: tells a worker that a supervisor has started the descriptor to report readiness to."""
_VALUE_STORE_PREFIX = PREFIX + "VALUE_STORE__"


class SettingsError(ValueError):
    """The settings cannot be used as they are."""


class ObjectStoreOptions(Struct, frozen=True):
    """What the operator set for the object store; no log and no traceback shows it."""

    options: dict[str, str] = {}

    @classmethod
    def from_environ(cls, environ: Mapping[str, str], table: Any) -> "ObjectStoreOptions":
        """Gather the table of the settings file, and over it the variables.

        Raises:
            SettingsError: it is no table of texts, numbers and truth values.
        """
        if not isinstance(table, dict) or any(isinstance(value, dict | list) for value in table.values()):
            raise SettingsError(
                "value_store must be a table of options: write [value_store] and below it each."
            )
        options = {name.lower(): _text(value) for name, value in table.items()}
        length = len(_VALUE_STORE_PREFIX)
        given = {name: text for name, text in environ.items() if name.startswith(_VALUE_STORE_PREFIX)}
        return cls(options | {name[length:].lower(): text for name, text in given.items()})

    def to_environ(self) -> dict[str, str]:
        """Give the variables that make `from_environ` return the same."""
        return {_VALUE_STORE_PREFIX + name.upper(): text for name, text in self.options.items()}

    def __repr__(self) -> str:
        return f"{type(self).__name__}({HIDDEN})"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        return [("hidden", HIDDEN)]


class Settings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything an operator can decide. Each field is `FASTPROCESSES_<NAME>` or a key of the TOML file."""

    # Where things are
    host: str = "127.0.0.1"
    port: int = 8080
    http_server: ServerName = "hypercorn"
    """The program that speaks HTTP. uvicorn has to be installed: `pip install 'fastprocesses-host[uvicorn]'`."""
    public_url: str = ""
    """The URL clients use, when a proxy stands before the host: `https://example.org/ogcapi`."""
    root_path: str = ""
    """The path under which a proxy publishes the host: `/ogcapi`. It may be cut off by the proxy or not."""
    trusted_proxies: str = ""
    """Addresses and networks of proxies, with commas between, whose `X-Forwarded-*` and `Forwarded` are believed; `*`:
    everybody's. Empty: nobody's."""
    cors_origins: str = "*"
    """Origins whose scripts may use the service, with commas between; `*`: all. Empty: none."""
    data_dir: str = ""
    """Where the private store and large values lie; empty: the user's data folder."""
    redis_url: str = ""
    """The store. Empty: a private one, started and stopped with the host."""
    value_store_url: str = ""
    """Where large values lie: `file:///folder` that host and workers share, or in an object store, with a prefix that
    nobody else uses: `s3://bucket/prefix`, `gs://bucket/prefix`, `az://container/prefix`, for which
    `pip install 'fastprocesses-host[object-store]'` is needed. Empty: `values` in the data folder with a private store;
    with a store of your own they stay in it."""
    value_store: ObjectStoreOptions = ObjectStoreOptions()
    """Options of the object store, the table `[value_store]` or `FASTPROCESSES_VALUE_STORE__<NAME>`: `endpoint`,
    `region`, `access_key_id`, `secret_access_key` and others that obstore has. Those not given are taken from the
    environment, `AWS_ACCESS_KEY_ID` and so on."""
    value_store_timeout_seconds: float = 15.0
    """How long one request to the object store may take; values travel in pieces of 1 to 5 MiB."""
    value_store_retry_seconds: float = 120.0
    """How long a worker goes on trying to fetch an input or to store a result while the object store takes or gives
    nothing; then the job fails."""
    result_links: Literal["proxied", "redirected", "signed"] = "proxied"
    """How results in an object store are handed out. `proxied`: through the host. `redirected`: the host's addresses
    answer 303 with a signed URL of the object store. `signed`: links to results are such URLs themselves, too."""
    signed_url_seconds: float = 3_600.0
    """How long a signed URL can be used."""
    key_prefix: str = "fp"
    """First part of every key and channel; several installations can share one store."""
    environment: str = "default"
    """The name of this Python installation; jobs run where their process is installed."""

    # What is said about the service
    title: str = "fastprocesses"
    description: str = "Processes offered through OGC API - Processes."

    # Workers
    workers: int = 1
    queues: str = ""
    """Names of queues that workers serve, with commas between; `default` is that of processes without one of their own.
    Empty: all that the processes installed here have."""
    slots: int = 0
    """Jobs a worker process runs at a time; 0: one more than there are cores."""
    drain_seconds: float = 7.0
    """How long stopping may take, running jobs included."""
    lease_seconds: float = 6.0
    """How long a worker may be silent before its jobs are taken away."""
    tick_seconds: float = 1.0
    cancel_grace_seconds: float = 1.0
    """How long a cancelled job may tidy up before it is killed."""
    executor_max_jobs: int = 20_000
    """After how many jobs an executor is replaced."""
    executor_max_growth_mb: int = 512
    """By how much an executor's memory may have grown, between jobs, before it is replaced."""
    plugin_load_seconds: float = 30.0
    """How long one plugin may take to load, its start functions included."""

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
    retry_seconds: float = 1.0
    """How long a job that may be tried again waits before its second attempt; doubled before each further one."""
    max_queued_jobs: int = 100_000
    """Most jobs that may wait for a worker; one more is answered with 503."""
    max_queued_jobs_per_caller: int = 10_000
    """Most jobs of one caller that may wait in one queue; one more is answered with 429. 0: any number."""
    max_queued_jobs_per_process: int = 0
    """Most jobs of one process that may wait; one more is answered with 503. 0: any number."""
    max_waiting_requests: int = 1000
    """Most requests of a host that wait for the end of their job; one more is answered with 503."""
    max_event_streams: int = 1000
    """Most clients that follow the events of jobs on one host; one more is answered with 503. 0: any number."""
    max_event_streams_per_caller: int = 100
    """The same of one caller; one more is answered with 429. 0: any number."""
    event_heartbeat_seconds: float = 15.0
    """How long nothing is sent to a client that follows a job before it gets a sign of life. One that takes nothing for
    four times as long is let go."""
    job_ttl_seconds: float = 604_800.0
    """How long a finished job is kept with all that belongs to it, where its process does not say."""
    results_ttl_seconds: float = 0.0
    """How long its results are kept, where its process does not say; 0, or more than the job: as long as the job."""
    log_ttl_seconds: float = 0.0
    """How long its log is kept, where its process does not say; 0, or more than the job: as long as the job."""
    unlisted_job_ttl_seconds: float = 60.0
    """How long a finished job without an entry in the job list is kept (a synchronous one)."""
    result_cache_seconds: float = 0.0
    """How long the results of processes that are declared deterministic answer equal requests; those that come
    while it is under way share the run. 0: every request is run."""
    idempotency_key_seconds: float = 86_400.0
    """How long the Idempotency-Key of an execute request is known, and its job kept at least."""
    tombstone_seconds: float = 86_400.0
    """How long it is remembered that a job was deleted."""
    record_sync_jobs: bool = False
    """Synchronous executions appear in the job list."""
    show_job_logs: bool = True
    """Whoever may see a job may read what its process wrote; tracebacks are in the log of the worker alone."""
    keep_inputs: bool = False
    """Inputs are kept as long as their job, at `/jobs/{id}/inputs`, where its process does not say."""
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
    max_job_bytes: int = 4 * 1024**3
    """Most that a job may have in the value store, inputs and results together; 0: any number."""
    max_caller_bytes: int = 16 * 1024**3
    """Most that all jobs and uploads of one caller may have there; more is answered with 429. 0: any number."""
    max_stored_bytes: int = 0
    """Most that all may have there; more is answered with 507. 0: as much as the disk takes."""
    min_free_disk_bytes: int = 256 * 1024**2
    """What stays free on the disks of values and of running jobs; what would need it is refused with 507."""
    max_workdir_bytes: int = 16 * 1024**3
    """Most that a running job may have in its folder; one that writes more is stopped. 0: any number."""
    max_log_lines: int = 1000

    # Other hosts, spoken to for inputs by reference and for callbacks
    outbound_hosts: str = "*"
    """Hosts that may be spoken to, with commas between: names, `*.example.org` for all below one; `*`: all that are
    public. Empty: none but those of `outbound_private`."""
    outbound_private: str = ""
    """Networks and hosts that may be spoken to though their addresses are not public, with commas between:
    `10.1.0.0/16, data.internal`. Empty: none, so that nobody reaches the network of this server through it."""
    outbound_ports: str = "80,443,1024-65535"
    """Ports of other hosts that may be spoken to."""
    outbound_schemes: str = "http,https"
    outbound_redirects: int = 5
    """Most redirects that are followed; each is checked as the first URL was."""
    outbound_stall_seconds: float = 30.0
    """Within any such time another host has to send 1 KiB, unless less is left."""
    outbound_headers_file: str = ""
    """A TOML file with the headers, credentials among them, that origins are sent: `["https://data.example.org"]`
    and below it `Authorization = "Bearer …"`. They are sent to that origin alone, and are never told."""
    fetch_timeout_seconds: float = 600.0
    """How long fetching one input may take; the time limit of its job holds as well."""
    reference_schemes: str = "*"
    """Schemes of URLs that plugins may fetch inputs from, with commas between; `*`: all that installed plugins know.
    Empty: none. Workers decide; http and https are ruled by `outbound_schemes`."""
    max_references: int = 100
    """Most values of one request that may be given by reference."""
    max_fetched_bytes: int = 4 * 1024**3
    """Most bytes that the references of one job may have together; `max_value_bytes` holds for each."""

    # Subscribers, who are called about a job
    callback_https_only: bool = False
    """Subscribers are called over https alone."""
    callback_secret: str = ""
    """Calls are signed with it, as Standard Webhooks has it: `whsec_` and the base64 of 24 to 64 random bytes. Several
    with commas between while one takes the place of another. Empty: calls are not signed."""
    callback_timeout_seconds: float = 30.0
    """How long one call may take."""
    callback_retries: int = 3
    """How often a call that failed is made again."""
    callback_retry_seconds: float = 10.0
    """How long after the first failure, and up to half as long again; doubled after each further one."""
    callback_progress_seconds: float = 5.0
    """Calls about the progress of a job are so far apart at least; what happens in between is told together."""
    callback_slots: int = 8
    """Calls that a worker process makes at a time; a quarter of them to one host."""

    # Uploads
    max_upload_bytes: int = 0
    """The largest upload; 0: as large as a value may be (`max_value_bytes`)."""
    max_uploads_per_caller: int = 100
    """Most uploads of one caller, complete or not; one more is answered with 429. 0: any number."""
    upload_ttl_seconds: float = 86_400.0
    """How long an upload is kept after it was last written to, complete or not."""

    # Logs
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_format: Literal["auto", "console", "json"] = "auto"

    # Plugins
    plugins_file: str = ""
    """A TOML file with the tables `[plugins.<name>]`; empty: they stand in the settings file."""
    plugins: OperatorSettings = OperatorSettings()
    """What was set for plugins, there and as `FASTPROCESSES_PLUGINS__<NAME>__<FIELD>`; not read by the host."""

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
        for queue in self.served_queues:
            if not _QUEUE.fullmatch(queue):
                raise SettingsError(
                    f"queues must be names of letters, digits, '_' and '-' with commas between, not {queue!r}."
                )
        self._check_addresses()
        self._check_value_store()
        if self.lease_seconds < 2 * self.tick_seconds:
            raise SettingsError(
                "lease_seconds must be at least twice tick_seconds, or living workers lose their jobs."
            )

    def _check_value_store(self) -> None:
        url = self.value_store_url
        if not url or url.startswith("file:///"):
            if self.value_store.options:
                raise SettingsError(
                    "value_store has options of an object store, but value_store_url does not name one."
                )
            return
        if not _OBJECT_STORE_URL.fullmatch(url):
            raise SettingsError(
                "value_store_url must be file:///folder, s3://bucket/prefix, gs://bucket/prefix, or "
                f"az://container/prefix, not {url!r}."
            )
        if find_spec("obstore") is None:
            raise SettingsError(
                f"value_store_url is in an object store ({url.partition(':')[0]}), for which obstore has to be "
                "installed: pip install 'fastprocesses-host[object-store]'."
            )

    def _check_addresses(self) -> None:
        if self.public_url and not _PUBLIC_URL.fullmatch(self.public_url):
            raise SettingsError(
                f"public_url must be an http(s) URL without query and fragment, not {self.public_url!r}."
            )
        if self.root_path and not _ROOT_PATH.fullmatch(self.root_path):
            raise SettingsError(f"root_path must be a path such as /ogcapi, not {self.root_path!r}.")
        for origin in self.allowed_origins:
            if not _ORIGIN.fullmatch(origin):
                raise SettingsError(
                    f"cors_origins must be origins such as https://example.org, not {origin!r}."
                )
        try:
            _ = self.trusted_networks
        except ValueError as error:
            raise SettingsError(f"trusted_proxies must be addresses or networks: {error}.") from None
        try:
            _ = self.callback_secrets
        except ValueError as error:
            raise SettingsError(f"callback_secret {error}.") from None
        try:
            _ = self.outbound_rules
        except ValueError as error:
            raise SettingsError(f"{error}.") from None

    @property
    def trusted_networks(self) -> tuple[Network, ...]:
        """The addresses of proxies that are believed."""
        named = [part.strip() for part in self.trusted_proxies.split(",") if part.strip()]
        networks = [name for part in named for name in (_EVERYBODY if part == "*" else (part,))]
        return tuple(ip_network(name, strict=False) for name in networks)

    @property
    def outbound_rules(self) -> OutboundRules:
        """Whom the server may speak to of its own accord."""
        return OutboundRules.parse(
            schemes=self.outbound_schemes,
            hosts=self.outbound_hosts,
            private=self.outbound_private,
            ports=self.outbound_ports,
            max_redirects=self.outbound_redirects,
            stall_seconds=self.outbound_stall_seconds,
        )

    @property
    def callback_rules(self) -> OutboundRules:
        """Which subscribers may be called."""
        rules = self.outbound_rules
        schemes = rules.schemes & {"https"} if self.callback_https_only else rules.schemes
        return msgspec.structs.replace(rules, schemes=schemes, max_redirects=0)

    @property
    def callback_secrets(self) -> tuple[bytes, ...]:
        """With what calls are signed."""
        return read_secrets(self.callback_secret)

    @property
    def outbound_headers(self) -> dict[str, dict[str, str]]:
        """The headers that origins are sent, read from the file now.

        Raises:
            SettingsError: it cannot be used.
        """
        if not self.outbound_headers_file:
            return {}
        try:
            return read_headers(Path(self.outbound_headers_file))
        except ValueError as error:
            raise SettingsError(f"outbound_headers_file cannot be used: {error}.") from None

    @property
    def allowed_origins(self) -> frozenset[str]:
        """The origins whose scripts may use the service; `*` among them: all."""
        return frozenset(part.strip().rstrip("/") for part in self.cors_origins.split(",") if part.strip())

    @property
    def wanted_reference_schemes(self) -> frozenset[str]:
        """The schemes that plugins may fetch inputs from; `*` among them: all."""
        return frozenset(part.strip().lower() for part in self.reference_schemes.split(",") if part.strip())

    @property
    def served_queues(self) -> tuple[str, ...]:
        """The queues that workers were told to serve; none: all there are."""
        return tuple(part.strip() for part in self.queues.split(",") if part.strip())

    @property
    def slot_count(self) -> int:
        """Jobs one worker process runs at a time: while the end of one is written down, the others keep the cores."""
        return self.slots or (os.cpu_count() or 1) + 1

    @property
    def memory_bytes(self) -> int:
        """Memory of a job when its process does not say."""
        if self.memory_mb:
            return self.memory_mb * 1024 * 1024
        machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        return int(machine * 0.8 / self.slot_count / max(self.workers, 1))

    @property
    def largest_upload_bytes(self) -> int:
        """How large an upload may be."""
        return self.max_upload_bytes or self.max_value_bytes

    @property
    def value_folder(self) -> Path | None:
        """The folder of large values; None: they stay in the store, or lie in an object store."""
        is_folder = self.value_store_url.startswith("file://")
        return Path(self.value_store_url.removeprefix("file://")) if is_folder else None

    @classmethod
    def from_env(cls, environ: Mapping[str, str] | None = None, **overrides: Any) -> "Settings":
        """Read the file that `FASTPROCESSES_CONFIG` names, then the environment, then `overrides`; later ones win.

        Args:
            environ: Instead of `os.environ`.
            overrides: Single fields; `None` means not given.

        Raises:
            SettingsError: unknown name, unreadable file, or a value of the wrong type, each with its name; of
                plugins only what every plugin's settings must be, names of tables.
        """
        environ = os.environ if environ is None else environ
        values: dict[str, Any] = {}
        if path := environ.get(PREFIX + "CONFIG", ""):
            values.update(_read_file(Path(path)))
        in_settings_file = values.pop("plugins", None)
        values["value_store"] = ObjectStoreOptions.from_environ(environ, values.pop("value_store", {}))
        for name in cls.__struct_fields__:
            if name not in _TABLES and (text := environ.get(PREFIX + name.upper())) is not None:
                values[name] = text
        values.update({name: value for name, value in overrides.items() if value is not None})
        try:
            settings = msgspec.convert(values, cls, strict=False)
        except msgspec.ValidationError as error:
            raise SettingsError(f"The settings cannot be used: {error}") from None
        _ = settings.outbound_headers  # told now, not with the first input that needs them
        return settings._with_plugins(environ, in_settings_file, path)

    def _with_plugins(self, environ: Mapping[str, str], in_settings_file: Any, settings_file: str) -> Self:
        """Add what is set for plugins; children read it again from where it stands, so that it is nowhere else."""
        file = self.plugins_file
        tables = in_settings_file
        if in_settings_file is not None:
            if file:
                raise SettingsError(
                    f"Tables of plugins stand in {settings_file} and, as plugins_file says, in {file}. "
                    "Put them all into one of the two."
                )
            file = str(Path(settings_file).absolute())
        elif file:
            tables = _read_file(Path(file)).get("plugins")
        plugins = OperatorSettings.from_environ(environ, _plugin_tables(tables))
        return msgspec.structs.replace(self, plugins=plugins, plugins_file=file)

    def to_env(self) -> dict[str, str]:
        """Give the environment variables that make `from_env` return the same settings, for a child process.

        Tables of plugins are not among them, only the file in which they stand.
        """
        defaults = Settings()
        values = {name: getattr(self, name) for name in self.__struct_fields__ if name not in _TABLES}
        of_plugins = {ENVIRONMENT_PREFIX + name: text for name, text in self.plugins.texts.items()}
        of_tables = of_plugins | self.value_store.to_environ()
        return of_tables | {
            PREFIX + name.upper(): _text(value)
            for name, value in values.items()
            if value != getattr(defaults, name)
        }


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _check_range(name: str, value: Any) -> None:
    lowest, highest = _RANGES.get(name, (0, LONGEST_SECONDS if name.endswith("_seconds") else None))
    if not isinstance(value, int | float) or isinstance(value, bool):
        return
    if not value >= lowest or (highest is not None and value > highest):
        upper = "" if highest is None else f" and at most {highest:g}"
        raise SettingsError(f"{name} must be at least {lowest:g}{upper}, not {value:g}.")


def _read_file(path: Path) -> dict[str, Any]:
    import tomllib  # children get their settings from the environment

    try:
        return tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise SettingsError(f"The settings file {path} cannot be read: {error.strerror}.") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"The settings file {path} is not valid TOML: {error}.") from None


def _plugin_tables(tables: Any) -> dict[str, dict[str, Any]]:
    """Check that each plugin has a table, and that its values can travel; tell names, never values."""
    if not isinstance(tables or {}, dict):
        raise SettingsError(
            "plugins must be tables: write [plugins.NAME] and the plugin's settings below it."
        )
    for name, table in (tables or {}).items():
        if not isinstance(table, dict):
            raise SettingsError(
                f"plugins.{name} must be a table: write [plugins.{name}] and settings below it."
            )
        for setting, value in table.items():
            try:
                msgspec.msgpack.encode(value)
            except (OverflowError, RecursionError, UnicodeEncodeError):
                raise SettingsError(f"plugins.{name}.{setting} holds a number that is too large.") from None
    return dict(tables or {})
