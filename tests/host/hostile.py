"""A server on loopback, in this process, that answers each request as a test wants it, however wrong."""

import contextlib
import socket
import ssl
import threading
from collections.abc import Callable, Iterator

Answer = Callable[[socket.socket, bytes], object]
"""What is done with a connection once the head of a request has come."""


_HANDSHAKE = b"\x16\x03"
"""How a client begins that wants TLS."""


class HostileServer:
    """Attributes: requests: The heads of all requests, in their order. begun: Set once the first has come."""

    def __init__(self, answer: Answer, context: ssl.SSLContext | None = None) -> None:
        self.requests: list[str] = []
        self.begun = threading.Event()
        self.left = threading.Event()
        """Set when a client has closed its connection under the hands of the server."""
        self.stopped = threading.Event()
        self._answer = answer
        self._context = context
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listening.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def url(self, path: str = "/", host: str = "127.0.0.1") -> str:
        return f"{'https' if self._context else 'http'}://{host}:{self.port}{path}"

    def stop(self) -> None:
        self.stopped.set()
        with contextlib.suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listening.accept()
                threading.Thread(target=self._take, args=(connection,), daemon=True).start()

    def _take(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError), connection:
            secured = self._context.wrap_socket(connection, server_side=True) if self._context else connection
            with secured:
                head = b""
                while b"\r\n\r\n" not in head:
                    if head.startswith(_HANDSHAKE):
                        secured.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
                        return
                    if not (piece := secured.recv(65536)):
                        return
                    head += piece
                self.requests.append(head.decode("latin-1"))
                self.begun.set()
                try:
                    self._answer(secured, head)
                except OSError:
                    self.left.set()


@contextlib.contextmanager
def hostile(answer: Answer, context: ssl.SSLContext | None = None) -> Iterator[HostileServer]:
    server = HostileServer(answer, context)
    try:
        yield server
    finally:
        server.stop()


def says(*pieces: bytes) -> Answer:
    """Send these bytes, and close."""

    def answer(connection: socket.socket, _head: bytes) -> None:
        for piece in pieces:
            connection.sendall(piece)

    return answer


def response(body: bytes = b"", status: str = "200 OK", *headers: str) -> bytes:
    told = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join([*told, "", ""]).encode("latin-1") + body


def redirect(location: str, status: str = "302 Found") -> bytes:
    return response(b"", status, f"Location: {location}")


def endless(
    first: bytes, piece: bytes, stopped: threading.Event | None = None, pause_seconds: float = 0
) -> Answer:
    """Send `first`, and then `piece` again and again until the client goes."""
    resting = stopped or threading.Event()

    def answer(connection: socket.socket, _head: bytes) -> None:
        connection.sendall(first)
        while not resting.wait(pause_seconds):
            connection.sendall(piece)

    return answer


def silent(connection: socket.socket, _head: bytes) -> None:
    """Answer nothing until the client goes, and tell that it went."""
    connection.settimeout(60)
    if not connection.recv(1):
        raise ConnectionResetError
