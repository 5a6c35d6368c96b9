"""GET `/jobs/{id}/events`: what happens to a job, as it happens (server-sent events; HTML standard, section 9.2)."""

import asyncio
import time
from contextlib import suppress
from secrets import randbelow
from typing import Final

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from fastprocesses_host.host import Host
from fastprocesses_host.ogc.events import Position, Seen, ended, news
from fastprocesses_host.ogc.exceptions import NoSuchJob, NotAcceptable, OGCException, ServiceUnavailable
from fastprocesses_host.ogc.jobs import Job
from fastprocesses_host.ogc.links import EVENT_STREAM, Urls
from fastprocesses_host.ogc.negotiation import choose_media_type
from fastprocesses_host.watching import Watch
from fastprocesses_host.web.base_url import urls_of
from fastprocesses_host.web.callers import caller_of
from fastprocesses_host.web.coding import choice_of
from fastprocesses_host.web.query import accept_of
from fastprocesses_host.web.resource import resource

LOOK_SECONDS: Final = 2.0
"""So often the record is read even if no message told of a change: the record is the truth."""
STALLED_HEARTBEATS: Final = 4
"""A client that takes nothing for so many heartbeats is let go."""
_RETRY_MS: Final = 1000
"""Clients come back after so long, and up to as much again: not all of them at once."""
_HEADERS: Final = {"Cache-Control": "no-store", "X-Accel-Buffering": "no", "Vary": "Accept"}
_GOING: Final = b": the server is being stopped, come back in a moment\n\n"
_AWAY: Final = b": the store does not answer, this goes on when it does\n\n"
_HEARTBEAT: Final = b": still here\n\n"


async def events(request: Request) -> Response:
    """Answer with the events of a job from `Last-Event-ID` on, and go on until its end.

    204 tells a client that it has been told everything, so that it does not come back.

    Raises:
        NoSuchJob: 404. NotAcceptable: 406.
        TooManyRequests: 429. ServiceUnavailable: 503, too many follow events here, or the store is away.
    """
    if choose_media_type(accept_of(request), [EVENT_STREAM]) is None or choice_of(request).must:
        raise NotAcceptable([EVENT_STREAM], what="The events")
    told, urls = Position.read(request.headers.get("last-event-id", "").strip()), urls_of(request)
    host: Host = request.app.state.host
    job_id = request.path_params["job_id"]
    seen = await host.look(job_id, lines_from=told.lines)
    if told.is_end and seen.job.status.is_final:
        return Response(status_code=204, headers=_HEADERS)
    if request.method == "HEAD":
        return Response(None, 200, _HEADERS | {"Content-Type": EVENT_STREAM})
    return EventStream(host, seen.job, told, urls, caller_of(request))


class EventStream(Response):
    """The events of a job, as they happen.

    Each look reads the record again, and only once the last events have been taken: a slow client holds up nobody, and
    what it missed meanwhile is told as it is then.
    """

    def __init__(self, host: Host, job: Job, told: Position, urls: Urls, caller: str) -> None:
        super().__init__(None, 200, _HEADERS | {"Content-Type": EVENT_STREAM})
        del self.headers["Content-Length"]
        self._host = host
        self._job_id = job.id
        self._heard = {job.id, job.values_of}
        self._told = told
        self._urls = urls
        self._caller = caller
        self._heartbeat_seconds = host.settings.event_heartbeat_seconds
        self._sent_seconds = time.monotonic()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send events until the end of the job, of the client or of the host."""
        with self._host.watched.of(self._heard, self._caller) as watch:
            await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
            seeing_off = asyncio.create_task(_see_off(receive, watch), name="event stream")
            try:
                await self._tell_all(watch, send)
                await self._send(send, b"", more_body=False)
            except TimeoutError:
                return  # it takes nothing any more
            finally:
                seeing_off.cancel()

    async def _tell_all(self, watch: Watch, send: Send) -> None:
        await self._send(send, b"retry: %d\n\n" % (_RETRY_MS + randbelow(_RETRY_MS)))
        is_away = False
        while not watch.is_over:
            try:
                seen = await self._host.look(self._job_id, lines_from=self._told.lines)
            except NoSuchJob:
                await self._send(send, ended(self._told, "removed").encode())
                return
            except ServiceUnavailable:
                if not is_away:
                    await self._send(send, _AWAY)
                is_away = True
            else:
                is_away = False
                if await self._tell(seen, send):
                    return
                if seen.has_more:
                    continue
            await self._wait(watch, send)
        await self._send(send, _GOING)

    async def _tell(self, seen: Seen, send: Send) -> bool:
        """Send what is new; tell whether that was all there will ever be."""
        events = news(self._told, seen, self._urls)
        if events:
            self._told = events[-1].position
        if self._told.is_end:
            events.append(ended(self._told, "final"))
        if events:
            await self._send(send, b"".join(event.encode() for event in events))
        return self._told.is_end

    async def _wait(self, watch: Watch, send: Send) -> None:
        """Wait for a change, with a sign of life when nothing was sent for long."""
        quiet_seconds = time.monotonic() - self._sent_seconds
        await watch.change(min(LOOK_SECONDS, max(self._heartbeat_seconds - quiet_seconds, 0.01)))
        if time.monotonic() - self._sent_seconds >= self._heartbeat_seconds:
            await self._send(send, _HEARTBEAT)

    async def _send(self, send: Send, data: bytes, *, more_body: bool = True) -> None:
        async with asyncio.timeout(STALLED_HEARTBEATS * self._heartbeat_seconds):
            await send({"type": "http.response.body", "body": data, "more_body": more_body})
        self._sent_seconds = time.monotonic()


async def _see_off(receive: Receive, watch: Watch) -> None:
    with suppress(OGCException, HTTPException):  # a body that came too slowly, or was too large
        while (await receive())["type"] != "http.disconnect":
            pass
    watch.end()


ROUTES: Final = (resource("/jobs/{job_id}/events", get=events, negotiated=False),)
CONFORMANCE: Final[tuple[str, ...]] = ()
