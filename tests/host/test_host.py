"""Who waits for a job, and what becomes of it: time-outs, callers that go, full queues, other hosts."""

import asyncio
import time
import tracemalloc
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
from fastprocesses_host.catalog import OfferedProcess
from fastprocesses_host.host import Host
from fastprocesses_host.inputs import CheckedInput, check_request
from fastprocesses_host.ogc.exceptions import (
    InvalidQueryParameter,
    JobGone,
    NoSuchJob,
    NoSuchProcess,
    ResultNotAvailable,
    ServiceUnavailable,
    SyncTimeout,
)
from fastprocesses_host.ogc.execute import ExecuteRequest
from fastprocesses_host.ogc.job_filters import JobFilters
from fastprocesses_host.ogc.jobs import AskedOutput, AskedResults, Job, Status
from fastprocesses_host.ogc.preferences import ModeChoice
from fastprocesses_host.settings import Settings
from fastprocesses_host.store import operations
from fastprocesses_host.store.client import StoreUnavailable
from fastprocesses_host.store.operations import LIST_BUDGET
from fastprocesses_host.store.values import FileValues
from fastprocesses_sdk.description import Policy, ProcessDescription

from tests.host.engine import Worker
from tests.support import StoreServer

SYNC, ASYNC = ModeChoice(mode="sync"), ModeChoice(mode="async")


