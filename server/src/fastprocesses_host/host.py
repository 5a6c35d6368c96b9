"""The host's parts put together: catalog, store, and those who wait for jobs."""

import asyncio
import contextlib
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping
from functools import partial
from types import TracebackType
from typing import Any, Self

import msgspec
from fastprocesses_sdk.description import Policy
from msgspec import Struct
from msgspec.structs import replace

from fastprocesses_host.catalog import Catalog, OfferedProcess
from fastprocesses_host.engine import endings
from fastprocesses_host.inputs import CheckedInput, require_few_references
from fastprocesses_host.logs import get_logger
from fastprocesses_host.ogc.events import Seen
from fastprocesses_host.ogc.exceptions import (
    BodyTooLarge,
    Forbidden,
    InputsNotKept,
    InvalidQueryParameter,
    JobGone,
    NoSuchJob,
    ProcessFailed,
    ResultNotAvailable,
    ServiceUnavailable,
    SyncTimeout,
    TooManyRequests,
)
from fastprocesses_host.ogc.execute import ExecuteRequest
from fastprocesses_host.ogc.job_filters import JobFilters
from fastprocesses_host.ogc.jobs import AskedResults, Job, Status
from fastprocesses_host.ogc.preferences import ModeChoice
from fastprocesses_host.ogc.repeats import PLAIN, Repeats
from fastprocesses_host.ogc.results import wants_references
from fastprocesses_host.ogc.subscribers import Subscriber
from fastprocesses_host.settings import Settings
from fastprocesses_host.sharing import Asked, Means, Sharing, is_following
from fastprocesses_host.store import operations
from fastprocesses_host.store.acceptance import Acceptance, Packed
from fastprocesses_host.store.announcements import Announcement, announcement_decoder, choose_offers
from fastprocesses_host.store.client import (
    BREAKER_SECONDS,
    AsyncStore,
    StoreRefused,
    StoreUnavailable,
    refuse_other_format,
    refuse_unfit_server,
)
from fastprocesses_host.store.ids import ID_LENGTH, JobIds, is_job_id
from fastprocesses_host.store.keys import FORMAT, Keys, queue_names
from fastprocesses_host.store.operations import QueueLimits
from fastprocesses_host.store.records import (
    ANYBODY,
    Limits,
    NewJob,
    StoredInput,
    decode_input,
    decode_told,
    job_as_accepted,
    job_as_told,
    job_of,
    lengths_elsewhere,
    pairs,
)
from fastprocesses_host.store.rooms import HELD_SECONDS, Room, Rooms
from fastprocesses_host.store.sharing import Answer
from fastprocesses_host.store.value_stores import folder_of_values, open_values
from fastprocesses_host.store.values import NoSuchValue, Values
from fastprocesses_host.uploads import uploads_of
from fastprocesses_host.waiting import Unended, Wait, Waiting
from fastprocesses_host.watching import Watched

MOST_JOBS_A_PAGE = 1000
LONGEST_LOOK_SECONDS = 0.008
"""How long the store is asked again for one page that is not full yet; what follows is the next page's."""
_FULL = 0.85
"""From this share of its memory on, the store takes no new jobs: what is under way needs the rest."""
_LOOK_SECONDS = 2.0
_FIRST_LOOK_SECONDS = 0.1
_EXPIRING_STEPS = 20
"""A tick; workers do more."""
_DISMISSAL = "dismissal"
_DISMISSAL_SECONDS = 60.0
_FAREWELL_SECONDS = 0.5
"""How long a host that stops sees to the jobs whose callers it sends away."""
_LINES_A_LOOK, _LINE_BYTES_A_LOOK = 100, 64 * 1024
"""Of a job's log, for whoever watches it: so much at most is held for a client that is slow to take it."""
_BACKWARDS, _BACKWARDS_FROM = "-", "="
"""Before the id in a cursor: towards newer jobs, without or with the job itself."""
_DIRECTIONS = (_BACKWARDS, _BACKWARDS_FROM)
_EVERY_JOB = JobFilters()
_NO_ID = "00000000-0000-7000-8000-000000000000"
_MOST_KINDS = 256
"""Of jobs; clients can ask for results in any number of ways."""
_LONGEST_ALIKE = 256
"""Most characters of what a client accepts whose jobs are one kind: of a kind they are kept several times."""
_FULL_QUEUES = {
    "full": "Too many jobs are waiting. Try again later.",
    "process-full": "Too many jobs of this process are waiting. Try again later.",
}

log = get_logger()


class JobPage(Struct, frozen=True, kw_only=True):
    """A part of the job list, and the cursors of its neighbours; empty where there is none."""

    jobs: list[Job]
    next: str = ""
    prev: str = ""


class _OtherClock(Exception):
    """A job's id is of another time than the store's."""


class _Kind(Struct, frozen=True):
    """What all jobs of a process have in common that are executed in one way."""

    process: OfferedProcess
    job: NewJob
    """One of them, without what each has for itself."""
    accepted: Job
    """The same as its caller sees it."""
    acceptance: Acceptance | None
    """How they are accepted, where many may be alike."""


