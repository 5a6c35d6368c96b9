"""One job to its end: claim, execute, finish. Never raises for what a process does."""

import contextlib
import logging
import math
import os
import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from functools import cached_property, partial
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

import msgspec
from fastprocesses_sdk.description import PluginRecord, ProcessRecord
from fastprocesses_sdk.executor.protocol import (
    AnyFrame,
    Cancel,
    Configure,
    Execute,
    Input,
    Log,
    Order,
    Output,
    Problem,
    Progress,
    Result,
    Started,
)
from msgspec import Struct

from fastprocesses_host.engine import endings, transfers
from fastprocesses_host.engine.disk import DiskWatch
from fastprocesses_host.engine.endings import Ending, Failed, Stopped, Succeeded
from fastprocesses_host.engine.executors import QUIET_SECONDS, Executor, ExecutorLost, Executors
from fastprocesses_host.engine.run import LINE_CHARACTERS, Later, Run, Runs, ending_of_stop
from fastprocesses_host.logs import get_logger, job_context
from fastprocesses_host.ogc.exceptions import BodyTooLarge, InsufficientStorage, TooManyRequests
from fastprocesses_host.ogc.jobs import AskedResults, OutputValue, Status
from fastprocesses_host.ogc.references import REFERENCED, decode_referenced
from fastprocesses_host.ogc.results import plan_formats
from fastprocesses_host.queue import QueueBroker
from fastprocesses_host.settings import Settings
from fastprocesses_host.store import operations, sharing
from fastprocesses_host.store.client import Store, StoreFull, StoreUnavailable
from fastprocesses_host.store.operations import Claimed, Finished
from fastprocesses_host.store.records import StoredInput, Told, encode_told, locations_field, told_field
from fastprocesses_host.store.rooms import DISK_FULL, Rooms, WorkerRoom
from fastprocesses_host.store.values import Values, ValuesAway

if TYPE_CHECKING:
    from fastprocesses_host.engine.references import References

_MEMORY_SECONDS = 0.25
_LOOK_SECONDS = 1.0
_LOADING_TRIES = 2
_IN_A_HURRY = frozenset({"memory", "disk", "disk-full"})
"""Reasons to stop that leave no time to tidy up."""
_LEVELS = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
}
_NOTHING_ASKED = AskedResults()
_SUCCESSFUL = Status.SUCCESSFUL
"""Kept since Python 3.11 looks members of enumerations up in several steps."""
_WITH_FINISH_BYTES = 16 * 1024
"""Values up to this size travel with the end of their run; larger ones are staged before it."""

_DISK_FULL = re.compile(rf"\[Errno ({'|'.join(map(str, DISK_FULL))})\]")
"""How Python tells it."""

_encode_outputs = msgspec.json.Encoder().encode

log = get_logger()


class Offer(Struct, frozen=True):
    """A process of this worker, and the plugin to load for it."""

    plugin: PluginRecord
    process: ProcessRecord