@pytest.fixture(scope="module")
def settings(any_store: StoreServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    settings = Settings(redis_url=any_store.url, key_prefix="host", slots=2)
    worker = Worker(settings, tmp_path_factory.mktemp("host") / "worker.log")
    yield settings
    worker.stop()


@asynccontextmanager
async def open_host(settings: Settings, **changes: Any) -> AsyncIterator[Host]:
    async with Host(msgspec.structs.replace(settings, **changes)) as host:
        async with asyncio.timeout(60):
            while host.readiness():
                await asyncio.sleep(0.02)
        yield host


async def execute(
    host: Host,
    process_id: str,
    choice: ModeChoice,
    *,
    asked: AskedResults | None = None,
    disconnected: Callable[[], Awaitable[None]] | None = None,
    **inputs: Any,
) -> Job:
    raw = {name: msgspec.Raw(msgspec.json.encode(value)) for name, value in inputs.items()}
    request = ExecuteRequest(inputs=raw, asked=asked or AskedResults())
    checked = check_request(host.catalog.get(process_id), request)
    return await host.execute(process_id, request, choice, inputs=checked, disconnected=disconnected)


async def final(host: Host, job_id: str) -> Job:
    async with asyncio.timeout(40):
        while not (job := await host.job(job_id)).status.is_final:
            await asyncio.sleep(0.02)
    return job


def test_a_sync_execution_leaves_no_job(settings: Settings) -> None:
    async def scenario() -> None:
        async with open_host(settings) as host:
            job = await execute(host, "double", SYNC, number=4)
            assert await host.output_bytes(job, "result") == b"8"
            assert not job.listed
            with pytest.raises(NoSuchJob):
                await host.job(job.id)
            assert job.id not in [one.id for one in (await host.jobs(limit=100)).jobs]

    asyncio.run(scenario())


def test_sync_by_reference_or_recorded_leaves_one(settings: Settings) -> None:
    async def scenario() -> None:
        by_reference = AskedResults(outputs={"result": AskedOutput(transmission_mode="reference")})
        async with open_host(settings) as host:
            job = await execute(host, "double", SYNC, asked=by_reference, number=4)
            assert (await host.job(job.id)).status == Status.SUCCESSFUL
        async with open_host(settings, record_sync_jobs=True) as host:
            job = await execute(host, "double", SYNC, number=4)
            assert (await host.job(job.id)).status == Status.SUCCESSFUL

    asyncio.run(scenario())


def test_a_host_does_not_keep_what_clients_accept_at_length(settings: Settings) -> None:
    async def scenario() -> int:
        async with open_host(settings) as host:
            tracemalloc.start()
            for number in range(20):
                asked = AskedResults(accept=f"text/{number}" + 5_000 * ", text/plain")
                job = await execute(host, "double", SYNC, asked=asked, number=number)
                assert job.status == Status.SUCCESSFUL
            return tracemalloc.get_traced_memory()[0]

    try:
        assert asyncio.run(scenario()) < 1_000_000
    finally:
        tracemalloc.stop()


def test_wait_gives_the_result_or_the_job(settings: Settings, tmp_path: Path) -> None:
    mark = tmp_path / "mark"

    async def scenario() -> None:
        async with open_host(settings) as host:
            quick = await execute(host, "double", ModeChoice(mode="wait", wait_seconds=10), number=4)
            assert quick.status == Status.SUCCESSFUL
            bounded = ModeChoice(mode="wait", wait_seconds=0.3)
            slow = await execute(host, "step", bounded, mark=str(mark))
            assert not slow.status.is_final
            mark.touch()
            assert (await final(host, slow.id)).status == Status.SUCCESSFUL

    asyncio.run(scenario())


def test_a_sync_execution_that_takes_too_long_is_dismissed(settings: Settings) -> None:
    async def scenario() -> None:
        async with open_host(settings, sync_timeout_seconds=0.5, record_sync_jobs=True) as host:
            with pytest.raises(SyncTimeout):
                await execute(host, "sleep", SYNC, seconds=30)
            newest = (await host.jobs(limit=1)).jobs[0]
            assert (await final(host, newest.id)).status == Status.DISMISSED

    asyncio.run(scenario())


def test_a_caller_that_goes_dismisses_its_job(settings: Settings, tmp_path: Path) -> None:
    mark = tmp_path / "mark"

    async def gone() -> None:
        while not mark.exists():
            await asyncio.sleep(0.02)

    async def scenario() -> None:
        async with open_host(settings, record_sync_jobs=True) as host:
            with pytest.raises(SyncTimeout):
                await execute(host, "sleep", SYNC, disconnected=gone, seconds=30, mark=str(mark))
            newest = (await host.jobs(limit=1)).jobs[0]
            assert (await final(host, newest.id)).status == Status.DISMISSED

    asyncio.run(scenario())


@pytest.mark.parametrize("choice", [SYNC, ASYNC, ModeChoice(mode="wait", wait_seconds=0)])
def test_a_full_queue_is_told(settings: Settings, choice: ModeChoice) -> None:
    async def scenario() -> None:
        async with open_host(settings, max_queued_jobs=0) as host:
            with pytest.raises(ServiceUnavailable) as caught:
                await execute(host, "double", choice, number=1)
            assert "Retry-After" in caught.value.headers
            assert len(host._waiting) == 0

    asyncio.run(scenario())


def test_dismissing_by_state(settings: Settings) -> None:
    async def scenario() -> None:
        async with open_host(settings) as host:
            job = await execute(host, "double", ASYNC, number=1)
            await final(host, job.id)
            assert (await host.dismiss(job.id)).status == Status.DISMISSED
            with pytest.raises(NoSuchJob):
                await host.job(job.id)
            with pytest.raises(JobGone):
                await host.dismiss(job.id)
            for unknown in ("01a20350-ff36-77e6-b456-81d17f753788", "x", "../../etc", "\x00" * 36):
                with pytest.raises(NoSuchJob):
                    await host.dismiss(unknown)

    asyncio.run(scenario())


def test_a_job_dismissed_by_another_ends_the_wait(settings: Settings, tmp_path: Path) -> None:
    mark = tmp_path / "mark"

    async def scenario() -> None:
        async with open_host(settings, record_sync_jobs=True) as host, open_host(settings) as other:
            waiting = asyncio.create_task(execute(host, "sleep", SYNC, seconds=30, mark=str(mark)))
            while not mark.exists():
                await asyncio.sleep(0.02)
            await other.dismiss((await other.jobs(limit=1)).jobs[0].id)
            with pytest.raises(ResultNotAvailable):
                await waiting

    asyncio.run(scenario())


def test_many_at_once_each_get_their_own(settings: Settings) -> None:
    async def scenario() -> None:
        async with open_host(settings) as host:
            jobs = await asyncio.gather(*(execute(host, "double", SYNC, number=n) for n in range(100)))
            values = [await host.output_bytes(job, "result") for job in jobs]
            assert values == [str(2 * n).encode() for n in range(100)]

    asyncio.run(scenario())


def test_a_host_with_a_wrong_clock_gets_its_jobs_accepted(settings: Settings) -> None:
    async def scenario() -> None:
        async with open_host(settings) as host:
            host._clock_offset_ms += 3_600_000  # as if the machine's clock had just been moved
            job = await execute(host, "double", ASYNC, number=1)
            assert (await final(host, job.id)).status == Status.SUCCESSFUL
            host._clock_offset_ms += 3_600_000
            assert (await execute(host, "double", SYNC, number=4)).status == Status.SUCCESSFUL
            assert abs(host._clock_offset_ms) < 3_600_000

    asyncio.run(scenario())


def test_a_store_that_forgot_its_scripts_is_told_them(settings: Settings) -> None:
    async def scenario() -> None:
        async with open_host(settings) as host:
            await host._store.read("SCRIPT", "FLUSH")
            job = await execute(host, "double", SYNC, number=4)
            assert await host.output_bytes(job, "result") == b"8"

    asyncio.run(scenario())


def test_a_job_whose_acceptance_is_not_told_is_given_up(settings: Settings) -> None:
    async def scenario() -> None:
        async with open_host(settings, record_sync_jobs=True) as host:
            waiting = asyncio.create_task(execute(host, "sleep", SYNC, seconds=30))
            while not len(host._waiting):
                await asyncio.sleep(0)
            assert host._store._wire is not None
            host._store._wire.close()
            with pytest.raises(StoreUnavailable):
                await waiting
            for job in (await host.jobs(limit=10)).jobs:  # where it was taken all the same
                assert (await final(host, job.id)).status.is_final

    asyncio.run(scenario())


def test_what_is_not_there_is_told(settings: Settings) -> None:
    async def scenario() -> None:
        async with open_host(settings) as host:
            with pytest.raises(NoSuchProcess):
                await execute(host, "doubles", ASYNC, number=1)
            with pytest.raises(InvalidQueryParameter):
                await host.jobs(limit=10, cursor="nonsense")

    asyncio.run(scenario())


def test_a_large_input_is_found_by_its_job_for_as_long_as_that_waits(
    embedded_store: StoreServer, tmp_path: Path
) -> None:
    settings = Settings(
        redis_url=embedded_store.url, key_prefix="large", value_store_url=f"file://{tmp_path}/values"
    )

    async def scenario() -> None:
        async with Host(settings) as host:
            job = host._new_job(OFFERED, AskedResults(), ASYNC)
            large = {"text": CheckedInput(data=b'"' + b"x" * 2_000_000 + b'"')}
            assert await host._accepted(job, large)
            [(owner, _)] = FileValues(tmp_path / "values").orphans(now_seconds=time.time() + 4000)
            assert owner == job.id
            full = msgspec.structs.replace(settings, max_queued_jobs=0)
            async with Host(full) as refusing:
                with pytest.raises(ServiceUnavailable):
                    await refusing._accepted(refusing._new_job(OFFERED, AskedResults(), ASYNC), large)
            assert len(list((tmp_path / "values").rglob("*.*"))) == 1

    asyncio.run(scenario())


def test_a_file_stays_with_its_request_when_the_job_is_not_taken(
    embedded_store: StoreServer, tmp_path: Path
) -> None:
    settings = Settings(
        redis_url=embedded_store.url, key_prefix="file", value_store_url=f"file://{tmp_path}/values"
    )

    async def scenario() -> None:
        async with Host(settings) as host:
            assert host.values is not None
            path, file = host.values.create()
            with file:
                file.write(b'"' + b"A" * 2_000_000 + b'"')
            given = {"data": CheckedInput(file=path)}
            host._clock_offset_ms += 3_600_000  # the store refuses the first id
            job = await host._accept(OFFERED, AskedResults(), ASYNC, given, "caller")
            full = msgspec.structs.replace(settings, max_queued_jobs=0)
            async with Host(full) as refusing:
                with pytest.raises(ServiceUnavailable):
                    await refusing._accepted(refusing._new_job(OFFERED, AskedResults(), ASYNC), given)
            assert path.exists()
            path.unlink()
            [(owner, location)] = FileValues(tmp_path / "values").orphans(now_seconds=time.time() + 4000)
            assert owner == job.id
            assert host.values.local(location, tmp_path).stat().st_size == 2_000_002

    asyncio.run(scenario())


def test_a_page_is_full_although_few_of_many_jobs_are_wanted(
    embedded_store: StoreServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fastprocesses_host.host.LONGEST_LOOK_SECONDS", 60)
    few = asyncio.Semaphore(50)  # the store answers each within its time
    settings = Settings(redis_url=embedded_store.url, key_prefix="rare", max_queued_jobs=3000)
    other = msgspec.structs.replace(
        OFFERED, description=msgspec.structs.replace(OFFERED.description, id="other")
    )

    async def accepted(host: Host, process: OfferedProcess) -> str:
        job = host._new_job(process, AskedResults(), ASYNC)
        async with few:
            await host._accepted(job, {})
        return job.id

    async def dismissed(host: Host, job_id: str) -> None:
        async with few:
            await host.dismiss(job_id)

    async def scenario() -> None:
        async with Host(settings) as host:
            wanted = [await accepted(host, OFFERED) for _ in range(2)]
            between = await asyncio.gather(*(accepted(host, OFFERED) for _ in range(LIST_BUDGET + 1)))
            await asyncio.gather(*(dismissed(host, job_id) for job_id in between))
            await asyncio.gather(*(accepted(host, other) for _ in range(LIST_BUDGET + 1)))
            newest = await accepted(host, OFFERED)
            rare = JobFilters(process_ids=("swallow",), statuses=("accepted",))
            page = await host.jobs(limit=2, filters=rare)
            last = await host.jobs(limit=2, filters=rare, cursor=page.next)
            back = await host.jobs(limit=2, filters=rare, cursor=last.prev)

            assert [job.id for job in page.jobs] == [newest, wanted[1]]
            assert [job.id for job in last.jobs] == [wanted[0]]
            assert not last.next
            assert [job.id for job in back.jobs] == [newest, wanted[1]]

    asyncio.run(scenario())


OFFERED = OfferedProcess(
    description=ProcessDescription(id="swallow", version="1", title="Swallow", description="Swallow a text."),
    policy=Policy(),
    digest="",
    environment="default",
    plugin="misbehave",
)


def test_a_host_that_stops_dismisses_what_nobody_waits_for_any_more(settings: Settings) -> None:
    async def scenario() -> None:
        async with open_host(settings) as witness:
            async with open_host(settings) as host:
                waiting = asyncio.create_task(execute(host, "sleep", SYNC, seconds=60))
                bounded = ModeChoice(mode="wait", wait_seconds=50)
                listed = asyncio.create_task(execute(host, "sleep", bounded, seconds=60))
                async with asyncio.timeout(20):
                    while len(host._waiting) < 2 or await newest(witness) not in host._waiting.job_ids():
                        await asyncio.sleep(0.02)
                [job_id] = [one for one in host._waiting.job_ids() if one != (await newest(witness))]
            with pytest.raises(ServiceUnavailable, match="stopped"):
                await waiting
            job = await listed
            assert not job.status.is_final
            found = await witness._store.run(operations.job(job_id))
            assert isinstance(found, Job)
            assert found.status == Status.DISMISSED
            await witness.dismiss(job.id)

    async def newest(host: Host) -> str:
        return next((job.id for job in (await host.jobs(limit=1)).jobs), "")

    asyncio.run(scenario())
