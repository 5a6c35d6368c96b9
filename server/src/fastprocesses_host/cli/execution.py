"""One execution as a caller orders it: the request made of options, the results put where they belong."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from fastprocesses_host.cli.assignments import Uploads, read_assignments
from fastprocesses_host.cli.caller import Answer, Caller, Refused
from fastprocesses_host.cli.received import files_apart, read_results
from fastprocesses_host.cli.saving import Destinations, read_destinations, save
from fastprocesses_host.cli.told import CallError
from fastprocesses_host.exits import Exit


class Order(Struct, frozen=True, kw_only=True):
    """What was asked for, and where it goes."""

    body: bytes
    """The execute request (execute.yaml)."""
    wanted: list[str]
    """The outputs asked for by name; empty: all."""
    places: Destinations


def read_order(
    description: Mapping[str, Any],
    *,
    inputs: Sequence[str] = (),
    outputs: Sequence[str] = (),
    formats: Sequence[str] = (),
    request: Path | None = None,
    running: bool = False,
    uploads: Uploads | None = None,
) -> Order:
    """Read the options of an execution.

    Args:
        description: Of the process.
        inputs: As `read_assignments` takes them.
        outputs: As `read_destinations` takes them.
        formats: `NAME=TYPE`.
        request: A file with an execute request, or with its inputs alone.
        uploads: Where large files go before the request.
        running: The job is there already: what is named is looked for in its results.

    Raises:
        CallError: an option cannot be understood.
    """
    document = _read_request(request) if request else {}
    document["inputs"] = read_assignments(description, inputs, document.get("inputs"), uploads)
    described = list(description.get("outputs") or ())
    asked = _read_formats(formats, described)
    asked_before = list(document.get("outputs") or ())
    places = read_destinations(outputs, asked_before or list(asked) or described)
    for name in places.files:
        asked.setdefault(name, {})
    if asked:
        document["outputs"] = {**(document.get("outputs") or {}), **asked}
    wanted = [] if running else list(document.get("outputs") or ())
    return Order(body=msgspec.json.encode(document), wanted=wanted, places=places)


def deliver(
    caller: Caller, answer: Answer, description: Mapping[str, Any], order: Order, *, as_json: bool
) -> None:
    """Put the results that are in an answer where they were ordered to.

    Raises:
        CallError: they cannot be read or written.
    """
    values = read_results(answer, description, order.wanted)
    if order.places.folder:
        values = files_apart(values, description, answer.url)
    save(values, order.places, caller, as_json=as_json)


def description_of(caller: Caller, info: Mapping[str, Any]) -> dict[str, Any]:
    """Give the description of a job's process; empty where the server offers it no more."""
    process_id = info.get("processID") or info.get("process")
    try:
        return caller.describe(str(process_id).rstrip("/").rpartition("/")[2]) if process_id else {}
    except Refused:
        return {}


def _read_request(path: Path) -> dict[str, Any]:
    try:
        document = msgspec.json.decode(path.read_bytes())
    except OSError as error:
        raise CallError(f"The request {path} cannot be read: {error.strerror}.", Exit.USAGE) from None
    except msgspec.DecodeError as error:
        raise CallError(f"The request {path} is not JSON: {error}.", Exit.USAGE) from None
    if not isinstance(document, dict):
        raise CallError(f"The request {path} is not a JSON object.", Exit.USAGE)
    return document if isinstance(document.get("inputs"), dict) else {"inputs": document}


def _read_formats(formats: Sequence[str], described: Sequence[str]) -> dict[str, Any]:
    asked: dict[str, Any] = {}
    for text in formats:
        name, equals, media_type = text.partition("=")
        if not equals or "/" not in media_type:
            raise CallError(
                f"--format {text!r} is not of the form NAME=TYPE, as result=image/png.", Exit.USAGE
            )
        if described and name not in described:
            raise CallError(
                f"the process has no output {name!r}; its outputs are {', '.join(described)}.", Exit.USAGE
            )
        asked[name] = {"format": {"mediaType": media_type}}
    return asked
