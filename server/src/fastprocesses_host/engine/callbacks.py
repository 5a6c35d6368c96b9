"""Calls to subscribers, each made once and its outcome told: nothing that happens to one touches a job."""

import queue
import random
import threading
import time
from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import msgspec
from fastprocesses_sdk.description import Link, ProcessDescription
from msgspec import Struct
from msgspec.structs import replace

from fastprocesses_host.callback_queue import Calls
from fastprocesses_host.engine.payloads import Payload, failure_payload, results_payload, status_payload
from fastprocesses_host.guarded.errors import Cancelled, GuardedError, Refused
from fastprocesses_host.logs import get_logger, job_context
from fastprocesses_host.ogc.links import JSON, Urls, link_header
from fastprocesses_host.settings import Settings
from fastprocesses_host.signing import signature
from fastprocesses_host.store import operations
from fastprocesses_host.store.callbacks import Call, CallOutcome, end_call
from fastprocesses_host.store.client import Store
from fastprocesses_host.store.values import NoSuchValue, Values, ValuesAway

if TYPE_CHECKING:
    from fastprocesses_host.guarded import GuardedClient

_MOST_WAIT_SECONDS = 600.0
"""However long a subscriber asks to be left alone, it is called again after that."""
_GIVE_UP_SECONDS = 1.0
_GONE = 410

log = get_logger()


class Told(Struct, frozen=True):
    """What became of one call.

    Attributes:
        outcome: `failed` where it may be made again.
        why: How it failed, as a clause that a user may read; empty where it did not.
        status: What the subscriber answered; 0: nothing.
        wait_seconds: How long it asks to be left alone.
    """

    outcome: CallOutcome
    why: str = ""
    status: int = 0
    wait_seconds: float = 0.0


class Subscribers:
    """Makes the calls of a worker, in threads of their own that start when they are needed.

    Args:
        settings: Time limits, secrets.
        store: Of the jobs.
        values: Where large results lie.
        descriptions: Of the processes that are installed here.
        calls: What is under way.
    """

    def __init__(
        self,
        settings: Settings,
        store: Store,
        values: Values | None,
        descriptions: Mapping[str, ProcessDescription],
        calls: Calls,
    ) -> None:
        self._settings = settings
        self._secrets = settings.callback_secrets
        self._store = store
        self._values = values
        self._descriptions = descriptions
        self._calls = calls
        self._due: queue.SimpleQueue[Call] = queue.SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._stopped = threading.Event()

    @cached_property
    def _client(self) -> "GuardedClient":
        """What speaks to subscribers; imported when one is called first."""
        from fastprocesses_host.guarded import GuardedClient

        return GuardedClient(self._settings.callback_rules)

    def call(self, claim: str) -> None:
        """Have a call made; return at once."""
        call = self._calls.of(claim)
        if call is None:  # somebody else wrote the message
            return
        self._due.put(call)
        if len(self._threads) < self._settings.callback_slots:
            thread = threading.Thread(
                target=self._work, name=f"subscribers-{len(self._threads)}", daemon=True
            )
            self._threads.append(thread)
            thread.start()

    def stop(self, timeout_seconds: float) -> None:
        """Let calls under way come to their end for a while, then give them back: others make them."""
        if self._calls.wait_until_none(timeout_seconds):
            return
        self._stopped.set()
        self._calls.wait_until_none(_GIVE_UP_SECONDS)

    def _work(self) -> None:
        while True:
            call = self._due.get()
            try:
                with job_context(call.job.id):
                    self._make(call)
            except Exception:
                log.exception(
                    "a call to a subscriber could not be made"
                )  # its lease ends, and it is due again
            finally:
                self._calls.leave(call.claim)
                self._calls.slots.release()

    def _make(self, call: Call) -> None:
        begun_seconds = time.monotonic()
        told = self._told(call)
        self._tell_operator(call, told, round(time.monotonic() - begun_seconds, 3))
        self._calls.leave(call.claim)  # before the store looks whether another one may be made to this host
        self._end(call, told)

    def _told(self, call: Call) -> Told:
        """Make a call, and judge what becomes of it; the last one that may fail is given up."""
        told = self._answered(call)
        if told.outcome != "failed":
            return told
        if call.failures >= self._settings.callback_retries:
            return replace(told, outcome="given-up")
        backed_off_seconds = self._settings.callback_retry_seconds * 2**call.failures * random.uniform(1, 1.5)  # noqa: S311 - not a secret
        return replace(told, wait_seconds=min(max(backed_off_seconds, told.wait_seconds), _MOST_WAIT_SECONDS))

    def _answered(self, call: Call) -> Told:
        try:
            payload = self._payload(call)
            with self._client.stream(
                "POST",
                call.uri,
                headers=self._headers(call, payload),
                body=payload,
                max_bytes=0,
                total_seconds=self._settings.callback_timeout_seconds,
                cancelled=self._stopped.is_set,
            ) as response:
                return _judged(response.status, response.reason, response.headers.get("retry-after", ""))
        except Cancelled:
            return Told("back")
        except Refused as error:
            return Told("given-up", str(error))
        except GuardedError as error:
            return Told("failed", str(error))
        except NoSuchValue:
            return Told("given-up", "The results are not kept any more.")
        except ValuesAway:
            return Told("failed", "The results could not be read.")

    def _payload(self, call: Call) -> Payload:
        urls = Urls(base=call.subscriber.base_url, html=True, logs=self._settings.show_job_logs)
        if call.step == "progress":
            return status_payload(call.job, urls)
        if call.step == "failure":
            return failure_payload(call.job)
        collect = operations.collect(call.job.id)  # that the store is away is no failure of the subscriber
        collected = self._store.run_until_answered(collect)
        if collected is None or not call.job.has_results:
            raise NoSuchValue(call.job.id)
        return results_payload(
            call.job,
            collected.values,
            self._values,
            self._descriptions.get(call.job.process_id),
            urls,
            inline_bytes=self._settings.max_inline_bytes,
        )

    def _headers(self, call: Call, payload: Payload) -> dict[str, str]:
        """Name the job and the call, and sign the call where there is a secret (Standard Webhooks 1.0.0)."""
        timestamp = int(time.time())
        urls = Urls(base=call.subscriber.base_url)
        headers = {
            "Content-Type": JSON,
            "Link": link_header([Link(href=urls.job(call.job.id), rel="monitor")]),
            "webhook-id": call.id,
            "webhook-timestamp": str(timestamp),
        }
        if self._secrets:
            headers["webhook-signature"] = signature(self._secrets, call.id, timestamp, payload)
        return headers

    def _end(self, call: Call, told: Told) -> None:
        line = log_line(call, told)
        operation = end_call(
            call,
            told.outcome,
            wait_seconds=told.wait_seconds,
            line=line,
            max_log_lines=self._settings.max_log_lines,
        )
        self._store.run_until_answered(operation)

    def _tell_operator(self, call: Call, told: Told, seconds: float) -> None:
        known = {"host": host_of(call), "step": call.step, "attempt": call.failures + 1, "seconds": seconds}
        if told.outcome == "told":
            log.info("subscriber told", status=told.status, **known)
        elif told.outcome != "back":
            log.warning("subscriber not told", outcome=told.outcome, reason=told.why, **known)


