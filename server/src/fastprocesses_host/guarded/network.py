"""The network as the guarded client sees it: addresses are checked, then connected to; no wait is without an end."""

import contextlib
import selectors
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from ipaddress import ip_address
from typing import Any, TypeVar

import httpcore2

from fastprocesses_host.guarded.errors import Failed, GuardedError, Refused
from fastprocesses_host.guarded.patience import Patience
from fastprocesses_host.outbound import OutboundRules

Resolve = Callable[[str, int], Sequence[str]]
"""Give the addresses of a host. Raises OSError where it has none."""
T = TypeVar("T")

_MAX_HEAD_BYTES = 256 * 1024
"""Most bytes before the body of an answer begins, interim answers (1xx) included."""
_MOST_ADDRESSES = 8
_HANDSHAKE_SECONDS = 10.0
"""How long a handshake may take that cannot be left in between."""


def resolve(host: str, port: int) -> Sequence[str]:
    """Give the addresses of a host as the system knows them."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


class GuardedNetwork(httpcore2.NetworkBackend):
    """Connects to addresses that the rules allow, to the very ones that were checked.

    Args:
        rules: Which addresses are allowed.
        patience: Of the exchange.
        find: How addresses are found.
    """

    def __init__(self, rules: OutboundRules, patience: Patience, find: Resolve = resolve) -> None:
        self._rules = rules
        self._patience = patience
        self._find = find
        self.stream: GuardedStream | None = None

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore2.SOCKET_OPTION] | None = None,
    ) -> httpcore2.NetworkStream:
        """Connect to the first address of a host that answers, if the rules allow all of them.

        Raises:
            Refused: one of the addresses is not allowed.
            Failed: the host is not known, or no address answers in time.
        """
        self._patience.begin()
        addresses = self._checked(host, self._addresses(host, port))
        for address in addresses:
            with contextlib.suppress(OSError):
                connection = self._connected(address, port)
                self.stream = GuardedStream(connection, self._patience)
                return self.stream
        raise Failed(f"The host {host[:100]} cannot be reached.")

    def _addresses(self, host: str, port: int) -> Sequence[str]:
        """Find the addresses in a thread of its own: the system's resolver cannot be told to stop."""
        found: list[Sequence[str] | OSError] = []
        is_done = threading.Event()

        def find() -> None:
            try:
                found.append(self._find(host, port))
            except (OSError, UnicodeError) as error:
                found.append(error if isinstance(error, OSError) else OSError(str(error)))
            finally:
                is_done.set()

        until_seconds = time.monotonic() + self._rules.connect_seconds
        threading.Thread(target=find, name="resolve", daemon=True).start()
        while not is_done.wait(self._patience.next_wait_seconds(until_seconds)):
            pass
        addresses = found[0] if found else ()
        if isinstance(addresses, OSError) or not addresses:
            raise Failed(f"No address of the host {host[:100]} is known.")
        return addresses

    def _checked(self, host: str, addresses: Sequence[str]) -> Sequence[str]:
        for address in addresses:
            if not self._rules.allows_address(host, ip_address(address)):
                raise Refused(
                    f"The host {host[:100]} is not a public one, and this server may not speak to it."
                )
        return addresses[:_MOST_ADDRESSES]

    def _connected(self, address: str, port: int) -> socket.socket:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        connection = socket.socket(family, socket.SOCK_STREAM)
        try:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            until_seconds = time.monotonic() + self._rules.connect_seconds
            connection.settimeout(0)
            with contextlib.suppress(BlockingIOError):
                connection.connect((address, port))
            while not _is_writable(connection, self._patience.next_wait_seconds()):
                if time.monotonic() >= until_seconds:  # another address may answer
                    raise TimeoutError
            if number := connection.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
                raise OSError(number, "not connected")
        except BaseException:
            connection.close()
            raise
        return connection

    def sleep(self, seconds: float) -> None:
        """Never: nothing is tried twice here."""
        raise NotImplementedError


class GuardedStream(httpcore2.NetworkStream):
    """One connection, whose waits end with the patience of the exchange."""

    def __init__(self, connection: socket.socket, patience: Patience) -> None:
        self._socket = connection
        self._patience = patience
        self._head_bytes_left: int | None = _MAX_HEAD_BYTES

    def body_begins(self) -> None:
        """Lift the limit on what comes before the body."""
        self._head_bytes_left = None

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """Read what comes; nothing at the end.

        Raises:
            GuardedError, httpcore2.ReadError: the connection broke, or took too long.
        """
        data = self._waited(partial(self._socket.recv, max_bytes), httpcore2.ReadError)
        self._patience.came(len(data))
        if self._head_bytes_left is not None:
            self._head_bytes_left -= len(data)
            if self._head_bytes_left < 0:
                raise Failed("The host sent more headers than are read.")
        return data

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Send all.

        Raises:
            GuardedError, httpcore2.WriteError: the connection broke, or took too long.
        """
        left = memoryview(buffer)
        while left:
            sent = self._waited(partial(self._socket.send, left), httpcore2.WriteError)
            self._patience.came(sent)
            left = left[sent:]

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore2.NetworkStream:
        """Speak TLS from here on, with a certificate for the host that was named.

        Raises:
            GuardedError: the certificate is not for it, is not trusted, or it took too long.
        """
        try:
            self._secure(ssl_context, server_hostname)
        except GuardedError:
            self.close()
            raise
        except (OSError, ValueError, httpcore2.ConnectError) as error:
            self.close()
            cause = error.__cause__ if isinstance(error, httpcore2.ConnectError) else error
            if isinstance(cause, ssl.SSLCertVerificationError):
                raise Failed("The certificate of the host is not valid, or not trusted here.") from error
            raise Failed("The TLS connection to the host could not be begun.") from error
        return self

    def _secure(self, context: ssl.SSLContext, host: str | None) -> None:
        """Begin TLS; an end without a farewell is an error from then on, since it may be an attacker's."""
        is_plain = (
            type(context) is ssl.SSLContext
        )  # others check the certificate where they begin the handshake
        self._socket.settimeout(None if is_plain else _HANDSHAKE_SECONDS)
        self._socket = secured = context.wrap_socket(
            self._socket,
            server_hostname=host,
            do_handshake_on_connect=not is_plain,
            suppress_ragged_eofs=False,
        )
        if is_plain:
            self._waited(secured.do_handshake, httpcore2.ConnectError)

    def close(self) -> None:
        """Close the connection."""
        self._socket.close()

    def get_extra_info(self, info: str) -> Any:
        """Tell what the HTTP library asks of a connection."""
        if info == "ssl_object" and isinstance(self._socket, ssl.SSLSocket):
            return self._socket
        return None

    def _waited(self, act: Callable[[], T], error_type: type[Exception]) -> T:
        """Do something with the socket again and again until it is done."""
        while True:
            self._socket.settimeout(self._patience.next_wait_seconds())
            try:
                return act()
            except (TimeoutError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
                continue
            except (OSError, ValueError) as error:
                raise error_type(str(error)) from error


def _is_writable(connection: socket.socket, seconds: float) -> bool:
    with selectors.DefaultSelector() as selector:
        selector.register(connection, selectors.EVENT_WRITE)
        return bool(selector.select(seconds))
