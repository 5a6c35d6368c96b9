"""One exchange over HTTP after the other, each checked against the rules, redirects too."""

import contextlib
import re
import ssl
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from http import HTTPStatus
from types import MappingProxyType
from typing import Protocol

import httpcore2
import httpx2
from msgspec import Struct

from fastprocesses_host.guarded.errors import Failed, GuardedError, Refused, TooLarge
from fastprocesses_host.guarded.network import GuardedNetwork, GuardedStream, Resolve, resolve
from fastprocesses_host.guarded.patience import Patience
from fastprocesses_host.outbound import OutboundRules

_REDIRECTS = (301, 302, 303, 307, 308)
_FOLLOWED = ("GET", "HEAD")
_LONGEST_URL = 8192
_PORTS = {"http": 80, "https": 443}
_PIECE_BYTES = 256 * 1024
_WINDOWS = {"gzip": 16 + zlib.MAX_WBITS, "x-gzip": 16 + zlib.MAX_WBITS, "deflate": zlib.MAX_WBITS}
_NO_HEADERS: Mapping[str, str] = MappingProxyType({})
_NO_SECRETS: Mapping[str, Mapping[str, str]] = MappingProxyType({})


class Target(Struct, frozen=True):
    """A URL taken apart, once: what is checked is what is spoken to."""

    scheme: str
    host: str
    port: int
    path: bytes
    """With the query; no fragment."""

    @property
    def origin(self) -> str:
        """Scheme, host and port, without the port that the scheme has anyway."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        port = "" if self.port == _PORTS.get(self.scheme) else f":{self.port}"
        return f"{self.scheme}://{host}{port}"

    @property
    def url(self) -> str:
        """All of it, in one spelling."""
        return f"{self.origin}{self.path.decode('ascii')}"


class Body(Protocol):
    """What is sent piece by piece, of a length that is known before."""

    @property
    def length(self) -> int:
        """In bytes."""
        ...

    def __iter__(self) -> Iterator[bytes]:
        """Give the pieces."""
        ...


class Response:
    """An answer whose body is read piece by piece, by iterating over it.

    Attributes:
        status: The status code, as it came; redirects were followed before.
        headers: By their names in lower case; of those that came repeatedly all, with commas between.
        host: Who answered.
        url: What answered, after all redirects, without a fragment.
    """

    def __init__(self, answer: httpcore2.Response, target: Target, max_bytes: int) -> None:
        self.status = answer.status
        self.host = target.host
        self.url = target.url
        self.headers = _joined(answer.headers)
        self._answer = answer
        self._max_bytes = max_bytes

    @property
    def reason(self) -> str:
        """The status as people write it: `404 Not Found`."""
        with contextlib.suppress(ValueError):
            return f"{self.status} {HTTPStatus(self.status).phrase}"
        return str(self.status)

    @property
    def length(self) -> int | None:
        """How many bytes the body will have, if that was said and they are not compressed."""
        told = self.headers.get("content-length", "")
        return int(told) if told.isascii() and told.isdigit() and not self._codings else None

    @property
    def _codings(self) -> list[str]:
        told = self.headers.get("content-encoding", "").lower().split(",")
        return [coding.strip() for coding in told if coding.strip() not in ("", "identity")]

    def __iter__(self) -> Iterator[bytes]:
        """Give the body, decompressed.

        Raises:
            TooLarge: it has more than `max_bytes`; no more is read.
            Failed: it broke off, or is compressed in a way that is not known.
            TooSlow, Cancelled: no more is waited for.
        """
        if self.length is not None and self.length > self._max_bytes:
            raise TooLarge(self._too_large())
        with _translated(self.host):
            yield from self._limited(self._decoded(self._limited(self._answer.iter_stream())))

    def read(self) -> bytes:
        """Give the whole body.

        Raises:
            GuardedError: as iterating does.
        """
        return b"".join(self)

    def _limited(self, pieces: Iterable[bytes]) -> Iterator[bytes]:
        count = 0
        for piece in pieces:
            count += len(piece)
            if count > self._max_bytes:
                raise TooLarge(self._too_large())
            yield piece

    def _too_large(self) -> str:
        return f"What the host {self.host[:100]} sends is larger than {self._max_bytes} bytes, the most it may have."

    def _decoded(self, pieces: Iterator[bytes]) -> Iterator[bytes]:
        """Undo what the host was asked not to do: storage that keeps its files compressed knows no other way."""
        codings = self._codings
        if not codings:
            return pieces
        if len(codings) > 1 or codings[0] not in _WINDOWS:
            told = ", ".join(codings)[:100]
            raise Failed(
                f"The host {self.host[:100]} compresses what it sends ({told}), though it was asked not to."
            )
        return _decompressed(pieces, codings[0])


class GuardedClient:
    """Speaks HTTP to hosts that others have named, under rules.

    No proxy, no cookie, no netrc, nothing of the environment but the system's certificates; one connection for each
    request. It keeps nothing of a request, so threads may share it.

    Args:
        rules: Whom to speak to.
        secret_headers: Headers that the operator set for an origin (`https://data.example.org`); they go to this
            origin alone, and no error tells them.
        find: How the addresses of a host are found.
        ssl_context: Which certificates are trusted; None: those that the system trusts.
    """

    def __init__(
        self,
        rules: OutboundRules,
        *,
        secret_headers: Mapping[str, Mapping[str, str]] = _NO_SECRETS,
        find: Resolve = resolve,
        ssl_context: ssl.SSLContext | None = None,
    ) -> None:
        self._rules = rules
        self._secret_headers = secret_headers
        self._find = find
        self._ssl_context = ssl_context

    def check(self, url: str) -> None:
        """See whether a URL may be spoken to at all; its addresses are checked when it is.

        Raises:
            Refused: it may not.
        """
        self._target(url)

    @contextlib.contextmanager
    def stream(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] = _NO_HEADERS,
        body: bytes | Body = b"",
        max_bytes: int,
        total_seconds: float,
        cancelled: Callable[[], bool] = lambda: False,
    ) -> Iterator[Response]:
        """Send a request, follow redirects of GET and HEAD, and give the answer to be read inside the block.

        Args:
            method: GET, POST …
            url: Absolute.
            headers: To send; Host, Accept-Encoding and those of the body are set here. They go along with redirects,
                so nothing secret may be among them unless the method is one that is not redirected.
            body: To send; one that is no bytes is read while it is sent, and what it raises is raised.
            max_bytes: Most bytes that the body of the answer may have, decompressed.
            total_seconds: How long all may take, redirects and body included.
            cancelled: Asked every 0.2 s; true ends it.

        Raises:
            Refused: a rule forbids the URL, one of its addresses, or where it is redirected to.
            Failed: the host cannot be reached, or does not answer as it should; any status is an answer.
            TooSlow: it took too long, or stood still.
            TooLarge: the answer is larger than it may be; mostly only the iteration over it tells.
            Cancelled: nobody wants it any more.
        """
        patience = Patience(total_seconds, self._rules.stall_seconds, cancelled)
        target = self._target(url)
        for _ in range(self._rules.max_redirects + 1):
            with self._answer(method, target, headers, body, patience, max_bytes) as response:
                if method not in _FOLLOWED or response.status not in _REDIRECTS:
                    yield response
                    return
                target = self._redirected(url, target, response)
        raise Failed(f"There are more than {self._rules.max_redirects} redirects.")

    def _target(self, url: str) -> Target:
        target = _parsed(url)
        if objection := self._rules.objection_to_url(target.scheme, target.host, target.port):
            raise Refused(objection)
        return target

    def _redirected(self, url: str, target: Target, response: Response) -> Target:
        location = response.headers.get("location", "")
        if not location:
            raise Failed(f"The host {target.host[:100]} redirects to nowhere.")
        try:
            following = self._target(str(httpx2.URL(target.url).join(location)))
        except httpx2.InvalidURL:
            raise Failed(f"The host {target.host[:100]} redirects to what is no URL.") from None
        except Refused as refusal:
            raise Refused(f"The host {target.host[:100]} redirects. {refusal}") from None
        if target.scheme == "https" and following.scheme != "https":
            raise Refused(f"The host {target.host[:100]} redirects from https to http.")
        return following

    @contextlib.contextmanager
    def _answer(
        self,
        method: str,
        target: Target,
        headers: Mapping[str, str],
        body: bytes | Body,
        patience: Patience,
        max_bytes: int,
    ) -> Iterator[Response]:
        network = GuardedNetwork(self._rules, patience, self._find)
        url = httpcore2.URL(
            scheme=target.scheme,
            host=target.host,
            port=target.port,
            target=target.path,
        )
        request = httpcore2.Request(
            method, url, headers=self._headers(target, headers, body, method), content=body
        )
        if self._ssl_context is None and target.scheme == "https":
            self._ssl_context = httpcore2.default_ssl_context()
        with contextlib.ExitStack() as closing:
            with _translated(target.host):
                connection = httpcore2.HTTPConnection(
                    url.origin, ssl_context=self._ssl_context, network_backend=network, http2=False
                )
                closing.callback(_close, connection)
                answer = connection.handle_request(request)
            if isinstance(network.stream, GuardedStream):
                network.stream.body_begins()
            yield Response(answer, target, max_bytes)

    def _headers(
        self, target: Target, headers: Mapping[str, str], body: bytes | Body, method: str
    ) -> Sequence[tuple[bytes, bytes]]:
        own = {
            "host": target.origin.partition("://")[2],
            "accept-encoding": "identity",
            "connection": "close",
        }
        length = len(body) if isinstance(body, bytes) else body.length
        if length or method not in _FOLLOWED:
            own["content-length"] = str(length)
        usual = {"accept": "*/*", "user-agent": "fastprocesses-host"}
        told = {name.lower(): value for name, value in headers.items()}
        secret = {name.lower(): value for name, value in self._secret_headers.get(target.origin, {}).items()}
        together = {**usual, **told, **secret, **own}
        return [(name.encode("ascii"), value.encode("latin-1")) for name, value in together.items()]


def _parsed(url: str) -> Target:
    """Take a URL apart.

    Raises:
        Refused: it is none that can be spoken to, or tries to look like another.
    """
    if len(url) > _LONGEST_URL:
        raise Refused(f"The URL is longer than {_LONGEST_URL} characters.")
    if "\\" in url or any(character <= " " or character == "\x7f" for character in url):
        raise Refused(
            "The URL has blanks, control characters or backslashes. Write them in percent encoding."
        )
    try:
        parsed = httpx2.URL(url)
        host = parsed.raw_host.decode("ascii").lower()
    except (httpx2.InvalidURL, UnicodeError, ValueError, TypeError):
        raise Refused("This is not a URL that can be read.") from None
    if parsed.userinfo or "@" in re.split(r"[/?#]", url.partition("://")[2], maxsplit=1)[0]:
        raise Refused(
            "The URL has a user or a password in it. Leave them out; the operator sets credentials."
        )
    scheme = parsed.scheme.lower()
    port = parsed.port if parsed.port is not None else _PORTS.get(scheme, 0)
    return Target(scheme, host, port, parsed.raw_path)


@contextlib.contextmanager
def _translated(host: str) -> Iterator[None]:
    """Say what went wrong in sentences; what the library says may have addresses and bytes of the answer in it."""
    name = host[:100]
    try:
        yield
    except GuardedError:
        raise
    except httpcore2.LocalProtocolError as error:
        raise Failed("The request could not be written.") from error
    except httpcore2.ProtocolError as error:
        raise Failed(f"What the host {name} answers is not whole, or not HTTP that can be read.") from error
    except (httpcore2.NetworkError, httpcore2.TimeoutException, httpcore2.ConnectionNotAvailable) as error:
        raise Failed(f"The connection to the host {name} broke.") from error
    except (zlib.error, EOFError) as error:
        raise Failed(f"What the host {name} sends is not compressed as it says.") from error


def _close(connection: httpcore2.HTTPConnection) -> None:
    with contextlib.suppress(OSError, httpcore2.NetworkError):
        connection.close()


def _joined(headers: Sequence[tuple[bytes, bytes]]) -> Mapping[str, str]:
    joined: dict[str, str] = {}
    for raw_name, raw_value in headers:
        name, value = raw_name.decode("latin-1").lower(), raw_value.decode("latin-1")
        joined[name] = f"{joined[name]}, {value}" if name in joined else value
    return MappingProxyType(joined)


def _decompressed(pieces: Iterator[bytes], coding: str) -> Iterator[bytes]:
    """Decompress, at most so much at a time that a bomb is noticed before it fills the memory."""
    decoder = zlib.decompressobj(_WINDOWS[coding])
    for piece in pieces:
        left = piece
        while left:
            if decoder.eof:
                if coding == "deflate":
                    raise EOFError("more than one stream")
                decoder = zlib.decompressobj(_WINDOWS[coding])
            data = decoder.decompress(left, _PIECE_BYTES)
            left = decoder.unconsumed_tail or decoder.unused_data
            if data:
                yield data
    while not decoder.eof:
        data = decoder.decompress(decoder.unconsumed_tail, _PIECE_BYTES)
        if not data:
            raise EOFError("broken off")
        yield data
