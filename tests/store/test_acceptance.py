"""Jobs that are alike are accepted by the very bytes that any other is accepted by."""

import hiredis
import pytest
from fastprocesses_host.ogc.jobs import AskedResults
from fastprocesses_host.store import operations
from fastprocesses_host.store.acceptance import Acceptance
from fastprocesses_host.store.ids import JobIds
from fastprocesses_host.store.operations import QueueLimits
from fastprocesses_host.store.records import Limits, NewJob, StoredInput
from msgspec.structs import replace

LIMITS = QueueLimits(jobs=7, of_caller=3, of_process=0)
COUNTED = QueueLimits(jobs=7, of_caller=3, of_process=5)
JOB = NewJob(
    id="",
    process_id="écho?",
    process_version="1.0",
    description_digest="d" * 32,
    environment="default",
    queue="usual",
    mode="async",
    listed=True,
    limits=Limits(timeout_seconds=60.0, memory_mb=100, max_attempts=2),
    asked=AskedResults(accept="text/*", return_preference="minimal"),
)
HELLO = {"message": StoredInput(b'"hello"'), "numbers": StoredInput(b"[1,2,3]", "application/json")}


def sent(*command: str | bytes | float) -> bytes:
    return hiredis.pack_command(command)


@pytest.mark.parametrize("limits", [LIMITS, COUNTED])
@pytest.mark.parametrize("inputs", [{}, HELLO, {"a": StoredInput(b'"' + b"a" * 200 + b'"')}])
@pytest.mark.parametrize("caller", ["-", "10.0.0.1", "ü\0any caller"])
@pytest.mark.parametrize(
    ("kind", "deadline_ms"),
    [
        ({}, None),
        ({"waiting_host": "abc"}, None),
        ({"listed": False, "waiting_host": "abc", "mode": "sync"}, 1_700_000_000_123),
        ({"waiting_host": "abc", "mode": "sync"}, 1_700_000_000_123),
        ({"waiting_host": "abc", "mode": "sync", "listed": False}, 1 << 32),
    ],
)
def test_its_bytes_are_those_of_any_other(kind, deadline_ms, caller, inputs, limits):
    alike = replace(JOB, **kind)
    acceptance = Acceptance(alike, limits, has_deadline=deadline_ms is not None)
    ids = JobIds()
    for now_ms in (1, 1_700_000_000_000):
        job = replace(alike, id=ids.make(now_ms), caller=caller, deadline_ms=deadline_ms)
        packed = acceptance.of(job, inputs)
        usual = operations.accept(job, inputs, limits=limits)
        assert packed is not None
        assert sent(*usual.arguments) == b"*%d\r\n" % packed.count + packed.arguments
        assert packed.operation.script == usual.script
        assert packed.operation.parse == usual.parse


@pytest.mark.parametrize(
    ("job", "inputs", "deadline_ms"),
    [
        (replace(JOB, keep_inputs=True), HELLO, None),
        (JOB, {"a": StoredInput(b'"' + b"a" * 300 + b'"')}, None),
        (replace(JOB, listed=False, mode="sync"), {"a": StoredInput(b"1" * 17_000)}, 1_700_000_000_123),
        (replace(JOB, listed=False, mode="sync"), HELLO, 1),
    ],
)
def test_what_is_not_in_the_record_or_of_another_length_goes_the_usual_way(job, inputs, deadline_ms):
    acceptance = Acceptance(job, LIMITS, has_deadline=deadline_ms is not None)
    assert acceptance.of(replace(job, id=JobIds().make(1), deadline_ms=deadline_ms), inputs) is None
