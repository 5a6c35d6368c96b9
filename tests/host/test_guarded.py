"""The guarded client against servers that misbehave, on sockets of this process."""

import gzip
import shutil
import socket
import ssl
import subprocess
import threading
import time
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import truststore
from fastprocesses_host.guarded import (
    Cancelled,
    Failed,
    GuardedClient,
    GuardedError,
    Refused,
    TooLarge,
    TooSlow,
)
from fastprocesses_host.outbound import NO_RULES, OutboundRules

from tests.host.hostile import Answer, endless, hostile, redirect, response, says, silent
from tests.support import wait_until

LOOPBACK = {"outbound_private": "127.0.0.0/8"}


def rules(**changed: Any) -> OutboundRules:
    from fastprocesses_host.settings import Settings

    return Settings(**{**LOOPBACK, **changed}).outbound_rules


def get(url: str, client: GuardedClient | None = None, **options: Any) -> bytes:
    options = {"max_bytes": 1_000_000, "total_seconds": 60, **options}
    with (client or GuardedClient(rules())).stream("GET", url, **options) as answer:
        assert answer.status == 200
        return answer.read()


def failure(answer: Answer, kind: type[GuardedError] = GuardedError, **options: Any) -> str:
    client = options.pop("client", None)
    with hostile(answer) as server, pytest.raises(kind) as failed:
        get(server.url(), client, **options)
    return str(failed.value)


def test_an_answer_is_given_with_what_was_asked() -> None:
    with hostile(
        says(response(b"hello", "200 OK", "Content-Type: text/plain", "ETag: a", "etag: b"))
    ) as server:
        client = GuardedClient(rules())
        with client.stream(
            "GET", server.url("/a?b=c#d"), headers={"accept": "text/*"}, max_bytes=5, total_seconds=60
        ) as answer:
            assert (answer.status, answer.reason, answer.length) == (200, "200 OK", 5)
            assert answer.headers["etag"] == "a, b"
            assert b"".join(answer) == b"hello"
        head = server.requests[0].lower()
    assert head.startswith("get /a?b=c http/1.1\r\n")
    assert f"host: 127.0.0.1:{server.port}\r\n" in head
    assert "accept: text/*\r\n" in head
    assert "accept-encoding: identity\r\n" in head


def test_a_body_is_sent_and_not_redirected() -> None:
    received: list[bytes] = []

    def answer(connection: socket.socket, head: bytes) -> None:
        body = head.partition(b"\r\n\r\n")[2]
        while len(body) < 300_000:
            body += connection.recv(65536)
        received.append(body)
        connection.sendall(redirect("http://169.254.169.254/"))

    with hostile(answer) as server:
        client = GuardedClient(rules())
        with client.stream(
            "POST", server.url(), body=b"x" * 300_000, max_bytes=10, total_seconds=60
        ) as response:
            assert response.status == 302
    assert received == [b"x" * 300_000]


# Addresses


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "localhost",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "169.254.169.254",
        "[64:ff9b::7f00:1]",
        "0.0.0.0",
    ],
)
def test_no_connection_is_made_to_an_address_that_is_not_public(host: str) -> None:
    with hostile(says(response())) as server, pytest.raises(Refused, match="not a public one"):
        get(server.url(host=host), GuardedClient(NO_RULES))
    assert not server.requests


