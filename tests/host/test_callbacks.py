"""Subscribers are called: with what the standard says, again where it fails, and never at a job's expense."""

import base64
import contextlib
import hashlib
import hmac
import json
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from fastprocesses_host.callback_queue import CallConsumer, Calls
from fastprocesses_host.engine.callbacks import Subscribers
from fastprocesses_host.ogc.jobs import AskedOutput, AskedResults, JobProblem, OutputValue
from fastprocesses_host.ogc.subscribers import Subscriber
from fastprocesses_host.settings import Settings
from fastprocesses_host.store import operations
from fastprocesses_host.store.client import Store, StoreUnavailable
from fastprocesses_host.store.keys import Keys
from fastprocesses_host.store.values import FileValues, ValuesAway
from msgspec.structs import replace

from tests.host.receiver import Received, Receiver, receiver, resets, says
from tests.store.steps import MANY, left_behind, new_job, read, recover, take
from tests.support import wait_until

SECRET = "whsec_" + base64.b64encode(b"s" * 32).decode()
BASE = "https://server.example/ogcapi"
ALL = ("success", "in_progress", "failed")
QUICK = {
    "outbound_private": "127.0.0.0/8",
    "callback_retry_seconds": 0.01,
    "callback_progress_seconds": 0.0,
    "callback_timeout_seconds": 300.0,
    "callback_slots": 4,
}


class Workers:
    """What of a worker calls subscribers, in threads of this process, and the steps of jobs to tell of."""

    def __init__(self, store: Store, folder: Path, **options: Any) -> None:
        self.store = store
        self.settings = Settings(redis_url="unix:///none", **{**QUICK, **options})
        self.values = FileValues(folder)
        self.calls = Calls("w1", self.settings.callback_slots, self.settings.callback_timeout_seconds)
        self.draining = threading.Event()
        self.subscribers = Subscribers(self.settings, store, self.values, {}, self.calls)
        self._threads = [threading.Thread(target=loop) for loop in (self._consume, self._tick)]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        self.draining.set()
        self.subscribers.stop(0)
        for thread in self._threads:
            thread.join(30)
        self.values.close()

    def begin(
        self, *receivers: Receiver, steps: tuple[str, ...] = ALL, asked: AskedResults | None = None
    ) -> str:
        """Have a job accepted and taken; its subscriber is at the first receiver, or each step at one of its own."""
        several = receivers * len(steps) if len(receivers) == 1 else receivers
        uris = {
            f"{step}_uri": one.url(f"/{step}?token=t0ken") for step, one in zip(steps, several, strict=True)
        }
        return self.begin_for(Subscriber(base_url=BASE, **uris), asked)

    def begin_for(self, subscriber: Subscriber, asked: AskedResults | None = None) -> str:
        job = new_job(self.store, subscriber=subscriber, callback_progress_seconds=0)
        job = replace(job, asked=asked or AskedResults())
        self.store.run(operations.accept(job, {}, limits=MANY))
        claimed = take(self.store, job.id)
        assert claimed is not None
        assert claimed.job_id == job.id
        return job.id

    def progress(self, job_id: str, percent: int) -> None:
        self.store.run(
            operations.progress(job_id, job_id, percent=percent, message=None, lines=(), max_log_lines=100)
        )

    def succeed(self, job_id: str, **outputs: Any) -> None:
        """End a job with outputs: JSON values, or a value with its bytes."""
        given = {
            name: value
            if isinstance(value, tuple)
            else (
                OutputValue(form="json", media_type="application/json", length=len(json.dumps(value))),
                json.dumps(value).encode(),
            )
            for name, value in outputs.items()
        }
        described = {name: value for name, (value, _) in given.items()}
        self._finish(
            job_id,
            "successful",
            {"out": msgspec.json.encode(described)},
            {name: data for name, (_, data) in given.items() if data},
        )

    def fail(self, job_id: str, problem: JobProblem) -> None:
        self._finish(job_id, "failed", {"rc": "declared", "pb": msgspec.json.encode(problem)}, {})

    def large(self, job_id: str, data: bytes, form: str, media_type: str) -> tuple[OutputValue, bytes]:
        location = self.values.put(job_id, data)
        value = OutputValue(form=form, media_type=media_type, length=len(data), location=location)  # type: ignore[arg-type]
        return value, b""

    def log(self, job_id: str) -> list[dict[str, Any]]:
        found = self.store.run(operations.log(job_id, limit=100))
        assert found is not None
        return [json.loads(line) for line in found.lines]

    def await_log(self, job_id: str, text: str) -> dict[str, Any]:
        """Wait for a line with a text; give it."""
        wait_until(lambda: any(text in line["text"] for line in self.log(job_id)), 60, f"{text!r} in the log")
        return next(line for line in self.log(job_id) if text in line["text"])

    def await_quiet(self) -> None:
        """Wait until nothing is due, now or later."""
        wait_until(
            lambda: not any(name.startswith(":calls") for name in left_behind(self.store)), 60, "quiet"
        )

    def _finish(self, job_id: str, status: Any, fields: dict[str, Any], values: dict[str, bytes]) -> None:
        operation = operations.finish(job_id, job_id, status, fields=fields, values=values, max_log_lines=100)
        assert self.store.run(operation).outcome == "ok"

    def _consume(self) -> None:
        for message in CallConsumer(self.store, self.calls, self.draining):
            if message is not None:
                self.subscribers.call(message.args[0])
            if self.draining.is_set():
                return

    def _tick(self) -> None:
        while not self.draining.wait(0.05):
            with contextlib.suppress(StoreUnavailable):
                recover(self.store)