class Host:
    """What the web layer asks. Opened and closed as an async context, in the event loop that uses it."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._keys = Keys.of(settings.key_prefix)
        self._id = secrets.token_hex(6)
        self._done_suffix = self._id.encode()
        self._catalog_channel = self._keys.catalog.encode()
        self._store = AsyncStore(settings.redis_url, self._keys)
        self._values = open_values(settings, patience_seconds=0.0)
        self._rooms = Rooms(settings, folder_of_values(settings))
        self.uploads = uploads_of(settings, self._store, self._values, self._rooms)
        """The uploads of callers; None where there is no value store."""
        self._catalog = Catalog.from_announcements(())
        self._offers: dict[str, Announcement] = {}
        self._shown: set[str] = set()
        self._refreshing = asyncio.Lock()
        self._unreadable: set[str] = set()
        self._most_inline_bytes = min(settings.max_inline_bytes, settings.max_value_bytes)
        self._ids = JobIds()
        self._clock_offset_ms = 0
        self._kinds: dict[tuple[str, str, AskedResults], _Kind] = {}
        self._waiting = Waiting()
        self.watched = Watched(
            lambda job_id: self._store.follow(self._keys.changes(job_id)),
            lambda job_id: self._store.unfollow(self._keys.changes(job_id)),
            most=settings.max_event_streams,
            most_of_caller=settings.max_event_streams_per_caller,
        )
        self._tasks: list[asyncio.Task[None]] = []
        self._loop: asyncio.AbstractEventLoop | None = None
        self._is_answered = False
        self._was_answered = False
        self._is_full = False
        self._refused = ""
        self._queue_limits = QueueLimits(
            jobs=settings.max_queued_jobs,
            of_caller=settings.max_queued_jobs_per_caller,
            of_process=settings.max_queued_jobs_per_process,
        )
        self._sharing = Sharing(
            Means(
                settings=settings,
                store=self._store,
                waiting=self._waiting,
                new_id=self._new_id,
                new_job=self._new_job,
                keeps_inputs=lambda process: keeps_inputs(process, settings),
                store_inputs=self._store_inputs,
                drop_inputs=self._drop_inputs,
                limits=lambda: self._queue_limits,
                learn=self._learn,
                dismiss_later=self._dismiss_later,
                read=self.job,
                collect=self._collect,
                successful=successful,
            )
        )

    async def __aenter__(self) -> Self:
        """Start listening to the store; it need not be there yet."""
        self._loop = asyncio.get_running_loop()
        for loop in (self._listen, self._tick, self._look_after_waiting, self._waiting.look_after):
            self._tasks.append(asyncio.create_task(loop(), name=loop.__name__))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop listening; who still waits is told to try again, and what nobody waits for any more is dismissed."""
        self._waiting.send_away()
        self.watched.send_away()
        await asyncio.sleep(0)  # now their dismissals are under way
        dismissals = [task for task in self._tasks if task.get_name() == _DISMISSAL]
        if dismissals:
            await asyncio.wait(dismissals, timeout=_FAREWELL_SECONDS)
        left = set(self._tasks)
        while left:  # a library may take a cancellation for a lost connection, and go on
            for task in left:
                task.cancel()
            _, left = await asyncio.wait(left, timeout=0.5)
        await self._store.close()
        self._sharing.close()
        if self._values is not None:
            self._values.close()

    @property
    def catalog(self) -> Catalog:
        """What is offered now.

        Raises:
            ServiceUnavailable: no worker has announced anything yet.
        """
        if not self._shown:
            raise ServiceUnavailable(
                "It is not known yet what is offered. Try again in a moment.", retry_after_seconds=1
            )
        return self._catalog

    @property
    def values(self) -> Values | None:
        """The value store, where there is one."""
        return self._values

    def room(self, caller: str, *, holder: str = "", keep_seconds: float = HELD_SECONDS) -> Room:
        """Give room in the value store for what a caller sends; to be grown before it is written."""
        return Room(self._rooms, self._store, caller, holder=holder, keep_seconds=keep_seconds)

    def give_back_later(self, room: Room) -> None:
        """Give room back without waiting for it; what held none costs nothing."""
        if room.is_held:
            self._spawn(room.give_back(), "room")

    def forget_later(self, job: Job) -> None:
        """Have the large values of a job removed that only its caller could see, and has had."""
        if not job.listed and any(value.location for value in job.outputs.values()):
            self._spawn(self._forget(job.id), "forget")

    async def _forget(self, job_id: str) -> None:
        with contextlib.suppress(ServiceUnavailable):  # then it expires a little later
            await self._store.run(operations.forget(job_id))

    def readiness(self) -> list[str]:
        """Give sentences on what is missing; none when jobs can be taken."""
        missing = [self._refused] if self._refused else []
        if self._store.is_away or not self._is_answered:
            missing.append("The store does not answer.")
        if not self._shown:
            missing.append("No worker has announced its processes yet; is one running?")
        if not self._store.is_listening:
            missing.append("The store's messages are not received yet.")
        return missing

    async def execute(
        self,
        process_id: str,
        request: ExecuteRequest,
        choice: ModeChoice,
        *,
        inputs: Mapping[str, CheckedInput],
        caller: str = ANYBODY,
        disconnected: Callable[[], Awaitable[None]] | None = None,
        repeats: Repeats = PLAIN,
    ) -> Job:
        """Accept a job; where its caller waits, wait for its end.

        Args:
            process_id: The process.
            request: What was asked.
            choice: Whether the caller waits, and how long.
            inputs: The checked inputs.
            caller: Who asks; callers take turns in the queues, and each may have so many jobs there.
            disconnected: Returns when the caller has gone; its job is dismissed then.
            repeats: What the caller says of answers that were given before.

        Returns:
            The job: final and successful if it was waited for, accepted or running if not; successful at once where
            there are results that may be given.

        Raises:
            NoSuchProcess, ProcessFailed, SyncTimeout, BodyTooLarge, TooManyRequests, ServiceUnavailable.
            KeyReused, JobGone, NothingStored: by what `repeats` says.
        """
        process = self.catalog.get(process_id)
        if self._is_full:
            raise ServiceUnavailable("The store is nearly full. Try again later.", retry_after_seconds=30)
        if self._refused:
            raise ServiceUnavailable(self._refused, retry_after_seconds=60)
        if self._store.is_away:
            raise StoreUnavailable
        stored = self._kept_inline(inputs)
        if stored is None:
            self._require_small(inputs)
        self._require_place(choice)
        if self._sharing.is_special(process, repeats):
            seconds, is_bounded = self._patience(choice)
            asked = Asked(
                process=process,
                plugin_version=self._catalog.plugin_version(process.plugin),
                request=request,
                choice=choice,
                inputs=inputs,
                caller=caller,
                repeats=repeats,
                seconds=seconds,
                is_bounded=is_bounded,
                disconnected=disconnected,
            )
            asked = await self._sharing.informed(asked)
            self._require_place(choice)
            if self._sharing.takes(asked):
                return await self._sharing.execute(asked)
        if choice.mode == "async":
            return await self._accept(
                process, request.asked, choice, inputs, caller, request.subscriber, kept=stored
            )
        return await self._wait(
            process, request.asked, choice, inputs, caller, disconnected, request.subscriber, kept=stored
        )

    def _require_place(self, choice: ModeChoice) -> None:
        if choice.mode != "async" and len(self._waiting) >= self.settings.max_waiting_requests:
            raise ServiceUnavailable(
                "Too many requests wait for their results. Try again in a moment, or execute asynchronously with the "
                "header Prefer: respond-async.",
                retry_after_seconds=2,
            )

    async def job(self, job_id: str) -> Job:
        """Read a job.

        Raises:
            NoSuchJob: there is none of this id, or it was deleted.
        """
        # Its record alone, without a script: this is asked most often of all.
        record = await self._store.ask("HGETALL", self._keys.job(job_id)) if is_job_id(job_id) else None
        if not record:
            raise NoSuchJob
        found = job_of(job_id, pairs(record))
        if is_following(found):
            return await self._sharing.mirrored(found)
        if _is_over(found):
            raise NoSuchJob
        return found

    async def jobs(self, *, limit: int, cursor: str = "", filters: JobFilters = _EVERY_JOB) -> JobPage:
        """Read a page of the job list, newest first.

        Args:
            limit: Most jobs.
            cursor: As a page before told it; empty: from the newest.
            filters: Which jobs.

        Raises:
            InvalidQueryParameter: the cursor is none of ours.
            NoSuchProcess: none of the processes named is offered, and none has jobs (S1.5).
        """
        direction = cursor[:1] if cursor.startswith(_DIRECTIONS) else ""
        last = cursor.removeprefix(direction)
        if cursor and not is_job_id(last):
            raise InvalidQueryParameter("The cursor is not one that this server gave. Start without it.")
        page = await self._filled_page(
            min(limit, MOST_JOBS_A_PAGE),
            last,
            backwards=bool(direction),
            inclusive=direction == _BACKWARDS_FROM,
            filters=filters,
        )
        if filters.process_ids and not page.of_processes:
            self._require_one_of(filters.process_ids)
        if direction and not page.jobs and not page.has_more:  # nothing lies before the first page
            return await self.jobs(limit=limit, filters=filters)
        if any(is_following(job) for job in page.jobs):
            page = replace(page, jobs=await self._sharing.all_mirrored(page.jobs))
        return _page(page, last, is_backwards=bool(direction))

    async def _filled_page(
        self, limit: int, cursor: str, *, backwards: bool, inclusive: bool, filters: JobFilters
    ) -> operations.Page:
        """Read on until the page is full, or took long: the store looks into a bounded number of records at a time."""
        until_seconds = time.monotonic() + LONGEST_LOOK_SECONDS
        page = await self._store.run(
            operations.jobs(
                limit=limit, cursor=cursor, backwards=backwards, inclusive=inclusive, filters=filters
            )
        )
        while len(page.jobs) < limit and page.has_more and time.monotonic() < until_seconds:
            more = await self._store.run(
                operations.jobs(
                    limit=limit - len(page.jobs), cursor=page.last, backwards=backwards, filters=filters
                )
            )
            page = replace(more, jobs=more.jobs + page.jobs if backwards else page.jobs + more.jobs)
        return page

    async def log(self, job_id: str, *, limit: int) -> operations.Log:
        """Read the newest lines of a job's log.

        Raises:
            NoSuchJob: there is none of this id.
        """
        found = await self._store.run(operations.log(job_id, limit=limit)) if is_job_id(job_id) else None
        if found is None:
            raise NoSuchJob
        return found

    async def look(self, job_id: str, *, lines_from: int) -> Seen:
        """Read a job as it is now, and the next lines of its log where logs are shown.

        Args:
            job_id: The job.
            lines_from: How many lines there were before the first one wanted.

        Raises:
            NoSuchJob: there is none of this id.
        """
        if not self.settings.show_job_logs:
            return Seen(job=await self.job(job_id))
        operation = operations.look(
            job_id, lines_from=lines_from, limit=_LINES_A_LOOK, max_bytes=_LINE_BYTES_A_LOOK
        )
        found = await self._store.run(operation) if is_job_id(job_id) else None
        if found is None or _is_over(found.job):
            raise NoSuchJob
        if is_following(found.job):
            found = replace(found, job=await self._sharing.mirrored(found.job))
        return Seen(job=found.job, lines=found.lines, first=found.first, count=found.count)

    async def inputs(self, job_id: str) -> tuple[Job, dict[str, StoredInput]]:
        """Read the inputs of a job.

        Raises:
            NoSuchJob: there is none of this id. InputsNotKept: they go when it ends, or went.
        """
        job = await self.job(job_id)
        if not job.keeps_inputs:
            raise InputsNotKept
        run = await self._store.read(
            "HGET", self._keys.job(job_id), "fr"
        )  # that it follows, and which has them
        owner = run.decode() if run else job_id
        found = await self._store.read("HGETALL", self._keys.inputs(owner))
        flat = found.items() if isinstance(found, dict) else zip(*[iter(found)] * 2, strict=True)
        return job, {name.decode(): decode_input(data) for name, data in flat}

    def _require_one_of(self, process_ids: tuple[str, ...]) -> None:
        if not any(process_id in self._catalog.processes for process_id in process_ids):
            self.catalog.get(process_ids[0])

    async def dismiss(self, job_id: str) -> Job:
        """Dismiss a job that is not final, remove one that is (checklist S2.7 row 6).

        Raises:
            NoSuchJob: there is none of this id.
            JobGone: it was removed before.
            Forbidden: it runs, and its process does not let itself be dismissed.
        """
        found = await self._read(job_id)
        if found == "tombstone":
            raise JobGone
        if not isinstance(found, Job):
            raise NoSuchJob
        process = self._catalog.processes.get(found.process_id)
        if process and not found.status.is_final and "dismiss" not in process.description.job_control_options:
            raise Forbidden("The process of this job cannot be dismissed. Wait until it has ended.")
        dismissed = await self._dismiss(job_id)
        if dismissed.outcome == "tombstone":
            raise JobGone
        return replace(dismissed.job or found, status=Status.DISMISSED)

    async def output(
        self, job: Job, output_id: str, *, start: int = 0, stop: int | None = None
    ) -> AsyncIterator[bytes]:
        """Give the bytes of one output value, in pieces.

        Args:
            job: Whose it is.
            output_id: Which.
            start: First byte.
            stop: Byte behind the last one; None: to the end.

        Raises:
            ResultNotAvailable: it is not there (any more).
        """
        location = job.outputs[output_id].location
        if not location:
            yield (await self._small_value(job, output_id))[start:stop]
            return
        if self._values is None:
            raise ResultNotAvailable("The value lies in a value store that this host does not have.")
        length = job.outputs[output_id].length
        try:
            async with contextlib.aclosing(
                self._values.chunks(location, start, length if stop is None else min(stop, length))
            ) as chunks:
                async for chunk in chunks:
                    yield chunk
        except NoSuchValue:
            raise ResultNotAvailable("The value has expired.") from None

    async def signed_url(self, job: Job, output_id: str) -> str | None:
        """Give a URL of the object store for one output value; None where it does not lie in one."""
        location = job.outputs[output_id].location
        if not location or self._values is None:
            return None
        seconds = self.settings.signed_url_seconds
        try:
            return await asyncio.to_thread(self._values.signed_url, location, seconds=seconds)
        except NoSuchValue:
            raise ResultNotAvailable("The value has expired.") from None

    async def output_bytes(self, job: Job, output_id: str) -> bytes:
        """Give the bytes of one output value.

        Raises:
            ResultNotAvailable: it is not there (any more).
        """
        if output_id in job.values:
            return job.values[output_id]
        return b"".join([piece async for piece in self.output(job, output_id)])

    async def _small_value(self, job: Job, output_id: str) -> bytes:
        if output_id in job.values:
            return job.values[output_id]
        data: bytes | None = await self._store.read("HGET", self._keys.values(job.values_of), output_id)
        if data is None:
            raise ResultNotAvailable("The value has expired.")
        return data

    def _require_small(self, inputs: Mapping[str, CheckedInput]) -> None:
        require_few_references(inputs, self.settings.max_references)
        limit = self.settings.max_value_bytes
        for name, value in inputs.items():
            if (length := value.length) > limit:
                raise BodyTooLarge(
                    f"The input {name} has {length} bytes; {limit} is the most a value may have."
                )

    def _kept_inline(self, inputs: Mapping[str, CheckedInput]) -> dict[str, StoredInput] | None:
        """Give small inputs as they are stored, for which there is nothing to do; None if any is not."""
        most, stored = self._most_inline_bytes, {}
        for name, value in inputs.items():
            data = value.data
            if value.referenced or value.file or len(data) > most:
                return None
            stored[name] = StoredInput(data, value.media_type)
        return stored

    async def _store_inputs(
        self, job_id: str, inputs: Mapping[str, CheckedInput], caller: str
    ) -> dict[str, StoredInput]:
        stored: dict[str, StoredInput] = {}
        try:
            for name, value in inputs.items():
                stored[name] = await self._store_input(job_id, value, caller)
        except BaseException:  # a full disk, a caller who went
            await asyncio.shield(self._drop_inputs(stored))
            raise
        return stored

    async def _store_input(self, job_id: str, value: CheckedInput, caller: str) -> StoredInput:
        if self.uploads is not None and value.referenced is not None and value.referenced.names_uploads:
            return await self.uploads.pinned(job_id, value.referenced)
        if self._values is None or value.length <= self.settings.max_inline_bytes:
            return StoredInput(value.data, value.media_type)
        if value.file is not None:
            location = await asyncio.to_thread(self._values.link, job_id, value.file)
        else:
            async with self.room(caller) as room:
                await room.grow(value.length)
                location = await asyncio.to_thread(self._values.put, job_id, value.data)
        return StoredInput(media_type=value.media_type, location=location)

    async def _drop_inputs(self, inputs: Mapping[str, StoredInput]) -> None:
        for value in inputs.values():
            for location in lengths_elsewhere(value):
                if self._values is not None:
                    await asyncio.to_thread(self._values.delete, location)

    def _new_id(self) -> str:
        return self._ids.make(self._now_ms())

    def _now_ms(self) -> int:
        return time.time_ns() // 1_000_000 + self._clock_offset_ms

    def _new_job(
        self,
        process: OfferedProcess,
        asked: AskedResults,
        choice: ModeChoice,
        caller: str = ANYBODY,
        subscriber: Subscriber | None = None,
    ) -> NewJob:
        return self._job_of(self._kind_of(process, asked, choice, subscriber), caller)

    def _job_of(self, kind: _Kind, caller: str) -> NewJob:
        now_ms = self._now_ms()
        job_id, deadline_ms = self._ids.make(now_ms), None
        if kind.job.mode == "sync":
            deadline_ms = round(now_ms + self.settings.sync_timeout_seconds * 1000)
        return replace(kind.job, id=job_id, caller=caller, deadline_ms=deadline_ms)

    def _kind_of(
        self,
        process: OfferedProcess,
        asked: AskedResults,
        choice: ModeChoice,
        subscriber: Subscriber | None,
    ) -> _Kind:
        is_rare = subscriber is not None or asked.outputs is not None  # each its own, and no key
        if is_rare or len(asked.accept) > _LONGEST_ALIKE:
            return self._kind(process, asked, choice, subscriber)
        key = (process.description.id, choice.mode, asked)
        kind = self._kinds.get(key)
        if kind is None or kind.process is not process:  # another one has its name since
            if len(self._kinds) >= _MOST_KINDS:
                self._kinds.clear()
            kind = self._kind(process, asked, choice, None)
            is_sync = choice.mode == "sync"
            acceptance = Acceptance(kind.job, self._queue_limits, has_deadline=is_sync)
            kind = self._kinds[key] = replace(kind, acceptance=acceptance)
        return kind

    def _kind(
        self,
        process: OfferedProcess,
        asked: AskedResults,
        choice: ModeChoice,
        subscriber: Subscriber | None,
    ) -> _Kind:
        subscriber = subscriber if subscriber and subscriber.wants_calls else None
        listed = (
            choice.mode != "sync"
            or self.settings.record_sync_jobs
            or subscriber is not None
            or wants_references(asked)
        )
        job = replace(
            self._any_job(process, choice.mode, listed=listed),
            asked=asked,
            subscriber=subscriber,
        )
        return _Kind(process, job, job_as_accepted(job), None)

    def _any_job(self, process: OfferedProcess, mode: str, *, listed: bool) -> NewJob:
        urgent, usual = queue_names(process.environment, process.policy.queue)
        waits = mode != "async"
        return NewJob(
            id=_NO_ID,
            process_id=process.description.id,
            process_version=process.description.version,
            description_digest=process.digest,
            environment=process.environment,
            queue=urgent if waits else usual,
            mode="sync" if mode == "sync" else "async",
            listed=listed,
            limits=limits_of(process, self.settings, listed=listed),
            asked=AskedResults(),
            waiting_host=self._id if waits else "",
            keep_inputs=listed and keeps_inputs(process, self.settings),
            callback_progress_seconds=self.settings.callback_progress_seconds,
        )

    async def _accept(
        self,
        process: OfferedProcess,
        asked: AskedResults,
        choice: ModeChoice,
        inputs: Mapping[str, CheckedInput],
        caller: str,
        subscriber: Subscriber | None = None,
        *,
        kept: dict[str, StoredInput] | None = None,
    ) -> Job:
        """Have the store take a job; its id is made anew once if our idea of the store's clock was wrong."""
        kind = self._kind_of(process, asked, choice, subscriber)
        for _ in range(2):
            job = self._job_of(kind, caller)
            created_ms = self._ids.last_ms
            if await self._accepted(job, inputs, kept, kind.acceptance):
                return replace(kind.accepted, id=job.id, created=created_ms)
        raise StoreUnavailable

    async def _accepted(
        self,
        job: NewJob,
        inputs: Mapping[str, CheckedInput],
        kept: dict[str, StoredInput] | None = None,
        acceptance: Acceptance | None = None,
    ) -> bool:
        """Tell whether the store took the job; false where its id is of another time than the store's.

        Args:
            job: The job.
            inputs: Of it.
            kept: What `_kept_inline` gave for them.
            acceptance: Of jobs like it.
        """
        stored = kept
        if stored is not None:
            operation = self._acceptance_of(job, stored, acceptance)
        else:
            stored = await self._store_inputs(job.id, inputs, job.caller)
            lengths = {
                value.location: inputs[name].length for name, value in stored.items() if value.location
            }
            operation = operations.accept(job, stored, limits=self._queue_limits, lengths=lengths)
        try:
            answer = await self._store.run(operation)
        except StoreUnavailable:
            self._dismiss_later(job.id)  # it may have been taken, and its caller will never know
            raise
        except ServiceUnavailable:
            await self._drop_inputs(stored)
            raise
        if answer.outcome != "ok":
            await self._drop_inputs(stored)
        self._learn(answer)
        return answer.outcome == "ok"

    def _acceptance_of(
        self, job: NewJob, stored: dict[str, StoredInput], acceptance: Acceptance | None
    ) -> operations.Operation[operations.Accepted] | Packed[operations.Accepted]:
        """Give the operation that accepts a job whose inputs are stored as they are."""
        packed = acceptance.of(job, stored) if acceptance is not None else None
        return packed or operations.accept(job, stored, limits=self._queue_limits)

    def _learn(self, answer: operations.Accepted | Answer) -> None:
        """Take the store's time from an answer.

        Raises:
            TooManyRequests, ServiceUnavailable: a limit is reached.
        """
        self._clock_offset_ms = answer.now_ms - time.time_ns() // 1_000_000
        if answer.outcome == "ok":
            return
        if answer.outcome == "caller-full":
            raise TooManyRequests(
                "Too many of your jobs are waiting. Send this again when some of them have ended, or dismiss some.",
                retry_after_seconds=10,
            )
        if answer.outcome in _FULL_QUEUES:
            raise ServiceUnavailable(_FULL_QUEUES[answer.outcome], retry_after_seconds=10)
        if answer.outcome == "clock":
            self._ids = JobIds()  # the old ones would go on from a time that never was

    async def _wait(
        self,
        process: OfferedProcess,
        asked: AskedResults,
        choice: ModeChoice,
        inputs: Mapping[str, CheckedInput],
        caller: str,
        disconnected: Callable[[], Awaitable[None]] | None,
        subscriber: Subscriber | None,
        *,
        kept: dict[str, StoredInput] | None,
    ) -> Job:
        seconds, is_bounded = self._patience(choice)
        kind = self._kind_of(process, asked, choice, subscriber)
        for _ in range(2):
            job = self._job_of(kind, caller)
            wait = Wait(seconds, disconnected, self._loop)
            self._waiting.enter(job.id, wait)  # before it is accepted: a worker may be faster than the answer
            try:
                if self._send(job, kept, wait, kind.acceptance) or await self._accepted(job, inputs, kept):
                    return await self._outcome(job, wait, seconds, is_bounded=is_bounded)
            except _OtherClock:
                continue
            finally:
                self._waiting.leave(job.id, wait)
        raise StoreUnavailable

    def _send(
        self,
        job: NewJob,
        stored: dict[str, StoredInput] | None,
        wait: Wait,
        acceptance: Acceptance | None,
    ) -> bool:
        """Have the store take a job; a refusal ends the wait, and nobody is woken by anything else.

        Returns:
            Whether that is under way: not where more is to be done for it than to send a command.
        """
        if stored is None:
            return False
        operation = self._acceptance_of(job, stored, acceptance)
        wait.is_pending = self._store.send(operation, partial(self._hear_accepted, wait))
        return wait.is_pending

    def _hear_accepted(self, wait: Wait, answer: operations.Accepted | Exception) -> None:
        wait.is_pending = False
        if isinstance(answer, Exception):
            wait.fail(answer)
            return
        try:
            self._learn(answer)
        except (TooManyRequests, ServiceUnavailable) as refusal:
            wait.fail(refusal)
        else:
            if answer.outcome == "clock":
                wait.fail(_OtherClock())

    def _patience(self, choice: ModeChoice) -> tuple[float, bool]:
        """Give how long to wait, and whether the job goes on if that was not enough."""
        is_bounded = choice.mode == "wait" and choice.wait_seconds is not None
        cap_seconds = self.settings.sync_timeout_seconds
        return min(choice.wait_seconds or 0.0, cap_seconds) if is_bounded else cap_seconds, is_bounded

    async def _outcome(self, job: NewJob, wait: Wait, seconds: float, *, is_bounded: bool) -> Job:
        try:
            end = await wait.done
        except (asyncio.CancelledError, StoreUnavailable):  # it may have been taken
            self._dismiss_later(job.id)
            raise
        if isinstance(end, bytes):
            return successful(job_as_told(job, decode_told(end))) if end else await self._collect(job.id)
        if is_bounded and end is not Unended.GONE:
            return await self.job(job.id)
        self._dismiss_later(job.id)
        if end is Unended.STOPPED:
            raise ServiceUnavailable("The server is being stopped. Try again in a moment.")
        if end is Unended.GONE:
            raise SyncTimeout("The connection was closed before the process ended, so it was stopped.")
        raise SyncTimeout(f"The process did not end within {seconds:g} s. Execute it asynchronously.")

    async def _collect(self, job_id: str) -> Job:
        collected = await self._store.run(operations.collect(job_id))
        if collected is None:
            raise ResultNotAvailable("The job was removed before its results were read.")
        return successful(replace(collected.job, values=collected.values))

    def _dismiss_later(self, job_id: str) -> None:
        self._spawn(self._dismiss_quietly(job_id), _DISMISSAL)

    async def _dismiss_quietly(self, job_id: str) -> None:
        until_seconds = time.monotonic() + max(_DISMISSAL_SECONDS, self.settings.sync_timeout_seconds)
        while time.monotonic() < until_seconds:  # beyond that its deadline or its worker ends it
            with contextlib.suppress(ServiceUnavailable):
                await self._dismiss(job_id)
                return
            await asyncio.sleep(BREAKER_SECONDS)

    async def _dismiss(self, job_id: str) -> operations.Dismissed:
        token = secrets.token_hex(8)
        return await self._store.run(
            operations.dismiss(job_id, token, tombstone_seconds=self.settings.tombstone_seconds)
        )

    async def _read(self, job_id: str) -> Job | str:
        if not is_job_id(job_id):
            return "gone"
        found = await self._store.run(operations.job(job_id))
        if isinstance(found, Job) and is_following(found):
            return await self._sharing.mirrored(found)
        return "gone" if isinstance(found, Job) and _is_over(found) else found

    async def _listen(self) -> None:
        """Hear of the ends of jobs at once, and of what workers offer."""
        async for _ in self._store.listen(self._hear, self._keys.done(self._id), self._keys.catalog):
            self.watched.wake_all()
            await self._quietly(self._reread_waiting())

    def _hear(self, channel: bytes, data: bytes) -> None:
        if channel.endswith(self._done_suffix):
            self._waiting.tell(data[:ID_LENGTH].decode(), data[ID_LENGTH:])
        elif channel != self._catalog_channel:
            self.watched.wake(channel[-ID_LENGTH:].decode())
        else:
            self._spawn(self._quietly(self._refresh_catalog()), "catalog")

    def _spawn(self, work: Coroutine[Any, Any, None], name: str) -> None:
        """Do something beside, and hold it until it is done."""
        task = asyncio.create_task(work, name=name)
        self._tasks.append(task)
        task.add_done_callback(self._tasks.remove)

    async def _tick(self) -> None:
        """Help the workers keep house: with no worker left, jobs of dead ones end all the same."""
        turn = 0
        while True:
            await self._quietly(self._tick_once(is_full_turn=turn % 5 == 0))
            turn += 1
            ended_seconds = time.monotonic() + self.settings.tick_seconds
            while (left_seconds := ended_seconds - time.monotonic()) > 0:
                await asyncio.sleep(left_seconds if self._offers else min(left_seconds, _FIRST_LOOK_SECONDS))
                if not self._offers:
                    await self._quietly(self._refresh_catalog())

    async def _tick_once(self, *, is_full_turn: bool) -> None:
        if is_full_turn:
            await self._check_store()
        answer = await self._store.run(
            operations.tick("", host=self._id, lease_seconds=self.settings.lease_seconds)
        )
        self._clock_offset_ms = answer.now_ms - time.time_ns() // 1_000_000
        if self._was_answered and not self._is_answered:
            log.info("store back")
        self._is_answered = self._was_answered = True
        if answer.may_recover:
            recover = operations.recover(
                lease_seconds=self.settings.lease_seconds,
                retry_seconds=self.settings.retry_seconds,
                worker_lost=endings.worker_lost(),
                no_worker=endings.no_worker(),
            )
            await self._store.run(recover)
            for _ in range(_EXPIRING_STEPS):
                if await self._store.run(operations.expire()) < operations.EXPIRE_AT_ONCE:
                    break
        await self._refresh_catalog()

    async def _check_store(self) -> None:
        """See whether the store is one for us, and how full it is."""
        info = await self._store.read("INFO")
        try:
            refuse_unfit_server(info)
            refuse_other_format((await self._store.run(operations.open_store(FORMAT)))[0])
        except StoreRefused as error:
            if not self._refused:
                log.critical("store refused", reason=str(error))
            self._refused = str(error)
            return
        self._refused = ""
        limit = int(info.get("maxmemory", 0))
        self._is_full = limit > 0 and int(info["used_memory"]) > limit * _FULL

    async def _look_after_waiting(self) -> None:
        """The record is the truth, messages only the fast way to it."""
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            await self._quietly(self._reread_waiting())

    async def _reread_waiting(self) -> None:
        for job_id in self._waiting.job_ids():
            found = await self._store.run(operations.job(job_id))
            if isinstance(found, Job) and found.status.is_final:
                self._waiting.tell(job_id)

    async def _refresh_catalog(self) -> None:
        """Read what workers offer; a catalog is made only where something changed."""
        async with self._refreshing:  # messages and ticks ask for it, each at its own time
            await self._read_catalog()

    async def _read_catalog(self) -> None:
        listed = await self._store.read("ZRANGE", self._keys.offers, 0, -1, "WITHSCORES")
        seen = (
            dict(listed)
            if listed and isinstance(listed[0], tuple | list)
            else dict(zip(*[iter(listed)] * 2, strict=True))
        )
        names = {name.decode(): float(score) for name, score in seen.items()}
        for name in names.keys() - self._offers.keys() - self._unreadable:
            await self._read_offer(name)
        shown = choose_offers(names, self._offers)
        if shown != self._shown and shown:
            self._catalog = Catalog.from_announcements(self._offers[name] for name in shown)
            self._kinds.clear()
            self._shown = shown  # from now on the host is ready
            log.info("catalog changed", processes=len(self._catalog.processes))
        for name in self._offers.keys() - names.keys():
            del self._offers[name]

    async def _read_offer(self, name: str) -> None:
        text = await self._store.read("GET", self._keys.offer(name))
        if text is None:
            return
        try:
            self._offers[name] = announcement_decoder.decode(text)
        except (
            msgspec.DecodeError
        ) as error:  # of a worker of another version: its processes are not offered here
            self._unreadable.add(name)
            log.warning("announcement not understood", offer=name, reason=str(error))

    async def _quietly(self, work: Awaitable[None]) -> None:
        try:
            await work
        except ServiceUnavailable as error:
            if self._is_answered:
                log.warning("store away", reason=str(error.__cause__ or error))
            self._is_answered = False
        except Exception:
            log.exception("the host's own work failed")


