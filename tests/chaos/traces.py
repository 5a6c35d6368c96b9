"""What must be true of a system, whatever was done to it: each function gives sentences on what is not."""

import contextlib
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import psutil
import redis
from fastprocesses_host.ogc.jobs import Job, Status
from fastprocesses_host.settings import Settings
from fastprocesses_host.store.keys import Keys
from fastprocesses_host.store.records import job_of
from msgspec import Struct

from tests.support import files_under

LASTING = {"meta", "ticks", "offers", "workers", "hosts", "queues"}
"""Keys that stay, of a size that does not grow with the jobs."""
WAITING = ("accepted", "later", "waiting", "vacant", "turns", "backlog", "parked")
"""Kinds of keys that are there only while jobs wait."""
RUNNING = ("lease", "inside", "removed", "calls", "followed", "followers", "shared")
"""Kinds of keys that are there only while jobs run or follow a run, or while subscribers are to be called."""
PASSING = ("t", "offer", "again", "key", "same", "u")
"""Kinds of keys that the store forgets by itself, each in its time."""
COUNTING = {"bytes", "rexp", "rooms", "uploads"}
"""What is counted of values that lie elsewhere, and what of them is to be removed when."""


class Run(Struct, frozen=True):
    """A run of a job, as the process wrote it down itself."""

    job_id: str
    claim: str
    signature: str


def strays(settings: Settings) -> list[str]:
    """Give what should not be in the store when every job has ended.

    Messages, turns, places, leases, waiting jobs, staged values, inputs nobody asked to keep, values, logs and
    entries of indexes without a job, jobs and other keys without expiry, keys of no known kind.
    """
    with _client(settings) as client:
        store = _Keys(client, Keys.of(settings.key_prefix).prefix)
        return [*store.unfinished(), *store.unowned(), *store.unindexed(), *store.misplaced()]


def jobs_of(settings: Settings) -> dict[str, tuple[Job, str]]:
    """Read every job of the store, listed or not, with the claim that it had last."""
    prefix = Keys.of(settings.key_prefix).prefix
    found = {}
    with _client(settings) as client:
        for name in list(client.scan_iter(match=_pattern(prefix) + ":j:*", count=1000)):
            if record := client.hgetall(name):
                fields = {field.decode(): value for field, value in record.items()}
                job_id = name.decode().rsplit(":", 1)[1]
                found[job_id] = job_of(job_id, fields), fields.get("c", b"").decode()
    return found


def torn(settings: Settings) -> list[str]:
    """Give accepted jobs without a message, messages without such a job, and running jobs without a lease.

    True at every moment, so it may be asked while the system works: what it looks at is read in one transaction.
    """
    prefix = Keys.of(settings.key_prefix).prefix
    with _client(settings) as client:
        answer = client.eval(_SNAPSHOT, 1, prefix)
    states = dict(zip(*[iter(_texts(answer[0]))] * 2, strict=True))
    messages, places = set(_texts(answer[1])), _texts(answer[2])
    accepted, leases = set(_texts(answer[3])), set(_texts(answer[4]))
    waiting = {job_id for job_id, state in states.items() if state == "accepted"}
    running = {job_id for job_id, state in states.items() if state == "running"}
    return [
        *(f"accepted without a message: {job_id}" for job_id in waiting - messages),
        *(f"its message is nowhere: {job_id}" for job_id in waiting - set(places)),
        *(f"its message is in two places: {job_id}" for job_id in waiting if places.count(job_id) > 1),
        *(f"message without an accepted job: {job_id}" for job_id in messages - waiting),
        *(f"accepted without a time limit: {job_id}" for job_id in waiting - accepted),
        *(f"counted as accepted: {job_id}" for job_id in accepted - waiting),
        *(f"running without a lease: {job_id}" for job_id in running - leases),
    ]


def unowned_files(settings: Settings) -> list[Path]:
    """Give the files of the value store that no job refers to."""
    if settings.value_folder is None or not settings.value_folder.exists():
        return []
    owned = {
        value.location.removeprefix("file:")
        for job, _ in jobs_of(settings).values()
        for value in job.outputs.values()
        if value.location
    }
    with _client(settings) as client:
        keys = Keys.of(settings.key_prefix)
        kept = [client.hget(keys.job(job_id), "il") for job_id in jobs_of(settings)]
        garbage = _texts(client.smembers(keys.garbage))
    for text in [*(text.decode() for text in kept if text), *garbage]:
        owned |= {line.partition("\t")[0].removeprefix("file:") for line in text.split("\n")}
    folder = settings.value_folder
    return [file for file in files_under(folder) if str(file.relative_to(folder)) not in owned]


