"""Whose job is next: callers take turns, a process has no more runs than it may, and no job is out of reach."""

import itertools

import pytest
from fastprocesses_host.ogc.jobs import Status
from fastprocesses_host.private_store import find_program
from fastprocesses_host.store import operations
from fastprocesses_host.store.client import Store
from fastprocesses_host.store.keys import Keys
from fastprocesses_host.store.operations import QueueLimits
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from tests.store.steps import (
    QUEUE,
    accept,
    all_keys,
    change_terms,
    dismiss,
    expire,
    finish,
    left_behind,
    new_job,
    read,
    recover,
    release,
    take,
    taken,
)
from tests.support import StoreServer, short_folder

_prefixes = itertools.count()
LIMITED = {"process_id": "limited", "max_concurrent": 1}


def refused(store: Store, limits: QueueLimits, **options: object) -> str:
    return store.run(operations.accept(new_job(store, **options), {}, limits=limits)).outcome


def all_taken(store: Store, **options: object) -> list[str]:
    """What is taken until nothing is left, in its order."""
    claims = (f"all-{number}" for number in itertools.count())
    return list(iter(lambda: taken(store, next(claims), **options), None))


def test_callers_take_turns(store: Store) -> None:
    many = [accept(store, caller="many") for _ in range(6)]
    few = [accept(store, caller="few") for _ in range(2)]
    one = accept(store, caller="one")
    assert all_taken(store) == [
        many[0], few[0], one, many[1], few[1], *many[2:],
    ]  # fmt: skip


@pytest.mark.parametrize("count", [1_000, pytest.param(10_000, marks=pytest.mark.long)])
def test_thousands_of_jobs_of_one_caller_delay_another_by_one(store: Store, count: int) -> None:
    many = QueueLimits(jobs=20_000, of_caller=20_000, of_process=0)
    for _ in range(count):
        accept(store, caller="many", limits_of_queue=many)
    other = accept(store, caller="other", limits_of_queue=many)
    assert taken(store, "c1") != other
    assert taken(store, "c2") == other
    second = accept(store, caller="other", limits_of_queue=many)
    assert second in {taken(store, "c3"), taken(store, "c4")}


def test_many_jobs_that_wait_for_their_process_delay_nobody(store: Store) -> None:
    many = QueueLimits(jobs=20_000, of_caller=20_000, of_process=0)
    ids = [accept(store, caller="many", limits_of_queue=many, **LIMITED) for _ in range(2_000)]
    assert taken(store, "c0") == ids[0]
    before = store.redis.info("commandstats")["cmdstat_lpop"]["calls"]
    other = accept(store, caller="other", limits_of_queue=many)
    assert taken(store, "c1") == other
    assert taken(store, "c2") is None
    assert store.redis.info("commandstats")["cmdstat_lpop"]["calls"] - before < 10
    own = accept(store, caller="many", limits_of_queue=many)
    assert taken(store, "c3") == own  # the caller's other jobs go on
    theirs = accept(store, caller="other", limits_of_queue=many, **LIMITED)
    finish(store, ids[0], "c0")
    if taken(store, "c4") != theirs:
        finish(store, ids[1], "c4")
        assert taken(store, "c5") == theirs


def test_a_job_that_is_dismissed_leaves_its_turn_to_the_next_of_its_caller(store: Store) -> None:
    first, second, third = (accept(store, caller="a") for _ in range(3))
    other = accept(store, caller="b")
    dismiss(store, first, "t")
    dismiss(store, second, "t")
    assert all_taken(store) == [third, other]


def test_submitting_and_dismissing_lets_no_list_grow(store: Store) -> None:
    waiting = accept(store, caller="patient")
    for _ in range(200):
        for caller in ("a", "b"):
            dismiss(store, accept(store, caller=caller), "t")
    assert store.redis.llen(store.keys.queue(QUEUE)) <= 3
    last = accept(store, caller="a")
    assert all_taken(store) == [waiting, last]


def test_jobs_of_a_process_with_few_places_go_on_as_places_come_free(store: Store) -> None:
    ids = [accept(store, process_id="few", max_concurrent=2, caller=f"c{number}") for number in range(5)]
    first, second = all_taken(store)
    assert [first, second] == ids[:2]
    assert finish(store, first, "all-0") == "ok"
    assert all_taken(store) == [ids[2]]
    finish(store, second, "all-1")
    finish(store, ids[2], "all-0")
    assert sorted(all_taken(store)) == ids[3:]


