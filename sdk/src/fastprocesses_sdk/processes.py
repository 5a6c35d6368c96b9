"""A process ready to run: how encoded inputs become a call, and what it returns becomes encoded outputs."""

from collections.abc import Callable, Collection, Mapping, Sequence
from functools import update_wrapper
from typing import Any, Generic, ParamSpec, TypeVar

import msgspec
from msgspec import Struct

from fastprocesses_sdk.configured import NO_SETTINGS, PluginSettings
from fastprocesses_sdk.description import Policy, ProcessDescription, ProcessRecord
from fastprocesses_sdk.encoded import EncodedInput, EncodedOutput
from fastprocesses_sdk.errors import ProcessError
from fastprocesses_sdk.files import folder_of_files
from fastprocesses_sdk.job import Job
from fastprocesses_sdk.settings import Settings
from fastprocesses_sdk.values import Reader, Writer

P = ParamSpec("P")
R = TypeVar("R")

UNKNOWN_VERSION = "0"
"""The version of a process until its plugin, which gives it its own, is loaded."""


class Input(Struct, frozen=True, kw_only=True):
    """How one input is read."""

    read: Reader
    required: bool


class Output(Struct, frozen=True, kw_only=True):
    """How one output is written."""

    write: Writer
    required: bool
    media: tuple[str, ...] = ()
    """Media types it can have, the default first; empty: plain JSON."""


class Process(Generic[P, R]):
    """A process: what is told of it, and how to run it. Calling it calls the function it was made of.

    Args:
        function: What a plain call calls.
        description: As callers see it.
        policy: How it wants to be run.
        inputs: How each is read, by id.
        outputs: How each is written, by id.
        invoke: Calls the function with decoded inputs and settings, and the job; returns values by output id.
        settings: The arguments that receive settings of the plugin.
        examples: Execute requests that it accepts; the first is that of the description.
    """

    def __init__(
        self,
        function: Callable[P, R],
        *,
        description: ProcessDescription,
        policy: Policy,
        inputs: Mapping[str, Input],
        outputs: Mapping[str, Output],
        invoke: Callable[[dict[str, Any], Job], Mapping[str, Any]],
        settings: Mapping[str, type[Settings]] | None = None,
        examples: Sequence[dict[str, Any]] = (),
    ) -> None:
        self.function = function
        self.description = description
        self.policy = policy
        self._inputs = inputs
        self._outputs = outputs
        self._first_media = {name: output.media[0] for name, output in outputs.items() if output.media}
        self._invoke = invoke
        self.settings = dict(settings or {})
        self.examples = list(examples)
        update_wrapper(self, function, updated=())

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Call the function as if it had not been declared a process."""
        return self.function(*args, **kwargs)

    def __repr__(self) -> str:
        return f"<Process {self.id!r}>"

    def __reduce__(self) -> str:
        return self.function.__qualname__

    @property
    def id(self) -> str:
        """Id of the process."""
        return self.description.id

    @property
    def record(self) -> ProcessRecord:
        """What is announced of the process."""
        return ProcessRecord(description=self.description, policy=self.policy, digest=self.description.digest)

    def with_version(self, version: str) -> "Process[P, R]":
        """Return the same process in the version of its distribution, unless it declares one."""
        if not version or self.description.version != UNKNOWN_VERSION:
            return self
        return Process(
            self.function,
            description=msgspec.structs.replace(self.description, version=version),
            policy=self.policy,
            inputs=self._inputs,
            outputs=self._outputs,
            invoke=self._invoke,
            settings=self.settings,
            examples=self.examples,
        )

    def media_types(self, formats: Mapping[str, str] | None) -> Mapping[str, str]:
        """Return the media type of every output that has some: the one that is wanted, else its first."""
        if not formats:
            return self._first_media
        return {name: formats.get(name) or first for name, first in self._first_media.items()}

    def run(
        self,
        inputs: Mapping[str, EncodedInput],
        job: Job,
        outputs: Collection[str] | None = None,
        formats: Mapping[str, str] | None = None,
        settings: PluginSettings = NO_SETTINGS,
    ) -> dict[str, EncodedOutput]:
        """Decode the inputs, call the function, encode the outputs.

        Args:
            inputs: By id; those left out have their defaults.
            job: What the function reports to.
            outputs: Ids of the outputs that are wanted; None: all.
            formats: Media type wanted of an output; those left out have their first.
            settings: What the operator set for the plugin.

        Returns:
            The outputs that the function returned and that are wanted, by id, in the order of their
            declaration.

        Raises:
            ProcessError: An input is missing, unknown or no value of its type, an output or its format is
                unknown, or the function says so.
            PluginError: A setting is missing or wrong.
            TypeError: The function returned what it did not declare. Whatever else it raises passes too.
        """
        if outputs or formats:
            self._check_asked(outputs, formats or {})
        chosen = self.media_types(formats)
        job = job.with_formats(chosen)
        # As `files_in` does, without its generator: this is done for every job.
        token = folder_of_files.set(job._folder)
        try:
            values = self._decode(inputs)
            for name, kind in self.settings.items():
                values[name] = settings.of(kind)
            return self._encode(self._invoke(values, job), outputs, chosen)
        finally:
            folder_of_files.reset(token)

    def _check_asked(self, outputs: Collection[str] | None, formats: Mapping[str, str]) -> None:
        for name in (*(outputs or ()), *formats):
            if name not in self._outputs:
                raise ProcessError(
                    f"The process {self.id} has no output {name!r}; it has {_listed(self._outputs)}."
                )
        for name, media_type in formats.items():
            media = self._outputs[name].media or ("application/json",)
            if media_type and media_type not in media:
                raise ProcessError(f"The output {name!r} cannot be {media_type}; it can be {_listed(media)}.")

    def _decode(self, inputs: Mapping[str, EncodedInput]) -> dict[str, Any]:
        for name in inputs:
            if name not in self._inputs:
                detail = f"The process {self.id} has no input {name!r}; it has {_listed(self._inputs)}."
                raise ProcessError(detail, input=name)
        values = {}
        for name, plan in self._inputs.items():
            if name in inputs:
                try:
                    values[name] = plan.read(inputs[name])
                except (msgspec.DecodeError, ValueError) as error:
                    raise ProcessError(f"The input {name!r} cannot be read: {error}.", input=name) from error
            elif plan.required:
                raise ProcessError(f"The input {name!r} is missing.", input=name)
        return values

    def _encode(
        self, returned: Mapping[str, Any], outputs: Collection[str] | None, formats: Mapping[str, str]
    ) -> dict[str, EncodedOutput]:
        encoded = {}
        for name, plan in self._outputs.items():
            value = returned.get(name)
            if value is None:
                if plan.required:
                    raise TypeError(f"The process {self.id} returned nothing for its output {name!r}.")
                continue
            if outputs is None or name in outputs:
                try:
                    encoded[name] = plan.write(value, formats.get(name, ""))
                except (TypeError, ValueError, RecursionError) as error:
                    raise self._undeclared(name, error) from error
        return encoded

    def _undeclared(self, name: str, error: Exception) -> TypeError:
        is_endless = isinstance(error, RecursionError)
        fault = "It contains itself, or is nested too deeply" if is_endless else error
        return TypeError(f"The output {name!r} of the process {self.id} is not what it declares: {fault}.")


def _listed(names: Collection[str]) -> str:
    return ", ".join(names) or "none"
