"""Equal requests through the front door: one run for all of them, results that are kept, keys for retries."""

import asyncio
import socket
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import msgspec
import psutil
import pytest
from fastprocesses_host.app import create_app
from fastprocesses_host.entity_tags import EntityTags
from fastprocesses_host.host import Host
from fastprocesses_host.inputs import CheckedInput
from fastprocesses_host.ogc.references import GivenValue, Referenced, encode_referenced, version_told
from fastprocesses_host.settings import Settings

from tests.acceptance.service import kill_all
from tests.host.engine import Worker
from tests.host.hostile import Answer, HostileServer, hostile, redirect, response, says, silent
from tests.support import StoreServer

ASYNC = {"prefer": "respond-async"}
KEY = {"idempotency-key": '"8e03978e-40d5-43dd-bc93-6894a57f9324"'}


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Client and host share a loop here, which is busy with a thousand requests longer than a store may be silent."""
    monkeypatch.setattr("fastprocesses_host.store.client.HOST_OPERATION_SECONDS", 60.0)
    monkeypatch.setattr("fastprocesses_host.entity_tags.ASK_SECONDS", 60.0)


@pytest.fixture(scope="module")
def settings(embedded_store: StoreServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    settings = Settings(
        redis_url=embedded_store.url,
        key_prefix="sharing",
        slots=2,
        result_cache_seconds=600,
        value_store_url=f"file://{tmp_path_factory.mktemp('values')}",
        outbound_private="127.0.0.0/30",
    )
    worker = Worker(settings, tmp_path_factory.mktemp("sharing") / "worker.log")
    yield settings
    worker.stop()


class Client(httpx2.AsyncClient):
    """Sends execute requests."""

    host: Host

    def execute(self, process: str = "ponder", *, headers: Any = None, **inputs: Any) -> Awaitable[Any]:
        body = {
            "inputs": {
                name: str(value) if isinstance(value, Path) else value for name, value in inputs.items()
            }
        }
        return self.post(f"/processes/{process}/execution", json=body, headers=headers or {})

    async def status(self, answer: httpx2.Response) -> dict[str, Any]:
        found: dict[str, Any] = (await self.get(answer.headers["location"])).json()
        return found

    async def until(self, answer: httpx2.Response, status: str) -> dict[str, Any]:
        async with asyncio.timeout(60):
            while (found := await self.status(answer))["status"] != status:
                await asyncio.sleep(0.02)
        return found


@asynccontextmanager
async def opened(settings: Settings, **changes: Any) -> AsyncIterator[Client]:
    settings = msgspec.structs.replace(settings, **changes)
    async with Host(settings) as host:
        async with asyncio.timeout(60):
            while host.readiness():
                await asyncio.sleep(0.02)
        transport = httpx2.ASGITransport(app=create_app(settings, host=host))
        async with Client(transport=transport, base_url="http://test", timeout=60) as client:
            client.host = host
            yield client


def run(settings: Settings, scenario: Callable[[Client], Awaitable[None]], **changes: Any) -> None:
    async def play() -> None:
        async with opened(settings, **changes) as client:
            await scenario(client)

    asyncio.run(play())


def runs(mark: Path) -> int:
    return mark.read_text().count("run") if mark.exists() else 0


def go(mark: Path) -> None:
    Path(f"{mark}.go").touch()


@pytest.fixture
def mark(tmp_path: Path) -> Path:
    return tmp_path / "mark"


def test_a_thousand_equal_requests_at_once_are_one_run(settings: Settings, mark: Path) -> None:
    async def scenario(client: Client) -> None:
        sent = [asyncio.create_task(client.execute(mark=mark, hold=True)) for _ in range(990)]
        listed = [await client.execute(mark=mark, hold=True, headers=ASYNC) for _ in range(10)]
        go(mark)
        answers = await asyncio.gather(*sent)
        assert {(answer.status_code, answer.text) for answer in answers} == {(200, "44")}
        told = [answer.headers["cache-status"] for answer in answers]
        assert told.count("fastprocesses; fwd=miss") <= 1
        assert set(told) <= {"fastprocesses; fwd=miss", "fastprocesses; fwd=miss; collapsed"}
        for answer in listed:
            await client.until(answer, "successful")
            results = await client.get(f"{answer.headers['location']}/results")
            assert results.json() == {"result": "44"}

    run(settings, scenario)
    assert runs(mark) == 1


@pytest.mark.parametrize("size", [2, 20_000, 2_000_000])
def test_results_answer_equal_requests(settings: Settings, mark: Path, size: int) -> None:
    """Values that lie in the record, in the store and in the value store."""

    async def scenario(client: Client) -> None:
        first = await client.execute(mark=mark, size=size)
        assert "age" not in first.headers
        body = f'{{"inputs": {{"size" : {size}, "mark": "{mark}"}}}}'
        again = await client.post("/processes/ponder/execution", content=body)
        assert again.headers["age"] in ("0", "1", "2")
        assert again.headers["cache-status"] == "fastprocesses; hit"
        assert again.content == first.content
        job = await client.execute(mark=mark, size=size, headers=ASYNC)
        assert (job.status_code, job.json()["status"]) == (201, "successful")
        assert "made" in (await client.status(job))["message"]
        results = await client.get(job.headers["location"] + "/results/result")
        assert results.content == first.content
        assert (await client.delete(job.headers["location"])).status_code == 200
        assert (await client.execute(mark=mark, size=size)).content == first.content

    run(settings, scenario)
    assert runs(mark) == 1


def test_other_requests_are_run(settings: Settings, mark: Path) -> None:
    async def scenario(client: Client) -> None:
        await client.execute(mark=mark)
        for process, inputs in [("ponder", {"question": "x"}), ("ponder", {"size": 3}), ("ponder-too", {})]:
            answer = await client.execute(process, mark=mark, **inputs)
            assert "age" not in answer.headers
        body = {"inputs": {"mark": str(mark)}, "outputs": {"result": {}}}
        for process in ("ponder", "ponder-too"):
            answer = await client.post(f"/processes/{process}/execution", json=body)
            assert "age" not in answer.headers

    run(settings, scenario)
    assert runs(mark) == 6


def test_how_results_are_sent_is_not_part_of_the_run(settings: Settings, mark: Path) -> None:
    async def scenario(client: Client) -> None:
        await client.execute(mark=mark)
        body = {"inputs": {"mark": str(mark)}, "response": "document"}
        answer = await client.post("/processes/ponder/execution", json=body)
        assert answer.json() == {"result": "44"}
        assert "age" in answer.headers

    run(settings, scenario)
    assert runs(mark) == 1


def test_cache_control_of_a_request(settings: Settings, mark: Path) -> None:
    async def scenario(client: Client) -> None:
        async def hit(control: str) -> bool:
            answer = await client.execute(mark=mark, headers={"cache-control": control})
            assert answer.status_code == 200
            return "age" in answer.headers

        nothing = await client.execute(mark=mark, headers={"cache-control": "only-if-cached"})
        assert nothing.status_code == 504
        assert "only-if-cached" in nothing.json()["detail"]
        assert not await hit("no-store")
        assert not await hit("max-age=60")
        assert await hit("max-age=60")
        assert await hit("Only-If-Cached, max-age=60")
        assert runs(mark) == 2
        assert not await hit("no-cache")
        assert not await hit("max-age=0")
        assert not await hit("no-store")
        assert runs(mark) == 5
        assert await hit("no-transform")

    run(settings, scenario)


def test_nothing_is_kept_where_it_is_not_switched_on_or_not_declared(settings: Settings, mark: Path) -> None:
    async def scenario(client: Client) -> None:
        for _ in range(2):
            answer = await client.execute(mark=mark)
            assert not {"age", "cache-status"} & set(answer.headers)
        only = await client.execute(mark=mark, headers={"cache-control": "only-if-cached"})
        assert only.status_code == 504

    async def not_declared(client: Client) -> None:
        for _ in range(2):
            assert "cache-status" not in (await client.execute("double", number=2)).headers

    run(settings, scenario, result_cache_seconds=0.0)
    assert runs(mark) == 2
    run(settings, not_declared)


def test_a_failure_is_everybodys_and_is_not_kept(settings: Settings, mark: Path) -> None:
    async def scenario(client: Client) -> None:
        sent = [asyncio.create_task(client.execute(mark=mark, hold=True, question="moon")) for _ in range(3)]
        job = await client.execute(mark=mark, hold=True, question="moon", headers=ASYNC)
        await client.until(job, "running")
        go(mark)
        answers = await asyncio.gather(*sent)
        assert {(answer.status_code, answer.json()["title"]) for answer in answers} == {(409, "Wrong moon")}
        assert (await client.until(job, "failed"))["exception"]["detail"] == "The moon is not full."
        before = runs(mark)
        assert (await client.execute(mark=mark, hold=True, question="moon")).status_code == 409
        assert runs(mark) == before + 1

    run(settings, scenario)


def test_a_job_that_shares_a_run_shows_how_far_it_is_and_is_dismissed_alone(
    settings: Settings, mark: Path
) -> None:
    async def scenario(client: Client) -> None:
        one, other = [await client.execute(mark=mark, hold=True, headers=ASYNC) for _ in range(2)]
        async with asyncio.timeout(60):
            while "progress" not in (status := await client.status(other)):
                await asyncio.sleep(0.02)
        assert (status["status"], status["progress"], status["message"]) == ("running", 40, "pondering")
        listed = (await client.get("/jobs?status=running")).json()["jobs"]
        assert [job["progress"] for job in listed if job["jobID"] == status["jobID"]] == [40]
        assert (await client.delete(one.headers["location"])).json()["status"] == "dismissed"
        assert (await client.status(other))["status"] == "running"
        go(mark)
        assert "under way" in (await client.until(other, "successful"))["message"]
        assert (await client.status(one))["status"] == "dismissed"

    run(settings, scenario)
    assert runs(mark) == 1


def test_what_belongs_to_a_run_is_shown_by_each_job_that_shares_it(settings: Settings, mark: Path) -> None:
    async def scenario(client: Client) -> None:
        await client.execute(mark=mark)
        job = await client.execute(mark=mark, headers=ASYNC)
        for name in ("log", "events"):
            shown = await client.get(f"{job.headers['location']}/{name}")
            assert (shown.status_code, "a deep thought" in shown.text) == (200, True), name
        inputs = await client.get(f"{job.headers['location']}/inputs")
        assert inputs.status_code == 200
        assert str(mark) in inputs.text

    run(settings, scenario, keep_inputs=True)
    assert runs(mark) == 1


def test_who_waits_no_longer_ends_nobody_elses_run(settings: Settings, mark: Path) -> None:
    async def scenario(client: Client) -> None:
        job = await client.execute(mark=mark, hold=True, headers=ASYNC)
        late = await client.execute(mark=mark, hold=True, headers={"prefer": "wait=1"})
        assert late.status_code == 201
        assert (await client.execute(mark=mark, hold=True)).status_code == 504
        go(mark)
        assert (await client.until(job, "successful"))["progress"] == 100

    run(settings, scenario, sync_timeout_seconds=0.2)
    assert runs(mark) == 1


def test_a_run_that_nobody_waits_for_any_more_is_stopped(settings: Settings, mark: Path) -> None:
    async def scenario(client: Client) -> None:
        questions = ["one", "one", "two", "two", "three", "three"]  # more runs than slots
        sent = [client.execute(mark=mark, hold=True, question=question) for question in questions]
        assert {answer.status_code for answer in await asyncio.gather(*sent)} == {504}

    async def others(client: Client) -> None:
        answers = await asyncio.gather(*[client.execute("double", number=number) for number in range(3)])
        assert {answer.status_code for answer in answers} == {200}  # the slots are free

    run(settings, scenario, sync_timeout_seconds=0.3)
    run(settings, others)


def test_a_key_stands_for_one_job(settings: Settings, mark: Path) -> None:
    async def scenario(client: Client) -> None:
        jobs = await asyncio.gather(
            *[client.execute("sleep", seconds=0, mark=str(mark), headers=ASYNC | KEY) for _ in range(20)]
        )
        assert {answer.status_code for answer in jobs} == {201}
        assert len({answer.headers["location"] for answer in jobs}) == 1
        other = await client.execute("sleep", seconds=1, mark=str(mark), headers=ASYNC | KEY)
        assert (other.status_code, other.json()["title"]) == (422, "Idempotency key reused")
        await client.until(jobs[0], "successful")
        late = await client.execute("sleep", mark=str(mark), seconds=0, headers=ASYNC | KEY)
        assert late.headers["location"] == jobs[0].headers["location"]
        assert late.json()["status"] == "successful"
        await client.delete(late.headers["location"])
        gone = await client.execute("sleep", seconds=0, mark=str(mark), headers=ASYNC | KEY)
        assert gone.status_code == 410
        assert "Idempotency-Key" in gone.json()["detail"]

    run(settings, scenario, key_prefix="sharing")


def test_a_key_of_a_request_that_waits(settings: Settings, mark: Path) -> None:
    """Its job outlives connection, time-out and host, and whoever sends it again gets the results."""
    key = {"idempotency-key": "waited-for"}

    async def begin(client: Client) -> None:
        answer = await client.execute("sleep-again", seconds=2, mark=str(mark), headers=key)
        assert answer.status_code == 504
        assert "same" in answer.json()["detail"]

    async def go_on(client: Client) -> None:
        answers = await asyncio.gather(
            *[client.execute("sleep-again", seconds=2, mark=str(mark), headers=key) for _ in range(3)]
        )
        answers.append(await client.execute("sleep-again", seconds=2, mark=str(mark), headers=key))
        assert {(answer.status_code, answer.text) for answer in answers} == {(200, "slept")}

    run(settings, begin, sync_timeout_seconds=0.3)
    run(settings, go_on)
    assert runs(mark) == 1


def test_a_connection_that_is_lost_and_a_key(settings: Settings, mark: Path) -> None:
    key = {"idempotency-key": "lost"}

    async def scenario(client: Client) -> None:
        first = asyncio.create_task(client.execute(mark=mark, hold=True, headers=key))
        async with asyncio.timeout(60):
            while not runs(mark):
                await asyncio.sleep(0.01)
        first.cancel()
        await asyncio.wait([first])
        second = asyncio.create_task(client.execute(mark=mark, hold=True, headers=key))
        go(mark)
        assert (await second).text == "44"

    run(settings, scenario)
    assert runs(mark) == 1


def test_a_key_of_a_job_that_failed(settings: Settings, mark: Path) -> None:
    key = {"idempotency-key": "failed"}

    async def scenario(client: Client) -> None:
        answers = [await client.execute(mark=mark, question="moon", headers=key) for _ in range(2)]
        assert {(answer.status_code, answer.json()["title"]) for answer in answers} == {(409, "Wrong moon")}

    run(settings, scenario, result_cache_seconds=0.0)
    assert runs(mark) == 1


@pytest.mark.parametrize("key", ["", '""', "ü", "x" * 256, "a b", '"a', "a\tb"])
def test_keys_that_are_none(settings: Settings, mark: Path, key: str) -> None:
    async def scenario(client: Client) -> None:
        answer = await client.execute(mark=mark, headers=[("idempotency-key", key.encode())])
        assert answer.status_code == 400
        assert "Idempotency-Key" in answer.json()["detail"]
        twice = [("idempotency-key", "a"), ("idempotency-key", "b")]
        assert (await client.execute(mark=mark, headers=twice)).status_code == 400

    run(settings, scenario)
    assert runs(mark) == 0


def test_a_lost_worker_gives_all_of_them_the_same_end(
    settings: Settings, mark: Path, tmp_path: Path, own_store: StoreServer
) -> None:
    settings = msgspec.structs.replace(settings, redis_url=own_store.url, lease_seconds=2.0, tick_seconds=0.5)
    worker = Worker(settings, tmp_path / "worker.log")

    async def scenario(client: Client) -> None:
        sent = [asyncio.create_task(client.execute(mark=mark, hold=True)) for _ in range(5)]
        async with asyncio.timeout(60):
            while not runs(mark):
                await asyncio.sleep(0.02)
        kill_all([psutil.Process(worker.process.pid), *worker.family()])
        answers = await asyncio.gather(*sent)
        assert {(answer.status_code, answer.json()["detail"]) for answer in answers} == {
            (500, answers[0].json()["detail"])
        }

    try:
        run(settings, scenario)
    finally:
        worker.stop()


# Inputs by reference


class Origin:
    """What is at a URL: tells its entity tag to HEAD, and `sent`, where that is another one, to GET."""

    def __init__(self, tag: str = '"a"', body: bytes = b"3", sent: str | None = None) -> None:
        self.tag = tag
        self.body = body
        self.sent = sent
        self.may_send = threading.Event()
        self.may_send.set()

    def __call__(self, connection: socket.socket, head: bytes) -> None:
        is_asked = head.startswith(b"HEAD")
        tag = self.tag if is_asked or self.sent is None else self.sent
        told = [f"ETag: {tag}"] if tag else []
        answer = response(self.body, "200 OK", "Content-Type: application/json", *told)
        if is_asked:
            connection.sendall(answer.removesuffix(self.body))
        elif self.may_send.wait(60):
            connection.sendall(answer)


def refuses_to_tell(connection: socket.socket, head: bytes) -> None:
    tag = 'ETag: "a"'
    if head.startswith(b"HEAD"):
        connection.sendall(response(b"", "405 Method Not Allowed", tag))
    else:
        connection.sendall(response(b"3", "200 OK", tag))


def hangs_when_asked(connection: socket.socket, head: bytes) -> None:
    if head.startswith(b"HEAD"):
        silent(connection, head)
    else:
        connection.sendall(response(b"3", "200 OK", 'ETag: "a"'))


def asked(server: HostileServer) -> int:
    return sum(head.startswith("HEAD") for head in server.requests)


def test_a_reference_counts_as_its_entity_tag(settings: Settings, mark: Path) -> None:
    origin = Origin()

    async def scenario(client: Client) -> None:
        first = await client.execute(mark=mark, size={"href": server.url()})
        assert (first.text, first.headers["cache-status"]) == ("444", "fastprocesses; fwd=miss")
        again = await client.execute(mark=mark, size={"href": server.url()})
        assert (again.text, again.headers["cache-status"]) == ("444", "fastprocesses; hit")
        elsewhere = await client.execute(mark=mark, size={"href": server.url("/other")})
        assert "age" not in elsewhere.headers
        origin.tag, origin.body = '"b"', b"5"
        newer = await client.execute(mark=mark, size={"href": server.url()})
        assert (newer.text, newer.headers["cache-status"]) == ("44444", "fastprocesses; fwd=miss")

    with hostile(origin) as server:
        run(settings, scenario)
    assert runs(mark) == 3
    assert asked(server) == 4
    assert len(server.requests) == 4 + 3


def test_equal_requests_by_reference_at_once_are_one_run(settings: Settings, mark: Path) -> None:
    async def scenario(client: Client) -> None:
        value = {"href": server.url()}
        sent = [asyncio.create_task(client.execute(mark=mark, hold=True, size=value)) for _ in range(30)]
        listed = await client.execute(mark=mark, hold=True, size=value, headers=ASYNC)
        go(mark)
        assert {answer.text for answer in await asyncio.gather(*sent)} == {"444"}
        await client.until(listed, "successful")

    with hostile(Origin()) as server:
        run(settings, scenario)
    assert runs(mark) == 1
    assert len(server.requests) == asked(server) + 1


@pytest.mark.parametrize(
    "answer",
    [Origin(""), Origin('W/"a"'), Origin('"a", "b"'), Origin('""'), refuses_to_tell, hangs_when_asked],
    ids=["none", "weak", "several", "empty", "405", "silent"],
)
def test_a_reference_of_unknown_content_is_not_shared(
    settings: Settings, mark: Path, answer: Answer, monkeypatch: pytest.MonkeyPatch
) -> None:
    if answer is hangs_when_asked:
        monkeypatch.setattr("fastprocesses_host.entity_tags.ASK_SECONDS", 0.3)

    async def scenario(client: Client) -> None:
        for _ in range(2):
            got = await client.execute(mark=mark, size={"href": server.url()})
            assert (got.text, "cache-status" in got.headers) == ("444", False)
        only = {"cache-control": "only-if-cached"}
        assert (await client.execute(mark=mark, size={"href": server.url()}, headers=only)).status_code == 504

    with hostile(answer) as server:
        run(settings, scenario)
    assert runs(mark) == 2


def test_one_reference_of_unknown_content_is_enough(settings: Settings, mark: Path) -> None:
    async def scenario(client: Client) -> None:
        for _ in range(2):
            got = await client.execute(
                mark=mark, size={"href": known.url()}, question={"href": unknown.url(), "type": "text/plain"}
            )
            assert (got.text, "cache-status" in got.headers) == ("444", False)

    with hostile(Origin()) as known, hostile(says(response(b"why?", "200 OK"))) as unknown:
        run(settings, scenario)
    assert runs(mark) == 2


def test_content_that_changes_after_it_was_asked_for(settings: Settings, mark: Path) -> None:
    """Its run answers those who asked before, and nobody after them, while it goes on or when it has ended."""
    origin = Origin(sent='"b"')
    origin.may_send.clear()

    async def scenario(client: Client) -> None:
        async def execute() -> httpx2.Response:
            answer: httpx2.Response = await client.execute(
                mark=mark, hold=True, size={"href": server.url()}, headers=ASYNC
            )
            return answer

        async def until_runs(count: int) -> None:
            async with asyncio.timeout(60):
                while runs(mark) < count:
                    await asyncio.sleep(0.01)

        before = [await execute() for _ in range(2)]
        origin.may_send.set()
        await until_runs(1)
        after = await execute()
        await until_runs(2)
        go(mark)
        for job in (*before, after):
            await client.until(job, "successful")
        assert "under way" in (await client.status(before[1]))["message"]
        await client.until(await execute(), "successful")

    with hostile(origin) as server:
        run(settings, scenario)
    assert runs(mark) == 3


def test_an_entity_tag_counts_where_redirects_lead(settings: Settings, mark: Path) -> None:
    leads_to = ["/one"]
    origin = Origin()

    def latest(connection: socket.socket, head: bytes) -> None:
        if b" / " in head:
            connection.sendall(redirect(leads_to[0]))
        else:
            origin(connection, head)

    async def scenario(client: Client) -> None:
        for target, text, status in [("/one", "444", "miss"), ("/one", "444", "hit"), ("/two", "44", "miss")]:
            leads_to[0], origin.body = target, str(len(text)).encode()
            answer = await client.execute(mark=mark, size={"href": server.url()})
            assert (answer.text, answer.headers["cache-status"].endswith(status)) == (text, True)

    with hostile(latest) as server:
        run(settings, scenario)
    assert runs(mark) == 2


def test_nobody_is_asked_where_nothing_is_shared(settings: Settings, mark: Path) -> None:
    async def off(client: Client) -> None:
        assert (await client.execute(mark=mark, size={"href": server.url()})).text == "444"

    async def not_wanted(client: Client) -> None:
        no_store = {"cache-control": "no-store"}
        assert (await client.execute(mark=mark, size={"href": server.url()}, headers=no_store)).text == "444"
        assert (await client.execute("double", number={"href": server.url()})).status_code == 200

    with hostile(Origin()) as server:
        run(settings, off, result_cache_seconds=0.0)
        run(settings, not_wanted)
    assert (asked(server), len(server.requests)) == (0, 3)


def test_hosts_are_asked_by_the_rules_for_fetching(settings: Settings, mark: Path, tmp_path: Path) -> None:
    async def scenario(client: Client) -> None:
        assert (await client.execute(mark=mark, size={"href": server.url()})).text == "444"

    with hostile(Origin()) as server:
        run(settings, scenario, outbound_private="")  # what the worker is allowed, this host is not
        assert asked(server) == 0
        headers = tmp_path / "headers.toml"
        headers.write_text(f'["{server.url("")}"]\nAuthorization = "Bearer s3cret"\n')
        run(settings, scenario, outbound_headers_file=str(headers))
        [head] = [head.lower() for head in server.requests if head.startswith("HEAD")]
    assert "authorization: bearer s3cret" in head
    assert "accept: application/json" in head


def test_a_key_stands_for_its_request_whatever_is_there_by_now(settings: Settings, mark: Path) -> None:
    origin = Origin()
    key = {"idempotency-key": "by-reference"}

    async def scenario(client: Client) -> None:
        for tag in ('"a"', '"b"', ""):
            origin.tag = tag
            answer = await client.execute(mark=mark, size={"href": server.url()}, headers=key)
            assert (answer.status_code, answer.text) == (200, "444")

    with hostile(origin) as server:
        run(settings, scenario)
    assert runs(mark) == 1


def test_requests_that_wait_for_their_turn_ask_together(settings: Settings) -> None:
    async def scenario() -> None:
        async with opened(settings) as client:
            process = client.host.catalog.get("ponder")
            given = CheckedInput(referenced=Referenced((GivenValue(href=server.url()),)))
            tags = EntityTags(settings)
            told = await asyncio.gather(*[tags.told(process, {"size": given}) for _ in range(100)])
            value = GivenValue(href=server.url(), version=version_told(server.url(), {"etag": '"a"'}))
            assert {one["size"].data for one in told if one} == {encode_referenced(Referenced((value,)))}
            assert None not in told
            assert await tags.told(process, {"size": given})
            tags.close()

    with hostile(Origin()) as server:
        asyncio.run(scenario())
    assert len(server.requests) == 2  # the second time anew


async def uploaded(client: Client, body: bytes) -> dict[str, str]:
    answer = await client.post("/uploads", content=body, headers={"content-type": "application/json"})
    assert answer.status_code == 201, answer.text
    return {"href": answer.headers["location"]}


async def uploaded_in_pieces(client: Client, *pieces: bytes) -> dict[str, str]:
    tus = {"tus-resumable": "1.0.0"}
    length = str(sum(map(len, pieces)))
    begun = await client.post("/uploads", headers=tus | {"upload-length": length})
    offset = 0
    for piece in pieces:
        told = tus | {"upload-offset": str(offset), "content-type": "application/offset+octet-stream"}
        answer = await client.patch(begun.headers["location"], content=piece, headers=told)
        assert answer.status_code == 204, answer.text
        offset += len(piece)
    return {"href": begun.headers["location"]}


def test_an_upload_counts_as_its_bytes(settings: Settings, mark: Path) -> None:
    async def scenario(client: Client) -> None:
        async def hit(value: dict[str, str], expected: str = "4" * 12) -> bool:
            answer = await client.execute(mark=mark, size=value)
            assert answer.text == expected
            return bool(answer.headers["cache-status"] == "fastprocesses; hit")

        one = await uploaded(client, b"12")
        assert not await hit(one)
        assert await hit(one)
        assert await hit(await uploaded(client, b"12"))
        assert not await hit(await uploaded(client, b"13"), "4" * 13)
        pieces = await uploaded_in_pieces(client, b"1", b"2")
        assert not await hit(pieces)  # nothing says what it is: another input than JSON
        assert await hit(await uploaded_in_pieces(client, b"12"))

    run(settings, scenario)
    assert runs(mark) == 3


def test_an_upload_of_unknown_digest_is_not_shared(settings: Settings, mark: Path) -> None:
    """It came while nothing was kept."""
    found: list[dict[str, str]] = []

    async def before(client: Client) -> None:
        found.append(await uploaded(client, b"12"))

    async def scenario(client: Client) -> None:
        for _ in range(2):
            answer = await client.execute(mark=mark, size=found[0])
            assert (answer.text, "cache-status" in answer.headers) == ("4" * 12, False)

    run(settings, before, result_cache_seconds=0.0)
    run(settings, scenario)
    assert runs(mark) == 2