@pytest.mark.parametrize(
    "url",
    [
        *("http://2130706433:{}/", "http://0x7f.1:{}/", "http://0177.0.0.1:{}/", "http://127.1:{}/"),
        *(
            "http://example.org@127.0.0.1:{}/",
            "http://a:b@127.0.0.1:{}/",
            "http://127.0.0.1:{}\\@example.org/",
        ),
        *(
            "http://@127.0.0.1:{}/",
            "http://127.0.0.1:{}/a b",
            "http://127.0.0.1:{}/\r\nX: y",
            "http://[fe80::1%25lo]:{}/",
        ),
        *(
            "file:///etc/passwd",
            "gopher://127.0.0.1:{}/",
            "//127.0.0.1:{}/",
            "127.0.0.1:{}",
            "",
            "http://",
            "http:///x",
        ),
        *("http://[::1", "http://a:99999/", "http://a:x/", "http://127.0.0.1:25/", "http://１２７.0.0.1:{}/"),
        "http://a/" + 9000 * "a",
    ],
)
def test_misleading_urls_are_refused_before_anything_is_sent(url: str) -> None:
    with hostile(says(response())) as server, pytest.raises(Refused):
        get(url.format(server.port))
    assert not server.requests


def test_every_address_of_a_host_must_be_allowed() -> None:
    asked: list[str] = []

    def find(host: str, _port: int) -> Sequence[str]:
        asked.append(host)
        return ["93.184.216.34", "10.0.0.1"]

    with pytest.raises(Refused):
        get("http://mixed.example/", GuardedClient(NO_RULES, find=find))
    assert asked == ["mixed.example"]


def test_a_host_is_looked_up_once_and_what_was_checked_is_connected_to() -> None:
    """A name server that gives another address the second time (rebinding) is not asked a second time."""
    answers = [["127.0.0.1"], ["10.0.0.1"], ["10.0.0.1"]]
    with hostile(says(response(b"x"))) as server:
        client = GuardedClient(rules(), find=lambda _host, _port: answers.pop(0))
        assert get(server.url(host="rebinding.example"), client) == b"x"
        assert f"host: rebinding.example:{server.port}" in server.requests[0].lower()
        with pytest.raises(Refused):
            get(server.url(host="rebinding.example"), client)
    assert len(server.requests) == 1


def test_the_next_address_is_tried_where_one_does_not_answer() -> None:
    with hostile(says(response(b"x"))) as server:
        client = GuardedClient(rules(), find=lambda _host, _port: ["127.0.0.9", "127.0.0.1"])
        assert get(server.url(host="two.example"), client) == b"x"


def test_a_name_server_that_does_not_answer_is_not_waited_for() -> None:
    never = threading.Event()

    def find(_host: str, _port: int) -> Sequence[str]:
        never.wait(60)
        return []

    with pytest.raises(Cancelled):
        get("http://slow.example/", GuardedClient(rules(), find=find), cancelled=lambda: True)
    with pytest.raises(TooSlow):
        get("http://slow.example/", GuardedClient(rules(), find=find), total_seconds=0.1)
    never.set()


def test_what_is_not_there_is_told_without_its_address() -> None:
    def find(_host: str, _port: int) -> Sequence[str]:
        raise OSError("Name or service not known")

    with pytest.raises(Failed, match=r"No address of the host nobody\.example is known"):
        get("http://nobody.example/", GuardedClient(rules(), find=find))
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # so that nobody else listens there
        with pytest.raises(Failed, match="cannot be reached"):
            get(f"http://127.0.0.1:{taken.getsockname()[1]}/")


# Redirects


def test_redirects_are_followed() -> None:
    def answer(connection: socket.socket, head: bytes) -> None:
        connection.sendall(redirect("/b/../c?d=1", "301 Moved") if b"GET /a" in head else response(b"here"))

    with hostile(answer) as server:
        assert get(server.url("/a")) == b"here"
    assert server.requests[1].startswith("GET /c?d=1 ")


@pytest.mark.parametrize(
    "location",
    [
        *(
            "file:///etc/passwd",
            "http://169.254.169.254/latest",
            "http://[::1]/",
            "http://localhost:1/",
            "ftp://a/",
        ),
        *(
            "//10.0.0.1/",
            "http://user@127.0.0.1/",
            "http://2130706433/",
            "gopher://x",
            "data:,x",
            "http://127.0.0.2:22/",
        ),
    ],
)
def test_redirects_are_checked_as_the_url_was(location: str) -> None:
    only_this = rules(outbound_private="127.0.0.1/32")
    client = GuardedClient(
        only_this, find=lambda host, _port: ["127.0.0.2"] if host == "localhost" else [host]
    )
    assert "redirects" in failure(
        says(redirect(location)), Refused, client=client
    ) or "not a public" in failure(says(redirect(location)), Refused, client=client)


