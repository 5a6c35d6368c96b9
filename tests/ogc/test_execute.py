"""The execute request, read from hostile bodies (S1.3)."""

import json
import sys
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from fastprocesses_host.ogc.exceptions import InvalidParameterValue, OGCException
from fastprocesses_host.ogc.execute import is_deeper, parse_execute_request, pointer
from fastprocesses_host.ogc.jobs import AskedOutput, AskedResults
from fastprocesses_host.ogc.preferences import Preferences
from hypothesis import given
from hypothesis import strategies as st

JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda children: st.lists(children, max_size=4) | st.dictionaries(st.text(), children, max_size=4),
    max_leaves=20,
)


def refusal(call: Callable[[], object]) -> OGCException | None:
    """The problem a call ends in; None: it succeeds. Any other exception is a bug."""
    try:
        call()
    except OGCException as problem:
        return problem
    return None


def nested(depth: int, opening: str = "[", closing: str = "]") -> bytes:
    return ('{"inputs":' + opening * (depth - 1) + closing * (depth - 1) + "}").encode()


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        (b"", "is empty"),
        (b"  \r\n", "is empty"),
        (b"not json", "not JSON"),
        (b'{"inputs": {}', "not JSON"),
        (b'{"inputs": {}} {}', "not JSON"),
        (b"<execute/>", "not JSON"),
        (b"message=x", "not JSON"),
        (b"[]", "not a JSON object"),
        (b'"text"', "not a JSON object"),
        (b"null", "not a JSON object"),
        (b"\xef\xbb\xbf", "is empty"),
        (b"\xef\xbb\xbf\xef\xbb\xbf{}", "not JSON"),
        ('{"inputs": {}}'.encode("utf-16"), "UTF-16"),
        ('{"inputs": {}}'.encode("utf-16-be"), "not JSON"),
        ('{"inputs": {"x": "ü"}}'.encode("latin-1"), "not UTF-8"),
        (b'{"inputs": {"x": NaN}}', "not JSON"),
        (b'{"inputs": {"x": -Infinity}}', "not JSON"),
        (b'{"inputs": {"x": "\\ud800"}}', "surrogate"),
        (b'{"inputs": {"x": "\\udc00\\ud800"}}', "surrogate"),
        (b'{"inputs": {"\\ud800": 1}}', "surrogate"),
        (b'{"inputs": {"x": 0x10}}', "not JSON"),
        (b'{"inputs": {"x": 01}}', "not JSON"),
        (b"{'inputs': {}}", "not JSON"),
        (b'{"inputs": {"x": "\x00"}}', "not JSON"),
        (nested(201), "nested too deep"),
        (nested(100_000), "nested too deep"),
        (nested(201, '{"a":', "}").replace(b'{"a":}', b"{}"), "nested too deep"),
        (b"[" * 1_000_000, "nested too deep"),
        (b'{"inputs": {"x": ' + b"9" * 401 + b"}}", "more than 400 digits"),
        (b'{"inputs": {"x": 0.' + b"3" * 401 + b"}}", "more than 400 digits"),
        (b'{"inputs": {"x": 1e' + b"9" * 401 + b"}}", "more than 400 digits"),
        (b'{"inputs": []}', "inputs must be an object"),
        (b'{"inputs": "x"}', "inputs must be an object"),
        (b'{"outputs": ["x"]}', "outputs must be an object"),
        (b'{"outputs": {"x": "value"}}', "must be an object"),
        (b'{"outputs": {"x": {"transmissionMode": "mail"}}}', "value or reference"),
        (b'{"outputs": {"x": {"transmissionMode": {}}}}', "value or reference"),
        (b'{"outputs": {"x": {"format": "json"}}}', "format must be an object"),
        (b'{"outputs": {"x": {"format": {"mediaType": 1}}}}', "mediaType must be a string"),
        (b'{"outputs": {"x": {"schema": 1}}}', "schema must be"),
        (b'{"response": "html"}', "raw or document"),
        (b'{"response": {"raw": true}}', "raw or document"),
        (b'{"subscriber": "http://x"}', "subscriber must be an object"),
        (b'{"subscriber": {"successUri": 5}}', "successUri must be a URI"),
    ],
)
def test_a_body_that_is_no_execute_request_is_refused_with_a_reason(body, sentence):
    with pytest.raises(InvalidParameterValue) as raised:
        parse_execute_request(body)

    assert raised.value.status == 400
    assert sentence in raised.value.detail