@pytest.mark.parametrize("end", ["dismiss", "expire", "deadline"])
def test_a_place_is_not_lost_with_the_job_that_was_on_its_way_to_it(store: Store, end: str) -> None:
    deadline_ms = store.check() - 1 if end == "deadline" else None
    first = accept(store, caller="a", **LIMITED)
    taken(store, "c1")
    second = accept(store, caller="b", deadline_ms=deadline_ms, **LIMITED)
    if end == "deadline":  # it has passed only once it was parked
        change_terms(store, second, deadline_ms=store.check() + 60_000)
    third = accept(store, caller="c", **LIMITED)
    assert taken(store, "c2") is None
    finish(store, first)  # now the second is on its way
    if end == "dismiss":
        dismiss(store, second, "t")
    elif end == "deadline":
        change_terms(store, second, deadline_ms=deadline_ms)
    else:
        store.redis.zadd(store.keys.prefix + ":accepted", {second: 0})
        recover(store)
    assert taken(store, "c3") == third


def test_a_place_is_kept_until_the_worker_has_left_even_a_removed_job(store: Store) -> None:
    first, second = accept(store, **LIMITED), accept(store, **LIMITED)
    assert taken(store, "c1") == first
    dismiss(store, first, "t")
    assert taken(store, "c2") is None
    dismiss(store, first, "t2")
    assert store.run(operations.job(first)) == "tombstone"
    assert taken(store, "c3") is None
    assert finish(store, first, status="dismissed") == "gone"
    assert taken(store, "c4") == second


def test_who_waits_for_a_place_synchronously_goes_first(store: Store) -> None:
    queues = (f"{QUEUE}.sync", QUEUE)
    first = accept(store, **LIMITED)
    assert taken(store, "c1", queues=queues) == first
    later = accept(store, caller="b", **LIMITED)
    assert taken(store, "c2", queues=queues) is None
    waited_for = accept(store, queue=queues[0], caller="c", **LIMITED)
    assert taken(store, "c3", queues=queues) is None
    finish(store, first)
    assert taken(store, "c4", queues=queues) == waited_for
    assert taken(store, "c5", queues=queues) is None
    finish(store, waited_for, "c4")
    assert taken(store, "c6", queues=queues) == later


def test_a_limit_that_was_raised_strands_nobody_and_holds_for_the_new_jobs(store: Store) -> None:
    of_before = [accept(store, caller=f"a{number}", **LIMITED) for number in range(3)]
    of_now = [
        accept(store, caller=f"b{number}", process_id="limited", max_concurrent=3) for number in range(9)
    ]
    claims = (f"c{number}" for number in itertools.count())
    running: list[tuple[str, str]] = []
    ran: list[str] = []
    while len(ran) < 12:
        while (job_id := taken(store, claim := next(claims))) is not None:
            running.append((job_id, claim))
        assert len(running) <= 3
        if set(of_before) <= set(ran):
            assert len(running) == min(3, 12 - len(ran))
        job_id, claim = running.pop(0)
        ran.append(job_id)
        assert finish(store, job_id, claim) == "ok"
    assert sorted(ran) == sorted([*of_before, *of_now])


def test_a_job_gone_on_to_a_queue_without_workers_holds_up_no_other_queue(store: Store) -> None:
    here, nowhere = ("here",), ("nowhere",)
    first = accept(store, queue="here", **LIMITED)
    assert taken(store, "c1", queues=here) == first
    lost = accept(store, queue="nowhere", caller="a", **LIMITED)
    assert taken(store, "c2", queues=nowhere) is None  # its last worker
    waiting = accept(store, queue="here", caller="b", **LIMITED)
    assert taken(store, "c3", queues=here) is None
    finish(store, first)
    assert taken(store, "c4", queues=here) is None
    store.redis.zadd(store.keys.prefix + ":parked", {"limited": 0})  # a lease later
    recover(store)
    assert taken(store, "c5", queues=here) == waiting
    assert read(store, lost).status == Status.ACCEPTED


