"""A trial: rounds of harm, each followed by calm in which everything must come to its end."""

import os
import re
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

import psutil
import redis
from fastprocesses_host.ogc.jobs import Job
from fastprocesses_host.store.keys import Keys
from msgspec import Struct, field

from tests.chaos import traces
from tests.chaos.callers import HANGING_SECONDS, Caller, Submission
from tests.chaos.harm import Harm
from tests.chaos.mix import BY_CHAOS
from tests.chaos.system import System, running_system
from tests.host.receiver import Received, Receiver, receiver

CALLERS = 6
EVENTS_A_ROUND = 25
CALM_SECONDS = 60.0
"""When everything must be at rest after harm has ended: back-off of supervisors, leases and time limits included."""
FAMILY_SECONDS = 25.0
"""When the processes are gone that a job left outside its executor's family; they are looked for every 5 s."""
_LOOK_SECONDS = 0.3
_TOLD_BUGS = (
    "the engine failed",
    "a tick failed",
    "a report failed",
    "listening failed",
    "the host's own work failed",
    "reading what executors print failed",
    "the worker could not start",
)


class Report(Struct):
    """What a trial did, and what it found."""

    seed: int
    events: Counter[str] = field(default_factory=Counter)
    endings: Counter[str] = field(default_factory=Counter)
    answers: Counter[str] = field(default_factory=Counter)
    proxies: Counter[str] = field(default_factory=Counter)
    executions: int = 0
    seconds: float = 0.0
    violations: list[str] = field(default_factory=list)
    folder: str = ""
    """Where the logs are; empty when nothing was found."""

    @property
    def event_count(self) -> int:
        """How many events there were."""
        return sum(self.events.values())

    @property
    def violation_count(self) -> int:
        """How many violations there were; the events before them stand among them."""
        return sum(text.startswith("VIOLATION") for text in self.violations)

    def lines(self) -> list[str]:
        """Give the report as text."""
        rate = 60 * self.event_count / max(self.seconds, 0.001)
        summary = (
            f"seed {self.seed}: {self.event_count} events, {self.executions} executions in {self.seconds:.0f} s "
            f"({rate:.0f} events a minute), {self.violation_count} violations"
        )
        found = [
            summary,
            f"  events   {_told(self.events)}",
            f"  endings  {_told(self.endings)}",
            f"  answers  {_told(self.answers)}",
            f"  proxies  {_told(self.proxies)}",
        ]
        if self.violations:
            found += [f"logs in {self.folder}", *self.violations]
        return found


def run(
    seed: int, events: int, tell: Callable[[str], object] = lambda _: None, *, keep: bool = False
) -> Report:
    """Run one trial.

    Args:
        seed: Decides who asks for what and which events there are; not how the machine schedules them.
        events: How many.
        tell: Gets a line a round.
        keep: Leave the logs, if something was found.
    """
    folder = Path(tempfile.mkdtemp(prefix="fpchaos-", dir="/tmp"))
    report = Report(seed)
    try:
        with running_system(seed, folder) as system, receiver() as subscriber:
            _Trial(seed, system, subscriber, report, tell).run(events)
    finally:
        if keep and report.violations:
            report.folder = str(folder)
        else:
            shutil.rmtree(folder, ignore_errors=True)
    return report