@pytest.mark.parametrize(
    ("body", "place"),
    [
        (b'{"outputs": {"a/b~c": 1}}', "/outputs/a~1b~0c"),
        (b'{"outputs": {"x": {"format": {"mediaType": 1}}}}', "/outputs/x/format/mediaType"),
        (b'{"outputs": {"x": {"mediaType": 1}}}', "/outputs/x/mediaType"),
        (b'{"inputs": 3}', "/inputs"),
        (b'{"response": 3}', "/response"),
        (b'{"subscriber": {"failedUri": 3}}', "/subscriber/failedUri"),
    ],
)
def test_the_place_of_a_fault_is_a_json_pointer(body, place):
    with pytest.raises(InvalidParameterValue) as raised:
        parse_execute_request(body)

    assert [error["pointer"] for error in raised.value.errors] == [place]


@pytest.mark.parametrize(
    "body",
    [
        b'{"inputs": {"x": "' + b"[" * 5_000 + b'"}}',
        b'{"inputs": {"x": "\\"[' + b"[" * 5_000 + b'\\\\"}}',
        b'{"inputs": {"x": "' + b"7" * 5_000 + b'"}}',
        b'{"inputs": {"x": ' + b"9" * 400 + b"}}",
        b'{"inputs": {"x": [' + b"[]," * 5_000 + b"[]]}}",
        b' {"inputs": {"x": "\\ud83d\\ude00"}} ',
        b"{}",
    ],
)
def test_what_only_looks_dangerous_is_read(body):
    parse_execute_request(body)


def test_the_deepest_nesting_that_is_allowed_is_read():
    assert (
        refusal(lambda: parse_execute_request(b'{"inputs":{"x":' + b"[" * 198 + b"]" * 198 + b"}}")) is None
    )
    assert (
        refusal(lambda: parse_execute_request(b'{"inputs":{"x":' + b"[" * 199 + b"]" * 199 + b"}}"))
        is not None
    )


def test_unknown_members_do_no_harm():
    """What clients send besides: mode, job_name, process, queue, tag, dedup, subscribers."""
    body = {
        "mode": "async",
        "job_name": 1,
        "process": "x",
        "queue": [],
        "tag": {},
        "dedup": None,
        "subscribers": 1,
    }

    request = parse_execute_request(json.dumps(body | {"inputs": {"a": 1}}).encode())

    assert {name: bytes(raw) for name, raw in request.inputs.items()} == {"a": b"1"}
    assert request.asked == AskedResults()


def test_a_member_that_is_null_is_absent():
    body = b'{"inputs": null, "outputs": null, "response": null, "subscriber": null}'

    request = parse_execute_request(body)

    assert (request.inputs, request.asked, request.subscriber) == ({}, AskedResults(), None)


NESTED = {"format": {"mediaType": "image/tiff", "encoding": "base64", "schema": "http://x"}}
FLAT = {"mediaType": "image/tiff", "encoding": "base64", "schema": "http://x"}
TIFF = AskedOutput(media_type="image/tiff", encoding="base64", schema="http://x")


@pytest.mark.parametrize(
    ("members", "expected"),
    [
        ({}, AskedResults()),
        ({"outputs": {}}, AskedResults(outputs={})),
        ({"outputs": {"a": {}}}, AskedResults(outputs={"a": AskedOutput()})),
        ({"outputs": {"a": None}}, AskedResults(outputs={"a": AskedOutput()})),
        ({"outputs": {"a": NESTED}}, AskedResults(outputs={"a": TIFF})),
        ({"outputs": {"a": FLAT}}, AskedResults(outputs={"a": TIFF})),
        ({"response": "raw"}, AskedResults(response="raw", dialect="1.0")),
        ({"response": "document"}, AskedResults(response="document", dialect="1.0")),
        (
            {"outputs": {"a": {"transmissionMode": "value"}, "b": {}}},
            AskedResults(
                outputs={"a": AskedOutput(transmission_mode="value"), "b": AskedOutput()}, dialect="1.0"
            ),
        ),
        (
            {"outputs": {"a": {"transmissionMode": "reference"}}},
            AskedResults(outputs={"a": AskedOutput(transmission_mode="reference")}, dialect="1.0"),
        ),
    ],
)
def test_the_wanted_results_and_their_dialect_are_read(members, expected):
    """S2.7 row 1: `response` or any `transmissionMode` marks a request of 1.0."""
    assert parse_execute_request(json.dumps(members).encode()).asked == expected


def test_an_unmarked_request_has_the_dialect_of_the_settings():
    assert parse_execute_request(b"{}", default_dialect="1.0").asked.dialect == "1.0"


def test_the_header_fields_join_the_request():
    request = parse_execute_request(b'{"outputs": {"a": {}}}').with_headers(
        accept="image/tiff", preferences=Preferences(return_preference="minimal"), profile=True
    )

    assert request.asked == AskedResults(
        outputs={"a": AskedOutput()}, accept="image/tiff", return_preference="minimal", profile=True
    )


