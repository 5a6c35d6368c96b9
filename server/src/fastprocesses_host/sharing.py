"""Requests that are equal to others: answered by one run, or with results that are kept, or recognised by their key."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from fastprocesses_host import fingerprint
from fastprocesses_host.catalog import OfferedProcess
from fastprocesses_host.entity_tags import EntityTags
from fastprocesses_host.inputs import CheckedInput
from fastprocesses_host.ogc.exceptions import (
    JobGone,
    KeyReused,
    NothingStored,
    ServiceUnavailable,
    SyncTimeout,
)
from fastprocesses_host.ogc.execute import ExecuteRequest
from fastprocesses_host.ogc.jobs import Job
from fastprocesses_host.ogc.preferences import ModeChoice
from fastprocesses_host.ogc.repeats import Repeats
from fastprocesses_host.settings import Settings
from fastprocesses_host.store import operations
from fastprocesses_host.store.client import AsyncStore, StoreUnavailable
from fastprocesses_host.store.operations import QueueLimits
from fastprocesses_host.store.records import NewJob, StoredInput, job_as_accepted
from fastprocesses_host.store.sharing import Answer, Key, Shared, share
from fastprocesses_host.waiting import Unended, Wait, Waiting

EVERYBODY = ""
"""The scope of requests whose sender is not known: all of them share one, whatever their addresses."""


class Asked(Struct, frozen=True, kw_only=True):
    """An execute request as the host has it: checked, and with what is known of who sent it."""

    process: OfferedProcess
    plugin_version: str
    request: ExecuteRequest
    choice: ModeChoice
    inputs: Mapping[str, CheckedInput]
    caller: str
    repeats: Repeats
    seconds: float
    """How long its sender waits."""
    is_bounded: bool
    """The job goes on when that was not enough."""
    disconnected: Callable[[], Awaitable[None]] | None
    scope: str = EVERYBODY

    @property
    def waits(self) -> bool:
        """Whether the sender waits for the end."""
        return self.choice.mode != "async"


class Means(Struct, frozen=True, kw_only=True):
    """What a host has for jobs of any kind."""

    settings: Settings
    store: AsyncStore
    waiting: Waiting
    new_id: Callable[[], str]
    new_job: Callable[..., NewJob]
    keeps_inputs: Callable[[OfferedProcess], bool]
    store_inputs: Callable[..., Awaitable[dict[str, StoredInput]]]
    drop_inputs: Callable[[Mapping[str, StoredInput]], Awaitable[None]]
    limits: Callable[[], QueueLimits]
    learn: Callable[[Any], None]
    """Takes the store's time from an answer; raises where a limit is reached."""
    dismiss_later: Callable[[str], None]
    read: Callable[[str], Awaitable[Job]]
    collect: Callable[[str], Awaitable[Job]]
    successful: Callable[[Job], Job]
    """Gives back a job that ended; raises where it did not end well."""