def runs_in(marks: Path) -> list[Run]:
    """Read what the processes wrote down in a folder of marks."""
    return [Run(*line.split()) for mark in sorted(marks.iterdir()) for line in mark.read_text().splitlines()]


def repeated(runs: Iterable[Run], retryable: frozenset[str]) -> list[str]:
    """Give jobs that ran twice though they must not, and claims under which code ran twice."""
    of_job: dict[str, list[str]] = defaultdict(list)
    for run in runs:
        of_job[run.job_id].append(run.claim)
    found = []
    for job_id, claims in of_job.items():
        if len(claims) > 1 and job_id not in retryable:
            found.append(f"ran {len(claims)} times and is not retryable: {job_id} by {claims}")
        if len(set(claims)) < len(claims):
            found.append(f"ran twice under one claim: {job_id} by {claims}")
    return found


def superseded_results(
    settings: Settings, jobs: Mapping[str, tuple[Job, str]], runs: Iterable[Run]
) -> list[str]:
    """Give successful jobs whose results are not those of one run: that of the claim which the job had last."""
    written = {(run.job_id, run.claim): run.signature for run in runs}
    found = []
    for job_id, (job, claim) in jobs.items():
        if job.status != Status.SUCCESSFUL:
            continue
        expected = written.get((job_id, claim))
        for name, data in _values(settings, job):
            if data is None and job_id not in jobs_of(settings):
                break  # it has expired meanwhile
            if data is None:
                found.append(f"its output {name} is not there: {job_id}")
            elif expected is None or f"begin={expected}".encode() not in data:
                found.append(f"its output {name} is not of its last claim {claim}: {job_id}: {data[:80]!r}")
            elif f"end={expected}".encode() not in data:
                found.append(f"its output {name} is cut: {job_id}")
    return found


def endless(jobs: Mapping[str, tuple[Job, str]]) -> list[str]:
    """Give the jobs that are not final."""
    return [
        f"is {job.status} still: {job_id} ({job.process_id})"
        for job_id, (job, _) in jobs.items()
        if not job.status.is_final
    ]


def signed_on(settings: Settings) -> list[str]:
    """Give the workers that are still counted; none after all have stopped."""
    with _client(settings) as client:
        workers = client.zrange(Keys.of(settings.key_prefix).prefix + ":workers", 0, -1)
    return [f"still counted as a worker: {name}" for name in _texts(workers)]


def marked_processes(mark: str, but: Iterable[int] = ()) -> list[psutil.Process]:
    """Give the living processes that carry a mark in their command line."""
    found, ours = [], {psutil.Process().pid, *but}
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            is_alive = process.pid not in ours and process.status() != psutil.STATUS_ZOMBIE
            if is_alive and any(mark in part for part in process.cmdline()):
                found.append(process)
    return found


