"""A subscriber on loopback, in this process: it keeps what it was sent, and answers as a test wants it."""

import contextlib
import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from msgspec import Struct

from tests.support import wait_until

Answer = Callable[[BaseHTTPRequestHandler], object]


class Received(Struct, frozen=True):
    path: str
    headers: dict[str, str]
    """By their names in lower case."""
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


def says(status: int, **headers: str) -> Answer:
    """Answer with a status."""

    def answer(request: BaseHTTPRequestHandler) -> None:
        request.send_response(status)
        for name, value in headers.items():
            request.send_header(name.replace("_", "-"), value)
        request.send_header("Content-Length", "0")
        request.end_headers()

    return answer


def resets(request: BaseHTTPRequestHandler) -> None:
    """Close without a word."""
    request.close_connection = True
    request.connection.close()


class Receiver:
    """Attributes: received: All that came, in its order."""

    def __init__(self, answers: list[Answer], last: Answer) -> None:
        self.received: list[Received] = []
        self.released = threading.Event()
        """Set when those that hang may go."""
        self._answers = answers
        self._last = last
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                receiver._take(self)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.port: int = self._server.server_port
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    def url(self, path: str = "/", host: str = "127.0.0.1") -> str:
        return f"http://{host}:{self.port}{path}"

    def hangs(self, _request: BaseHTTPRequestHandler) -> None:
        """Say nothing until the test is over."""
        self.released.wait(60)

    def await_received(self, count: int, seconds: float = 60) -> list[Received]:
        """Wait until so much came; give all."""
        wait_until(lambda: len(self.received) >= count, seconds, f"call {count}")
        return list(self.received)

    def stop(self) -> None:
        self.released.set()
        self._server.shutdown()
        self._server.server_close()

    def _take(self, request: BaseHTTPRequestHandler) -> None:
        body = request.rfile.read(int(request.headers.get("Content-Length", "0")))
        headers = {name.lower(): value for name, value in request.headers.items()}
        answer = self._answers.pop(0) if self._answers else self._last
        self.received.append(Received(request.path, headers, body))
        with contextlib.suppress(OSError):
            answer(request)


@contextlib.contextmanager
def receiver(*answers: Answer, last: Answer | None = None) -> Iterator[Receiver]:
    """Have a subscriber that gives these answers, and then always the last one, 204."""
    made = Receiver(list(answers), last or says(204))
    try:
        yield made
    finally:
        made.stop()
