"""Inputs by reference: fetched by the job before its process begins, then checked (S1.3 B, checklist D5)."""

import base64
import codecs
import errno
import os
import re
import secrets
import shutil
import stat
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import IO, TYPE_CHECKING

import msgspec
from fastprocesses_sdk.description import InputDescription, ProcessDescription
from fastprocesses_sdk.executor.protocol import FETCHED, Input
from fastprocesses_sdk.memory import release_unused_memory
from msgspec import UNSET, Struct

from fastprocesses_host.catalog import InputSchema
from fastprocesses_host.engine import endings, transfers
from fastprocesses_host.engine.endings import Ending, Stopped, Succeeded
from fastprocesses_host.engine.endings import Failed as FailedRun
from fastprocesses_host.engine.plugin_references import PluginReferences
from fastprocesses_host.engine.run import Run, ending_of_stop
from fastprocesses_host.fetched import (
    Found,
    Limits,
    accepted_media_types,
    check_content,
    form_of,
    needs_no_content,
)
from fastprocesses_host.fitting import Rejected
from fastprocesses_host.guarded.errors import Cancelled, Failed, GuardedError, Refused, TooLarge, TooSlow
from fastprocesses_host.inputs import check_occurrences, fetched_list, occurs_often
from fastprocesses_host.logs import get_logger
from fastprocesses_host.ogc.execute import pointer
from fastprocesses_host.ogc.references import SERVERS_SCHEMES, GivenValue, Referenced, scheme_of, version_told
from fastprocesses_host.schemas.faults import Fault
from fastprocesses_host.settings import Settings
from fastprocesses_host.store.rooms import DISK_FULL, free_bytes
from fastprocesses_host.store.values import Values

if TYPE_CHECKING:
    from fastprocesses_host.guarded import GuardedClient, Response

_MB = 1024 * 1024
_NO_ROOM = "The disk of the server is nearly full. Try again later."
_TELL_SECONDS = 0.5
_LARGE_BYTES = _MB
_LOOK_AT_DISK_BYTES = 16 * _MB
_OF_PROCESS = re.compile("The plugin of the process|The process")
"""How endings name what ran."""
_BEFORE_JSON = codecs.BOM_UTF8 + b" \t\r\n"
_CHUNK_BYTES = 768 * 1024
"""A multiple of three: each is base64 by itself."""

log = get_logger()


class _Ended(Exception):
    """The job ends here: an input cannot be had, or nobody wants it any more."""

    def __init__(self, ending: Ending) -> None:
        self.ending = ending


class _Value(Struct, frozen=True):
    """One value of an input, checked, in a file of its own."""

    path: Path
    found: Found
    length: int


class References:
    """Fetches what the inputs of jobs refer to, through the one guarded client, or through a plugin.

    Args:
        settings: Whom to speak to, and the limits.
        folder: For what is fetched; whatever a worker that dies leaves there is deleted.
        values: Where what was uploaded before lies.
        plugins: What fetches URLs of other schemes than http and https.
    """

    def __init__(
        self, settings: Settings, folder: Path, values: Values | None, plugins: PluginReferences
    ) -> None:
        self._settings = settings
        self._plugins = plugins
        self._folder = folder
        self._values = values
        self._schemas: dict[tuple[str, str], InputSchema] = {}
        self._checking = threading.Lock()

    @cached_property
    def client(self) -> "GuardedClient":
        """What speaks to other hosts; imported when a job first needs it."""
        from fastprocesses_host.guarded import GuardedClient

        return GuardedClient(self._settings.outbound_rules, secret_headers=self._settings.outbound_headers)

    def fetch(
        self, run: Run, description: ProcessDescription, digest: str, inputs: Mapping[str, Referenced]
    ) -> Ending | None:
        """Fetch and check all inputs by reference, and leave them in `run.fetched` and the folder of the run.

        Args:
            run: Of the job; it is told how far it is.
            description: Of the process.
            digest: Of the description.
            inputs: Those by reference.

        Returns:
            Why the job ends without having begun; None if all is there.
        """
        run.fetched_folder = self._folder / f"fetched-{secrets.token_hex(8)}"
        begun_seconds = time.monotonic()
        name = ""
        try:
            run.fetched_folder.mkdir(mode=0o700)
            fetching = _Fetching(
                run,
                run.fetched_folder,
                self._settings,
                lambda: self.client,
                self._checking,
                self._values,
                self._plugins,
            )
            for name, referenced in inputs.items():
                schema = self._schema(digest, name, description)
                run.fetched[name] = fetching.input(name, description.inputs[name], referenced, schema)
        except _Ended as end:
            return end.ending
        except OSError as error:
            if error.errno not in DISK_FULL:
                raise
            return _failed(_Place(name), _NO_ROOM, 507)
        finally:
            run.spent_seconds = time.monotonic() - begun_seconds
        run.progress(None, "")
        return None

    def discard(self, run: Run) -> None:
        """Delete what was fetched for a run that has ended."""
        if run.fetched_folder is not None:
            shutil.rmtree(run.fetched_folder, ignore_errors=True)

    def _schema(self, digest: str, name: str, description: ProcessDescription) -> InputSchema:
        key = digest, name
        if key not in self._schemas:
            self._schemas[key] = InputSchema(name, description.inputs[name].schema)
        return self._schemas[key]


