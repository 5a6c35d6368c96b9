"""What makes two execute requests equal: digests of what they say, whatever the way they say it."""

import asyncio
import hashlib
from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec.structs import replace

from fastprocesses_host.catalog import OfferedProcess
from fastprocesses_host.inputs import CheckedInput
from fastprocesses_host.ogc.execute import ExecuteRequest
from fastprocesses_host.ogc.references import Referenced, encode_referenced
from fastprocesses_host.ogc.results import plan_formats

_LARGE_BYTES = 64 * 1024
"""Larger inputs are read in a thread, so that other requests go on."""
_canonical = msgspec.json.Encoder(order="sorted")


async def inputs_digest(inputs: Mapping[str, CheckedInput], *, by_content: bool = False) -> str:
    """Give what changes with the value or the media type of any input, and not with how its JSON is written.

    Members of objects may be in any order; numbers are what they are read as, so `1e2` is `100.0` and not `100`.

    Args:
        inputs: As they were checked.
        by_content: References count as what is there now, and uploads as nothing else; otherwise as they were sent.
    """
    if sum(value.length for value in inputs.values()) > _LARGE_BYTES:
        return await asyncio.to_thread(_inputs_digest, inputs, by_content)
    return _inputs_digest(inputs, by_content)


def run_digest(
    process: OfferedProcess, request: ExecuteRequest, inputs: str, *, plugin_version: str, scope: str
) -> str:
    """Give what requests have in common that one run can answer.

    Args:
        process: Of both: the same version, with the same description, in the same environment.
        request: Of which the outputs and their formats count; how they are sent is nobody's business but the host's.
        inputs: Their digest, by content.
        plugin_version: Of the distribution that has the process, whatever the process says of its own.
        scope: Whose requests they are.
    """
    asked = request.asked
    return _digest(
        "run",
        scope,
        process.environment,
        process.description.id,
        process.description.version,
        process.digest,
        plugin_version,
        inputs,
        None if asked.outputs is None else sorted(asked.outputs),
        plan_formats(process.description, asked, negotiate=False),
    )


def request_digest(process: OfferedProcess, request: ExecuteRequest, inputs: str, *, is_sync: bool) -> str:
    """Give what changes with anything of a request that makes a difference for its answer.

    Args:
        process: That is executed.
        request: With what its headers say of the results.
        inputs: Their digest.
        is_sync: Its answer is the results, not a job.
    """
    return _digest("request", process.description.id, inputs, request.asked, request.subscriber, is_sync)


def key_digest(scope: str, key: str) -> str:
    """Give what a key is known by: whose it is, and what it is."""
    return _digest("key", scope, key)


def _inputs_digest(inputs: Mapping[str, CheckedInput], by_content: bool) -> str:
    return _digest(
        {name: (value.media_type, _value_digest(value, by_content)) for name, value in inputs.items()}
    )


def _value_digest(value: CheckedInput, by_content: bool) -> str:
    if value.file is not None:
        with value.file.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    if value.referenced is not None:
        counting = _counting(value.referenced, by_content)
        return hashlib.sha256(encode_referenced(counting)).hexdigest()
    return hashlib.sha256(_written_anew(value.data)).hexdigest()


def _counting(referenced: Referenced, by_content: bool) -> Referenced:
    """Leave away what makes no difference: where an upload lies, or what is behind a reference at the moment."""
    without = {"location": ""} if by_content else {"version": ""}
    return Referenced(tuple(replace(value, **without) for value in referenced.values), referenced.is_list)


def _written_anew(document: bytes) -> bytes:
    """Write a JSON document in the one way; one that has what cannot be written, as huge numbers, stays as it is."""
    try:
        return _canonical.encode(msgspec.json.decode(document))
    except (msgspec.MsgspecError, ValueError, OverflowError, RecursionError):
        return document


def _digest(*parts: Any) -> str:
    return hashlib.sha256(_canonical.encode(parts)).hexdigest()[:32]