def _judged(status: int, reason: str, retry_after: str) -> Told:
    """Judge an answer: any 2xx is success, redirects are not followed, 410 says that no more is wanted."""
    if 200 <= status < 300:
        return Told("told", status=status)
    if 300 <= status < 400:
        return Told("failed", f"It answered {reason}; redirects are not followed.", status)
    if status == _GONE:
        return Told("given-up", f"It answered {reason}.", status)
    wait_seconds = float(retry_after) if retry_after.isascii() and retry_after.isdigit() else 0.0
    return Told("failed", f"It answered {reason}.", status, wait_seconds)


def host_of(call: Call) -> str:
    """Give the name of the host that is called: all of the address that anybody is told."""
    return urlsplit(call.uri).hostname or ""


def log_line(call: Call, told: Told) -> bytes:
    """Give what the job's log says of a call; of those about progress only what is new. Empty: nothing."""
    is_usual = call.step == "progress" and not call.is_first and call.failures == 0
    if told.outcome == "back" or (told.outcome == "told" and is_usual):
        return b""
    fields = {"callback": call.step, "host": host_of(call), "attempt": call.failures + 1}
    if told.status:
        fields["status"] = told.status
    line = {
        "time": time.time_ns() // 1_000_000,
        "level": "info" if told.outcome == "told" else "warning",
        "text": _sentence(call, told),
        "fields": fields,
    }
    return msgspec.json.encode(line)


def _sentence(call: Call, told: Told) -> str:
    if told.outcome == "told":
        return f"The subscriber was told of the {call.step}."
    start = f"The subscriber could not be told of the {call.step}. {told.why}"
    if told.outcome == "failed":
        return f"{start} It is called again in {max(round(told.wait_seconds), 1)} s."
    if call.step == "progress":
        return f"{start} It is not told of progress any more."
    return f"{start} It is not called again."