@pytest.fixture
def store(store_url: str, key_prefix: str) -> Iterator[Store]:
    made = Store(store_url, Keys.of(key_prefix))
    yield made
    made.close()


@pytest.fixture
def start(store: Store, tmp_path: Path) -> Iterator[Callable[..., Workers]]:
    with contextlib.ExitStack() as stack:

        def start(**options: Any) -> Workers:
            made = Workers(store, tmp_path / "values", **options)
            stack.callback(made.stop)
            return made

        yield start


@pytest.fixture
def workers(start: Callable[..., Workers]) -> Workers:
    return start()


def paths(received: list[Received]) -> list[str]:
    return [one.path.partition("?")[0] for one in received]


@pytest.mark.requirement("/req/callback/job-callback")
def test_a_subscriber_is_told_of_progress_and_then_of_the_results(workers: Workers) -> None:
    with receiver() as here:
        job_id = workers.begin(here)
        running = here.await_received(1)[0]
        workers.await_log(job_id, "told of the progress")
        workers.progress(job_id, 40)
        progressed = here.await_received(2)[1]
        workers.succeed(job_id, message="hi", number=5, box={"a": 1})
        done = here.await_received(3)[2]
        workers.await_quiet()
    assert paths(here.received) == ["/in_progress", "/in_progress", "/success"]
    assert done.path == "/success?token=t0ken"
    assert (running.json["jobID"], running.json["status"]) == (job_id, "running")
    assert progressed.json["progress"] == 40
    assert done.json == {
        "message": "hi",
        "number": 5,
        "box": {"value": {"a": 1}, "mediaType": "application/json"},
    }
    for call in here.received:
        assert call.headers["content-type"] == "application/json"
        assert call.headers["link"] == f'<{BASE}/jobs/{job_id}>; rel="monitor"'
        assert abs(int(call.headers["webhook-timestamp"]) - time.time()) < 600
        assert "webhook-signature" not in call.headers
    assert len({call.headers["webhook-id"] for call in here.received}) == 3
    assert all(link["href"].startswith(BASE) for link in running.json["links"])


@pytest.mark.requirement("/req/callback/job-callback")
def test_a_subscriber_is_told_why_there_are_no_results(workers: Workers) -> None:
    problem = JobProblem(title="No such river", status=422, detail="There is no Elbe there.")
    with receiver() as here:
        job_id = workers.begin(here, steps=("failed",))
        workers.fail(job_id, problem)
        told = here.await_received(1)[0]
    assert told.path.startswith("/failed")
    assert told.json == {
        "type": "about:blank",
        "title": "No such river",
        "status": 422,
        "detail": "There is no Elbe there.",
        "instance": f"/jobs/{job_id}/results",
    }


def test_a_job_without_outputs_is_told_of_by_its_status(workers: Workers) -> None:
    with receiver() as here:
        job_id = workers.begin(here, steps=("success",), asked=AskedResults(outputs={}))
        workers.succeed(job_id)
        told = here.await_received(1)[0].json
    assert (told["jobID"], told["status"]) == (job_id, "successful")


def test_only_what_was_asked_for_is_sent_by_value_or_by_reference_as_asked(workers: Workers) -> None:
    asked = AskedResults(
        outputs={
            "b": AskedOutput(transmission_mode="reference"),
            "a": AskedOutput(transmission_mode="value"),
        },
        response="raw",
        dialect="1.0",
    )
    with receiver() as here:
        job_id = workers.begin(here, steps=("success",), asked=asked)
        workers.succeed(job_id, a="here", b="there", c="not asked for")
        told = here.await_received(1)[0].json
    assert told == {
        "b": {
            "href": f"{BASE}/jobs/{job_id}/results/b",
            "rel": "item",
            "type": "application/json",
            "title": "b",
            "length": 7,
        },
        "a": "here",
    }