def test_limits_on_what_waits_in_all_by_caller_and_by_process(store: Store) -> None:
    of_all = QueueLimits(jobs=4, of_caller=0, of_process=0)
    of_caller = QueueLimits(jobs=100, of_caller=2, of_process=0)
    of_process = QueueLimits(jobs=100, of_caller=0, of_process=2)
    for _ in range(2):
        accept(store, caller="a", limits_of_queue=of_caller)
        accept(store, caller="b", process_id="other", limits_of_queue=of_process)
    before = set(all_keys(store)), store.redis.zcard(store.keys.prefix + ":jobs")
    assert refused(store, of_all, caller="c") == "full"
    assert refused(store, of_caller, caller="a") == "caller-full"
    assert refused(store, of_caller, caller="b", max_concurrent=1) == "caller-full"
    assert refused(store, of_process, caller="c", process_id="other") == "process-full"
    assert (
        set(all_keys(store)),
        store.redis.zcard(store.keys.prefix + ":jobs"),
    ) == before  # nothing half done
    accept(store, caller="c", limits_of_queue=of_caller)
    accept(store, caller="c", process_id="more", limits_of_queue=of_process)
    assert len(all_taken(store)) == 6
    accept(store, caller="a", limits_of_queue=of_caller)
    accept(store, caller="b", process_id="other", limits_of_queue=of_process)


def test_a_dismissed_job_no_longer_counts_against_its_caller(store: Store) -> None:
    two = QueueLimits(jobs=100, of_caller=2, of_process=0)
    first, _ = (accept(store, caller="a", limits_of_queue=two) for _ in range(2))
    assert refused(store, two, caller="a") == "caller-full"
    dismiss(store, first, "t")
    accept(store, caller="a", limits_of_queue=two)
    assert refused(store, two, caller="a") == "caller-full"
    assert len(all_taken(store)) == 2
    accept(store, caller="a", limits_of_queue=two)


@settings(max_examples=150, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["submit", "dismiss", "take"]), st.sampled_from("abcd"), st.integers(0, 99)
        ),
        max_size=60,
    )
)
def test_between_two_turns_of_a_caller_each_other_one_with_work_has_one(embedded_store, steps):
    store = Store(embedded_store.url, Keys.of(f"turns{next(_prefixes)}"))
    waiting: dict[str, list[str]] = {caller: [] for caller in "abcd"}
    served = dict.fromkeys("abcd", -1)
    was_idle = dict.fromkeys("abcd", 0)
    for now, (what, caller, number) in enumerate([*steps, *[("take", "", 0)] * 60]):
        if what == "submit":
            waiting[caller] += [accept(store, caller=caller) for _ in range(1 + number % 3)]
        elif what == "dismiss" and waiting[caller]:
            dismiss(store, waiting[caller].pop(number % len(waiting[caller])), "t")
        elif what == "take":
            job_id = taken(store, f"c{now}")
            whose = next((one for one, ids in waiting.items() if job_id in ids), None)
            assert (whose is None) == (not any(waiting.values()))
            if whose is not None:
                assert waiting[whose].pop(0) == job_id
                for other in set("abcd") - {whose}:
                    has_waited = was_idle[other] < served[whose]
                    assert not has_waited or served[other] > served[whose]
                served[whose] = now
        was_idle |= {one: now for one, ids in waiting.items() if not ids}
    store.close()


CALLERS, PROCESSES = ("a", "b", "c"), ("free", "one", "two")
QUEUES = (f"{QUEUE}.sync", QUEUE)
MOST = {"free": 0, "one": 1, "two": 2}
COUNTED = QueueLimits(jobs=1000, of_caller=1000, of_process=1000)
NUMBERS = st.integers(0, 1000)


