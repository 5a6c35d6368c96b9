"""Whatever happens to jobs that share runs, in any order: none is without a run, and no run is without them."""

import itertools
import time
from collections.abc import Sequence
from typing import Any

from fastprocesses_host.ogc.jobs import AskedResults
from fastprocesses_host.private_store import find_program
from fastprocesses_host.store import operations, sharing
from fastprocesses_host.store.client import Store
from fastprocesses_host.store.ids import JobIds
from fastprocesses_host.store.keys import Keys
from fastprocesses_host.store.operations import QueueLimits
from fastprocesses_host.store.records import Limits, NewJob, decode_terms
from fastprocesses_host.store.sharing import Key, Shared, share
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from msgspec.structs import replace

from tests.store.steps import dismiss, expire, finish, left_behind, recover, release, take
from tests.support import StoreServer, short_folder

_prefixes = itertools.count()
QUEUES = ("q.sync", "q")
LIMITS = QueueLimits(jobs=1000, of_caller=1000, of_process=1000)
FINAL = (b"successful", b"failed", b"dismissed")
NUMBERS = st.integers(0, 10_000)


class Life(RuleBasedStateMachine):
    """Requests, workers, dismissals, losses and the passing of time."""

    server: StoreServer

    def __init__(self) -> None:
        super().__init__()
        self.store = Store(self.server.url, Keys.of(f"sharing{next(_prefixes)}"))
        self.prefix = self.store.keys.prefix
        self.ids = JobIds()
        self.numbers = itertools.count()
        self.jobs: list[str] = []
        self.running: dict[str, str] = {}
        """Runs that a worker is inside, with claim."""

    def new_job(self, **more: Any) -> NewJob:
        limits = Limits(
            timeout_seconds=10, memory_mb=0, ttl_seconds=more.pop("ttl_seconds"), **more.pop("limits", {})
        )
        return NewJob(
            id=self.ids.make(time.time_ns() // 1_000_000),
            process_id=more.pop("process"),
            process_version="1",
            description_digest="d",
            environment="default",
            mode="async",
            limits=limits,
            asked=AskedResults(),
            **more,
        )

    @rule(
        shared_as=st.sampled_from("ab"),
        queue=st.sampled_from(QUEUES),
        caller=st.sampled_from("xy"),
        count=st.sampled_from([1, 1, 1, 2, 3, 120]),
        listed=st.booleans(),
        is_fresh=st.booleans(),
        key=st.sampled_from(["", "", "k"]),
    )
    def submit(self, shared_as, queue, caller, count, listed, is_fresh, key):
        """Equal requests; those of `b` are of a process that runs one at a time, and may be run twice."""
        kind = {"max_concurrent": 1, "retryable": True, "max_attempts": 2} if shared_as == "b" else {}
        for _ in range(count):
            job = self.new_job(
                process=shared_as, queue=queue, caller=caller, listed=listed, limits=kind, ttl_seconds=1000
            )
            run = replace(
                self.new_job(
                    process=shared_as, queue=queue, caller=caller, listed=False, limits=kind, ttl_seconds=500
                ),
                shared_as=shared_as,
            )
            shared = Shared(
                run=run,
                max_age_seconds=0 if is_fresh else None,
                urgent_queue=queue if queue == QUEUES[0] else "",
            )
            named = Key(name=key, request=shared_as, keep_seconds=1) if key else None
            call = share(job, {}, limits=LIMITS, lengths={}, host="h", key=named, shared=shared)
            answers = [self.store.run(call) for _ in range(2 if count < 3 else 1)]
            if answers[0].outcome == "ok":
                assert {answer.outcome for answer in answers} == {"ok"}
                self.jobs.append(job.id)

    @rule(queues=st.sampled_from([QUEUES, QUEUES[1:]]))
    def take(self, queues):
        claimed = take(self.store, claim := f"c{next(self.numbers)}", queues=queues)
        if claimed is not None:
            assert claimed.listed  # its values are kept one by one
            assert self.running.setdefault(claimed.job_id, claim) == claim
            assert take(self.store, claim, queues=queues, is_again=True) == claimed

    @precondition(lambda self: self.running)
    @rule(number=NUMBERS, status=st.sampled_from(["successful", "failed"]))
    def finish(self, number, status):
        run = one_of(list(self.running), number)
        for _ in range(2):
            finish(self.store, run, self.running[run], status, values={"result": b"1"})
        del self.running[run]

    @precondition(lambda self: self.running)
    @rule(number=NUMBERS, how=st.sampled_from(["lost", "again", "release", "untouched"]))
    def give_up(self, number, how):
        run = one_of(list(self.running), number)
        claim = self.running.pop(run)
        if how == "lost":
            self.store.redis.zadd(f"{self.prefix}:lease", {run: 0})
            recover(self.store)
        elif how == "again":
            if self.store.run(operations.again(run, claim, retry_seconds=0, reason="x")) == "spent":
                finish(self.store, run, claim, "failed")
        else:
            release(self.store, run, claim, untouched=how == "untouched")

    @precondition(lambda self: self.jobs)
    @rule(number=NUMBERS, times=st.integers(1, 2))
    def dismiss(self, number, times):
        job_id = one_of(self.jobs, number)
        for attempt in range(times):
            dismiss(self.store, job_id, f"t{attempt}")

    @rule()
    def dismiss_all(self):
        for job_id in self.jobs:
            dismiss(self.store, job_id, "all")

    @rule()
    def wait_too_long(self):
        for run in self.store.redis.zrange(f"{self.prefix}:accepted", 0, -1):
            self.store.redis.zadd(f"{self.prefix}:accepted", {run: 0})
        recover(self.store)

    @rule()
    def keep_house(self):
        recover(self.store)

    @rule(of_jobs=st.booleans())
    def expire(self, of_jobs):
        """What is past its time goes; that of runs never comes before that of those who need them."""
        for job_id, expires in self.store.redis.zrange(f"{self.prefix}:exp", 0, -1, withscores=True):
            if of_jobs or expires < (time.time() + 700) * 1000:
                self.store.redis.zadd(f"{self.prefix}:exp", {job_id: 1})
        for job_id in self.jobs if of_jobs else ():
            if (
                self.store.redis.pttl(self.store.keys.job(job_id)) >= 0
            ):  # in no list: the store forgets it by itself
                self.store.redis.delete(self.store.keys.job(job_id))
        expire(self.store)

    def records(self, job_ids: Sequence[Any]) -> dict[str, list[bytes | None]]:
        with self.store.redis.pipeline(transaction=False) as pipe:
            for job_id in job_ids:
                pipe.hmget(self.store.keys.job(job_id), "s", "fr")
            return dict(zip(job_ids, pipe.execute(), strict=True))

    @invariant()
    def nobody_is_alone(self):
        jobs = self.records(self.jobs)
        self.jobs = [job_id for job_id, (status, _) in jobs.items() if status]
        runs = self.records(sorted({jobs[job_id][1].decode() for job_id in self.jobs}))
        untold = {run.decode() for run in self.store.redis.zrange(f"{self.prefix}:followed", 0, -1)}
        following: dict[str, set[str]] = {run: set() for run in runs}
        for job_id in self.jobs:
            status, run = jobs[job_id]
            assert status != b"successful" or runs[run.decode()][0] == b"successful", "its values are gone"
            if status not in FINAL:
                following[run.decode()].add(job_id)
                assert runs[run.decode()][0], "its run is gone"
        for run, ids in following.items():
            found = self.store.redis.zrange(f"{self.prefix}:followers:{run}", 0, -1)
            assert {job_id.decode() for job_id in found} == ids
            if ids and runs[run][0] in FINAL:
                assert run in untold
            assert ids or runs[run][0] in (*FINAL, None), "nobody wants it"
        for shared_as in "ab":
            run = self.store.redis.get(f"{self.prefix}:same:{shared_as}")
            assert run is None or self.records([run.decode()])[run.decode()][0] not in (
                None,
                b"failed",
                b"dismissed",
            )

    @invariant()
    def every_turn_is_somebodys(self):
        """Who has the turn of a lane is in the queue's list, or parked; whoever waits behind gets it some time."""
        parked = {
            job_id for name in self.names("parked:*") for job_id in self.store.redis.zrange(name, 0, -1)
        }
        for queue in QUEUES:
            turns = self.store.redis.hgetall(f"{self.prefix}:turns:{queue}")
            listed = set(self.store.redis.lrange(f"{self.prefix}:d:{queue}", 0, -1))
            assert set(turns.values()) <= listed | parked
            for name in self.names(f"backlog:{queue}:*"):
                assert name.removeprefix(f"{self.prefix}:backlog:{queue}:".encode()) in turns

    @invariant()
    def those_that_wait_are_counted(self):
        counted: dict[bytes, int] = {}
        for name in self.names("j:*"):
            status, caller, packed = self.store.redis.hmget(name, "s", "cl", "t")
            if status == b"accepted" and caller is not None:
                decided = decode_terms(packed)
                process = decided.process_id.encode()
                for key, counts in (
                    (b"c:" + caller, decided.max_concurrent),
                    (b"p:" + process, decided.is_counted),
                ):
                    counted[key] = counted.get(key, 0) + bool(counts)
        found = self.store.redis.hgetall(f"{self.prefix}:waiting")
        assert {key: int(count) for key, count in found.items()} == {k: n for k, n in counted.items() if n}

    def names(self, pattern: str) -> list[bytes]:
        return list(self.store.redis.scan_iter(f"{self.prefix}:{pattern}".replace("{", "\\{"), count=1000))

    def teardown(self) -> None:
        """Everything comes to its end; then nothing is left."""
        self.take(QUEUES)
        while self.running:
            self.finish(0, "successful")
            self.take(QUEUES)
        while self.store.run(sharing.bring()):
            pass
        states = self.records(self.jobs).values()
        assert all(status in (*FINAL, None) for status, _ in states)
        self.nobody_is_alone()
        for _ in range(3):
            self.expire(of_jobs=True)
        recover(self.store)
        self.store.run(operations.leave("w1", ""))
        names = left_behind(self.store)
        assert {name for name in names if self.store.redis.pttl(self.prefix + name) == -1} == set()
        self.store.close()


def one_of(items: Sequence[str], number: int) -> str:
    return items[number % len(items)]


class TestLife(Life.TestCase):  # type: ignore[name-defined,misc]
    """Short by default; the long form is a setting of Hypothesis's."""

    settings = settings(max_examples=15, stateful_step_count=30)

    @classmethod
    def setUpClass(cls) -> None:
        cls.folder = short_folder()
        Life.server = StoreServer(str(find_program()), cls.folder.__enter__())

    @classmethod
    def tearDownClass(cls) -> None:
        Life.server.kill()
        cls.folder.__exit__(None, None, None)
