"""What happens to a job, as it happens: real sockets, a real store, and these tests in place of the worker."""

import asyncio
import http.client
import importlib.util
import json
import re
import shutil
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from itertools import islice
from pathlib import Path
from typing import Any, Self, get_args

import pytest
from fastprocesses_host.app import create_app
from fastprocesses_host.host import Host
from fastprocesses_host.settings import ServerName, Settings
from fastprocesses_host.store import operations
from fastprocesses_host.store.client import Store
from fastprocesses_host.store.keys import Keys
from fastprocesses_host.web import pages
from starlette.applications import Starlette

from tests.store.steps import accept, dismiss, finish, release, take
from tests.support import StoreServer, wait_until

STREAM = "text/event-stream"
MANUAL = (Path(__file__).parents[2] / "server" / "docs" / "events.md").read_text("utf-8")
LONG_SECONDS = 600
HEARTBEAT = ": still here"


class Served:
    """A host on a loopback socket, in a thread of this process."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.app: Starlette = create_app(settings)
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listening.getsockname()[1]
        self._connections: list[http.client.HTTPConnection] = []
        self._stop = asyncio.Event()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(
            target=self._loop.run_until_complete, args=(self._run(),), daemon=True
        )
        self._thread.start()

    async def _run(self) -> None:
        if self.settings.http_server == "uvicorn":
            await self._run_uvicorn()
            return
        from hypercorn.asyncio import serve
        from hypercorn.config import Config

        config = Config()
        config.bind = [f"fd://{self._listening.detach()}"]
        config.graceful_timeout = 5
        config.loglevel = "WARNING"
        await serve(self.app, config, shutdown_trigger=self._stop.wait)  # type: ignore[arg-type]

    async def _run_uvicorn(self) -> None:
        import uvicorn

        config = uvicorn.Config(self.app, lifespan="on", log_level="warning", timeout_graceful_shutdown=5)
        server = uvicorn.Server(config)
        serving = asyncio.create_task(server._serve(sockets=[self._listening]))
        await self._stop.wait()
        server.should_exit = True
        await serving

    @property
    def host(self) -> Host:
        wait_until(lambda: isinstance(self.app.state.host, Host), 60, "the start")
        return self.app.state.host  # type: ignore[no-any-return]

    def send_away(self) -> None:
        """End the streams, as a host does that begins to drain."""
        self._loop.call_soon_threadsafe(self.host.watched.send_away)

    def stop(self) -> None:
        for connection in self._connections:
            connection.close()
        if self._thread.is_alive():
            self.send_away()
            self._loop.call_soon_threadsafe(self._stop.set)
            self._thread.join(60)
            self._loop.close()

    def ask(self, path: str, method: str = "GET", **headers: str) -> http.client.HTTPResponse:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        self._connections.append(connection)
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method, path, headers={"Accept": STREAM} | named)
        return connection.getresponse()

    def events(self, job_id: str, **headers: str) -> "Events":
        answer = self.ask(f"/jobs/{job_id}/events", **headers)
        return Events(answer, self._connections[-1])


class Events:
    """What a client of server-sent events makes of an answer (HTML standard, 9.2.6)."""

    def __init__(self, answer: http.client.HTTPResponse, connection: http.client.HTTPConnection) -> None:
        assert answer.status == 200, answer.read()
        self.answer = answer
        self._connection = connection
        self.last_id = ""
        self.comments: list[str] = []
        self.retry_ms = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.answer.close()
        self._connection.close()

    def __iter__(self) -> Iterator[tuple[str, Any]]:
        name, data = "", ""
        while line := self.answer.readline().decode():
            field, _, value = line.rstrip("\n").partition(": ")
            if not field and data:
                yield name, json.loads(data)
                name = data = ""
            elif line.startswith(":"):
                self.comments.append(line.rstrip("\n"))
            elif field == "event":
                name = value
            elif field == "data":
                data += value
            elif field == "id":
                self.last_id = value
            elif field == "retry":
                self.retry_ms = int(value)

    def until(self, name: str, **members: Any) -> list[tuple[str, Any]]:
        """Read on until an event has come that has these members."""
        found = []
        for event in self:
            found.append(event)
            if event[0] == name and members.items() <= event[1].items():
                return found
        raise AssertionError(f"the stream ended before {name} {members}: {found}")


Start = Callable[..., Served]


@contextmanager
def starting(url: str, key_prefix: str) -> Iterator[Start]:
    with ExitStack() as stack:

        def start(**changes: Any) -> Served:
            served = Served(Settings(redis_url=url, key_prefix=key_prefix, **changes))
            stack.callback(served.stop)
            return served

        yield start


@pytest.fixture
def start(embedded_store: StoreServer, key_prefix: str) -> Iterator[Start]:
    """Start hosts on one store, which end with the test."""
    with starting(embedded_store.url, key_prefix) as given:
        yield given


@pytest.fixture
def store(embedded_store: StoreServer, key_prefix: str) -> Iterator[Store]:
    runner = Store(embedded_store.url, Keys.of(key_prefix))
    yield runner
    runner.close()


def begin(store: Store) -> None:
    assert take(store, lease_seconds=LONG_SECONDS) is not None


def report(
    store: Store,
    job_id: str,
    percent: int | None = None,
    message: str | None = None,
    *texts: str,
    kept: int = 1000,
) -> None:
    lines = [json.dumps({"time": 1, "level": "info", "text": text}).encode() for text in texts]
    operation = operations.progress(
        job_id, "c1", percent=percent, message=message, lines=lines, max_log_lines=kept
    )
    assert store.run(operation) == "ok"


def ended_job(store: Store) -> str:
    """A job of which there is something of every kind to tell."""
    job_id = accept(store)
    begin(store)
    report(store, job_id, 10, "first", "one", "two")
    report(store, job_id, 40, "second", "three")
    assert finish(store, job_id) == "ok"
    return job_id


def texts(events: list[tuple[str, Any]]) -> list[str]:
    return [document["text"] for name, document in events if name == "log"]


@pytest.mark.parametrize("server", get_args(ServerName))
def test_each_change_is_told_when_it_happens_until_the_end(
    server: ServerName, start: Start, store: Store
) -> None:
    if importlib.util.find_spec(server) is None:
        pytest.skip(f"{server} is not installed")
    job_id, served = accept(store), start(http_server=server)
    with served.events(job_id, Accept_Encoding="gzip, zstd", Origin="https://example.org") as events:
        headers = events.answer.headers
        assert events.until("status")[-1][1]["status"] == "accepted"
        begin(store)
        assert events.until("status")[-1][1]["status"] == "running"
        report(store, job_id, 40, "Counting", "one", "two\n\x85\u2028three")
        assert events.until("progress") == [
            ("log", {"number": 1, "time": "1970-01-01T00:00:00.001Z", "level": "info", "text": "one"}),
            (
                "log",
                {
                    "number": 2,
                    "time": "1970-01-01T00:00:00.001Z",
                    "level": "info",
                    "text": "two\n\x85\u2028three",
                },
            ),
            ("message", {"message": "Counting"}),
            ("progress", {"progress": 40}),
        ]
        release(store, job_id, untouched=True)
        assert events.until("status")[-1][1]["status"] == "accepted"
        begin(store)
        report(store, job_id, 40)
        assert [name for name, _ in events.until("progress")] == ["status", "progress"]
        assert finish(store, job_id, lines=[b'{"text": "last"}']) == "ok"
        rest = list(events)
    with served.ask(f"/jobs/{job_id}", Accept="application/json") as answer:
        status = json.load(answer)

    assert rest == [
        ("log", {"number": 3, "level": "info", "text": "last"}),
        ("status", status),
        ("end", {"reason": "final"}),
    ]
    assert (headers["Content-Type"], headers["Cache-Control"]) == (STREAM, "no-store")
    assert (headers["X-Accel-Buffering"], headers["Content-Encoding"]) == ("no", None)
    assert headers["Access-Control-Allow-Origin"] == "*"
    assert 1000 <= events.retry_ms < 2000
    assert served.ask(f"/jobs/{job_id}/events", Last_Event_ID=events.last_id).status == 204


def test_from_each_event_on_the_rest_is_told(start: Start, store: Store) -> None:
    job_id, served = ended_job(store), start()
    everything, ids = [], []
    with served.events(job_id) as events:
        for event in events:
            everything.append(event)
            ids.append(events.last_id)

    assert [name for name, _ in everything] == ["log", "log", "log", "message", "progress", "status", "end"]
    for number, last_id in enumerate(ids[:-2], 1):
        assert list(served.events(job_id, Last_Event_ID=last_id)) == everything[number:]
    for last_id in ids[-2:]:
        assert served.ask(f"/jobs/{job_id}/events", Last_Event_ID=last_id).status == 204


def test_lines_that_are_not_kept_are_said_to_be_missing(start: Start, store: Store) -> None:
    job_id, served = accept(store), start()
    begin(store)
    report(store, job_id, None, None, "1", "2", "3")
    with served.events(job_id) as events:
        events.until("log", number=2)
        last_id = events.last_id
    report(store, job_id, None, None, *"456789", kept=4)
    finish(store, job_id)

    gap = {"skipped": 3, "level": "warning", "text": "Lines that are not kept any more: 3."}
    again = list(served.events(job_id, Last_Event_ID=last_id))
    assert again[0] == ("log", gap)
    assert texts(again[1:]) == ["6", "7", "8", "9"]
    assert again[1][1]["number"] == 6
    assert next(iter(served.events(job_id))) == (
        "log",
        gap | {"skipped": 5, "text": gap["text"].replace("3", "5")},
    )


def test_a_client_that_is_slow_gets_every_line_once_and_the_newest_progress(
    start: Start, store: Store
) -> None:
    job_id, served = accept(store), start()
    begin(store)
    read = lines_read(served.host)
    reports, lines_each = 200, 10
    with served.events(job_id) as events:
        events.until("status", status="running")
        for number in range(reports):
            more = (f"{number}.{n} " + "x" * 8000 for n in range(lines_each))
            report(store, job_id, number // 2, f"at {number}", *more, kept=10_000)
        wait_until(lambda: is_quiet(read), 60, "the host holding back")
        assert sum(read) < 0.8 * reports * lines_each, "it went on reading for a client that takes nothing"
        finish(store, job_id)
        rest = list(events)

    told = [text.split()[0] for text in texts(rest)]
    assert told == [f"{number}.{n}" for number in range(reports) for n in range(lines_each)]
    progress = [document["progress"] for name, document in rest if name == "progress"]
    assert progress[-1] == 99
    assert len(progress) < 100, "what nobody took in time was told all the same"


def lines_read(host: Host) -> list[int]:
    """Note how many lines the host reads for those who watch, each time that it does."""
    read: list[int] = []
    look = host.look

    async def noted(job_id: str, *, lines_from: int) -> Any:
        seen = await look(job_id, lines_from=lines_from)
        read.append(len(seen.lines))
        return seen

    host.look = noted  # type: ignore[method-assign]
    return read


def is_quiet(noted: list[int]) -> bool:
    """Whether nothing was noted for some time."""
    before = len(noted)
    threading.Event().wait(0.3)
    return len(noted) == before


def test_a_host_that_stops_sends_its_clients_to_the_next_one(start: Start, store: Store) -> None:
    job_id, first, second = accept(store), start(), start()
    begin(store)
    with first.events(job_id) as events:
        events.until("status", status="running")
        first.send_away()
        assert list(events) == []
        report(store, job_id, None, None, "in between")
        with second.events(job_id, Last_Event_ID=events.last_id) as others:
            assert others.until("log") == [
                (
                    "log",
                    {"number": 1, "time": "1970-01-01T00:00:00.001Z", "level": "info", "text": "in between"},
                )
            ]
    with first.events(job_id) as late:
        assert list(late) == []

    assert "stopped" in events.comments[-1]
    assert "stopped" in late.comments[-1]


def test_a_store_that_is_away_is_waited_for(own_store: StoreServer) -> None:
    store = Store(own_store.url, Keys.of("events"))
    with starting(own_store.url, "events") as start:
        job_id, served = accept(store), start(event_heartbeat_seconds=0.2)
        with served.events(job_id) as events:
            events.until("status")
            own_store.kill()
            while ": the store" not in "".join(events.comments):
                events.comments.append(events.answer.readline().decode())
            own_store.start()
            store.close()
            begin(store)
            assert events.until("status")[-1][1]["status"] == "running"
            assert HEARTBEAT in events.comments
            wait_until(lambda: subscribers(store, job_id) == 1, 60, "hearing of changes again")
    store.close()


def subscribers(store: Store, job_id: str) -> int:
    return int(store.command("PUBSUB", "NUMSUB", store.keys.changes(job_id))[1])


def test_who_goes_leaves_nothing_behind(start: Start, store: Store) -> None:
    job_id, served = accept(store), start()
    with served.events(job_id) as one, served.events(job_id) as other:
        one.until("status"), other.until("status")
        wait_until(lambda: subscribers(store, job_id) == 1, 60, "the subscription")
    wait_until(lambda: len(served.host.watched) == 0, 60, "the end of the streams")
    wait_until(lambda: subscribers(store, job_id) == 0, 60, "the end of the subscription")


def test_who_takes_nothing_for_long_is_let_go(start: Start, store: Store) -> None:
    job_id, served = accept(store), start(event_heartbeat_seconds=0.1)
    begin(store)
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.connect(("127.0.0.1", served.port))
        client.sendall(b"GET /jobs/%s/events HTTP/1.1\r\nHost: here\r\n\r\n" % job_id.encode())
        wait_until(lambda: len(served.host.watched) == 1, 60, "the stream")
        for _ in range(100):
            report(store, job_id, None, None, *("x" * 8000 for _ in range(10)))
        wait_until(lambda: len(served.host.watched) == 0, 60, "its end")


def test_a_quiet_stream_shows_that_it_lives(start: Start, store: Store) -> None:
    job_id, served = accept(store), start(event_heartbeat_seconds=0.05)
    with served.events(job_id) as events:
        events.until("status")
        assert [events.answer.readline() for _ in range(4)] == [HEARTBEAT.encode() + b"\n", b"\n"] * 2


def test_so_many_may_follow_in_all_and_so_many_of_one_caller(start: Start, store: Store) -> None:
    job_id = accept(store)
    for changes, status in (({"max_event_streams": 1}, 503), ({"max_event_streams_per_caller": 1}, 429)):
        served = start(**changes)
        with served.events(job_id) as events:
            events.until("status")
            refused = served.ask(f"/jobs/{job_id}/events")
            assert (refused.status, refused.headers["Content-Type"]) == (status, "application/problem+json")
            assert int(refused.headers["Retry-After"]) > 0
            assert served.ask(f"/jobs/{job_id}/events", "HEAD").status == 200
        wait_until(lambda served=served: len(served.host.watched) == 0, 60, "the end of the stream")
        with served.events(job_id) as events:
            events.until("status")


def test_what_cannot_be_followed_is_told(start: Start, store: Store) -> None:
    job_id, served = accept(store), start()
    unlisted = accept(store, listed=False, mode="sync")
    finish(store, take(store, lease_seconds=LONG_SECONDS).job_id)  # type: ignore[union-attr]
    begin(store)
    finish(store, unlisted)
    for status, path, headers in (
        (404, "/jobs/x/events", {}),
        (404, "/jobs/0190c3f2-0000-7000-8000-000000000000/events", {}),
        (404, f"/jobs/{unlisted}/events", {}),
        (406, f"/jobs/{job_id}/events", {"Accept": "application/json"}),
        (406, f"/jobs/{job_id}/events", {"Accept_Encoding": "gzip, identity;q=0"}),
        (405, f"/jobs/{job_id}/events", {}),
    ):
        answer = served.ask(path, "DELETE" if status == 405 else "GET", **headers)
        assert (answer.status, json.load(answer)["status"]) == (status, status), (path, headers)
    for headers in ({"Accept": "*/*"}, {"Accept": f"{STREAM}, application/json;q=0.5"}):
        assert served.ask(f"/jobs/{job_id}/events", **headers).headers["Content-Type"] == STREAM
    with served.events(job_id, Last_Event_ID="of another server") as events:
        assert events.until("status")[0][1]["status"] == "successful"
    head = served.ask(f"/jobs/{job_id}/events", "HEAD")
    assert (head.status, head.headers["Content-Type"], head.read()) == (200, STREAM, b"")


def test_a_job_that_is_removed_ends_its_stream(start: Start, store: Store) -> None:
    job_id, served = accept(store), start()
    with served.events(job_id) as events:
        events.until("status")
        store.command("DEL", store.keys.job(job_id))
        assert list(events) == [("end", {"reason": "removed"})]
    assert served.ask(f"/jobs/{job_id}/events", Last_Event_ID=events.last_id).status == 404


def test_a_dismissal_is_an_end(start: Start, store: Store) -> None:
    job_id, served = accept(store), start()
    with served.events(job_id) as events:
        events.until("status")
        dismiss(store, job_id, "t")
        assert [name for name, _ in events.until("end")] == ["status", "end"]


def test_a_job_that_follows_the_run_of_another_one_tells_what_that_does(start: Start, store: Store) -> None:
    run_id = accept(store, listed=False, mode="sync")
    begin(store)
    job_id, served = accept(store), start()
    store.command("HSET", store.keys.job(run_id), "sd", "digest")
    store.command("HSET", store.keys.job(job_id), "fr", run_id)
    with served.events(job_id) as events:
        events.until("status")
        wait_until(lambda: subscribers(store, run_id) == 1, 60, "the subscription")
        report(store, run_id, 40, "Busy", "one")
        assert {name for name, _ in islice(events, 3)} == {"log", "message", "progress"}
        last_id = events.last_id
    report(store, run_id, None, None, "two")
    with served.events(job_id, Last_Event_ID=last_id) as again:
        assert texts(again.until("log")) == ["two"]


def test_logs_that_are_not_shown_are_not_told(start: Start, store: Store) -> None:
    job_id, served = ended_job(store), start(show_job_logs=False)

    assert [name for name, _ in served.events(job_id)] == ["message", "progress", "status", "end"]


def test_the_status_of_a_job_links_to_its_events(start: Start, store: Store) -> None:
    job_id, served = accept(store), start()
    with served.ask(f"/jobs/{job_id}", Accept="application/json") as answer:
        links = [link["href"] for link in json.load(answer)["links"] if link.get("type") == STREAM]
    assert links == [f"http://127.0.0.1:{served.port}/jobs/{job_id}/events"]


def test_what_the_manual_shows_works(start: Start, store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    job_id, served = ended_job(store), start()
    job = f"http://127.0.0.1:{served.port}/jobs/{job_id}"
    shown = re.findall(r"```(\w+)\n(.*?)```", MANUAL, re.DOTALL)
    names: dict[str, Any] = {"job": job}
    for block in [block for language, block in shown if language == "python"]:
        exec(block, names)
    told = capsys.readouterr().out

    assert "\nprogress {'progress': 40}\n" in told
    assert told.endswith("end {'reason': 'final'}\n")
    names_of_events = {name for name, _ in served.events(job_id)}
    assert names_of_events == set(re.findall(r"^\| `(\w+)` \|", MANUAL, re.MULTILINE))
    browser = next(block for language, block in shown if language == "js")
    assert names_of_events == set(re.findall(r'addEventListener\("(\w+)"', browser))
    if curl := shutil.which("curl"):
        command = next(block for language, block in shown if language == "sh")
        done = subprocess.run(
            ["sh", "-c", command],
            env={"job": job, "PATH": str(Path(curl).parent)},
            capture_output=True,
            timeout=60,
        )
        assert b"event: end" in done.stdout


def test_the_page_of_a_job_shows_what_becomes_of_it_until_its_end(start: Start, store: Store) -> None:
    job_id, served = accept(store), start()
    begin(store)
    report(store, job_id, 40, "</p><script>alert(1)</script>", "one")
    shown = []
    for _ in range(2):
        with served.ask(f"/jobs/{job_id}", Accept="text/html") as answer:
            shown.append((answer.headers["Content-Security-Policy"], answer.read().decode()))
        finish(store, job_id)
    (policy, page), (policy_of_ended, page_of_ended) = shown

    assert "script-src 'self'; " in policy
    assert "connect-src 'self'; " in policy
    assert re.findall("<script[^>]*>", page) == [
        f'<script src="http://127.0.0.1:{served.port}/static/job.js" defer>'
    ]
    assert f'data-events="http://127.0.0.1:{served.port}/jobs/{job_id}/events" data-status="running"' in page
    assert '<span id="percent">40</span>' in page
    assert "&lt;script&gt;alert(1)" in page
    assert "script" not in policy_of_ended
    assert "<script" not in page_of_ended
    with served.ask("/static/job.js", Accept="*/*") as answer:
        assert set(re.findall('listen\\("(\\w+)"', answer.read().decode())) == {
            name for name, _ in served.events(job_id)
        }


@pytest.mark.skipif(shutil.which("node") is None, reason="needs node")
def test_the_script_of_the_page_does_what_it_is_told(tmp_path: Path) -> None:
    browser = """
      const elements = {};
      const element = () => ({hidden: true, told: [], append(...more) { this.told.push(...more); }});
      const heard = {};
      let reloads = 0;
      globalThis.document = {getElementById: (id) => (elements[id] ??= element())};
      globalThis.window = {addEventListener: (_, begin) => begin(), location: {reload: () => { reloads += 1; }}};
      globalThis.EventSource = class {
        constructor(url) { heard.url = url; }
        addEventListener(name, listener) { heard[name] = (told) => listener({data: JSON.stringify(told)}); }
        close() { heard.closed = true; }
      };
      document.getElementById("live").dataset = {events: "here", status: "running"};
      require(process.argv[2]);
      heard.status({status: "running"});
      heard.message({message: "Busy"});
      heard.progress({progress: 40});
      heard.log({text: "<b>one</b>"});
      const {note, percent, progress, bar, lines, written} = elements;
      const before = [heard.url, reloads, note.textContent, percent.textContent, progress.value];
      const shown = [bar.hidden, lines.told.join(""), written.hidden];
      heard.status({status: "successful"});
      console.log(JSON.stringify([...before, ...shown, reloads, heard.closed]));
    """
    (tmp_path / "browser.js").write_text(browser)
    script = Path(pages.__file__).parent / "static" / "job.js"
    done = subprocess.run(
        ["node", tmp_path / "browser.js", script], capture_output=True, timeout=60, check=True
    )

    assert json.loads(done.stdout) == ["here", 0, "Busy", 40, 40, False, "<b>one</b>\n", False, 1, True]