class _Trial:
    def __init__(
        self, seed: int, system: System, subscriber: Receiver, report: Report, tell: Callable[[str], object]
    ) -> None:
        self._system = system
        self._subscriber = subscriber
        self._report = report
        self._tell = tell
        self._begun = time.monotonic()
        self._harm = Harm(seed, system)
        self._callers = [
            Caller(number, seed, system.hosts, system.folder / "marks", subscriber.url())
            for number in range(CALLERS)
        ]
        self._logs: dict[Path, int] = {}
        self._noted_events = 0
        self._next_look_seconds = 0.0

    def run(self, events: int) -> None:
        """Run all rounds, then stop everything and look once more."""
        try:
            self._await_hosts()
            while self._report.event_count < events:
                self._round(min(EVENTS_A_ROUND, events - self._report.event_count))
            self._stop()
        finally:
            for caller in self._callers:
                caller.pause()
                caller.stop()
            self._report.seconds = time.monotonic() - self._begun
            for member in self._system.members:
                self._report.proxies.update(member.proxy.done)

    def _round(self, events: int) -> None:
        for caller in self._callers:
            caller.go_on()
        for _ in range(events):
            self._harm.step()
            self._wait(self._harm.pause_seconds())
        for caller in self._callers:
            caller.pause()
        self._report.events = self._harm.counts.copy()
        self._calm()
        self._check()
        self._forget()
        self._report.seconds = time.monotonic() - self._begun
        self._tell(self._report.lines()[0])

    def _wait(self, seconds: float) -> None:
        """Wait, while what has ended is started again and what is due is undone."""
        until = time.monotonic() + seconds
        while True:
            self._harm.tend()
            self._system.tend()
            self._note_torn()
            if (left := until - time.monotonic()) <= 0:
                return
            time.sleep(min(left, 0.1))

    def _await_hosts(self) -> None:
        """Wait until every host answers and offers what the callers want."""
        self._until(
            lambda: all(host.offers("quick") for host in self._system.hosts), CALM_SECONDS, "the start"
        )

    def _calm(self) -> None:
        """End all harm, then wait until every job is final and nothing waits."""
        self._harm.end()
        self._harm.note("calm")
        for caller in self._callers:
            self._until(caller.is_idle, HANGING_SECONDS + 10, "the last answers")
        self._until(lambda: not self._unfinished(), CALM_SECONDS, "the end of all jobs", self._unfinished)

    def _unfinished(self) -> list[str]:
        return [*traces.endless(traces.jobs_of(self._system.settings)), *traces.strays(self._system.settings)]

    def _until(
        self,
        is_true: Callable[[], object],
        seconds: float,
        what: str,
        left: Callable[[], list[str]] = list,
    ) -> None:
        deadline = time.monotonic() + seconds
        while not is_true():
            if time.monotonic() > deadline:
                for text in left() or [""]:
                    self._violated(f"{what} did not come within {seconds:g} s; {text}")
                return
            self._wait(0.1)

    def _check(self) -> None:
        """Look at every job of the round, and at what its callers were told."""
        settings, marks = self._system.settings, self._system.folder / "marks"
        submissions = [one for caller in self._callers for one in caller.submissions]
        jobs, runs = traces.jobs_of(settings), traces.runs_in(marks)
        retryable = frozenset(
            run.job_id for one in submissions if one.work.retryable for run in _runs_of(one)
        )
        self._violated(*traces.repeated(runs, retryable))
        self._violated(*traces.superseded_results(settings, jobs, runs))
        for one in submissions:
            self._violated(*_broken_promises(one, jobs))
            self._violated(*_untold(one, jobs, self._subscriber.received))
        of_process = {one.job_id: one for one in submissions if one.job_id}
        for job_id, (job, _) in jobs.items():
            self._report.endings[job.reason or str(job.status)] += 1
            self._violated(*_odd_ending(job_id, job, of_process.get(job_id)))
        for caller in self._callers:
            self._violated(*caller.complaints)
            caller.complaints.clear()
            self._report.answers.update(caller.told)
            caller.told.clear()
        self._until(lambda: not self._families(), FAMILY_SECONDS, "the end of all families", self._families)
        self._violated(*self._told_bugs())

    def _families(self) -> list[str]:
        """Processes of jobs that have ended; an executor that lives may still have those that a job left behind."""
        left = traces.marked_processes(str(self._system.folder / "marks"))
        executors = {one.pid for member in self._system.workers for one in member.part("executor")}
        return [str(process) for process in left if not _descends(process, executors)]

    def _forget(self) -> None:
        """Let every job expire, and see that nothing of them is left."""
        settings = self._system.settings
        with redis.Redis.from_url(settings.redis_url) as client:
            exp = Keys.of(settings.key_prefix).prefix + ":exp"
            if ids := client.zrange(exp, 0, -1):
                client.zadd(exp, dict.fromkeys(ids, 0), xx=True)
        self._until(lambda: not traces.jobs_of(settings), 20, "the expiry of all jobs")
        self._until(
            lambda: not traces.strays(settings), 20, "the end of garbage", lambda: traces.strays(settings)
        )
        for caller in self._callers:
            self._report.executions += len(caller.submissions)
            caller.submissions.clear()
        self._subscriber.received.clear()
        for mark in (self._system.folder / "marks").iterdir():
            mark.unlink()

    def _stop(self) -> None:
        """Stop cleanly, and see that no process, no folder and no entry of a worker is left."""
        self._harm.note("stop")
        self._until(self._all_live, 60, "the last start")
        if traces.unowned_files(self._system.settings):
            self._sweep()
        self._violated(*self._system.stop())
        deadline = time.monotonic() + 10
        while self._system.processes() and time.monotonic() < deadline:
            time.sleep(0.1)
        self._violated(*(f"outlived the stop: {process}" for process in self._system.processes()))
        left = sorted(str(path) for path in (self._system.folder / "tmp").iterdir() if not is_probe(path))
        self._violated(*(f"left in the folder of temporary files: {path}" for path in left))
        self._violated(*traces.strays(self._system.settings), *traces.signed_on(self._system.settings))
        self._violated(*self._told_bugs())

    def _all_live(self) -> bool:
        """Whether every host offers what the callers want, and every worker has begun to tick."""
        counted = traces.signed_on(self._system.settings)
        workers = [process.pid for member in self._system.workers for process in member.part("worker")]
        ticking = [pid for pid in workers if any(f"-{pid}-" in text for text in counted)]
        return len(ticking) == len(self._system.workers) and all(
            host.offers("quick") for host in self._system.hosts
        )

    def _sweep(self) -> None:
        """Make the files that crashes left look old: workers that start look for such, and delete them."""
        for file in traces.unowned_files(self._system.settings):
            os.utime(file, (time.time() - 7200, time.time() - 7200))
        self._restart_workers()
        self._until(lambda: not traces.unowned_files(self._system.settings), 30, "the sweep of old files")

    def _restart_workers(self) -> None:
        for worker in self._system.workers:
            worker.tell_to_stop()
        self._until(
            lambda: all(worker.told_to_stop_seconds is None for worker in self._system.workers),
            30,
            "the restart",
        )
        self._until(self._all_live, 60, "the start after it")

    def _told_bugs(self) -> list[str]:
        """Lines of the logs in which we speak of faults of our own."""
        found = []
        for member in self._system.members:
            text = member.log.read_text("utf-8", "replace") if member.log.exists() else ""
            new = text[self._logs.get(member.log, 0) :]
            self._logs[member.log] = len(text)
            lines = [line for line in new.splitlines() if any(bug in line for bug in _TOLD_BUGS)]
            found += [f"{member.name} says: {line[:300]}" for line in lines]
        return found

    def _note_torn(self) -> None:
        if self._system.store_is_down or time.monotonic() < self._next_look_seconds:
            return
        self._next_look_seconds = time.monotonic() + _LOOK_SECONDS
        try:
            torn = traces.torn(self._system.settings)
        except redis.RedisError:
            return
        self._violated(*(f"at once: {text}" for text in torn))

    def _violated(self, *texts: str) -> None:
        """Note violations with the events since the last ones."""
        if not texts:
            return
        new = self._harm.log[self._noted_events :][-3 * EVENTS_A_ROUND :]
        self._noted_events = len(self._harm.log)
        self._report.violations += [
            *(f"    {line}" for line in new),
            *(f"VIOLATION {text}" for text in texts),
        ]
        for text in texts:
            self._tell(f"VIOLATION {text}")


