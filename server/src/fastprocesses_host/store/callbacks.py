"""Calls to subscribers, as the store keeps them due: each operation is one script."""

from collections.abc import Iterable
from typing import Any, Literal

import msgspec
from msgspec import Struct

from fastprocesses_host.ogc.jobs import Job
from fastprocesses_host.ogc.subscribers import Step, Subscriber
from fastprocesses_host.store.operations import Argument, Operation, Outcome
from fastprocesses_host.store.records import STEP_LETTERS, job_of, pairs

_STEPS: dict[str, Step] = {letter: step for step, letter in STEP_LETTERS.items()}
_subscriber_decoder = msgspec.json.Decoder(Subscriber)

CallOutcome = Literal["told", "failed", "given-up", "back"]
"""`failed`: it is made again; `back`: it was not made."""


class Call(Struct, frozen=True, kw_only=True):
    """A call to make now, and the job as it is at this moment."""

    claim: str
    lane: str
    """The subscriber's host and port."""
    job: Job
    step: Step
    number: int
    """Of the step; another one has another."""
    failures: int
    """Calls for it that have failed."""
    is_first: bool
    """No call about the progress of this job was made before."""
    subscriber: Subscriber

    @property
    def id(self) -> str:
        """Name of what is told; each attempt to tell it has the same."""
        return f"{self.job.id}-{self.number}"

    @property
    def uri(self) -> str:
        """The address to call."""
        return self.subscriber.uri(self.step)


def next_call(claim: str, *, lease_seconds: float, busy: Iterable[str] = ()) -> Operation[Call | None]:
    """Take the next call that is due, of one subscriber's host after the other; None: there is none.

    Args:
        claim: The right to it.
        lease_seconds: After that it is due again, whatever became of whoever took it.
        busy: Lanes of which none is wanted now.
    """

    def parse(answer: Any) -> Call | None:
        if not answer:
            return None
        job_id, lane, step, number, failures, is_first, subscriber, record = answer
        return Call(
            claim=claim,
            lane=lane.decode(),
            job=job_of(job_id.decode(), pairs(record)),
            step=_STEPS[step.decode()],
            number=number,
            failures=failures,
            is_first=is_first == 1,
            subscriber=_subscriber_decoder.decode(subscriber),
        )

    return Operation("callback", (claim, round(lease_seconds * 1000), *busy), parse)


def end_call(
    call: Call, outcome: CallOutcome, *, wait_seconds: float = 0.0, line: bytes = b"", max_log_lines: int
) -> Operation[Outcome]:
    """Tell what became of a call; `superseded` or `gone` if it was not its taker's any more.

    Args:
        call: The call.
        outcome: What became of it.
        wait_seconds: Until it is made again, where it failed.
        line: Of the job's log; empty: none.
        max_log_lines: Of which the newest are kept.
    """
    arguments: tuple[Argument, ...] = (
        call.job.id,
        call.claim,
        STEP_LETTERS[call.step],
        call.number,
        outcome,
        round(wait_seconds * 1000),
        max_log_lines,
        line,
    )
    return Operation("called_back", arguments, lambda answer: answer[0].decode())
