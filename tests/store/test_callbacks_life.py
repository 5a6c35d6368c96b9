"""Whatever happens to jobs with subscribers, in any order: no call is forgotten, and none outlives its job."""

import itertools
from typing import Any

from fastprocesses_host.private_store import find_program
from fastprocesses_host.store import operations
from fastprocesses_host.store.callbacks import Call, end_call
from fastprocesses_host.store.client import Store
from fastprocesses_host.store.keys import Keys
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from tests.store.steps import accept, dismiss, expire, finish, left_behind, recover, release, take
from tests.store.test_callbacks import due, subscriber, time_passes
from tests.support import StoreServer, short_folder

_prefixes = itertools.count()
HOSTS = ("one.example", "two.example")
STEPS = (("success",), ("success", "failed"), ("success", "in_progress", "failed"))
NUMBERS = st.integers(0, 10_000)


class Life(RuleBasedStateMachine):
    """Jobs, workers, subscribers that answer or do not, and the passing of time."""

    server: StoreServer

    def __init__(self) -> None:
        super().__init__()
        self.store = Store(self.server.url, Keys.of(f"callbacks{next(_prefixes)}"))
        self.prefix = self.store.keys.prefix
        self.numbers = itertools.count()
        self.jobs: list[str] = []
        self.running: dict[str, str] = {}
        """Jobs that a worker is inside, with claim."""
        self.calls: list[Call] = []

    @rule(host=st.sampled_from(HOSTS), steps=st.sampled_from(STEPS), seconds=st.sampled_from([0.0, 60.0]))
    def submit(self, host, steps, seconds):
        caller = subscriber(*steps, host=host)
        limits: dict[str, Any] = {"retryable": True, "max_attempts": 2}
        self.jobs.append(accept(self.store, subscriber=caller, callback_progress_seconds=seconds, **limits))

    @rule()
    def take(self):
        claimed = take(self.store, claim := f"c{next(self.numbers)}")
        if claimed is not None:
            self.running[claimed.job_id] = claim

    @precondition(lambda self: self.running)
    @rule(number=NUMBERS)
    def progress(self, number):
        job_id = list(self.running)[number % len(self.running)]
        self.store.run(
            operations.progress(
                job_id, self.running[job_id], percent=number % 100, message=None, lines=(), max_log_lines=5
            )
        )

    @precondition(lambda self: self.running)
    @rule(number=NUMBERS, how=st.sampled_from(["successful", "failed", "lost", "release", "untouched"]))
    def end_run(self, number, how):
        job_id = list(self.running)[number % len(self.running)]
        claim = self.running.pop(job_id)
        if how == "lost":
            self.store.redis.zadd(f"{self.prefix}:lease", {job_id: 0})
            recover(self.store)
        elif how in ("release", "untouched"):
            release(self.store, job_id, claim, untouched=how == "untouched")
        else:
            for _ in range(2):
                finish(self.store, job_id, claim, how)

    @precondition(lambda self: self.jobs)
    @rule(number=NUMBERS, times=st.integers(1, 2))
    def dismiss(self, number, times):
        for attempt in range(times):
            dismiss(self.store, self.jobs[number % len(self.jobs)], f"t{attempt}")

    @rule(busy=st.sampled_from([(), ("one.example:443",)]))
    def call(self, busy):
        call = due(self.store, f"k{next(self.numbers)}", busy=busy)
        if call is not None:
            assert call.lane not in busy
            self.calls.append(call)

    @precondition(lambda self: self.calls)
    @rule(
        number=NUMBERS,
        outcome=st.sampled_from(["told", "told", "failed", "given-up", "back", "lost"]),
        wait=st.sampled_from([0.0, 60.0]),
    )
    def end_call(self, number, outcome, wait):
        call = self.calls.pop(number % len(self.calls))
        if outcome != "lost":
            for _ in range(2):
                self.store.run(end_call(call, outcome, wait_seconds=wait, line=b"x", max_log_lines=3))

    @rule()
    def let_time_pass(self):
        time_passes(self.store)
        recover(self.store)

    @rule()
    def expire(self):
        for job_id in self.store.redis.zrange(f"{self.prefix}:exp", 0, -1):
            self.store.redis.zadd(f"{self.prefix}:exp", {job_id: 1})
        expire(self.store)

    @invariant()
    def every_call_has_its_time(self):
        lanes = {name.decode() for name in self.store.redis.zrange(f"{self.prefix}:calls", 0, -1)}
        waiting: dict[str, set[bytes]] = {
            lane: set(self.store.redis.zrange(f"{self.prefix}:calls:{lane}", 0, -1)) for lane in lanes
        }
        found = self.store.redis.scan_iter(f"{self.prefix}:calls:*".replace("{", "\\{"), count=1000)
        assert {name.decode().removeprefix(f"{self.prefix}:calls:") for name in found} == lanes
        for job_id in self.jobs:
            lane, step, claim = self.store.redis.hmget(self.store.keys.job(job_id), "sl", "se", "so")
            if step or claim:
                assert job_id.encode() in waiting[lane.decode()]
            else:
                assert not any(job_id.encode() in ids for ids in waiting.values())

    def teardown(self) -> None:
        """Everything comes to its end; then nothing is left."""
        for job_id in self.jobs:
            for token in ("a", "b", "c"):
                dismiss(self.store, job_id, token)
        for job_id, claim in self.running.items():
            finish(self.store, job_id, claim)
        for call in self.calls:
            self.store.run(end_call(call, "told", max_log_lines=3))
        self.let_time_pass()
        while take(self.store, f"c{next(self.numbers)}"):
            pass
        due(self.store, "last")
        assert left_behind(self.store) - {":vacant", ":turns:default", ":d:default"} == set()
        self.store.close()


class TestLife(Life.TestCase):  # type: ignore[name-defined,misc]
    """Short by default; the long form is a setting of Hypothesis's."""

    settings = settings(max_examples=20, stateful_step_count=30)

    @classmethod
    def setUpClass(cls) -> None:
        cls.folder = short_folder()
        Life.server = StoreServer(str(find_program()), cls.folder.__enter__())

    @classmethod
    def tearDownClass(cls) -> None:
        Life.server.kill()
        cls.folder.__exit__(None, None, None)