class Runner:
    """Runs jobs in the threads of a worker, each from its claim to its final state.

    Args:
        settings: The limits.
        store: Where jobs are.
        executors: What runs code of plugins.
        offers: The processes, by id.
        values: Where large values lie; None: in the store.
        broker: Where jobs come from; it serves its queues already.
        fetching: The plugins that fetch inputs by reference, by the scheme of URLs.
    """

    def __init__(
        self,
        settings: Settings,
        store: Store,
        executors: Executors,
        offers: Mapping[str, Offer],
        values: Values | None,
        broker: QueueBroker,
        fetching: Mapping[str, PluginRecord] = MappingProxyType({}),
    ) -> None:
        self.runs = Runs()
        self._settings = settings
        self._store = store
        self._executors = executors
        self._offers = offers
        self._values = values
        # At hand, since the library's class looks its members up in several steps.
        self._taken, self._draining = broker.taken, broker.draining
        self._claims, self._asking = broker.claims, broker.asking
        self._fetching = fetching
        self._memory_bytes = settings.memory_bytes
        self._small_bytes = min(_WITH_FINISH_BYTES, settings.max_inline_bytes, settings.max_value_bytes)
        self._tells_all = settings.log_level == "debug"
        self._usual_formats: dict[str, dict[str, str]] = {}
        """The media types of outputs where the caller has no wishes, by process."""
        self._log = log.bind()
        """The lines that most jobs have; each would bind anew."""
        self._rooms = Rooms(settings, settings.value_folder)

    def run(self, claimed: Claimed) -> None:
        """Bring a job that was taken to its end, and then, in the same slot, what waits while something does."""
        following: Claimed | None = claimed
        later = Later()
        try:
            with job_context(claimed.job_id) as context:
                while following is not None:
                    context["job_id"] = following.job_id
                    following = self._run(following, later)
        finally:
            later.do()

    def _run(self, claimed: Claimed, later: Later) -> Claimed | None:
        run = Run(claimed, self._settings.max_log_lines, later)
        self.runs.enter(run)
        self._taken.pop(run.job_id, None)
        try:
            if self._draining.is_set():
                later.do()
                self._release(run)
                return None
            return self._bring_to_end(run)
        finally:
            self.runs.leave(run)

    def _bring_to_end(self, run: Run) -> Claimed | None:
        started_seconds = time.monotonic()
        following = None
        attempts: list[Attempt] = []
        try:
            try:
                ending = self._attempt(run, attempts)
                if run.is_untouched:
                    run.later.do()
                ending, following = self._finish(run, ending, attempts)
            except Exception as error:  # a bug of ours, a full disk: the job must not be left running
                run.later.do()
                ending, following = self._finish(run, _ending_of_ours(error), attempts)
        finally:  # only now, since results lie in the folder of the executor until they are stored
            for attempt in attempts:
                if not attempt.is_kept:
                    self._done_with(attempt)
            if run.fetched_folder is not None:
                self._references.discard(run)
        if type(ending) is Failed:  # `isinstance` asks the metaclass of structs, if it is none
            self._tell_failed(run, ending, time.monotonic() - started_seconds)
        elif run.claimed.listed or self._tells_all:
            seconds = time.monotonic() - started_seconds
            run.later.put(partial(self._tell_ended, run.claimed, _told(ending), seconds, time.time()))
            if following is None:
                run.later.do()
        return following

    def _tell_failed(self, run: Run, ending: Failed, seconds: float) -> None:
        log.warning(
            "job failed",
            process=run.claimed.process_id,
            reason=ending.reason,
            detail=ending.problem.detail,
            seconds=round(seconds, 3),
        )

    def _tell_ended(self, job: Claimed, ending: str, seconds: float, ended_at: float) -> None:
        """Tell the operator; as the next job of the slot may be under way, with the time and the job that it was."""
        # Of one that is in no list, the caller and the access log know.
        tell = self._log.info if job.listed else self._log.debug
        tell(
            "job ended",
            process=job.process_id,
            ending=ending,
            seconds=round(seconds * 1000) / 1000,
            job_id=job.job_id,
            time=datetime.fromtimestamp(ended_at, UTC),
        )

    def _attempt(self, run: Run, attempts: "list[Attempt]") -> Ending:
        job = run.claimed
        offer = self._offers.get(job.process_id)
        if offer is None:
            return endings.process_missing(job.process_id)
        if offer.process.digest != job.description_digest:
            return endings.process_changed(job.process_id)
        try:
            return self._fetch(run, offer) or self._run_process(run, offer, attempts)
        except transfers.LOST as error:
            return transfers.without_inputs(run, error)

    def _run_process(self, run: Run, offer: Offer, attempts: "list[Attempt]") -> Ending:
        attempt = partial(Attempt, run, self._settings, self._memory_bytes, offer.plugin.source)
        order = partial(self._execute_frame, run, offer)
        return self._run_plugin(run, offer.plugin, attempt, order, attempts)

    def _run_plugin(
        self,
        run: Run,
        plugin: PluginRecord,
        new_attempt: "Callable[[Executor], Attempt]",
        new_order: Callable[[Path], Order],
        attempts: "list[Attempt]",
    ) -> Ending:
        """Have code of a plugin run in an executor; what was tried is added to `attempts`."""
        tries, lost_returncode = _LOADING_TRIES, None
        while tries > 0 and run.stop is None:
            tries -= 1
            try:
                executor = self._executors.take(plugin.source, run.later.do)
            except ExecutorLost as error:
                lost_returncode = error.returncode
                continue
            attempt = new_attempt(executor)
            attempts.append(attempt)
            try:
                if not attempt.was_loaded:
                    given = self._settings.plugins.of(plugin.name)
                    executor.send(Configure(plugin.source, given))
                return attempt.watch(new_order(executor.workdir))
            except ExecutorLost as error:
                if not run.is_untouched:
                    return endings.died(error.returncode, while_loading=False)
                lost_returncode = error.returncode  # it died before the process began: once more
                tries += attempt.was_loaded  # while it was idle, most likely; there are only so many of those
        return ending_of_stop(run) or endings.died(lost_returncode, while_loading=True)

    @contextlib.contextmanager
    def _in_executor(
        self,
        run: Run,
        plugin: PluginRecord,
        new_attempt: "Callable[[Executor], Attempt]",
        new_order: Callable[[Path], Order],
    ) -> Iterator[Ending]:
        """Have code of a plugin run; its executor serves others once the context is left."""
        attempts: list[Attempt] = []
        try:
            yield self._run_plugin(run, plugin, new_attempt, new_order, attempts)
        finally:
            for attempt in attempts:
                self._done_with(attempt)

    def _fetch(self, run: Run, offer: Offer) -> Ending | None:
        """Fetch the inputs that were given by reference, if any were; give why that was not possible."""
        for value in run.claimed.inputs.values():
            if value.media_type == REFERENCED:
                return self._fetch_referenced(run, offer)
        return None

    def _fetch_referenced(self, run: Run, offer: Offer) -> Ending | None:
        run.later.do()
        referenced = {
            name: decode_referenced(self._document(value))
            for name, value in run.claimed.inputs.items()
            if value.media_type == REFERENCED
        }
        ending = self._references.fetch(run, offer.process.description, offer.process.digest, referenced)
        if ending is None and run.is_outdated:
            self._store.run_until_answered(sharing.withdraw(run.job_id))
        return ending

    @cached_property
    def _references(self) -> "References":
        """What fetches; imported when a job first needs it, with all that checks values."""
        from fastprocesses_host.engine.plugin_references import PluginReferences
        from fastprocesses_host.engine.references import References

        plugins = PluginReferences(self._settings, self._fetching, self._in_executor)
        return References(self._settings, self._executors.folder, self._values, plugins)

    def _document(self, value: StoredInput) -> bytes:
        if not value.location:
            return value.data
        assert self._values is not None, "a value lies in a value store that this worker does not have"
        with self._values.open(value.location) as file:
            return file.read()

    def _done_with(self, attempt: "Attempt") -> None:
        if attempt.is_reusable:
            self._executors.give_back(attempt.executor, attempt.source)
        else:
            self._executors.discard(attempt.executor)

    def _execute_frame(self, run: Run, offer: Offer, workdir: Path) -> Execute:
        asked = run.claimed.asked
        return Execute(
            job=run.job_id,
            claim=run.claim,
            source=offer.plugin.source,
            distribution=offer.plugin.distribution,
            version=offer.plugin.version,
            process=offer.process.description.id,
            inputs=self._inputs(run, workdir),
            outputs=None if asked.outputs is None else list(asked.outputs),
            formats=self._formats(offer, asked),
            workdir=str(workdir),
            inline_bytes=self._settings.max_inline_bytes,
        )

    def _formats(self, offer: Offer, asked: AskedResults) -> dict[str, str]:
        description = offer.process.description
        if asked != _NOTHING_ASKED:
            return plan_formats(description, asked, negotiate=False)
        formats = self._usual_formats.get(description.id)
        if formats is None:
            formats = self._usual_formats[description.id] = plan_formats(description, asked, negotiate=False)
        return formats

    def _inputs(self, run: Run, workdir: Path) -> dict[str, Input]:
        inputs = {}
        for name, value in run.claimed.inputs.items():
            is_plain = not value.location and value.media_type != REFERENCED
            inputs[name] = (
                Input(value.data, value.media_type) if is_plain else self._input(run, name, value, workdir)
            )
        return inputs

    def _input(self, run: Run, name: str, value: StoredInput, workdir: Path) -> Input:
        if value.media_type == REFERENCED:
            return run.fetched[name]
        assert self._values is not None, "a value lies in a value store that this worker does not have"
        run.later.do()
        file = self._values.local(value.location, workdir, stopped=lambda: run.stop is not None)
        return Input(media_type=value.media_type, path=str(file))

    def _keep_executor(self, attempts: "list[Attempt]") -> None:
        """Keep the executor of a run for whoever needs one, if nothing has to be done about it before."""
        attempt = attempts[-1]
        attempt.is_kept = attempt.is_reusable and self._executors.keep(attempt.executor, attempt.source)

    def _finish(self, run: Run, ending: Ending, attempts: "list[Attempt]") -> tuple[Ending, Claimed | None]:
        """Write the end of a run; give the ending that it really had, and the next job of the slot."""
        if isinstance(ending, Succeeded):
            if self._are_small(ending.outputs):  # so none lies in the folder of the executor
                kept = partial(self._keep_executor, attempts)
                return ending, self._keep_small(run, ending.outputs, kept)
            lengths = {
                name: _file_length(output.path) if output.path else len(output.data)
                for name, output in ending.outputs.items()
            }
            too_large = self._too_large(lengths)
            if too_large is not None:
                ending = too_large
            else:
                try:
                    return ending, self._keep_with_room(run, ending, lengths)
                except transfers.LOST as error:
                    ending = transfers.without_results(run, error)
        if isinstance(ending, Failed):
            return (
                (Stopped("repeated"), None)
                if self._repeat(run, ending)
                else (ending, self._fail(run, ending))
            )
        if ending.why in ("dismissed", "gone"):  # either way its lease, and its place, are free at once
            return ending, self._end(run, "dismissed", {}, {}).next
        if ending.why == "drained":
            self._release(run)
        return ending, None

    def _are_small(self, outputs: Mapping[str, Output]) -> bool:
        """Whether all values travel with the end of their run, as those of most jobs do."""
        length = 0
        for output in outputs.values():
            if output.path:
                return False
            length += len(output.data)
        return length <= self._small_bytes

    def _keep_small(
        self, run: Run, given: Mapping[str, Output], meanwhile: Callable[[], object]
    ) -> Claimed | None:
        values, outputs = {}, {}
        for name, output in given.items():
            data = values[name] = output.data
            outputs[name] = OutputValue(form=output.form, media_type=output.media_type, length=len(data))
        return self._end_successful(run, {}, outputs, values, meanwhile=meanwhile).next

    def _too_large(self, lengths: Mapping[str, int]) -> Failed | None:
        limit = self._settings.max_value_bytes
        if sum(lengths.values()) > limit:  # else none is
            for name, length in lengths.items():
                if length > limit:
                    return endings.too_large(name, length, limit)
        return None

    def _repeat(self, run: Run, ending: Failed) -> bool:
        """Have a run that failed by chance repeated; tell whether that was done, or is no longer ours to decide."""
        if ending.reason not in endings.BY_CHANCE:
            return False
        with contextlib.suppress(StoreUnavailable, StoreFull):
            run.report(self._store)
        retry_seconds = self._settings.retry_seconds
        operation = operations.again(run.job_id, run.claim, retry_seconds=retry_seconds, reason=ending.reason)
        if self._store.run_until_answered(operation) == "spent":
            return False
        log.warning(
            "run failed", process=run.claimed.process_id, reason=ending.reason, attempt=run.claimed.attempt
        )
        return True

    def _fail(self, run: Run, ending: Failed) -> Claimed | None:
        fields: dict[str, operations.Argument] = {"rc": ending.reason}
        if run.claimed.listed:
            fields["pb"] = msgspec.json.encode(ending.problem)
        else:
            fields["res"] = encode_told(Told(status=Status.FAILED, problem=ending.problem))
        return self._end(run, "failed", fields, {}).next

    def _keep_with_room(self, run: Run, ending: Succeeded, lengths: Mapping[str, int]) -> Claimed | None:
        """Store the values, the large ones within the budgets, and end the job; give the next one of the slot.

        Raises:
            BodyTooLarge, TooManyRequests, InsufficientStorage: there is no room for them.
        """
        if self._values is None or sum(lengths.values()) <= self._settings.max_inline_bytes:
            return self._keep(run, ending, lengths)
        with WorkerRoom(self._rooms, self._store, run.job_id, run.claim) as room:
            for name, output in ending.outputs.items():
                if lengths[name] > self._settings.max_inline_bytes:
                    is_on_disk = bool(output.path) and self._rooms.has_disk_of(Path(output.path))
                    room.grow(lengths[name], is_on_disk=is_on_disk)
            return self._keep(run, ending, lengths)

    def _keep(self, run: Run, ending: Succeeded, lengths: Mapping[str, int]) -> Claimed | None:
        """Store the values and end the job with them; give the next job of the slot."""
        values: dict[str, bytes] = {}
        outputs: dict[str, OutputValue] = {}
        elsewhere: dict[str, int] = {}
        staged = False
        most_inline_bytes = self._settings.max_inline_bytes
        for name, output in ending.outputs.items():
            length = lengths[name]
            data: bytes | None = output.data
            location = ""
            if output.path or length > most_inline_bytes:
                try:
                    data, location = self._place(run, output, length)
                except BaseException:
                    self._discard(run, elsewhere)
                    raise
            if location:
                elsewhere[location] = length
            outputs[name] = OutputValue(
                form=output.form, media_type=output.media_type, length=length, location=location
            )
            if data is not None and len(data) <= _WITH_FINISH_BYTES:
                values[name] = data
            elif data is not None:
                staged = True
                self._stage(run, name, data)
        fields: dict[str, operations.Argument] = {}
        if elsewhere:
            fields["ol"] = locations_field(elsewhere)
        finished = self._end_successful(run, fields, outputs, values, staged=staged)
        if finished.outcome != "ok":
            self._discard(run, elsewhere)
        return finished.next

    def _end_successful(
        self,
        run: Run,
        fields: dict[str, operations.Argument],
        outputs: dict[str, OutputValue],
        values: dict[str, bytes],
        *,
        staged: bool = False,
        meanwhile: Callable[[], object] | None = None,
    ) -> Finished:
        """End the job with its values: in its record where they are few bytes, else apart."""
        told = None if staged else _told_with(run, outputs, values)
        if told is None:
            fields["out"] = _encode_outputs(outputs)
            return self._end(run, "successful", fields, values, staged=staged, meanwhile=meanwhile)
        fields["res"] = told
        return self._end(run, "successful", fields, {}, meanwhile=meanwhile)

    def _place(self, run: Run, output: Output, length: int) -> tuple[bytes | None, str]:
        """Give the bytes for the store, or the location in the value store."""
        if self._values is None or length <= self._settings.max_inline_bytes:
            return (Path(output.path).read_bytes() if output.path else output.data), ""
        if not output.path:
            return None, self._values.put(run.job_id, output.data, media_type=output.media_type)
        return None, self._values.move(
            run.job_id, Path(output.path), media_type=output.media_type, stopped=lambda: run.stop is not None
        )

    def _stage(self, run: Run, name: str, data: bytes) -> None:
        operation = operations.stage(run.job_id, run.claim, name, data)
        self._store.run_until_answered(operation)

    def _discard(self, run: Run, locations: Iterable[str]) -> None:
        """Delete the values of a run that no longer counted."""
        if self._values is not None:
            for location in locations:
                with contextlib.suppress(ValuesAway):  # then it is an orphan
                    self._values.delete(location)
        with contextlib.suppress(StoreUnavailable):  # then it expires
            self._store.command("DEL", self._store.keys.staged(run.job_id, run.claim))

    def _end(
        self,
        run: Run,
        status: operations.Final,
        fields: dict[str, operations.Argument],
        values: dict[str, bytes],
        *,
        staged: bool = False,
        meanwhile: Callable[[], object] | None = None,
    ) -> Finished:
        """End the job, and take the next one in the same turn unless the worker stops.

        Args:
            run: Of the job.
            status: Its last.
            fields: More of its record.
            values: Small outputs.
            staged: Larger ones lie under the claim.
            meanwhile: What to do while the store does that; see `Store.run`.
        """
        percent, message, lines = run.take_last()
        if status == "successful":
            percent = 100
        if percent is not None:
            fields["pr"] = percent
        if message is not None:
            fields["m"] = message
        next_claim = "" if self._draining.is_set() else self._claims.new()
        operation = operations.finish(
            run.job_id,
            run.claim,
            status,
            fields=fields,
            values=values,
            staged=staged,
            lines=lines,
            max_log_lines=self._settings.max_log_lines,
            slot=next(self._asking),
            next_claim=next_claim,
        )
        finished = self._store.run_until_answered(operation, meanwhile)
        if finished.next is not None:
            self._taken[finished.next.job_id] = finished.next
        self._claims.heard(next_claim)
        if finished.has_others:
            self._tell_others()
        return finished

    def _tell_others(self) -> None:
        """Tell all jobs that share a run of its end, some at a time; what is left undone, ticks do."""
        while self._store.run_until_answered(sharing.bring()):
            pass

    def _release(self, run: Run) -> None:
        operation = operations.release(
            run.job_id,
            run.claim,
            untouched=run.is_untouched,
            reason="stopped",
            problem=endings.server_stopped(),
        )
        self._store.run_until_answered(operation)


