"""A server of the standard's first version as others have made it: sparse, odd, and in one way or another wrong."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

ANIMALS = {"type": "FeatureCollection", "features": []}
TIFF = b"II*\0\r\n--x\r\n\xff\x00"
"""Bytes that are no text, with what looks like a boundary within."""

PARTS = (
    b"a preamble\r\n--b0\r\nContent-ID: <text>\r\nContent-Type: text/plain\r\n\r\nhello\r\n"
    b"--b0\r\ncontent-id: <image>\r\ncontent-type: image/tiff\r\n\r\n" + TIFF + b"\r\n"
    b"--b0\r\nContent-ID: <far>\r\nContent-Location: ../files/far.json\r\nContent-Type: application/json\r\n\r\n\r\n"
    b"--b0--\r\n"
)

OUTPUTS = {
    "text": {"schema": {"type": "string"}},
    "image": {"schema": {"type": "string", "contentEncoding": "base64", "contentMediaType": "image/tiff"}},
    "far": {"schema": {"type": "object"}},
}


class ForeignServer:
    """Answers as its tables say; remembers what it was asked.

    `jobs` maps a job's id to the states it goes through, one a look, the last for ever.
    """

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, dict[str, str], Any]] = []
        self.execution: tuple[int, dict[str, str], bytes] = (200, {}, b"{}")
        self.jobs: dict[str, list[dict[str, Any]]] = {}
        self.pages: dict[str, tuple[int, dict[str, str], bytes]] = {}
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                server.answer(self)

            do_POST = do_DELETE = do_GET

            def log_message(self, *_: object) -> None: ...

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._http.daemon_threads = True
        self._http.handle_error = lambda *_: None  # type: ignore[method-assign] # clients may hang up
        self.url = f"http://127.0.0.1:{self._http.server_address[1]}/api"
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()

    def page(self, path: str, document: Any, status: int = 200, **headers: str) -> None:
        """Answer so at a path below the landing page."""
        body = document if isinstance(document, bytes) else json.dumps(document).encode()
        told = {name.replace("_", "-"): value for name, value in headers.items()}
        self.pages[path] = (status, {"Content-Type": "application/json; charset=UTF-8", **told}, body)

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        content = handler.rfile.read(int(handler.headers.get("Content-Length") or 0))
        path = handler.path.removeprefix("/api")
        self.asked.append(
            (handler.command, path, dict(handler.headers), json.loads(content) if content else None)
        )
        status, headers, body = self._found(handler.command, path)
        handler.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(body)

    def _found(self, method: str, path: str) -> tuple[int, dict[str, str], bytes]:
        if method == "POST" and path.endswith("/execution"):
            return self.execution
        job = path.partition("?")[0].removeprefix("/jobs/")
        if job in self.jobs and path.startswith("/jobs/"):
            states = self.jobs[job]
            state = (
                {"status": "dismissed"} if method == "DELETE" else states.pop(0) if states[1:] else states[0]
            )
            return 200, {"Content-Type": "application/json"}, json.dumps(state).encode()
        nothing = {"code": "NoSuchThing", "description": "Nothing is here"}
        return self.pages.get(path, (404, {"Content-Type": "application/json"}, json.dumps(nothing).encode()))

    def bodies(self) -> list[Any]:
        """What was posted."""
        return [body for method, _, _, body in self.asked if method == "POST"]


@contextmanager
def foreign_server() -> Iterator[ForeignServer]:
    """Run such a server on a port of its own."""
    server = ForeignServer()
    try:
        yield server
    finally:
        server.close()