def _is_over(job: Job) -> bool:
    """Whether a job is none any more for those who ask: its caller was told all there is."""
    return job.status.is_final and not job.listed


def limits_of(process: OfferedProcess, settings: Settings, *, listed: bool) -> Limits:
    """Decide what a job may use: by its process, else by the settings; decided once, when it is accepted."""
    policy = process.policy
    return Limits(
        timeout_seconds=policy.timeout_seconds or settings.timeout_seconds,
        memory_mb=policy.memory_mb or 0,
        retryable=policy.retryable,
        max_attempts=policy.max_attempts,
        max_concurrent=policy.max_concurrent or 0,
        max_queue_seconds=settings.max_queue_seconds,
        max_run_seconds=settings.max_run_seconds,
        **_lifetimes(policy, settings, listed=listed),
    )


def keeps_inputs(process: OfferedProcess, settings: Settings) -> bool:
    """Whether the inputs of jobs are kept: as the process has it, else the settings."""
    kept = process.policy.keep_inputs
    return settings.keep_inputs if kept is None else kept


def _lifetimes(policy: Policy, settings: Settings, *, listed: bool) -> dict[str, float]:
    """Decide how long a job is kept once it has ended, and what of it for less."""
    if not listed:
        return {"ttl_seconds": settings.unlisted_job_ttl_seconds}
    ttl_seconds = policy.keep_job_seconds or settings.job_ttl_seconds
    results_seconds = policy.keep_results_seconds or settings.results_ttl_seconds
    log_seconds = policy.keep_log_seconds or settings.log_ttl_seconds
    return {
        "ttl_seconds": ttl_seconds,
        "results_ttl_seconds": results_seconds if results_seconds < ttl_seconds else 0.0,
        "log_ttl_seconds": log_seconds if log_seconds < ttl_seconds else 0.0,
    }