class _Keys:
    """Every key of an installation, with what is needed to judge it."""

    def __init__(self, client: Any, prefix: str) -> None:
        self._client = client
        self._prefix = prefix
        names = {name.decode() for name in client.scan_iter(match=_pattern(prefix) + "*", count=1000)}
        self._names = {name.removeprefix(prefix + ":") for name in names}
        self._states = {
            name[2:]: (client.hget(f"{prefix}:{name}", "s") or b"").decode()
            for name in self._names
            if name.startswith("j:")
        }

    def unfinished(self) -> Iterator[str]:
        """What there is only while jobs are under way."""
        for name in sorted(self._names):
            if name.partition(":")[0] in ("d", "oom", *WAITING, *RUNNING):
                yield name
            if name.startswith("i:") and self._client.pttl(f"{self._prefix}:{name}") < 0:
                yield name
        if locations := self._client.smembers(self._prefix + ":garbage"):
            yield f"garbage: {len(locations)}"
        for job_id, state in self._states.items():
            if state not in ("successful", "failed", "dismissed"):
                yield f"is {state}: {job_id}"
            if self._client.hexists(f"{self._prefix}:j:{job_id}", "stp"):
                yield f"is stopping: {job_id}"

    def unowned(self) -> Iterator[str]:
        """Values, logs and staged values without a job, and whatever has no expiry and should have."""
        for name in sorted(self._names):
            kind, _, rest = name.partition(":")
            job_id, _, claim = rest.partition(":")
            if kind in ("o", "log") and not claim and job_id not in self._states:
                yield f"without a job: {name}"
            if kind == "room" and self._client.zscore(self._prefix + ":rooms", rest) is None:
                yield f"never given back: {name}"
            has_to_expire = kind in PASSING or (kind == "o" and claim)
            if has_to_expire and self._client.ttl(f"{self._prefix}:{name}") < 0:
                yield f"never expires: {name}"
        expiring = dict(self._client.zrange(self._prefix + ":exp", 0, -1, withscores=True))
        for job_id in self._states.keys() - set(_texts(expiring)):
            if self._client.pttl(f"{self._prefix}:j:{job_id}") == -1:
                yield f"no expiry: {job_id}"
        for job_id in set(_texts(expiring)) - self._states.keys():
            yield f"expiry without a job: {job_id}"

    def unindexed(self) -> Iterator[str]:
        """Entries of indexes without their job, and jobs without theirs."""
        for name in sorted(self._names):
            if name != "jobs" and not name.startswith("jobs:"):
                continue
            members = set(_texts(self._client.zrange(f"{self._prefix}:{name}", 0, -1)))
            for job_id in members - self._states.keys():
                yield f"listed in {name} without a job: {job_id}"
            if name.startswith("jobs:s:"):
                for job_id in members & self._states.keys():
                    if self._states[job_id] != name[len("jobs:s:") :]:
                        yield f"listed in {name}, and is {self._states[job_id]}: {job_id}"

    def misplaced(self) -> Iterator[str]:
        """Keys of no known kind, and known ones that grow."""
        for name in sorted(self._names):
            kind = name.partition(":")[0]
            known = kind in (
                "j",
                "o",
                "log",
                "standing",
                "jobs",
                "exp",
                "d",
                "i",
                "room",
                *PASSING,
                *WAITING,
                *RUNNING,
            )
            if not known and name not in LASTING | COUNTING | {"garbage", "oom"}:
                yield f"of no known kind: {name}"
        for job_id in _texts(self._client.zrange(self._prefix + ":rexp", 0, -1)):
            if job_id not in self._states:
                yield f"results to expire without a job: {job_id}"
        now = time.time() * 1000
        for worker, seen in self._client.zrange(self._prefix + ":workers", 0, -1, withscores=True):
            if now - seen > 60_000:
                yield f"counted as a worker: {worker.decode()}"


def _values(settings: Settings, job: Job) -> Iterator[tuple[str, bytes | None]]:
    keys = Keys.of(settings.key_prefix)
    with _client(settings) as client:
        for name, value in job.outputs.items():
            if not value.location:
                small = client.hget(keys.values(job.id), name)
                yield name, small or client.hget(keys.job(job.id), "res")
                continue
            assert settings.value_folder is not None
            file = settings.value_folder / value.location.removeprefix("file:")
            yield name, file.read_bytes() if file.exists() else None


def _client(settings: Settings) -> Any:
    return redis.Redis.from_url(settings.redis_url)


def _pattern(prefix: str) -> str:
    return prefix.replace("{", "[{]")


def _texts(items: Iterable[bytes]) -> list[str]:
    return [item.decode() for item in items]


_SNAPSHOT = """
local P = KEYS[1]
local function keys(pattern)
  local found, cursor = {}, '0'
  repeat
    local page = redis.call('SCAN', cursor, 'MATCH', pattern, 'COUNT', 1000)
    cursor = page[1]
    for _, name in ipairs(page[2]) do found[name] = true end
  until cursor == '0'
  return found
end
local pattern = string.gsub(P, '{', '[{]')
local states, messages, places = {}, {}, {}
for name in pairs(keys(pattern .. ':j:*')) do
  states[#states + 1] = string.sub(name, #P + 4)
  states[#states + 1] = redis.call('HGET', name, 's') or ''
end
for name in pairs(keys(pattern .. ':d:*')) do
  local kind = redis.call('TYPE', name).ok
  local into, items = places, {}
  if kind == 'hash' then into, items = messages, redis.call('HKEYS', name)
  elseif kind == 'list' then items = redis.call('LRANGE', name, 0, -1) end
  for _, item in ipairs(items) do into[#into + 1] = item end
end
for _, kind in ipairs({':backlog:', ':parked:'}) do
  for name in pairs(keys(pattern .. kind .. '*')) do
    for _, item in ipairs(redis.call('ZRANGE', name, 0, -1)) do places[#places + 1] = item end
  end
end
for _, item in ipairs(redis.call('ZRANGE', P .. ':later', 0, -1)) do places[#places + 1] = item end
return {states, messages, places, redis.call('ZRANGE', P .. ':accepted', 0, -1),
  redis.call('ZRANGE', P .. ':lease', 0, -1)}
"""
