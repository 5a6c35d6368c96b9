"""Results at their addresses: ranges, entity tags, one value of several, HEAD (S2.5, S2.6, RFC 9110)."""

import base64
import email
from email.policy import HTTP

import pytest

PNG, JSON = "image/png", "application/json"
SMALL, LARGE = 1000, 300_000
"""Below and above the size from which values lie in the value store."""
ITEM_COUNT = "ogc-output-values-count"


def content(size: int) -> bytes:
    return bytes(number % 256 for number in range(size))


@pytest.fixture(scope="module", params=[SMALL, LARGE], ids=["small", "large"])
def image(client, request) -> tuple[str, int]:
    """The address of a value and its size."""
    return client.finished_job(
        "picture", {"inputs": {"size": request.param}}
    ) + "/results/result", request.param


@pytest.fixture(scope="module")
def several(client) -> str:
    return client.finished_job("several", {"inputs": {"size": 4}}) + "/results"


@pytest.mark.parametrize(
    ("header", "start", "stop"),
    [
        ("bytes=0-9", 0, 10),
        ("bytes=990-", 990, None),
        ("bytes=-10", -10, None),
        ("bytes=5-99999999", 5, None),
    ],
)
def test_a_part_of_a_value_is_given(client, image, header, start, stop):
    url, size = image
    answer = client.get(url, headers={"range": header})
    expected = content(size)[start:stop]
    first = start if start >= 0 else size + start

    assert (answer.status_code, answer.content) == (206, expected)
    assert answer.headers["content-range"] == f"bytes {first}-{first + len(expected) - 1}/{size}"
    assert answer.headers["content-length"] == str(len(expected))
    assert answer.headers["content-type"] == PNG


def test_several_parts_of_a_value_are_given_at_once(client, image):
    url, size = image
    answer = client.get(url, headers={"range": "bytes=-5, 0-4, 100-109"})
    head = f"Content-Type: {answer.headers['content-type']}\r\n\r\n".encode()
    message = email.message_from_bytes(head + answer.content, policy=HTTP)
    parts = {part["Content-Range"]: part.get_payload(decode=True) for part in message.iter_parts()}

    assert answer.status_code == 206
    assert answer.headers["content-type"].startswith("multipart/byteranges; boundary=")
    assert answer.headers["content-length"] == str(len(answer.content))
    assert parts == {
        f"bytes 0-4/{size}": content(5),
        f"bytes 100-109/{size}": content(110)[100:],
        f"bytes {size - 5}-{size - 1}/{size}": content(size)[-5:],
    }


def test_what_is_no_range_gives_the_whole_and_what_lies_behind_the_end_nothing(client, image):
    url, size = image
    whole = client.get(url, headers={"range": "lines=0-9"})
    behind = client.get(url, headers={"range": f"bytes={size}-"})

    assert (whole.status_code, whole.content) == (200, content(size))
    assert whole.headers["accept-ranges"] == "bytes"
    assert (behind.status_code, behind.headers["content-range"]) == (416, f"bytes */{size}")


def test_a_part_is_given_only_of_the_value_that_the_client_knows(client, image):
    url, size = image
    etag = client.head(url).headers["etag"]
    same = client.get(url, headers={"range": "bytes=0-9", "if-range": etag})
    other = client.get(url, headers={"range": "bytes=0-9", "if-range": '"other"'})
    weak = client.get(url, headers={"range": "bytes=0-9", "if-range": f"W/{etag}"})
    dated = client.get(url, headers={"range": "bytes=0-9", "if-range": "Sun, 17 May 2026 12:00:00 GMT"})

    assert [len(answer.content) for answer in (same, other, weak, dated)] == [10, size, size, size]


def test_head_tells_what_get_gives(client, image):
    url, size = image
    got, head = client.get(url), client.head(url)
    ranged = client.head(url, headers={"range": "bytes=0-9"})

    assert {**got.headers, "date": ""} == {**head.headers, "date": ""}
    assert (head.status_code, head.content, head.headers["content-length"]) == (200, b"", str(size))
    assert ranged.status_code == 200


@pytest.mark.parametrize("path", ["", "?outputs=text,number", "/image", "/text", "/table", "/text/0"])
def test_results_that_the_client_has_are_not_sent_again(client, several, path):
    first = client.get(several + path)
    etag = first.headers["etag"]
    again = client.get(several + path, headers={"if-none-match": etag})

    assert not etag.startswith("W/")
    assert client.get(several + path).headers["etag"] == etag
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", etag)
    assert client.head(several + path, headers={"if-none-match": f'"x", {etag}'}).status_code == 304
    assert client.get(several + path, headers={"if-none-match": '"x"'}).content == first.content


def test_every_representation_has_a_tag_of_its_own(client, several):
    asked = [
        ("", {}),
        ("", {"accept": "multipart/related"}),
        ("?outputs=text", {}),
        ("", {"prefer": "return=representation"}),
        ("/text", {}),
        ("/text", {"accept": JSON}),
        ("/number", {}),
        ("/image", {}),
    ]
    answers = [client.get(several + path, headers=headers) for path, headers in asked]
    tags = {}
    for answer in answers:
        tags.setdefault(answer.headers["etag"], set()).add((answer.headers["content-type"], answer.content))

    assert all(len(bodies) == 1 for bodies in tags.values())
    assert len(tags) >= len(asked) - 1


