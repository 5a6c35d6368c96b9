"""What is told about processes and plugins: Structs whose encoded form is the wire.

Members are camelCase on the wire; one that is UNSET is absent there.
"""

from typing import Any, Literal

import msgspec
from msgspec import UNSET, Struct, UnsetType, field

JobControlOption = Literal["sync-execute", "async-execute", "dismiss"]
TransmissionMode = Literal["value", "reference"]


class Link(Struct, frozen=True, kw_only=True, rename="camel"):
    """A link to another resource (link.yaml). As a value of an input or output it may be without a `rel`."""

    href: str
    rel: str | UnsetType = UNSET
    type: str | UnsetType = UNSET
    title: str | UnsetType = UNSET
    hreflang: str | UnsetType = UNSET


class InputDescription(Struct, frozen=True, kw_only=True, rename="camel"):
    """One input of a process (inputDescription.yaml)."""

    title: str
    description: str
    schema: dict[str, Any]
    """JSON Schema of one value; of an input that may occur several times, of one item."""
    min_occurs: int = 1
    max_occurs: int | Literal["unbounded"] = 1
    keywords: list[str] | UnsetType = UNSET
    metadata: list[dict[str, Any]] | UnsetType = UNSET


class OutputDescription(Struct, frozen=True, kw_only=True, rename="camel"):
    """One output of a process (outputDescription.yaml)."""

    title: str
    description: str
    schema: dict[str, Any]
    keywords: list[str] | UnsetType = UNSET
    metadata: list[dict[str, Any]] | UnsetType = UNSET


class TranslatedText(Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """The texts of an input or output in another language; an empty one stays as it is."""

    title: str = ""
    description: str = ""


class Translation(Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """The texts of a process in another language; what is left out stays as it is."""

    title: str = ""
    description: str = ""
    keywords: list[str] = field(default_factory=list)
    inputs: dict[str, TranslatedText] = field(default_factory=dict)
    outputs: dict[str, TranslatedText] = field(default_factory=dict)


class ProcessDescription(Struct, frozen=True, kw_only=True, rename="camel"):
    """A process as its callers see it (process.yaml), inputs and outputs as declared, in order."""

    id: str
    version: str
    title: str
    description: str
    keywords: list[str] = field(default_factory=list)
    metadata: list[dict[str, Any]] = field(default_factory=list)
    job_control_options: list[JobControlOption] = field(
        default_factory=lambda: ["sync-execute", "async-execute", "dismiss"]
    )
    output_transmission: list[TransmissionMode] = field(default_factory=lambda: ["value", "reference"])
    inputs: dict[str, InputDescription] = field(default_factory=dict)
    outputs: dict[str, OutputDescription] = field(default_factory=dict)
    example: dict[str, Any] | UnsetType = UNSET
    """An execute request that this process accepts."""
    links: list[Link] = field(default_factory=list)
    language: str | UnsetType = UNSET
    """Language tag of the texts; without it they are taken to be English where there are translations."""
    translations: dict[str, Translation] | UnsetType = UNSET
    """The texts in other languages, by language tag. Servers tell one language, never these."""

    @property
    def digest(self) -> str:
        """16 hexadecimal digits that change whenever anything of the description does."""
        import hashlib  # it loads OpenSSL, which who only runs processes does without

        return hashlib.sha256(msgspec.json.encode(self)).hexdigest()[:16]


class Policy(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How a process wants to be run. None: as the operator has it."""

    timeout_seconds: float | None = None
    """A run that takes longer is stopped and has failed."""
    memory_mb: int | None = None
    """A run that holds more is stopped and has failed."""
    retryable: bool = False
    """Whether it does no harm to run a job again: after a crash, an unexpected error, a lost or a stopped worker."""
    max_attempts: int = 1
    """Runs that a job may have in all."""
    deterministic: bool = False
    """Whether equal inputs give equal outputs, so that results may be given again instead of another run."""
    max_concurrent: int | None = None
    """No more than this many jobs of the process at a time."""
    queue: str = ""
    """The queue in which its jobs wait, apart from those of others; empty: the default one."""
    keep_job_seconds: float | None = None
    """How long a job of it is kept once it has ended, with all that belongs to it."""
    keep_results_seconds: float | None = None
    """How long the results are kept; no longer than the job."""
    keep_log_seconds: float | None = None
    """How long the log is kept once the job has ended; no longer than the job."""
    keep_inputs: bool | None = None
    """Whether the inputs are kept as long as the job, and told to whoever may see it."""


class ProcessRecord(Struct, frozen=True, kw_only=True):
    """A process as a plugin offers it."""

    description: ProcessDescription
    policy: Policy
    digest: str
    """`ProcessDescription.digest` of the description."""


class PluginRecord(Struct, frozen=True, kw_only=True):
    """What became of one installed plugin. Quarantined: it offers nothing, and `reason` says why."""

    name: str
    """Name of the entry point."""
    distribution: str
    version: str
    source: str
    """Value of the entry point, `package.module` or `package.module:attribute`."""
    state: Literal["loaded", "quarantined"]
    reason: str = ""
    processes: list[ProcessRecord] = field(default_factory=list)
    reference_schemes: list[str] = field(default_factory=list)
    """Of URLs that it can fetch inputs from."""


class Discovery(Struct, frozen=True, kw_only=True):
    """All plugins of one Python environment, by distribution and entry point name."""

    sdk_version: str
    python_version: str
    plugins: list[PluginRecord]