class _Fetching:
    """The inputs of one run, fetched one after the other."""

    def __init__(
        self,
        run: Run,
        folder: Path,
        settings: Settings,
        client: "Callable[[], GuardedClient]",
        checking: threading.Lock,
        values: Values | None,
        plugins: PluginReferences,
    ) -> None:
        self._plugins = plugins
        limits = run.claimed.limits
        self._run = run
        self._folder = folder
        self._settings = settings
        self._client = client
        self._checking = checking
        self._values = values
        self._until_seconds = time.monotonic() + min(limits.timeout_seconds, limits.max_run_seconds)
        self._bytes = 0
        self._number = 0
        self._limits = Limits(settings.max_depth, settings.max_number_digits, settings.max_body_bytes)

    def input(
        self, name: str, description: InputDescription, referenced: Referenced, schema: InputSchema
    ) -> Input:
        """Fetch an input, all of its values where it has several.

        Raises:
            _Ended: it cannot be had, or does not fit.
        """
        several = description if not referenced.is_list and occurs_often(description) else None
        values = [
            self._value(_Place(name, number if referenced.is_list else None), given, schema, several)
            for number, given in enumerate(referenced.values)
        ]
        value = values[0]
        if not referenced.is_list and isinstance(value, _Value) and (several is None or value.found.is_list):
            return Input(media_type=value.found.media_type, path=str(value.path), form=value.found.form)
        media_types = {
            value.found.media_type if isinstance(value, _Value) else value.media_type for value in values
        }
        media_type = media_types.pop() if len(media_types) == 1 else ""
        return Input(media_type=media_type, path=str(self._array(values)))

    def _value(
        self, place: "_Place", given: GivenValue, schema: InputSchema, several: InputDescription | None
    ) -> "_Value | GivenValue":
        if given.location:
            path, sent, told_by = self._uploaded(given), given.sent, ""
        elif given.href:
            path = self._new_file()
            source, sent = self._fetch(place, given, schema, path)
            told_by = f"Fetched the input {place} {source}"
        else:
            return given
        length = path.stat().st_size
        try:
            path, found = self._checked(schema, path, length, several, stated=given.media_type, sent=sent)
        except Rejected as rejected:
            raise _Ended(_refused(place, rejected.faults)) from None
        except TooLarge as error:
            raise _Ended(_failed(place, str(error), 413)) from None
        told = found.media_type or ("application/json" if found.form == "json" else "text/plain")
        if told_by:
            self._run.log("info", f"{told_by}: {length} bytes, {told}.")
        return _Value(self._unshared(path, found), found, length)

    def _uploaded(self, given: GivenValue) -> Path:
        """Give the file with what was uploaded before; it is to be read only."""
        assert self._values is not None, "a value lies in a value store that this worker does not have"
        try:
            path = self._values.local(
                given.location, self._folder, stopped=lambda: self._run.stop is not None
            )
        except transfers.LOST as error:
            raise _Ended(transfers.without_inputs(self._run, error)) from None
        with path.open("rb") as file:
            is_marked = file.read(len(codecs.BOM_UTF8)) == codecs.BOM_UTF8
        return self._own(path) if is_marked else path  # of JSON the mark is taken away

    def _unshared(self, path: Path, found: Found) -> Path:
        """Give a file that a process may write to: it may get it as its own, and others may have it too."""
        is_shared = path.parent != self._folder and path.stat().st_nlink > 1
        return self._own(path) if is_shared and found.form != "json" else path

    def _own(self, path: Path) -> Path:
        if free_bytes(self._folder) - path.stat().st_size < self._settings.min_free_disk_bytes:
            raise OSError(errno.ENOSPC, _NO_ROOM)
        own = self._new_file()
        with path.open("rb") as source, own.open("wb") as target:
            while chunk := source.read(_MB):
                target.write(chunk)
                if (ending := ending_of_stop(self._run)) is not None:
                    raise _Ended(ending)
        return own

    def _fetch(self, place: "_Place", given: GivenValue, schema: InputSchema, path: Path) -> tuple[str, str]:
        """Fetch one value into a file; tell where it is from, and the media type that it came with."""
        scheme = scheme_of(given.href)
        left_seconds = self._until_seconds - time.monotonic()
        left_bytes = self._settings.max_fetched_bytes - self._bytes
        if left_seconds <= 0:
            raise _Ended(endings.timed_out(self._run.claimed.limits))
        seconds = min(self._settings.fetch_timeout_seconds, left_seconds)
        most_bytes = min(self._settings.max_value_bytes, left_bytes)
        try:
            if scheme in SERVERS_SCHEMES:
                return self._fetch_from_host(place, given, schema, path, seconds, most_bytes)
            return self._fetch_through_plugin(place, given.href, scheme, path, seconds, most_bytes)
        except Cancelled:
            ending = ending_of_stop(self._run)
            assert ending is not None
            raise _Ended(ending) from None
        except GuardedError as error:
            if error.__cause__ is not None:  # its text may be the other host's
                cause = type(error.__cause__).__name__
                log.info("fetching failed", input=place.name, reason=str(error), cause=cause)
            if isinstance(error, TooLarge) and left_bytes < self._settings.max_value_bytes:
                most = self._settings.max_fetched_bytes
                error = TooLarge(
                    f"The references of a job may have {most} bytes together, and these have more."
                )
            raise _Ended(_ending_of(place, error)) from None

    def _fetch_from_host(
        self,
        place: "_Place",
        given: GivenValue,
        schema: InputSchema,
        path: Path,
        seconds: float,
        most_bytes: int,
    ) -> tuple[str, str]:
        with self._client().stream(
            "GET",
            given.href,
            headers={"accept": accepted_media_types(schema, given.media_type)},
            max_bytes=most_bytes,
            total_seconds=seconds,
            cancelled=lambda: self._run.stop is not None,
        ) as response:
            if response.status != 200:
                raise Failed(f"The host {response.host[:100]} answers {response.reason}.")
            if given.version and version_told(response.url, response.headers) != given.version:
                self._run.is_outdated = True
            self._save(place, response, path)
            return f"from {response.host[:100]}", response.headers.get("content-type", "")

    def _fetch_through_plugin(
        self, place: "_Place", url: str, scheme: str, path: Path, seconds: float, most_bytes: int
    ) -> tuple[str, str]:
        plugin = self._plugins.of(scheme)
        if plugin is None:  # it was there when the job was accepted
            raise Refused(f"URLs of the scheme {scheme[:40]} are not fetched any more.")
        with self._plugins.fetching(self._run, str(place), scheme, url, seconds) as ending:
            if not isinstance(ending, Succeeded):
                raise _without_file(place, scheme, ending, seconds)
            output = ending.outputs[FETCHED]
            self._take(Path(os.path.realpath(output.path)), path, scheme, most_bytes)
        return f"through the plugin {plugin.name}", output.media_type

    def _take(self, source: Path, path: Path, scheme: str, most_bytes: int) -> None:
        """Move the file of a plugin to where it is checked, as one that belongs to the job alone."""
        try:
            found = source.lstat()
        except OSError:
            raise Failed(f"The plugin for {scheme}: URLs gave a file that is not there.") from None
        if not stat.S_ISREG(found.st_mode):
            raise Failed(f"The plugin for {scheme}: URLs gave something that is no file.")
        if found.st_size > most_bytes:
            raise TooLarge(
                f"What the plugin for {scheme}: URLs gives is larger than {most_bytes} bytes, the most it may have."
            )
        own = self._own(source) if found.st_nlink > 1 else source
        own.chmod(0o600)
        own.replace(path)
        self._bytes += found.st_size

    def _save(self, place: "_Place", response: "Response", path: Path) -> None:
        told_seconds, looked_bytes, length = 0.0, -_LOOK_AT_DISK_BYTES, 0
        with path.open("wb") as file:
            for piece in response:
                if time.monotonic() - told_seconds >= _TELL_SECONDS:
                    self._run.progress(None, _progress(place, response, length))
                    told_seconds = time.monotonic()
                length += len(piece)
                if length - looked_bytes >= _LOOK_AT_DISK_BYTES:
                    looked_bytes = length
                    if free_bytes(self._folder) < self._settings.min_free_disk_bytes:
                        raise OSError(errno.ENOSPC, _NO_ROOM)
                file.write(piece)
        self._bytes += length

    def _checked(
        self,
        schema: InputSchema,
        path: Path,
        length: int,
        several: InputDescription | None,
        *,
        stated: str,
        sent: str,
    ) -> tuple[Path, Found]:
        """Check content, which may be all values of `several`.

        What has to be read for it is read by one job at a time, where it is much.
        """
        known = needs_no_content(schema, stated, sent)
        if known is not None:
            form = form_of(known)
            if form == "text" and not _is_utf8(path):
                raise Rejected([Fault((), "This is not text in UTF-8.")])
            return path, Found(form, known.media_type)
        if length > self._limits.max_document_bytes:
            most = self._limits.max_document_bytes
            raise TooLarge(
                f"It has {length} bytes; {most} is the most that a document to be checked may have."
            )
        if length < _LARGE_BYTES:
            return self._read(schema, path, several, stated, sent)
        with self._checking:
            read = self._read(schema, path, several, stated, sent)
            release_unused_memory()
            return read

    def _read(
        self, schema: InputSchema, path: Path, several: InputDescription | None, stated: str, sent: str
    ) -> tuple[Path, Found]:
        """Check content by reading it; give the file that has it as the process is to get it."""
        content = path.read_bytes()
        try:
            found = check_content(schema, content, stated=stated, sent=sent, limits=self._limits)
            if several is not None:
                check_occurrences(several, 1)
        except Rejected:
            if several is None or not content.lstrip(_BEFORE_JSON).startswith(b"["):
                raise
            document = fetched_list(schema, several, content, self._limits)
            return self._written(document), Found("json", is_list=True)
        document = found.document(content) if found.form == "json" else content
        return (path if document is content else self._written(document)), found

    def _written(self, document: bytes) -> Path:
        path = self._new_file()
        path.write_bytes(document)
        return path

    def _array(self, values: "Sequence[_Value | GivenValue]") -> Path:
        """Write the values into one JSON array."""
        path = self._new_file()
        with path.open("wb") as file:
            file.write(b"[")
            for number, value in enumerate(values):
                file.write(b"," if number else b"")
                if isinstance(value, _Value):
                    _copy(value, file)
                    if value.path.parent == self._folder:
                        value.path.unlink()
                elif value.value is not UNSET:
                    file.write(bytes(value.value))
            file.write(b"]")
        return path

    def _new_file(self) -> Path:
        self._number += 1
        return self._folder / str(self._number)