def test_large_values_are_linked_to_or_streamed_from_the_value_store(workers: Workers) -> None:
    image, table = bytes(range(256)) * 9000, json.dumps(["row"] * 300_000).encode()
    with receiver() as here:
        asked = AskedResults(response="document", dialect="1.0")
        by_value = workers.begin(here, steps=("success",), asked=asked)
        workers.succeed(
            by_value,
            image=workers.large(by_value, image, "binary", "image/png"),
            table=workers.large(by_value, table, "json", "application/json"),
            text=workers.large(by_value, "grün".encode() * 200_000, "text", "text/plain"),
        )
        inline = here.await_received(1)[0].json
        by_reference = workers.begin(here, steps=("success",))
        workers.succeed(
            by_reference, image=workers.large(by_reference, image, "binary", "image/png"), small=1
        )
        linked = here.await_received(2)[1].json
    assert base64.b64decode(inline["image"]["value"]) == image
    assert inline["image"]["mediaType"] == "image/png"
    assert inline["table"] == ["row"] * 300_000
    assert inline["text"]["value"] == "grün" * 200_000
    assert linked["image"]["href"] == f"{BASE}/jobs/{by_reference}/results/image"
    assert (linked["image"]["length"], linked["small"]) == (len(image), 1)


def test_a_value_store_that_is_away_is_a_reason_to_call_again(
    workers: Workers, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = iter([ValuesAway("no answer")])
    really_open = workers.values.open

    def sometimes_open(location: str) -> Any:
        for error in opened:
            raise error
        return really_open(location)

    monkeypatch.setattr(workers.values, "open", sometimes_open)
    with receiver() as here:
        job_id = workers.begin(
            here, steps=("success",), asked=AskedResults(dialect="1.0", response="document")
        )
        workers.succeed(job_id, image=workers.large(job_id, bytes(2_000_000), "binary", "image/png"))
        told = here.await_received(1)[0].json
        workers.await_log(job_id, "could not be read")
    assert base64.b64decode(told["image"]["value"]) == bytes(2_000_000)


def test_a_store_that_cut_its_connections_costs_a_subscriber_no_call(start: Callable[..., Workers]) -> None:
    workers = start(callback_retries=0, callback_slots=1)
    with receiver() as here:
        job_id = workers.begin(here)
        workers.progress(job_id, 10)
        here.await_received(1)
        workers.await_quiet()
        workers.store.redis.client_kill_filter(_type="normal", skipme=True)
        with contextlib.suppress(StoreUnavailable):
            read(workers.store, job_id)  # this thread's connection is another one
        workers.succeed(job_id, answer=42)
        workers.await_quiet()
        assert here.received[-1].json == {"answer": 42}


def test_results_that_are_gone_are_no_reason_to_call_again(workers: Workers) -> None:
    with receiver() as here:
        job_id = workers.begin(
            here, steps=("success",), asked=AskedResults(dialect="1.0", response="document")
        )
        image = workers.large(job_id, bytes(2_000_000), "binary", "image/png")
        workers.values.delete(image[0].location)
        workers.succeed(job_id, image=image)
        line = workers.await_log(job_id, "not kept any more")
        workers.await_quiet()
    assert here.received == []
    assert "It is not called again." in line["text"]


@pytest.mark.parametrize("body", ["small", "streamed"])
def test_calls_are_signed_where_there_is_a_secret(start: Callable[..., Workers], body: str) -> None:
    workers = start(callback_secret=SECRET)
    with receiver(says(500)) as here:
        job_id = workers.begin(
            here, steps=("success",), asked=AskedResults(dialect="1.0", response="document")
        )
        image = workers.large(job_id, bytes(3_000_000), "binary", "image/png")
        workers.succeed(job_id, **({"image": image} if body == "streamed" else {"message": "hi"}))
        calls = here.await_received(2)
    for call in calls:
        signed = f"{call.headers['webhook-id']}.{call.headers['webhook-timestamp']}.".encode() + call.body
        digest = hmac.new(b"s" * 32, signed, hashlib.sha256).digest()
        assert call.headers["webhook-signature"] == f"v1,{base64.b64encode(digest).decode()}"
    assert calls[0].headers["webhook-id"] == calls[1].headers["webhook-id"]


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (says(500), "500 Internal Server Error"),
        (says(404), "404 Not Found"),
        (says(429, Retry_After="0"), "429 Too Many Requests"),
        (says(302, Location="/elsewhere"), "redirects are not followed"),
        (resets, "host 127.0.0.1"),
    ],
)
def test_a_call_that_fails_is_made_three_times_more(workers: Workers, answer: Any, why: str) -> None:
    with receiver(last=answer) as here:
        job_id = workers.begin(here, steps=("success",))
        workers.succeed(job_id, message="hi")
        workers.await_log(job_id, "It is not called again.")
        workers.await_quiet()
        assert paths(here.received) == ["/success"] * 4
    lines = workers.log(job_id)
    assert [line["fields"]["attempt"] for line in lines] == [1, 2, 3, 4]
    assert {line["level"] for line in lines} == {"warning"}
    assert all(why in line["text"] for line in lines)
    assert "t0ken" not in json.dumps(lines)
    assert {call.headers["webhook-id"] for call in here.received} == {here.received[0].headers["webhook-id"]}
    assert read(workers.store, job_id).status == "successful"


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
def test_any_2xx_is_success_at_last(workers: Workers, status: int) -> None:
    with receiver(says(503), resets, last=says(status)) as here:
        job_id = workers.begin(here, steps=("success",))
        workers.succeed(job_id, message="hi")
        line = workers.await_log(job_id, "was told of the success")
        workers.await_quiet()
        assert len(here.received) == 3
    assert line["fields"] == {"callback": "success", "host": "127.0.0.1", "attempt": 3, "status": status}


