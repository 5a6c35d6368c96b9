"""Callers that execute, follow, dismiss and read over HTTP, and write down what they were told."""

import http.client
import itertools
import json
import random
import re
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from msgspec import Struct

from tests.chaos.mix import Work, choose
from tests.chaos.system import HostMember

MOST_UNDER_WAY = 6
HANGING_SECONDS = 40.0
"""No request may take so long, whatever is done to the system (a synchronous one waits 10 s at most)."""
_CLEAN = {200, 201, 404, 410, 413, 429, 500, 503, 504}
_FINAL = {"successful", "failed", "dismissed"}
_SIGNED = re.compile(rb"begin=([0-9a-f]{16})")


class Submission(Struct):
    """What was asked for, and what came of it as far as its caller knows."""

    work: Work
    mark: Path
    is_waiting: bool
    job_id: str = ""
    signatures: frozenset[str] = frozenset()
    """Of results that were read, or answered."""
    final: str = ""
    """The final state that was seen first."""
    deletions: int = 0
    has_subscriber: bool = False

    @property
    def may_be_removed(self) -> bool:
        """Whether a deletion may have met it when it was final already."""
        return self.deletions > 0


class Answer(Struct):
    """An HTTP answer, or what came instead."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def document(self) -> dict[str, Any]:
        try:
            found = json.loads(self.body)
        except ValueError:
            return {}
        return found if isinstance(found, dict) else {}


class Caller:
    """One caller: its thread, its submissions, and the complaints it has."""

    def __init__(self, number: int, seed: int, hosts: list[HostMember], marks: Path, subscriber: str) -> None:
        self.submissions: list[Submission] = []
        self.complaints: list[str] = []
        self.told: Counter[str] = Counter()
        self._number = number
        self._random = random.Random(f"{seed}/caller-{number}")
        self._hosts = hosts
        self._marks = marks
        self._subscriber = subscriber
        self._numbers = itertools.count()
        self._may_act = threading.Event()
        self._is_stopped = False
        self._is_idle = threading.Event()
        self._is_idle.set()
        self._thread = threading.Thread(target=self._run, name=f"caller-{number}", daemon=True)
        self._thread.start()

    def go_on(self) -> None:
        """Begin, or begin again, to ask."""
        self._is_idle.clear()
        self._may_act.set()

    def pause(self) -> None:
        """Ask for nothing new."""
        self._may_act.clear()

    def is_idle(self) -> bool:
        """Whether the last request was answered, and none follows."""
        return self._is_idle.is_set()

    def stop(self) -> None:
        """End the thread."""
        self._is_stopped = True
        self._may_act.set()
        self._thread.join(HANGING_SECONDS + 5)

    def _run(self) -> None:
        while True:
            if not self._may_act.is_set():
                self._is_idle.set()
                self._may_act.wait()
                self._is_idle.clear()
            if self._is_stopped:
                self._is_idle.set()
                return
            try:
                self._act()
            except Exception as error:
                self.complaints.append(f"caller {self._number} stumbled over {error!r}")
            time.sleep(self._random.uniform(0.0, 0.15))

    def _act(self) -> None:
        under_way = [
            one for one in self.submissions[-30:] if one.job_id and not one.final and not one.is_waiting
        ]
        if len(under_way) >= MOST_UNDER_WAY:
            self._follow(under_way)
            return
        actions: list[Callable[[], None]] = [self._submit, self._execute]
        weights = [5.0, 3.0]
        if under_way:
            actions += [lambda: self._follow(under_way), lambda: self._delete(under_way)]
            weights += [3.0, 1.0]
        if ended := [
            one for one in self.submissions[-30:] if one.final == "successful" and not one.is_waiting
        ]:
            actions.append(lambda: self._read(self._random.choice(ended)))
            weights.append(2.0)
        self._random.choices(actions, weights)[0]()

    def _new(self, *, is_waiting: bool) -> Submission:
        mark = self._marks / f"{self._number}-{next(self._numbers)}"
        work = choose(self._random, str(mark), waiting=is_waiting)
        submission = Submission(work, mark, is_waiting)
        self.submissions.append(submission)
        return submission

    def _submit(self) -> None:
        submission = self._new(is_waiting=False)
        submission.has_subscriber = self._random.random() < 0.3
        answer = self._post(submission, {"Prefer": "respond-async"})
        if answer is not None and answer.status == 201:
            submission.job_id = answer.document["jobID"]

    def _execute(self) -> None:
        submission = self._new(is_waiting=True)
        answer = self._post(submission, {})
        if answer is None:
            return
        if answer.status == 200:
            submission.signatures = frozenset(signatures(answer.body))
            if len(submission.signatures) != 1:
                self._complain(submission, f"answered without a result: {answer.body[:200]!r}")
        if answer.status == 200 and not submission.work.may_succeed:
            self._complain(submission, "cannot succeed, and did")

    def _post(self, submission: Submission, headers: dict[str, str]) -> Answer | None:
        work = submission.work
        path = f"/processes/{work.process}/execution"
        request: dict[str, Any] = {"inputs": work.inputs}
        if submission.has_subscriber:
            names = ("successUri", "inProgressUri", "failedUri")
            request["subscriber"] = {name: f"{self._subscriber}{name}" for name in names}
        body = json.dumps(request).encode()
        answer = self._ask("POST", path, body, {"Content-Type": "application/json", **headers})
        if answer is None:
            return None
        declared = {422} if work.process == "fail" else set()
        if answer.status == 404 and "was removed" not in answer.document.get("detail", ""):
            self._complain(submission, f"answered 404: {answer.body[:300]!r}")
        elif answer.status not in _CLEAN | declared:
            self._complain(submission, f"answered {answer.status}: {answer.body[:300]!r}")
        return answer

    def _follow(self, under_way: list[Submission]) -> None:
        submission = self._random.choice(under_way)
        answer = self._ask("GET", f"/jobs/{submission.job_id}")
        if answer is None or answer.status == 503:
            return
        if answer.status in (404, 410) and submission.may_be_removed:
            submission.final = "removed"
        elif answer.status != 200:
            self._complain(
                submission, f"was accepted, and its status is {answer.status}: {answer.body[:300]!r}"
            )
            submission.final = "lost"
        elif (status := answer.document["status"]) in _FINAL:
            submission.final = status

    def _delete(self, under_way: list[Submission]) -> None:
        submission = self._random.choice(under_way)
        submission.deletions += 1
        answer = self._ask("DELETE", f"/jobs/{submission.job_id}")
        if answer is None or answer.status == 503:
            return
        if answer.status == 200:
            submission.final = "dismissed"
        elif submission.deletions == 1 or answer.status not in (404, 410):
            self._complain(submission, f"its deletion was answered {answer.status}: {answer.body[:300]!r}")

    def _read(self, submission: Submission) -> None:
        answer = self._ask("GET", f"/jobs/{submission.job_id}/results")
        if answer is None or answer.status == 503:
            return
        if answer.status == 200:
            submission.signatures |= frozenset(signatures(answer.body))
        elif not (answer.status in (404, 410) and submission.may_be_removed):
            self._complain(
                submission, f"is successful, and its results are {answer.status}: {answer.body[:300]!r}"
            )

    def _complain(self, submission: Submission, what: str) -> None:
        self.complaints.append(
            f"{submission.work.process} {submission.job_id or submission.mark.name} {what}"
        )

    def _ask(
        self, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None
    ) -> Answer | None:
        """Make one request of any host; None where there was no answer, for a reason."""
        host = self._random.choice(self._hosts)
        begun = time.monotonic()
        try:
            answer = _request(host.port, method, path, body, headers or {})
        except (OSError, http.client.HTTPException) as error:
            self.told[type(error).__name__] += 1
            if not host.was_broken(begun, time.monotonic()):
                spent = time.monotonic() - begun
                self.complaints.append(
                    f"{method} {path} of {host.name} had no answer after {spent:.1f} s: {error!r}"
                )
            return None
        host.answered(begun)
        self.told[_said(answer)] += 1
        self._check(answer, f"{method} {path} of {host.name}")
        return answer

    def _check(self, answer: Answer, what: str) -> None:
        # What a job failed for is told with its own status, without a time to come back.
        is_ours = answer.document.get("title") in ("Service Unavailable", "Too Many Requests")
        if answer.status in (429, 503) and is_ours and "retry-after" not in answer.headers:
            self.complaints.append(
                f"{what} answered {answer.status} without Retry-After: {answer.body[:300]!r}"
            )
        if answer.status == 500 and b"incident" in answer.body:
            self.complaints.append(f"{what} met a fault of the server: {answer.body[:300]!r}")
        if answer.status >= 400 and "json" not in answer.headers.get("content-type", ""):
            self.complaints.append(
                f"{what} answered {answer.status} with {answer.headers.get('content-type')}"
            )


def _said(answer: Answer) -> str:
    detail = answer.document.get("detail", "") if answer.status >= 400 else ""
    return f"{answer.status} {detail.partition('.')[0][:40]}".strip()


def signatures(body: bytes) -> Iterator[str]:
    """Give the signatures of runs that stand in a result, each of which must be whole."""
    for begun in _SIGNED.findall(body):
        yield begun.decode() if b"end=" + begun in body else "cut"


def _request(port: int, method: str, path: str, body: bytes | None, headers: dict[str, str]) -> Answer:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=HANGING_SECONDS)
    try:
        connection.request(method, path, body, headers)
        found = connection.getresponse()
        named = {name.lower(): value for name, value in found.getheaders()}
        return Answer(found.status, named, found.read())
    finally:
        with suppress(OSError):
            connection.close()