def successful(job: Job) -> Job:
    """Give back a job that was waited for.

    Raises:
        ProcessFailed, SyncTimeout, ServiceUnavailable, ResultNotAvailable: it did not end well.
    """
    if job.status == Status.FAILED and job.problem is not None:
        raise ProcessFailed(job.problem)
    if job.reason == "deadline":  # no worker took it in time; the store's clock said so before ours
        raise SyncTimeout("The process was not begun in time. Execute it asynchronously, or try again later.")
    if job.reason == "abandoned":  # this host was silent for so long that it counted as gone
        raise ServiceUnavailable("The execution was given up because the server was held up. Try again.")
    if job.status != Status.SUCCESSFUL:
        raise ResultNotAvailable("The job was dismissed before it ended.")
    return job


def _page(page: operations.Page, cursor: str, *, is_backwards: bool) -> JobPage:
    """Give a page with the cursors of its neighbours; `cursor` is where it began, if not at the newest."""
    newest, oldest = (page.jobs[0].id, page.jobs[-1].id) if page.jobs else ("", "")
    if is_backwards:
        before = _BACKWARDS + page.last if page.has_more else ""
        return JobPage(jobs=page.jobs, next=oldest or page.last, prev=before)
    before = _BACKWARDS + newest if newest else _BACKWARDS_FROM + cursor
    return JobPage(jobs=page.jobs, next=page.last if page.has_more else "", prev=before if cursor else "")
