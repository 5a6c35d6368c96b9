"""Clients that ask without a pause, and one address for several hosts."""

import http.client
import itertools
import json
import select
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from typing import Any
from urllib.parse import urlsplit

PAUSE_SECONDS = 0.05
"""Between two requests of a client: what is restarted needs a share of the machine too."""

Ask = Callable[["Client"], None]


class Client:
    """One client with one connection, which it keeps as long as the server does."""

    def __init__(self, load: "Load", url: str) -> None:
        parts = urlsplit(url)
        self.load = load
        self.connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=60)

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        """Ask until the answer is another one than 503; give the document, and note what went wrong."""
        every = {"Content-Type": "application/json"} | headers
        while not self.load.ended.is_set():
            began = time.monotonic()
            try:
                self.connection.request(method, path, json.dumps(body) if body else None, every)
                answer = self.connection.getresponse()
                document = _document(answer)
            except (OSError, http.client.HTTPException, ValueError) as error:
                self.connection.close()
                self.load.failed(f"{method} {path}: {error!r}")
                return None
            self.load.answered(answer.status, time.monotonic() - began)
            if answer.status in {200, 201}:
                return document if answer.status == 200 else answer.headers["Location"]
            if answer.status != 503 or not answer.headers["Retry-After"]:
                self.load.failed(f"{method} {path}: {answer.status} {document}")
                return None
            self.load.ended.wait(0.05)
        return None


def _document(answer: http.client.HTTPResponse) -> Any:
    data = answer.read()
    return json.loads(data) if "json" in answer.headers.get("Content-Type", "") else data.decode()


class Load:
    """Requests of several kinds under way all the time."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.ended = threading.Event()
        self.statuses: Counter[int] = Counter()
        self.failures: list[str] = []
        self.locations: list[str] = []
        """Of jobs that were accepted."""
        self.longest_seconds = 0.0
        self._lock = threading.Lock()

    def answered(self, status: int, seconds: float) -> None:
        with self._lock:
            self.statuses[status] += 1
            self.longest_seconds = max(self.longest_seconds, seconds)

    def failed(self, what: str) -> None:
        with self._lock:
            self.failures.append(what)

    def sync(self, client: Client) -> None:
        found = client.ask("POST", "/processes/double/execution", {"inputs": {"number": 4}})
        if found not in ("8", None):
            self.failed(f"double 4 is {found!r}")

    def slow_sync(self, client: Client) -> None:
        found = client.ask("POST", "/processes/sleep/execution", {"inputs": {"seconds": 0.7}})
        if found not in ("slept", None):
            self.failed(f"sleep is {found}")

    def submit(self, client: Client) -> None:
        body = {"inputs": {"seconds": 0.4}}
        location = client.ask("POST", "/processes/sleep/execution", body, Prefer="respond-async")
        if location is not None:
            self.locations.append(urlsplit(location).path)
        self.ended.wait(0.2)

    def look(self, client: Client) -> None:
        for path in ("/", "/conformance", "/processes", "/processes/double", "/jobs?limit=10"):
            client.ask("GET", path)

    def pause_and_look(self, client: Client) -> None:
        """A client whose connection is idle now and then."""
        client.ask("GET", "/jobs?limit=1")
        self.ended.wait(0.5)


@contextmanager
def load(url: str, copies: int = 1) -> Iterator[Load]:
    """Keep clients of every kind busy while inside."""
    made = Load(url)
    kinds = (made.sync, made.slow_sync, made.submit, made.look, made.pause_and_look)

    def run(kind: Ask) -> None:
        client = Client(made, url)
        with closing(client.connection):
            while not made.ended.wait(PAUSE_SECONDS):
                kind(client)

    threads = [threading.Thread(target=run, args=(kind,), daemon=True) for kind in kinds * copies]
    for thread in threads:
        thread.start()
    try:
        yield made
    finally:
        made.ended.set()
        for thread in threads:
            thread.join(60)


class Balancer:
    """One address for several servers: each connection goes to the next one that does not refuse it."""

    def __init__(self) -> None:
        self.ports: list[int] = []
        self._turn = itertools.count()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client, suppress(OSError), self._connect() as server:
            while True:
                for source in select.select([client, server], [], [])[0]:
                    data = source.recv(65536)
                    if not data:
                        return
                    (server if source is client else client).sendall(data)

    def _connect(self) -> socket.socket:
        ports = list(self.ports)
        first = next(self._turn)
        for number in range(len(ports)):
            with suppress(ConnectionRefusedError):
                return socket.create_connection(("127.0.0.1", ports[(first + number) % len(ports)]), 5)
        raise ConnectionRefusedError