def test_a_multipart_is_the_same_whenever_it_is_asked_for(client):
    url = client.finished_job("several", {"response": "raw"}) + "/results"
    first, second = client.get(url), client.get(url)

    assert first.headers["content-type"].startswith("multipart/related")
    assert (first.content, first.headers["etag"]) == (second.content, second.headers["etag"])


@pytest.mark.parametrize("size", [SMALL, LARGE, LARGE + 1, LARGE + 2])
def test_a_value_stands_in_a_document_whatever_its_size(client, size):
    sent = {"inputs": {"size": size}, "response": "document"}
    answer = client.execute("picture", sent, accept_encoding="identity")
    value = answer.json()["result"]

    assert answer.headers["content-length"] == str(len(answer.content))
    assert base64.b64decode(value["value"], validate=True) == content(size)
    assert value | {"value": ""} == {"value": "", "mediaType": PNG, "encoding": "base64"}


def test_large_json_stands_in_a_document_as_small_does(client):
    numbers = client.execute("numbers", {"inputs": {"count": 30_000}, "response": "document"})
    several = client.execute("several", {"inputs": {"size": LARGE}, "response": "document"})

    assert numbers.json() == {"result": list(range(30_000))}
    assert several.json().keys() == {"text", "number", "image", "table"}
    assert numbers.headers["content-type"] == several.headers["content-type"] == JSON


def test_an_answer_to_a_post_has_no_tag_and_no_parts(client):
    answer = client.execute("picture", {"inputs": {"size": 10}}, range="bytes=0-1", if_none_match="*")

    assert (answer.status_code, len(answer.content)) == (200, 10)
    assert "etag" not in answer.headers


@pytest.mark.parametrize(
    ("process_id", "inputs", "n", "accept", "expected"),
    [
        ("numbers", {}, 0, "", ("text/plain; charset=utf-8", b"0", "3")),
        ("numbers", {}, 2, JSON, (JSON, b"2", "3")),
        ("pictures", {}, 1, "", (PNG, b"\1\1", "2")),
        ("greet", {"name": "you"}, 0, "", ("text/plain; charset=utf-8", b"Hello you", "1")),
        ("picture", {"size": 2}, 0, "", (PNG, b"\0\1", "1")),
    ],
)
def test_one_value_of_an_output_is_given(client, process_id, inputs, n, accept, expected):
    """Version 2.0, /req/core/job-result-op-0th and -Nth."""
    url = client.finished_job(process_id, {"inputs": inputs}) + "/results/result"
    answer = client.get(f"{url}/{n}", headers={"accept": accept} if accept else {})
    all_of_them, head = client.get(url), client.head(f"{url}/{n}")

    assert (answer.headers["content-type"], answer.content, answer.headers[ITEM_COUNT]) == expected
    assert all_of_them.headers[ITEM_COUNT] == head.headers[ITEM_COUNT] == expected[2]
    assert client.get(f"{url}/{n}", headers={"range": "bytes=0-0"}).status_code == 206


def test_a_value_that_is_not_there_is_told(client):
    url = client.finished_job("numbers", {"inputs": {"count": 2}}) + "/results/result"

    assert client.get(f"{url}/2").json()["type"].endswith("/result-not-available")
    assert client.get(f"{url}/{'9' * 30}").json()["type"].endswith("/result-not-available")
    for wrong in ("x", "-1", "1.0", "%D9%A1"):
        assert client.get(f"{url}/{wrong}").status_code == 404
    assert client.get(f"{url}/0", headers={"accept": PNG}).status_code == 406


def test_an_array_that_lies_in_the_value_store_gives_its_values_too(client):
    url = client.finished_job("numbers", {"inputs": {"count": 30_000}}) + "/results/result"
    answer = client.get(f"{url}/29999")

    assert answer.content == b"29999"
    assert ITEM_COUNT not in answer.headers


@pytest.mark.parametrize("output_id", ["a/b", "a b", "ü", "a%2Fb", "x?y#z", "0"])
def test_outputs_of_any_id_are_found_where_the_links_lead(client, output_id):
    body = {"outputs": {output_id: {"transmissionMode": "reference"}}}
    link = client.execute("odd", body | {"response": "document"}).json()[output_id]
    raw = client.execute("odd", body | {"response": "raw"})
    target = next(iter(raw.links.values()))["url"]

    assert client.get(link["href"]).text == output_id
    assert (raw.status_code, client.get(target).text) == (204, output_id)
    assert client.get(link["href"] + "/0").text == output_id


def test_a_part_names_its_output_in_one_line_whatever_its_id(client):
    body = {"outputs": {"ü": {}, "x\r\ny": {}, "a b": {}}, "response": "raw"}
    answer = client.execute("odd", body)
    head = f"Content-Type: {answer.headers['content-type']}\r\n\r\n".encode()
    message = email.message_from_bytes(head + answer.content, policy=HTTP)
    parts = {part["Content-ID"]: part.get_payload(decode=True).decode() for part in message.iter_parts()}

    assert parts == {"%C3%BC": "ü", "x%0D%0Ay": "x\r\ny", "a b": "a b"}