class Life(RuleBasedStateMachine):
    """Whatever is done to jobs, in any order: each that waits can be reached, and counts and places are right."""

    server: StoreServer

    def __init__(self) -> None:
        super().__init__()
        self.store = Store(self.server.url, Keys.of(f"life{next(_prefixes)}"))
        self.claims = itertools.count()
        self.waiting: dict[str, tuple[str, str]] = {}
        """Jobs that wait, with caller and process."""
        self.running: dict[str, tuple[str, str, str, int]] = {}
        """Jobs that a worker is inside, with claim, caller, process and attempt."""
        self.ended: list[str] = []

    def teardown(self) -> None:
        """Everything is taken and ended; then nothing is left."""
        for job_id in list(self.running):
            self.end(job_id)
        self.hurry()
        while self.waiting:
            assert self.take_from(QUEUES), f"out of reach: {self.waiting}"
            while self.take_from(QUEUES):
                pass
            for job_id in list(self.running):
                self.end(job_id)
            self.invariants_hold()
        assert take(self.store, "last", queues=QUEUES) is None
        for name in ("exp", "lease"):
            for job_id in self.store.redis.zrange(f"{self.prefix}:{name}", 0, -1):
                self.store.redis.zadd(f"{self.prefix}:{name}", {job_id: 0})
        recover(self.store)
        expire(self.store)
        self.store.run(operations.leave("w1", ""))
        unexpired = {
            name for name in left_behind(self.store) if self.store.redis.pttl(self.prefix + name) < 0
        }
        assert unexpired == set()
        self.store.close()

    @property
    def prefix(self) -> str:
        return self.store.keys.prefix

    @rule(
        caller=st.sampled_from(CALLERS),
        process=st.sampled_from(PROCESSES),
        queue=st.sampled_from(QUEUES),
        count=st.integers(1, 3),
        listed=st.booleans(),
        retryable=st.booleans(),
    )
    def submit(self, caller, process, queue, count, listed, retryable):
        for _ in range(count):
            job_id = accept(
                self.store, caller=caller, process_id=process, queue=queue, listed=listed,
                retryable=retryable, max_attempts=3 if retryable else 1, max_concurrent=MOST[process],
                limits_of_queue=COUNTED,
            )  # fmt: skip
            self.waiting[job_id] = (caller, process)

    @rule(queues=st.sampled_from([QUEUES, QUEUES[1:], QUEUES[:1]]))
    def take(self, queues):
        self.take_from(queues)

    def take_from(self, queues: tuple[str, ...]) -> bool:
        claim = self.new_claim()
        claimed = take(self.store, claim, queues=queues)
        if claimed is not None:
            assert taken(self.store, claim, queues=queues, is_again=True) == claimed.job_id
            self.begun(claimed)
        return claimed is not None

    def begun(self, claimed: operations.Claimed) -> None:
        caller, process = self.waiting.pop(claimed.job_id)
        self.running[claimed.job_id] = (claimed.claim, caller, process, claimed.attempt)

    @precondition(lambda self: self.running)
    @rule(number=NUMBERS)
    def finish_and_take(self, number):
        job_id = self.one_of(self.running, number)
        claim, next_claim = self.running.pop(job_id)[0], self.new_claim()
        operation = operations.finish(
            job_id, claim, "successful", fields={}, max_log_lines=1, slot=self.slot, next_claim=next_claim
        )
        for sent in (operation, operation.again()):
            ended = self.store.run(sent)
        self.ended.append(job_id)
        if ended.next is not None:
            self.begun(ended.next)

    @precondition(lambda self: self.running)
    @rule(number=NUMBERS)
    def end_one(self, number):
        self.end(self.one_of(self.running, number))

    def end(self, job_id: str) -> None:
        finish(self.store, job_id, self.running.pop(job_id)[0])
        self.ended.append(job_id)

    @precondition(lambda self: self.running)
    @rule(number=NUMBERS, how=st.sampled_from(["again", "release", "untouched", "lost"]), wait=st.booleans())
    def give_up(self, number, how, wait):
        job_id = self.one_of(self.running, number)
        claim, caller, process, _ = self.running.pop(job_id)
        was_dismissed = read_status(self.store, job_id) != Status.RUNNING
        if how == "again":
            answer = self.store.run(
                operations.again(job_id, claim, retry_seconds=3600 if wait else 0, reason="x")
            )
            if answer == "spent":
                finish(self.store, job_id, claim, "failed")
        elif how == "lost":
            self.store.redis.zadd(f"{self.prefix}:lease", {job_id: 0})
            recover(self.store, retry_seconds=3600 if wait else 0)
        else:
            release(self.store, job_id, claim, untouched=how == "untouched")
        if not was_dismissed and read_status(self.store, job_id) == Status.ACCEPTED:
            self.waiting[job_id] = (caller, process)
        else:
            self.ended.append(job_id)

    @precondition(lambda self: self.waiting)
    @rule(number=NUMBERS, twice=st.booleans(), expires=st.booleans())
    def end_one_that_waits(self, number, twice, expires):
        job_id = self.one_of(self.waiting, number)
        del self.waiting[job_id]
        if expires:
            self.store.redis.zadd(f"{self.prefix}:accepted", {job_id: 0})
            recover(self.store)
            assert read_status(self.store, job_id) == Status.FAILED
        else:
            dismiss(self.store, job_id, "t")
            if twice:
                dismiss(self.store, job_id, "t2")
        self.ended.append(job_id)

    @precondition(lambda self: self.running)
    @rule(number=NUMBERS, twice=st.booleans())
    def dismiss_one_that_runs(self, number, twice):
        """Its worker is inside still."""
        job_id = self.one_of(self.running, number)
        dismiss(self.store, job_id, "t")
        if twice:
            dismiss(self.store, job_id, "t2")

    @rule()
    def hurry(self):
        """What waits for its next attempt waits no longer."""
        for job_id in self.store.redis.zrange(f"{self.prefix}:later", 0, -1):
            self.store.redis.zadd(f"{self.prefix}:later", {job_id: 0})
        recover(self.store)

    @precondition(lambda self: self.running)
    @rule(number=NUMBERS)
    def sign_off(self, number):
        """A worker never heard of what it took."""
        job_id = self.one_of(self.running, number)
        claim, caller, process, _ = self.running[job_id]
        if read_status(self.store, job_id) == Status.RUNNING:
            del self.running[job_id]
            self.store.run(operations.leave("w1", "", [claim]))
            self.waiting[job_id] = (caller, process)

    @rule()
    def expire(self):
        for job_id in self.store.redis.zrange(f"{self.prefix}:exp", 0, -1):
            self.store.redis.zadd(f"{self.prefix}:exp", {job_id: 0})
        expire(self.store)

    @invariant()
    def invariants_hold(self):
        self.each_has_one_place()
        self.counts_are_exact()
        self.places_are_kept()

    def each_has_one_place(self) -> None:
        redis = self.store.redis
        listed = {
            one.decode() for queue in QUEUES for one in redis.lrange(self.store.keys.queue(queue), 0, -1)
        }
        vacant = {one.decode(): lane.decode() for one, lane in redis.hgetall(f"{self.prefix}:vacant").items()}
        assert set(vacant) <= listed
        parked = {
            one.decode()
            for process in PROCESSES
            for one in redis.zrange(f"{self.prefix}:parked:{process}", 0, -1)
        }
        later = {one.decode() for one in redis.zrange(f"{self.prefix}:later", 0, -1)}
        behind = set()
        for queue in QUEUES:
            turns = {
                lane.decode(): one.decode()
                for lane, one in redis.hgetall(f"{self.prefix}:turns:{queue}").items()
            }
            for lane, holder in turns.items():
                assert holder in listed | parked
                assert holder in self.waiting or vacant.get(holder) == lane
                behind |= {
                    one.decode() for one in redis.zrange(f"{self.prefix}:backlog:{queue}:{lane}", 0, -1)
                }
        places = [*(listed & self.waiting.keys()), *parked, *later, *behind]
        assert sorted(places) == sorted(self.waiting)

    def counts_are_exact(self) -> None:
        found = self.store.redis.hgetall(f"{self.prefix}:waiting")
        counts: dict[bytes, bytes] = {}
        for caller, process in self.waiting.values():
            names = [f"p:{process}"] + ([f"c:{caller}"] if MOST[process] else [])
            for name in names:
                counts[name.encode()] = str(int(counts.get(name.encode(), 0)) + 1).encode()
        assert found == counts
        assert self.store.redis.zcard(f"{self.prefix}:accepted") == len(self.waiting)
        leased = {one.decode() for one in self.store.redis.zrange(f"{self.prefix}:lease", 0, -1)}
        assert leased <= self.running.keys()
        assert {one for one in self.running if read_status(self.store, one)} <= leased

    def places_are_kept(self) -> None:
        redis = self.store.redis
        listed = {
            one.decode() for queue in QUEUES for one in redis.lrange(self.store.keys.queue(queue), 0, -1)
        }
        for process, most in MOST.items():
            inside = {one.decode() for one in redis.smembers(f"{self.prefix}:inside:{process}")}
            if most:
                assert inside == {one for one, run in self.running.items() if run[2] == process}
                assert len(inside) <= most
            if redis.exists(f"{self.prefix}:parked:{process}"):
                on_their_way = {one for one in listed if self.waiting.get(one, ("", ""))[1] == process}
                assert len(inside) >= most or on_their_way

    @property
    def slot(self) -> operations.Slot:
        return operations.Slot(queues=QUEUES, lease_seconds=60)

    def new_claim(self) -> str:
        return f"claim-{next(self.claims)}"

    @staticmethod
    def one_of(jobs: dict[str, object], number: int) -> str:
        return sorted(jobs)[number % len(jobs)]


def read_status(store: Store, job_id: str) -> Status | None:
    status = store.redis.hget(store.keys.job(job_id), "s")
    return None if status is None else Status(status.decode())


class TestLife(Life.TestCase):
    """The machine above, on a server of its own."""

    settings = settings(max_examples=40, stateful_step_count=30, deadline=None)

    @classmethod
    def setUpClass(cls) -> None:
        folder = cls.enterClassContext(short_folder())
        Life.server = StoreServer(str(find_program()), folder)
        cls.addClassCleanup(Life.server.kill)