class _Place(Struct, frozen=True):
    """Which value of which input."""

    name: str
    number: int | None = None

    def __str__(self) -> str:
        return self.name[:100] if self.number is None else f"{self.name[:100]} ({self.number + 1})"

    def pointer(self, *path: str | int) -> str:
        """Give the JSON pointer of the place in the request, or of one in the value."""
        number = () if self.number is None else (self.number,)
        return pointer(("inputs", self.name, *number, *path))


def _copy(value: _Value, file: IO[bytes]) -> None:
    """Write a value as it stands in JSON."""
    if value.found.form == "text":
        file.write(msgspec.json.encode(value.path.read_text("utf-8")))
        return
    if value.found.form == "binary":
        file.write(b'"')
    with value.path.open("rb") as source:
        while chunk := source.read(_CHUNK_BYTES):
            file.write(base64.b64encode(chunk) if value.found.form == "binary" else chunk)
    if value.found.form == "binary":
        file.write(b'"')


def _is_utf8(path: Path) -> bool:
    decoder = codecs.getincrementaldecoder("utf-8")()
    with path.open("rb") as file:
        try:
            while chunk := file.read(_CHUNK_BYTES):
                decoder.decode(chunk)
            decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            return False
    return True


def _progress(place: _Place, response: "Response", length: int) -> str:
    of_all = f" of {response.length / _MB:.1f}" if response.length else ""
    return f"Fetching the input {place} from {response.host[:100]}: {length / _MB:.1f}{of_all} MB"