class Sharing:
    """Executes requests that may be answered together with others, or that have a key."""

    def __init__(self, means: Means) -> None:
        self._means = means
        self._settings = means.settings
        self._tags = EntityTags(means.settings)
        self._collecting: dict[str, asyncio.Task[operations.Collected | None]] = {}

    def close(self) -> None:
        """Ask other hosts for nothing any more."""
        self._tags.close()

    def is_special(self, process: OfferedProcess, repeats: Repeats) -> bool:
        """Tell whether a request, by its process or its headers, may be one of ours."""
        return bool(repeats.key or repeats.values_only or self._keeps_results(process))

    async def informed(self, asked: Asked) -> Asked:
        """Give a request with what is behind its references now, if that decides whether it may share a run."""
        if not _has_references(asked) or not self._may_share(asked):
            return asked
        inputs = await self._tags.told(asked.process, asked.inputs)
        return asked if inputs is None else replace(asked, inputs=inputs)

    def shares(self, asked: Asked) -> bool:
        """Tell whether a request may have the results of an equal one.

        Those with inputs by reference may only if it is known what is there before it is fetched.
        """
        if not self._may_share(asked):
            return False
        return all(value.referenced is None or value.referenced.is_known for value in asked.inputs.values())

    def _may_share(self, asked: Asked) -> bool:
        """Tell the same as far as its inputs do not matter; a subscriber is told of a run, and so has its own."""
        if not asked.repeats.is_stored or not self._keeps_results(asked.process):
            return False
        subscriber = asked.request.subscriber
        return subscriber is None or not subscriber.wants_calls

    def takes(self, asked: Asked) -> bool:
        """Tell whether a request is one of ours."""
        return bool(asked.repeats.key or asked.repeats.values_only or self.shares(asked))

    async def execute(self, asked: Asked) -> Job:
        """Answer a request with what there is, or together with others, or by a job of its own.

        Args:
            asked: As `informed` gave it.

        Returns:
            The job: final and successful if it was waited for, or if there were results already.

        Raises:
            KeyReused, JobGone, NothingStored: see there. All that `Host.execute` raises.
        """
        shares = self.shares(asked)
        if asked.repeats.values_only and not shares:
            raise NothingStored
        inputs = await fingerprint.inputs_digest(asked.inputs)
        contents = inputs
        if shares and _has_references(asked):
            contents = await fingerprint.inputs_digest(asked.inputs, by_content=True)
        key = self._key(asked, inputs)
        for _ in range(2):
            job = self._new_job(asked)
            shared = self._shared(asked, job, contents) if shares else None
            wait = Wait(asked.seconds, asked.disconnected)
            with self._registered(asked, job.id, wait):
                answer = await self._share(asked, job, key, shared)
                if answer.outcome == "ok":
                    return await self._answered(asked, job, answer, wait)
            if answer.outcome == "same":
                return await self._repeated(asked, answer.job_id)
        raise StoreUnavailable

    async def mirrored(self, job: Job) -> Job:
        """Give a job that follows a run with how far that is."""
        run = await self._means.store.run(operations.job(job.run_id))
        return _mirrored(job, run)

    async def all_mirrored(self, jobs: Sequence[Job]) -> list[Job]:
        """Do the same for those of a list that follow a run."""
        run_ids = sorted({job.run_id for job in jobs if is_following(job)})
        found = await asyncio.gather(*[self._means.store.run(operations.job(run_id)) for run_id in run_ids])
        runs = dict(zip(run_ids, found, strict=True))
        return [_mirrored(job, runs[job.run_id]) if is_following(job) else job for job in jobs]

    def _keeps_results(self, process: OfferedProcess) -> bool:
        return process.policy.deterministic and self._settings.result_cache_seconds > 0

    def _key(self, asked: Asked, inputs: str) -> Key | None:
        if not asked.repeats.key:
            return None
        is_sync = asked.choice.mode == "sync"
        return Key(
            name=fingerprint.key_digest(asked.scope, asked.repeats.key),
            request=fingerprint.request_digest(asked.process, asked.request, inputs, is_sync=is_sync),
            keep_seconds=self._settings.idempotency_key_seconds,
        )

    def _new_job(self, asked: Asked) -> NewJob:
        """Make the job of a request; one with a key goes on whoever waits for it, and is kept as long as the key."""
        request = asked.request
        job = self._means.new_job(
            asked.process, request.asked, asked.choice, asked.caller, request.subscriber
        )
        if not asked.repeats.key:
            return job
        ttl_seconds = max(job.limits.ttl_seconds, self._settings.idempotency_key_seconds)
        limits = replace(job.limits, ttl_seconds=ttl_seconds)
        return replace(job, mode="async", deadline_ms=None, limits=limits, idempotency_key=asked.repeats.key)

    def _shared(self, asked: Asked, job: NewJob, inputs: str) -> Shared:
        digest = fingerprint.run_digest(
            asked.process, asked.request, inputs, plugin_version=asked.plugin_version, scope=asked.scope
        )
        policy, settings = asked.process.policy, self._settings
        kept_seconds = policy.keep_job_seconds or settings.job_ttl_seconds
        kept_seconds = min(
            kept_seconds, policy.keep_results_seconds or settings.results_ttl_seconds or kept_seconds
        )
        limits = replace(
            job.limits,
            ttl_seconds=min(settings.result_cache_seconds, kept_seconds),
            results_ttl_seconds=0.0,
            log_ttl_seconds=0.0,
        )
        run = replace(
            job,
            id=self._means.new_id(),
            listed=False,
            mode="async",
            waiting_host="",
            deadline_ms=None,
            idempotency_key="",
            keep_inputs=self._means.keeps_inputs(asked.process),  # for those to come that are listed
            limits=limits,
            shared_as=digest,
        )
        return Shared(
            run=run,
            max_age_seconds=asked.repeats.max_age_seconds,
            values_only=asked.repeats.values_only,
            urgent_queue=job.queue if asked.waits else "",
        )

    def _registered(self, asked: Asked, job_id: str, wait: Wait) -> AbstractContextManager[None]:
        return self._means.waiting.of(job_id, wait) if asked.waits else nullcontext()

    async def _share(self, asked: Asked, job: NewJob, key: Key | None, shared: Shared | None) -> Answer:
        means, owner = self._means, job if shared is None else shared.run
        stored = await means.store_inputs(owner.id, asked.inputs, asked.caller)
        lengths = {
            value.location: asked.inputs[name].length for name, value in stored.items() if value.location
        }
        try:
            answer = await means.store.run(
                share(
                    job,
                    stored,
                    limits=means.limits(),
                    lengths=lengths,
                    host=job.waiting_host,
                    key=key,
                    shared=shared,
                )
            )
        except StoreUnavailable:
            if key is None:  # it may have been taken, and its caller will never know; a key finds it
                means.dismiss_later(job.id)
            raise
        except ServiceUnavailable:
            await means.drop_inputs(stored)
            raise
        if answer.how != "run":
            await means.drop_inputs(stored)
        means.learn(answer)
        if answer.outcome == "other":
            raise KeyReused
        if answer.outcome == "none":
            raise NothingStored
        return answer

    async def _answered(self, asked: Asked, job: NewJob, answer: Answer, wait: Wait) -> Job:
        if answer.stored is not None:
            return answer.stored
        accepted = replace(job_as_accepted(job), run_id=answer.run_id, is_joined=answer.how == "joined")
        return await self._outcome(asked, accepted, wait) if asked.waits else accepted

    async def _repeated(self, asked: Asked, job_id: str) -> Job:
        """Give the job that a key stands for, at its end if its sender waits for that."""
        wait = Wait(asked.seconds, asked.disconnected)
        with self._registered(asked, job_id, wait):
            job = await self._means.store.run(operations.job(job_id))  # it may have ended before we listened
            if not isinstance(job, Job):
                raise JobGone(
                    "The job of this Idempotency-Key has been deleted. Take a new key to run it again."
                )
            if not asked.waits:
                return job
            if job.status.is_final:
                return await self._means.collect(job_id)
            return await self._outcome(asked, job, wait)

    async def _outcome(self, asked: Asked, job: Job, wait: Wait) -> Job:
        goes_on = bool(asked.repeats.key)
        try:
            end = await wait.done
        except asyncio.CancelledError:
            self._leave(job.id, goes_on=goes_on)
            raise
        if isinstance(end, bytes):
            return await self._ended(job)
        if asked.is_bounded and end is not Unended.GONE:
            return await self._means.read(job.id)
        self._leave(job.id, goes_on=goes_on)
        if end is Unended.STOPPED:
            raise ServiceUnavailable("The server is being stopped. Try again in a moment.")
        if end is Unended.GONE:
            raise SyncTimeout("The connection was closed before the process ended.")
        if goes_on:
            raise SyncTimeout(
                f"The process did not end within {asked.seconds:g} s, and goes on. Send the same request, with the "
                "same Idempotency-Key, to go on waiting."
            )
        raise SyncTimeout(f"The process did not end within {asked.seconds:g} s. Execute it asynchronously.")

    async def _ended(self, job: Job) -> Job:
        """Give a job that has ended, successful; many that end with one run have it read once."""
        if job.run_id:
            collected = await self._collected(job.run_id)
            if collected is not None and collected.job.status.is_final:
                run = collected.job
                return self._means.successful(
                    replace(
                        job,
                        status=run.status,
                        outputs=run.outputs,
                        values=collected.values,
                        reason=run.reason,
                        problem=run.problem,
                    )
                )
        return await self._means.collect(job.id)  # it has no run, or has ended before it

    async def _collected(self, run_id: str) -> operations.Collected | None:
        collecting = self._collecting.get(run_id)
        if collecting is None:
            collecting = asyncio.create_task(
                self._means.store.run(operations.collect(run_id)), name="collect"
            )
            self._collecting[run_id] = collecting
            collecting.add_done_callback(lambda _: self._collecting.pop(run_id, None))
        return await asyncio.shield(collecting)

    def _leave(self, job_id: str, *, goes_on: bool) -> None:
        if not goes_on:
            self._means.dismiss_later(job_id)


def _has_references(asked: Asked) -> bool:
    return any(value.referenced is not None for value in asked.inputs.values())


def is_following(job: Job) -> bool:
    """Tell whether a job waits for the end of a run that is not its own."""
    return bool(job.run_id) and not job.status.is_final


def _mirrored(job: Job, run: Job | str) -> Job:
    if not isinstance(run, Job):
        return job
    updated = max(job.updated or 0, run.updated or 0) or None
    return replace(job, progress=run.progress, message=run.message, attempt=run.attempt, updated=updated)