def test_a_subscriber_that_is_gone_is_called_no_more(workers: Workers) -> None:
    with receiver(last=says(410)) as here:
        job_id = workers.begin(here, steps=("success",))
        workers.succeed(job_id, message="hi")
        workers.await_log(job_id, "410 Gone")
        workers.await_quiet()
        assert len(here.received) == 1


@pytest.mark.parametrize(
    ("options", "uri", "why", "attempts"),
    [
        ({"outbound_private": ""}, "http://127.0.0.1:{port}/", "not", 1),
        ({"outbound_private": ""}, "http://localhost:{port}/", "not", 1),
        ({"callback_https_only": True}, "http://127.0.0.1:{port}/", "scheme", 1),
        ({}, "http://no-such-host.invalid:{port}/", "no-such-host.invalid", 4),
    ],
)
def test_what_may_not_be_called_is_not(
    start: Callable[..., Workers], options: Any, uri: str, why: str, attempts: int
) -> None:
    workers = start(**options)
    with receiver() as here:
        job_id = workers.begin_for(Subscriber(base_url=BASE, success_uri=uri.format(port=here.port)))
        workers.succeed(job_id, message="hi")
        workers.await_log(job_id, "It is not called again.")
        workers.await_quiet()
        assert here.received == []
    assert len(workers.log(job_id)) == attempts
    assert why in workers.log(job_id)[0]["text"]


def test_a_subscriber_that_hangs_is_left_after_its_time(start: Callable[..., Workers]) -> None:
    workers = start(callback_timeout_seconds=0.3, callback_retries=0)
    with receiver() as here:
        here._last = here.hangs
        job_id = workers.begin(here, steps=("success",))
        workers.succeed(job_id, message="hi")
        line = workers.await_log(job_id, "It is not called again.")
    assert "status" not in line["fields"]


def test_subscribers_that_hang_hold_up_no_others_and_no_job(workers: Workers) -> None:
    with receiver() as hanging, receiver() as here:
        hanging._last = hanging.hangs
        stuck = [workers.begin(hanging, steps=("success",)) for _ in range(6)]
        for job_id in stuck:
            workers.succeed(job_id, message="hi")
        hanging.await_received(1)
        for _ in range(3):
            job_id = workers.begin(here)
            workers.succeed(job_id, message="hi")
            workers.await_log(job_id, "was told of the success")
        assert len(hanging.received) == 1  # a quarter of the slots, and no more
        assert all(read(workers.store, job_id).status == "successful" for job_id in stuck)


def test_steps_are_told_in_their_order_though_each_call_fails_first(workers: Workers) -> None:
    with receiver(*[says(500), says(200)] * 20) as here:
        job_id = workers.begin(here)
        for percent in range(0, 100, 20):
            workers.progress(job_id, percent)
            time.sleep(0.02)
        workers.succeed(job_id, message="hi")
        workers.await_log(job_id, "was told of the success")
        workers.await_quiet()
    told = [call.json.get("progress", -1) for call in here.received if call.path.startswith("/in_progress")]
    assert told == sorted(told)
    first_success = paths(here.received).index("/success")
    assert set(paths(here.received)[first_success:]) == {"/success"}
    numbers = [int(call.headers["webhook-id"].rsplit("-", 1)[1]) for call in here.received]
    assert numbers == sorted(numbers)


def test_calls_of_a_worker_that_stops_are_made_by_another(store: Store, tmp_path: Path) -> None:
    first = Workers(store, tmp_path / "values")
    with receiver() as here:
        here._answers = [here.hangs]
        job_id = first.begin(here, steps=("success",))
        first.succeed(job_id, message="hi")
        here.await_received(1)
        first.stop()
        second = Workers(store, tmp_path / "values")
        try:
            again = here.await_received(2)
            second.await_log(job_id, "was told of the success")
        finally:
            second.stop()
    assert again[0].headers["webhook-id"] == again[1].headers["webhook-id"]