def test_redirects_have_an_end() -> None:
    told = failure(lambda connection, _head: connection.sendall(redirect("/again")), Failed)
    assert "more than 5 redirects" in told
    assert "nowhere" in failure(says(response(b"", "302 Found")), Failed)
    failure(says(redirect("http://[")), GuardedError)


def test_secrets_go_to_their_origin_alone() -> None:
    with hostile(says(response(b"x"))) as other, hostile(says(redirect(other.url("/x")))) as first:
        secrets = {first.url("").removesuffix("/"): {"Authorization": "Bearer s3cret", "X-Key": "k3y"}}
        assert get(first.url(), GuardedClient(rules(), secret_headers=secrets)) == b"x"
        assert "authorization: bearer s3cret" in first.requests[0].lower()
        assert "s3cret" not in other.requests[0]
        assert "k3y" not in other.requests[0]


def test_a_failure_tells_no_secret() -> None:
    with hostile(says(b"HTTP/1.1 200 OK\r\nbroken s3cret\r\n\r\n")) as server:
        secrets = {server.url("").removesuffix("/"): {"Authorization": "Bearer s3cret"}}
        with pytest.raises(Failed) as failed:
            get(server.url("/?token=s3cret"), GuardedClient(rules(), secret_headers=secrets))
        assert "s3cret" not in str(failed.value)


# Bodies


def test_too_large_a_body_is_not_read() -> None:
    big = b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n"
    assert "larger than 1000000 bytes" in failure(says(big), TooLarge)
    failure(endless(b"HTTP/1.1 200 OK\r\n\r\n", b"x" * 10_000), TooLarge)
    failure(
        endless(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n" * 1000),
        TooLarge,
        max_bytes=9999,
    )


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nhello\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 9\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nContent-Le",
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"",
        b"\x00" * 100,
        b"HTTP/1.1 200 OK\r\nbad header\r\n\r\n",
    ],
)
def test_answers_that_are_not_whole_or_not_http(answer: bytes) -> None:
    failure(says(answer), Failed)