def test_a_subscriber_is_read():
    """None of its members is required (S2.7 row 17)."""
    request = parse_execute_request(
        b'{"subscriber": {"inProgressUri": "https://x/p", "failedUri": "https://x/f"}}'
    )

    assert request.subscriber is not None
    assert request.subscriber.in_progress_uri == "https://x/p"
    assert request.subscriber.success_uri == ""
    assert request.subscriber.wants_calls


@pytest.mark.parametrize("subscriber", ["{}", '{"successUri": null}', '{"successUri": ""}', '{"other": 1}'])
def test_a_subscriber_without_addresses_wants_no_calls(subscriber):
    request = parse_execute_request(f'{{"subscriber": {subscriber}}}'.encode())

    assert request.subscriber is not None
    assert not request.subscriber.wants_calls


@pytest.mark.parametrize(
    "uri",
    [
        "here",
        "/here",
        "//example.org/here",
        "ftp://example.org/",
        "file:///etc/passwd",
        "javascript:alert(1)",
        "https://",
        "https:///path",
        "http://[::1",
        "https://example.org:99999/",
        "https://example.org/a b",
        "https://example.org/\r\nx",
        "https://example.org/" + "x" * 3000,
        7,
        ["https://example.org/"],
    ],
)
def test_the_addresses_of_a_subscriber_are_absolute_and_of_the_web(uri):
    body = json.dumps({"subscriber": {"failedUri": uri}}).encode()
    with pytest.raises(InvalidParameterValue) as raised:
        parse_execute_request(body)
    assert raised.value.errors[0]["pointer"] == "/subscriber/failedUri"
    assert len(raised.value.detail) < 300


@pytest.mark.parametrize(
    "name",
    [
        "v1.0/core/examples/json/Execute.json",
        "v2.0/core/examples/json/Execute.json",
        "v2.0/core/examples/json/Execute2.json",
    ],
)
def test_the_official_examples_are_read(shared, name):
    body = (shared / "ogc" / name).read_bytes()
    example = json.loads(body)

    request = parse_execute_request(body)

    assert list(request.inputs) == list(example["inputs"])
    assert {name: msgspec.json.decode(raw) for name, raw in request.inputs.items()} == example["inputs"]
    assert list(request.asked.outputs or {}) == list(example.get("outputs", {}))
    assert request.asked.response == example.get("response", "")


def depth_of(value: Any) -> int:
    """The promise, written as plainly as can be."""
    if isinstance(value, dict):
        return 1 + max((depth_of(member) for member in value.values()), default=0)
    return 1 + max((depth_of(item) for item in value), default=0) if isinstance(value, list) else 0


@given(JSON_VALUES, st.integers(0, 12), st.integers(0, 30), st.booleans())
def test_depth_is_what_recursion_finds(value, max_depth, wraps, pretty):
    for _ in range(wraps):
        value = [value, "]["]
    text = json.dumps(value, indent=2 if pretty else None, ensure_ascii=not pretty).encode(
        "utf-8", "surrogatepass"
    )

    assert is_deeper(text, max_depth) == (depth_of(value) > max_depth)


@given(st.binary() | st.text().map(str.encode) | JSON_VALUES.map(lambda value: json.dumps(value).encode()))
def test_whatever_is_sent_is_read_or_refused_as_a_problem(body):
    problem = refusal(lambda: parse_execute_request(body))
    assert problem is None or problem.status == 400


@given(
    st.fixed_dictionaries(
        {},
        optional={
            "inputs": JSON_VALUES,
            "outputs": JSON_VALUES | st.dictionaries(st.text(), JSON_VALUES),
            "response": JSON_VALUES,
            "subscriber": JSON_VALUES,
        },
    )
)
def test_members_of_any_kind_are_read_or_refused_as_a_problem(members):
    problem = refusal(lambda: parse_execute_request(json.dumps(members).encode()))
    assert problem is None or problem.errors


def test_a_deep_body_is_refused_whatever_the_recursion_limit():
    limit = sys.getrecursionlimit()
    try:
        sys.setrecursionlimit(150)
        with pytest.raises(InvalidParameterValue):
            parse_execute_request(b'{"inputs":' + b"[" * 190 + b"]" * 190 + b"}")
    finally:
        sys.setrecursionlimit(limit)


@pytest.mark.parametrize(
    ("path", "expected"), [((), ""), (("inputs", "a/b", 0), "/inputs/a~1b/0"), (("~",), "/~0"), (("",), "/")]
)
def test_pointers_are_escaped(path, expected):
    """RFC 6901 section 3."""
    assert pointer(path) == expected