def _told_with(run: Run, outputs: dict[str, OutputValue], values: dict[str, bytes]) -> bytes | None:
    """Give the end of a run with its values, as the record of its job has it; None: they lie apart."""
    if run.claimed.has_values_apart:
        return None
    return told_field(Told(_SUCCESSFUL, outputs, values), listed=run.claimed.listed)


class Attempt:
    """One execution in one executor, watched: its frames, time, memory, and whether it has to stop."""

    is_reusable = False
    is_kept = False
    """The executor serves others already."""
    _deadline_seconds = _memory_due_seconds = _long_from_seconds = math.inf
    _disk: DiskWatch | None = None
    _cancel_ending: Ending | None = None
    _kill_at_seconds: float | None = None

    def __init__(
        self, run: Run, settings: Settings, memory_bytes: int, source: str, executor: Executor
    ) -> None:
        self.executor = executor
        self.source = source
        self.was_loaded = self.is_loaded = source in executor.sources
        self._run = run
        self._settings = settings
        limits = run.claimed.limits
        self._longest_seconds = min(limits.timeout_seconds, limits.max_run_seconds) - run.spent_seconds
        self._memory_limit_bytes = limits.memory_mb * endings.BYTES_PER_MB or memory_bytes

    def watch(self, order: Order) -> Ending:
        """Have the order carried out and wait for the end.

        Raises:
            ExecutorLost: the executor ended by itself.
        """
        now = time.monotonic()  # not before the inputs are there
        self._deadline_seconds = now + (
            self._longest_seconds if self.is_loaded else self._settings.plugin_load_seconds
        )
        self._memory_due_seconds = now + _MEMORY_SECONDS
        self._long_from_seconds = now + QUIET_SECONDS
        run, executor = self._run, self.executor
        executor.started.clear()
        run.attach(executor)
        executor.on_line = self._on_line
        try:
            executor.send(order)
            run.later.do()
            frames = executor.receive_soon() if self._longest_seconds > QUIET_SECONDS else ()
            while True:
                for frame in frames:
                    ending = self._take(frame)
                    if ending is not None:
                        return ending
                if (ending := self._look()) is not None:
                    return ending
                frames = self._receive()
        except ExecutorLost:
            if self._cancel_ending is not None:
                return self._cancel_ending
            raise
        finally:
            run.is_untouched = not executor.started.is_set
            run.detach()
            executor.read_output()  # what the job printed last is still in the pipe
            executor.on_line = None
            executor.precedence.job_ended()

    def _receive(self) -> tuple[AnyFrame, ...]:
        now = time.monotonic()
        due = min(self._deadline_seconds, self._memory_due_seconds, now + _LOOK_SECONDS)
        if self._kill_at_seconds is not None:
            due = min(due, self._kill_at_seconds)
        return self.executor.receive(max(due - now, 0.0))

    def _take(self, frame: AnyFrame) -> Ending | None:
        if getattr(frame, "claim", None) != self._run.claim:
            return None
        if isinstance(frame, (Result, Problem)):
            return self._ending(frame)
        if isinstance(frame, Started):
            self.is_loaded = True
            self._deadline_seconds = time.monotonic() + self._longest_seconds
        elif isinstance(frame, Progress):
            self._tell_progress(frame)
        elif isinstance(frame, Log):
            self._run.log(frame.level, frame.text, frame.fields)
            self._tell_operator(frame)
        return None

    def _ending(self, frame: Result | Problem) -> Ending:
        cancelled = self._cancel_ending
        if cancelled is not None and not (self._run.stop == "drained" and isinstance(frame, Result)):
            return cancelled  # it ended in its grace; the executor is of no more use
        if isinstance(frame, Result):
            self.executor.failures = 0
            self.is_reusable = cancelled is None
            return self._returned(frame)
        self.executor.failures = self.executor.failures + 1 if frame.kind == "failed" else 0
        # Half of a plugin that did not come up may be there.
        self.is_reusable = cancelled is None and frame.kind != "plugin"
        if frame.kind == "cancelled":  # nobody asked for that: its code raised KeyboardInterrupt
            self.is_reusable = False
            return endings.failed("error", "The process interrupted itself.")
        if frame.kind != "declared":
            log.error("process raised", reason=frame.kind, error=frame.detail, exception=frame.traceback)
        if frame.kind == "failed" and _DISK_FULL.search(frame.detail):
            return endings.disk_full()
        ending = endings.raised(frame, self._run.job_id)
        self._tell_failure(ending.problem.detail)
        return ending

    def _tell_progress(self, frame: Progress) -> None:
        self._run.progress(frame.percent, frame.message)

    def _tell_failure(self, detail: str) -> None:
        """Say in the job's log why it fails; the caller may read it, so no more than the problem says."""
        self._run.log("error", detail)

    def _returned(self, frame: Result) -> Ending:
        for name, output in frame.outputs.items():
            if output.path and not _lies_in(self.executor.workdir, output.path):
                log.error(
                    "process raised", reason="failed", error=f"{output.path} is not in the job's folder"
                )
                return endings.failed("error", f"The file of the output {name!r} is not in the job's folder.")
        return Succeeded(frame.outputs)

    def _tell_operator(self, line: Log) -> None:
        """Repeat a line of the job's log in that of the worker."""
        fields = {"fields": line.fields} if line.fields else {}
        level = _LEVELS.get(line.level, logging.INFO)
        log.log(level, line.text[:LINE_CHARACTERS], process=self._run.claimed.process_id, **fields)

    def _look(self) -> Ending | None:
        """See to limits and to reasons to stop; an ending once the executor was killed."""
        now = time.monotonic()
        if now >= self._long_from_seconds:
            self.executor.precedence.yield_session()
        if self._cancel_ending is None:
            self._cancel_ending = self._reason_to_stop(now)
            if self._cancel_ending is not None:
                self.executor.send(Cancel(self._run.job_id, self._run.claim))
                hurry = isinstance(self._cancel_ending, Failed) and self._cancel_ending.reason in _IN_A_HURRY
                self._kill_at_seconds = now + (0.0 if hurry else self._settings.cancel_grace_seconds)
                self._deadline_seconds = self._memory_due_seconds = math.inf
        if self._kill_at_seconds is not None and now >= self._kill_at_seconds:
            self.executor.end()
            return self._cancel_ending
        return None

    def _reason_to_stop(self, now: float) -> Ending | None:
        if self._run.stop is not None:
            return ending_of_stop(self._run)
        if now >= self._deadline_seconds:
            if not self.is_loaded:
                return endings.failed("plugin", "The plugin of the process took too long to load.")
            return endings.timed_out(self._run.claimed.limits)
        if now >= self._memory_due_seconds:
            self._memory_due_seconds = now + _MEMORY_SECONDS
            used_bytes = self.executor.memory_bytes()
            if used_bytes > self._memory_limit_bytes:
                return endings.too_much_memory(used_bytes, self._memory_limit_bytes)
            return self._disk_ending()
        return None

    def _disk_ending(self) -> Ending | None:
        if self._disk is None:  # most jobs end before their disk is looked at
            self._disk = DiskWatch(
                self.executor.workdir,
                most_bytes=self._settings.max_workdir_bytes,
                min_free_bytes=self._settings.min_free_disk_bytes,
            )
        return self._disk.ending()

    def _on_line(self, stream: str, line: str) -> None:
        self._run.log("info" if stream == "stdout" else "warning", line)


def _ending_of_ours(error: Exception) -> Failed:
    """Give the ending of a job that the engine could not bring to its own."""
    if isinstance(error, BodyTooLarge | TooManyRequests | InsufficientStorage):
        return endings.no_room(error)
    if isinstance(error, OSError) and error.errno in DISK_FULL:
        log.error("the disk is full", file=error.filename)
        return endings.disk_full()
    log.error("the engine failed", exc_info=error)
    return endings.failed("engine", "The server failed to run the process, or to store its results.")


def _lies_in(workdir: Path, file: str) -> bool:
    """Whether a file is in a folder that is one still: a job may have put a link in its place."""
    return Path(os.path.realpath(file)).is_relative_to(workdir.parent.resolve() / workdir.name)


def _told(ending: Ending) -> str:
    return ending.why if type(ending) is Stopped else type(ending).__name__.lower()


def _file_length(path: str) -> int:
    return Path(path).stat().st_size