def test_more_than_was_announced_is_not_read() -> None:
    with hostile(says(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello and more")) as server:
        assert get(server.url()) == b"hello"


@pytest.mark.parametrize(
    "answer",
    [
        endless(b"HTTP/1.1 200 OK\r\n", b"X: " + b"y" * 1000 + b"\r\n"),
        endless(b"", b"HTTP/1.1 103 Early Hints\r\n\r\n" * 100),
        says(b"HTTP/1.1 200 OK\r\nX: " + b"y" * 500_000 + b"\r\n\r\n"),
    ],
)
def test_headers_have_an_end(answer: Answer) -> None:
    failure(answer, Failed)


def test_compressed_bodies_are_read_within_the_limit() -> None:
    text = b"hello " * 1000
    for coding, data in (
        ("gzip", gzip.compress(text)),
        ("deflate", zlib.compress(text)),
        ("gzip", gzip.compress(text[:600]) + gzip.compress(text[600:])),
    ):
        with hostile(says(response(data, "200 OK", f"Content-Encoding: {coding}"))) as server:
            assert get(server.url()) == text


def test_bombs_do_not_go_off() -> None:
    bomb = gzip.compress(b"\0" * 50_000_000)
    failure(says(response(bomb, "200 OK", "Content-Encoding: gzip")), TooLarge)
    empty = gzip.compress(b"")
    head = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n"
    failure(endless(head, empty * 1000), TooLarge)
    failure(
        says(response(bomb[:-9], "200 OK", "Content-Encoding: gzip")), GuardedError, max_bytes=100_000_000
    )
    assert "compressed" in failure(says(response(b"not", "200 OK", "Content-Encoding: gzip")), Failed)
    for coding in ("br", "zstd", "gzip, gzip", "x"):
        assert "compresses" in failure(says(response(b"x", "200 OK", f"Content-Encoding: {coding}")), Failed)


# Time


def test_hosts_that_say_nothing_are_not_waited_for() -> None:
    quick = GuardedClient(rules(outbound_stall_seconds=0.3))
    assert "too long" in failure(silent, TooSlow, client=quick)
    trickling = endless(b"HTTP/1.1 200 OK\r\n\r\n", b"x", pause_seconds=0.05)
    failure(trickling, TooSlow, client=quick)
    failure(endless(b"HTTP/1.1 200 OK\r\nX: ", b"x", pause_seconds=0.05), TooSlow, client=quick)


def test_the_whole_has_a_limit_even_if_enough_comes() -> None:
    enough = endless(b"HTTP/1.1 200 OK\r\n\r\n", b"x" * 5000, pause_seconds=0.05)
    assert "longer than 0.5 s" in failure(enough, TooSlow, total_seconds=0.5)


def test_redirects_do_not_prolong_it() -> None:
    def answer(connection: socket.socket, _head: bytes) -> None:
        time.sleep(0.2)
        connection.sendall(redirect("/again"))

    failure(answer, TooSlow, total_seconds=0.5)


@pytest.mark.parametrize(
    "answer", [silent, endless(b"HTTP/1.1 200 OK\r\n\r\n", b"x" * 100, pause_seconds=0.05)]
)
def test_who_gives_up_need_not_wait(answer: Answer) -> None:
    with hostile(answer) as server:
        given_up = threading.Event()
        threading.Thread(target=lambda: (server.begun.wait(60), given_up.set()), daemon=True).start()
        with pytest.raises(Cancelled):
            get(server.url(), cancelled=given_up.is_set)
        wait_until(server.left.is_set, 60, "the end of the connection")


# TLS


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    file = tmp_path_factory.mktemp("tls") / "both.pem"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"),
            *("-keyout", file, "-out", file.with_suffix(".crt"), "-subj", "/CN=right.example", "-days", "2"),
            *("-addext", "subjectAltName=DNS:right.example"),
        ],
        check=True,
        capture_output=True,
    )
    return file


def test_certificates_are_checked_against_the_name(certificate: Path) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate.with_suffix(".crt"), certificate)
    trusting = ssl.create_default_context(cafile=certificate.with_suffix(".crt"))

    def find(_host: str, _port: int) -> Sequence[str]:
        return ["127.0.0.1"]

    with hostile(says(response(b"secure")), context) as server:
        known = GuardedClient(rules(), find=find, ssl_context=trusting)
        assert get(server.url(host="right.example"), known) == b"secure"
        for host, client in (
            ("wrong.example", known),
            ("127.0.0.1", GuardedClient(rules(), find=find, ssl_context=trusting)),
            ("right.example", GuardedClient(rules(), find=find)),
            (
                "right.example",
                GuardedClient(rules(), find=find, ssl_context=truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)),
            ),
        ):
            with pytest.raises(Failed, match="certificate"):
                get(server.url(host=host), client)
    with (
        hostile(says(redirect("http://127.0.0.1/")), context) as server,
        pytest.raises(Refused, match="https to http"),
    ):
        get(server.url(host="right.example"), known)
    with hostile(says(b"HTTP/1.1 200 OK\r\n\r\nnot known whe"), context) as server, pytest.raises(Failed):
        get(server.url(host="right.example"), known)  # no farewell: it may have been cut off


def test_a_host_without_tls_is_no_host_for_https() -> None:
    with hostile(says(b"")) as server, pytest.raises(Failed, match="TLS"):
        get(server.url().replace("http:", "https:"))
