"""Headers that are alike are read once, and tell each request the same."""

import pytest
from fastprocesses_host.ogc.exceptions import NotAcceptable
from fastprocesses_host.web.coding import choice_of
from fastprocesses_host.web.head import Head, HeaderFields, head_of, names_in
from starlette.requests import Request


def request(*fields: tuple[bytes, bytes]) -> Request:
    return Request({"type": "http", "method": "GET", "path": "/", "headers": list(fields)})


def test_what_differs_between_requests_is_not_a_part_of_what_is_alike() -> None:
    one = head_of(request((b"accept", b"text/html"), (b"idempotency-key", b"1"), (b"accept", b"*/*")))
    other = head_of(request((b"accept", b"text/html"), (b"accept", b"*/*"), (b"idempotency-key", b"2")))
    assert one is other
    assert (one.values(b"accept"), one.first(b"accept"), one.first(b"prefer")) == (
        ["text/html", "*/*"],
        "text/html",
        "",
    )


def test_a_header_that_is_changed_on_its_way_is_read_as_it_is_then() -> None:
    fields = HeaderFields.of([(b"host", b"here"), (b"origin", b"there")])
    one, other = request(), request()
    one.scope["headers"], other.scope["headers"] = fields, [(b"host", b"elsewhere"), *fields[1:]]
    for each, host in ((one, "here"), (other, "elsewhere")):
        assert head_of(each).first(b"host") == host
        assert set(names_in(each.scope)) == {b"host", b"origin"}
        assert each.headers["host"] == host
        assert head_of(each).first(b"host") == host


def test_a_function_reads_a_header_once() -> None:
    read: list[Head] = []

    def name(head: Head) -> str:
        read.append(head)
        return head.first(b"host")

    head = Head(((b"host", b"here"),))
    assert [head.once(name), head.once(name)] == ["here", "here"]
    assert read == [head]


def test_what_is_refused_is_refused_each_time() -> None:
    for _ in range(2):
        with pytest.raises(NotAcceptable):
            choice_of(request((b"accept-encoding", b"identity;q=0")))
