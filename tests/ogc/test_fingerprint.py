"""Which execute requests are equal: what they say counts, not how they say it."""

import asyncio
from pathlib import Path
from typing import Any

import msgspec
import pytest
from fastprocesses_host.catalog import OfferedProcess
from fastprocesses_host.fingerprint import inputs_digest, key_digest, request_digest, run_digest
from fastprocesses_host.inputs import CheckedInput
from fastprocesses_host.ogc.execute import ExecuteRequest, parse_execute_request
from fastprocesses_sdk.description import OutputDescription, Policy, ProcessDescription
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace


def digest(*documents: bytes, media_type: str = "") -> str:
    inputs = {f"i{n}": CheckedInput(data=data, media_type=media_type) for n, data in enumerate(documents)}
    return asyncio.run(inputs_digest(inputs))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (b'{"a": 1, "b": [1, 2]}', b'{"b":[1,2],"a":1}'),
        (b"1e2", b"100.0"),
        (b"0.1", b"0.10000000000000000"),
        (b'"\\u00e9\\/"', '"é/"'.encode()),
        (b" true ", b"true"),
    ],
)
def test_the_same_value_written_in_two_ways(one: bytes, other: bytes) -> None:
    assert digest(one) == digest(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (b"1", b"1.0"),
        (b"1", b'"1"'),
        (b"[1,2]", b"[2,1]"),
        (b"null", b"false"),
        (b"{}", b"[]"),
        (b"9007199254740992", b"9007199254740993"),
        (b"1" + b"0" * 40, b"1" + b"0" * 39 + b"1"),
        (b"0.0", b"-0.0"),
    ],
)
def test_other_values(one: bytes, other: bytes) -> None:
    assert digest(one) != digest(other)


def test_what_belongs_to_an_input() -> None:
    assert digest(b"1", b"2") != digest(b"2", b"1")
    assert digest(b"1") != digest(b"1", media_type="application/json")
    assert digest(b"1") != digest(b"1", b"1")


def test_a_large_input_and_one_in_a_file(tmp_path: Path) -> None:
    text = msgspec.json.encode("x" * 100_000)
    file = tmp_path / "value"
    file.write_bytes(text)
    in_file = {"i0": CheckedInput(file=file)}
    first = asyncio.run(inputs_digest(in_file))
    file.write_bytes(text[:-2] + b'y"')
    assert len({first, asyncio.run(inputs_digest(in_file)), digest(text[:-2] + b'z"')}) == 3


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=10,
)


def reversed_members(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: reversed_members(value[name]) for name in reversed(value)}
    return [reversed_members(item) for item in value] if isinstance(value, list) else value


@given(VALUES)
def test_the_order_of_members_makes_no_difference(value: Any) -> None:
    one = msgspec.json.encode(value)
    assert digest(one) == digest(msgspec.json.format(msgspec.json.encode(reversed_members(value)), indent=2))


TEXT = OutputDescription(title="t", description="d", schema={"type": "string"})
PICTURE = OutputDescription(
    title="t",
    description="d",
    schema={
        "oneOf": [
            {"type": "string", "contentEncoding": "binary", "contentMediaType": name}
            for name in ("image/png", "image/tiff")
        ]
    },
)
PROCESS = OfferedProcess(
    description=ProcessDescription(
        id="p", version="1", title="t", description="d", outputs={"a": TEXT, "b": PICTURE}
    ),
    policy=Policy(deterministic=True),
    digest="digest",
    environment="default",
    plugin="plugin",
)


def asked(body: str) -> ExecuteRequest:
    return parse_execute_request(body.encode())


def of_run(body: str = "{}", process: OfferedProcess = PROCESS, **more: str) -> str:
    given = {"plugin_version": "1", "scope": "", **more}
    return run_digest(process, asked(body), "inputs", **given)


def test_what_a_run_is() -> None:
    different = [
        of_run(),
        of_run(process=replace(PROCESS, environment="other")),
        of_run(process=replace(PROCESS, digest="other")),
        of_run(process=replace(PROCESS, description=replace(PROCESS.description, id="other"))),
        of_run(process=replace(PROCESS, description=replace(PROCESS.description, version="2"))),
        of_run(plugin_version="2"),
        of_run(scope="somebody"),
        of_run('{"outputs": {}}'),
        of_run('{"outputs": {"a": {}}}'),
        of_run('{"outputs": {"a": {}, "b": {}}}'),
        of_run('{"outputs": {"a": {}, "b": {"format": {"mediaType": "image/tiff"}}}}'),
    ]
    assert len(set(different)) == len(different)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("{}", '{"response": "raw"}'),
        ("{}", '{"response": "document"}'),
        ('{"outputs": {"a": {}, "b": {}}}', '{"outputs": {"b": {}, "a": {"transmissionMode": "reference"}}}'),
    ],
)
def test_what_is_not_part_of_a_run(one: str, other: str) -> None:
    assert of_run(one) == of_run(other)
    whole = [request_digest(PROCESS, asked(body), "inputs", is_sync=True) for body in (one, other)]
    assert whole[0] != whole[1]


def test_what_is_part_of_a_request() -> None:
    request = asked("{}")
    different = [
        request_digest(PROCESS, request, "inputs", is_sync=True),
        request_digest(PROCESS, request, "inputs", is_sync=False),
        request_digest(PROCESS, request, "others", is_sync=True),
        request_digest(PROCESS, request.with_headers(accept="image/tiff"), "inputs", is_sync=True),
        request_digest(
            PROCESS, asked('{"subscriber": {"successUri": "http://a.example/"}}'), "inputs", is_sync=True
        ),
    ]
    assert len(set(different)) == len(different)
    assert len({key_digest("", "a"), key_digest("", "b"), key_digest("a", ""), key_digest("b", "a")}) == 4