def _without_file(place: _Place, scheme: str, ending: FailedRun | Stopped, seconds: float) -> Exception:
    """Tell, of the input, why a plugin did not fetch it."""
    if isinstance(ending, Stopped):
        return _Ended(ending)
    if ending.reason == "disk-full":
        return _Ended(_failed(place, _NO_ROOM, 507))
    if ending.reason == "declared":
        return _Ended(endings.not_fetched_by_plugin(str(place), place.pointer(), ending.problem))
    if ending.reason == "timeout":
        return TooSlow(
            f"The plugin for {scheme}: URLs was stopped after {seconds:.3g} s, the longest it may take."
        )
    told = _OF_PROCESS.sub(f"The plugin for {scheme}: URLs", ending.problem.detail, count=1)
    return TooLarge(told) if ending.reason == "disk" else Failed(told)


def _ending_of(place: _Place, error: GuardedError) -> Ending:
    if isinstance(error, Refused):
        return _refused(place, [Fault(("href",), str(error))])
    if isinstance(error, TooLarge):
        return _failed(place, str(error), 413)
    return _failed(place, str(error), 504 if isinstance(error, TooSlow) else 502)


def _failed(place: _Place, detail: str, status: int) -> Ending:
    return endings.not_fetched(str(place), place.pointer(), detail, status)


def _refused(place: _Place, faults: Sequence[Fault]) -> Ending:
    errors = [{"pointer": place.pointer(*fault.path), "detail": fault.detail} for fault in faults]
    return endings.input_refused(str(place), errors)