def _runs_of(submission: Submission) -> list[traces.Run]:
    if not submission.mark.exists():
        return []
    return [traces.Run(*line.split()) for line in submission.mark.read_text().splitlines()]


def _untold(
    one: Submission, jobs: Mapping[str, tuple[Job, str]], received: Iterable[Received]
) -> Iterator[str]:
    """Give what the subscriber of a job has not been told of it, or should not have been."""
    if not one.has_subscriber or one.job_id not in jobs:
        return
    calls = [call for call in received if f"/jobs/{one.job_id}>" in call.headers["link"]]
    told = {call.path.lstrip("/") for call in calls} - {"inProgressUri"}
    status = str(jobs[one.job_id][0].status)
    wanted = {"successful": {"successUri"}, "failed": {"failedUri"}}.get(status, set())
    if told != wanted:
        yield f"is {status}, and its subscriber was told at {sorted(told)}: {one.job_id}"


def _broken_promises(submission: Submission, jobs: dict[str, tuple[Job, str]]) -> list[str]:
    """What a caller was told and is not so."""
    found = []
    name = f"{submission.work.process} {submission.job_id or submission.mark.name}"
    written = {run.signature for run in _runs_of(submission)}
    if not submission.signatures <= written:
        found.append(f"{name} answered with {submission.signatures - written}, which no run wrote")
    if len(submission.signatures) > 1:
        found.append(f"{name} had two results: {submission.signatures}")
    if submission.job_id and submission.job_id not in jobs and not submission.may_be_removed:
        found.append(f"{name} was accepted, and is not there any more")
    elif submission.job_id in jobs and submission.final not in ("", "removed", "lost"):
        status = str(jobs[submission.job_id][0].status)
        if status != submission.final:
            found.append(f"{name} was {submission.final}, and is {status} now")
    return found


def _odd_ending(job_id: str, job: Job, submission: Submission | None) -> list[str]:
    """Endings that nothing of what was done explains."""
    found = []
    if job.attempt > job.max_attempts:
        found.append(f"was attempted {job.attempt} times of {job.max_attempts}: {job_id}")
    if submission is None:
        return found
    work = submission.work
    if job.status == "successful" and not work.may_succeed:
        found.append(f"{work.process} cannot succeed, and did: {job_id}")
    if job.status == "failed" and job.reason not in BY_CHAOS | work.reasons:
        detail = job.problem.detail if job.problem else ""
        found.append(f"{work.process} failed for {job.reason!r} ({detail}): {job_id}")
    if job.status == "dismissed" and not submission.deletions:
        found.append(f"{work.process} was dismissed by nobody: {job_id}")
    return found


def _descends(process: psutil.Process, ancestors: set[int]) -> bool:
    try:
        return any(parent.pid in ancestors for parent in process.parents())
    except psutil.Error:
        return True


def _told(counts: Counter[str]) -> str:
    return ", ".join(f"{name} {count}" for name, count in sorted(counts.items()))


def is_probe(path: Path) -> bool:
    """Whether a file is what Python's `tempfile` tries a folder with, of a process that was killed meanwhile."""
    return re.fullmatch("[a-z0-9_]{8}", path.name) is not None and path.is_file() and path.stat().st_size <= 4
