"""A client of OGC API - Processes servers, versions 1.0 and 2.0, of any make: requests, links, what comes back."""

import re
import shutil
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, suppress
from ipaddress import ip_address
from typing import IO, Any, Final, Self, cast
from urllib.parse import quote, urljoin, urlsplit

import httpx2
import msgspec
from msgspec import Struct

from fastprocesses_host.cli.told import CallError
from fastprocesses_host.exits import Exit

FINAL: Final = frozenset({"successful", "failed", "dismissed"})
"""The states in which a job stays (statusCode.yaml)."""

_CONNECT_SECONDS: Final = 10.0
_READ_SECONDS: Final = 60.0
_PATIENCE_SECONDS: Final = 30.0
"""How long a server may fail to tell a job's status before the waiting ends."""
_FIRST_LOOK_SECONDS: Final = 5.0
"""How long a server may not know a job that it has just accepted."""
_SHORTEST_PAUSE_SECONDS: Final = 0.1
_LONGEST_PAUSE_SECONDS: Final = 2.0
_LARGEST_PAGE: Final = 100
_SPOOLED_BYTES: Final = 16 * 1024 * 1024
_TOLD_CHARACTERS: Final = 1000
_JSON: Final = "application/json, */*;q=0.8"
_STATES: Final = {"succeeded": "successful", "finished": "successful", "completed": "successful"}
"""What some servers say in place of the standard's word."""
_LINK: Final = re.compile(r"<(?P<href>[^>]*)>(?P<parameters>(\s*;\s*[\w*-]+\s*=\s*(\"[^\"]*\"|[^\";,\s]*))*)")
_PARAMETER: Final = re.compile(r"([\w*-]+)\s*=\s*(?:\"([^\"]*)\"|([^\";,\s]*))")


class Refused(CallError):
    """The server answered with an error."""

    def __init__(self, sentence: str, status: int) -> None:
        super().__init__(sentence, Exit.REFUSED)
        self.status = status


class Unreachable(CallError):
    """The server did not answer."""

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence, Exit.UNREACHABLE)


class Answer:
    """An HTTP answer, read to its end; large bodies lie in a temporary file until `close`."""

    def __init__(self, response: httpx2.Response, body: IO[bytes]) -> None:
        self.url = str(response.url)
        self.status = response.status_code
        self.headers = response.headers
        self.body = body

    @property
    def media_type(self) -> str:
        """Content-Type without its parameters, in lower case."""
        return str(self.headers.get("content-type", "")).partition(";")[0].strip().lower()

    @property
    def links(self) -> list[dict[str, str]]:
        """The links of the Link header fields, each with its absolute `href`."""
        found = []
        for link in _LINK.finditer(", ".join(self.headers.get_list("link"))):
            parameters = {
                name.lower(): quoted or bare for name, quoted, bare in _PARAMETER.findall(link["parameters"])
            }
            found.append(parameters | {"href": urljoin(self.url, link["href"])})
        return found

    def read(self) -> bytes:
        """Give the whole body."""
        self.body.seek(0)
        return self.body.read()

    def json(self) -> Any:
        """Give the decoded body.

        Raises:
            CallError: it is no JSON.
        """
        try:
            return msgspec.json.decode(self.read())
        except msgspec.DecodeError:
            raise CallError(
                f"{self.url} answered {self.media_type or 'something'} that is not JSON. "
                "Is this the address of an OGC API - Processes server?",
                Exit.UNREACHABLE,
            ) from None

    def document(self) -> dict[str, Any]:
        """Give the decoded body if it is an object, else an empty one."""
        found = self.json() if self.body.seek(0, 2) else {}
        return found if isinstance(found, dict) else {}

    def close(self) -> None:
        """Let go of the body."""
        self.body.close()


class JobPlace(Struct):
    """Where a job's status is told: the first address that answers, of those that the server gave."""

    addresses: list[str]
    job_id: str = ""


class Caller:
    """A connection to one server.

    Args:
        server: URL of its landing page.
        headers: Sent with each request to that server, never to another one that a link leads to.
        answer_seconds: How long an answer may take; a synchronous execution takes what it takes.
    """

    def __init__(
        self, server: str, headers: Mapping[str, str] | None = None, *, answer_seconds: float = _READ_SECONDS
    ) -> None:
        self.server = server_url(server)
        self._answer_seconds = answer_seconds
        self._headers = dict(headers or {})
        self._client = httpx2.Client(
            follow_redirects=False,
            trust_env=not _is_loopback(self.server),
            headers={"User-Agent": "fastprocesses-host", "Accept": _JSON},
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def processes(self) -> Iterator[dict[str, Any]]:
        """Give the summary of every process, page after page (/req/core/process-list)."""
        yield from self._pages(f"{self.server}/processes", "processes")

    def describe(self, process_id: str) -> dict[str, Any]:
        """Give a process description (/req/core/process-description)."""
        return self._document("GET", f"{self.server}/processes/{quote(process_id, safe='')}")

    def linked_from_landing_page(self, relation: str) -> str:
        """Give where the landing page links to by a relation; empty: nowhere."""
        with closing(self.ask("GET", f"{self.server}/")) as answer:
            links = list(_links(answer.document(), answer.url))
        return next((link["href"] for link in links if link.get("rel") == relation), "")

    def execute(self, process_id: str, request: bytes, *, wait: bool) -> Answer:
        """Send an execute request, and give the answer: results, or 201 and a job.

        Args:
            process_id: The process.
            request: The body, JSON (execute.yaml).
            wait: The server is to answer with the results; else it is asked for a job
                (/req/core/process-execute-auto-execution-mode).
        """
        return self.ask(
            "POST",
            f"{self.server}/processes/{quote(process_id, safe='')}/execution",
            content=request,
            headers={"Content-Type": "application/json"} | ({} if wait else {"Prefer": "respond-async"}),
            unlimited=wait,
        )

    def accepted(self, answer: Answer) -> JobPlace:
        """Give the place of the job that an answer of 201 tells of: Location, then links, then the job's id.

        Raises:
            CallError: it tells of none.
        """
        info = answer.document()
        addresses = [urljoin(answer.url, answer.headers["location"])] if "location" in answer.headers else []
        addresses += [
            link["href"] for link in _links(info, answer.url) if _relation(link) in {"monitor", "self"}
        ]
        addresses += [link["href"] for link in answer.links if _relation(link) == "monitor"]
        job_id = str(info.get("jobID") or info.get("id") or "")
        if job_id:
            addresses.append(self.place(job_id).addresses[0])
        if not addresses:
            raise CallError("The server accepted the job and did not say where it is.", Exit.UNREACHABLE)
        return JobPlace(list(dict.fromkeys(addresses)), job_id or _last_segment(addresses[0]))

    def place(self, job: str) -> JobPlace:
        """Give the place of a job by its id or its URL."""
        if job.startswith(("http://", "https://")):
            return JobPlace([job], _last_segment(job))
        return JobPlace([f"{self.server}/jobs/{quote(job, safe='')}"], job)

    def jobs(self, filters: Mapping[str, str], limit: int) -> Iterator[dict[str, Any]]:
        """Give the status of jobs, newest first as the server has them (/req/job-list).

        Args:
            filters: Query parameters of the job list; a server may ignore what it does not know.
            limit: How many are wanted; who reads no further asks for no more pages.
        """
        query = httpx2.QueryParams({**filters, "limit": str(min(limit, _LARGEST_PAGE))})
        yield from self._pages(f"{self.server}/jobs?{query}", "jobs")

    def status(self, place: JobPlace) -> dict[str, Any]:
        """Give a job's status (statusInfo.yaml), its `status` in the standard's words.

        Raises:
            CallError: no address of the job answers; the first one's reason.
        """
        reason: CallError | None = None
        for address in place.addresses:
            try:
                with closing(self.ask("GET", address)) as answer:
                    info, url = answer.document(), answer.url
            except (Refused, Unreachable) as error:
                reason = reason or error
                continue
            place.addresses = [address]
            return self.as_info(info, url)
        assert reason is not None, "a place has an address"
        raise reason

    def as_info(self, document: Mapping[str, Any], url: str) -> dict[str, Any]:
        """Give a status as it was told at an address, with absolute links, its `status` in the standard's words."""
        return {**document, "links": list(_links(document, url)), "status": _state(document)}

    def listen(self, url: str, last_id: str, *, quiet_seconds: float) -> httpx2.Response:
        """Open a stream of server-sent events; who calls reads it and closes it.

        Args:
            url: Of the stream.
            last_id: The id of the last event that was had; empty: none was.
            quiet_seconds: How long nothing may come.

        Raises:
            httpx2.TransportError, httpx2.InvalidURL: there is no answer.
        """
        own = self._headers if _origin(url) == _origin(self.server) else {}
        asked = {"Accept": "text/event-stream", "Cache-Control": "no-store"}
        headers = asked | ({"Last-Event-ID": last_id} if last_id else {}) | own
        timeout = httpx2.Timeout(min(self._answer_seconds, _CONNECT_SECONDS), read=quiet_seconds)
        return self._client.send(
            self._client.build_request("GET", url, headers=headers, timeout=timeout), stream=True
        )

    def watch(self, place: JobPlace) -> Iterator[dict[str, Any]]:
        """Give a job's status again and again, until it is final.

        A server that is away for a while is waited for.

        Raises:
            CallError: it stays away, or knows the job no more.
        """
        pause, started, last_answer = _SHORTEST_PAUSE_SECONDS, time.monotonic(), time.monotonic()
        seen = False
        while True:
            try:
                info = self.status(place)
            except (Refused, Unreachable) as error:
                if not _may_pass(error, seen, started, last_answer):
                    raise
            else:
                seen, last_answer = True, time.monotonic()
                yield info
                if info["status"] in FINAL:
                    return
            time.sleep(pause)
            pause = min(pause * 1.3, _LONGEST_PAUSE_SECONDS)

    def results(self, info: Mapping[str, Any], place: JobPlace) -> Answer:
        """Give the answer with a job's results: by the server's link, else below the job.

        Raises:
            CallError: there are none; for a failed job with the server's reason.
        """
        links = [link for link in info.get("links", ()) if _relation(link) == "results"]
        links.sort(key=lambda link: "html" in link.get("type", "") or "html" in urlsplit(link["href"]).query)
        bare = place.addresses[0].partition("?")[0].rstrip("/") + "/results"
        addresses = list(dict.fromkeys([*(link["href"] for link in links[:1]), bare]))
        for address in addresses[:-1]:
            with suppress(Unreachable):
                return self.ask("GET", address)
        return self.ask("GET", addresses[-1])

    def dismiss(self, place: JobPlace) -> dict[str, Any]:
        """Dismiss a job that has not ended, remove one that has (/req/dismiss)."""
        return self._document("DELETE", place.addresses[0].partition("?")[0])

    def fetch(self, href: str) -> Answer:
        """Give what a link leads to, on whatever server."""
        if not href.startswith(("http://", "https://")):
            raise CallError(f"A result lies at {href}, which this command cannot fetch.", Exit.UNREACHABLE)
        return self.ask("GET", href, accept="*/*")

    def ask(
        self,
        method: str,
        url: str,
        *,
        content: bytes | Iterable[bytes] | None = None,
        headers: Mapping[str, str] | None = None,
        accept: str = _JSON,
        unlimited: bool = False,
    ) -> Answer:
        """Make a request, follow redirects, and give the answer when it is no error.

        Raises:
            Refused: the server answered with an error.
            Unreachable: it did not answer.
        """
        connect_seconds = min(self._answer_seconds, _CONNECT_SECONDS)
        read_seconds = None if unlimited else self._answer_seconds
        timeout = httpx2.Timeout(self._answer_seconds, connect=connect_seconds, read=read_seconds)
        for _ in range(10):
            own = self._headers if _origin(url) == _origin(self.server) else {}
            every = {"Accept": accept, **(headers or {}), **own}
            try:
                request = self._client.build_request(
                    method, url, content=content, headers=every, timeout=timeout
                )
                answer = _read(self._client.send(request, stream=True))
            except httpx2.InvalidURL as error:
                raise CallError(f"{url!r} is not the address of a server: {error}", Exit.USAGE) from None
            except (httpx2.TransportError, httpx2.DecodingError) as error:
                raise Unreachable(_away(url, error, self.server)) from None
            if answer.status not in {301, 302, 303, 307, 308} or "location" not in answer.headers:
                return _checked(answer)
            url = urljoin(url, answer.headers["location"])
            if answer.status == 303 or (answer.status in {301, 302} and method == "POST"):
                method, content, headers = "GET", None, None
            answer.close()
        raise Unreachable(f"{url} leads in circles: it redirects again and again.")

    def _document(self, method: str, url: str) -> dict[str, Any]:
        with closing(self.ask(method, url)) as answer:
            return answer.document()

    def _pages(self, url: str, member: str) -> Iterator[dict[str, Any]]:
        seen: set[str] = set()
        while url and url not in seen:
            seen.add(url)
            with closing(self.ask("GET", url)) as answer:
                page = answer.json()
                items = page.get(member, []) if isinstance(page, dict) else page
                links = [*_links(page, answer.url), *answer.links]
            yield from (item for item in items or () if isinstance(item, dict))
            following = [link for link in links if _relation(link) == "next"]
            following.sort(key=lambda link: "html" in link.get("type", ""))
            url = following[0]["href"] if following else ""


def server_url(text: str) -> str:
    """Give the URL of a server's landing page as others are made of it: with scheme, without slash at its end.

    Raises:
        CallError: it is none.
    """
    url = text.strip() if "://" in text else f"http://{text.strip()}"
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        host = None
    if not host or parts.scheme not in {"http", "https"}:
        raise CallError(f"{text!r} is not the URL of a server, as http://127.0.0.1:8080.", Exit.USAGE)
    return f"{parts.scheme}://{parts.netloc}{parts.path}".rstrip("/")


def _read(response: httpx2.Response) -> Answer:
    """Read an answer to its end, what is large to the disk."""
    body = cast("IO[bytes]", tempfile.SpooledTemporaryFile(max_size=_SPOOLED_BYTES))  # noqa: SIM115 - Answer.close
    try:
        with closing(response):
            for chunk in response.iter_bytes():
                body.write(chunk)
    except BaseException:
        body.close()
        raise
    return Answer(response, body)


def _checked(answer: Answer) -> Answer:
    if answer.status < 400:
        return answer
    with closing(answer):
        raise Refused(_problem_sentence(answer), answer.status)


def _problem_sentence(answer: Answer) -> str:
    """Say what an error answer says: a problem document (RFC 9457), an older exception, or any text."""
    text = answer.read()
    try:
        told = msgspec.json.decode(text)
    except msgspec.DecodeError:
        told = None
    if not isinstance(told, dict):
        words = " ".join(re.sub(rb"<[^>]*>", b" ", text).decode("utf-8", "replace").split())
        return f"{answer.url} answered {answer.status}: {words[:300] or 'no reason given'}"
    return problem_sentence(told, answer.status)


def problem_sentence(problem: Mapping[str, Any], status: int | None = None) -> str:
    """Say what a problem document says, each of its faults on a line of its own."""
    title = str(problem.get("title") or problem.get("code") or problem.get("type") or "Error")
    detail = problem.get("detail") or problem.get("description") or problem.get("message") or ""
    number = status or problem.get("status")
    sentence = f"{title}{f' ({number})' if number else ''}{f': {detail}' if detail else ''}"
    faults = problem.get("errors")
    for fault in faults if isinstance(faults, list) else ():
        if isinstance(fault, dict) and fault.get("detail") and str(fault["detail"]) not in sentence:
            sentence += f"\n  {fault.get('pointer', '')}: {fault['detail']}"
    return sentence[:_TOLD_CHARACTERS]


def _away(url: str, error: Exception, server: str) -> str:
    place = f"{urlsplit(url).scheme}://{urlsplit(url).netloc}"
    if isinstance(error, httpx2.ConnectError | httpx2.ConnectTimeout):
        start = "start one with `fastprocesses-host run`, or " if _is_loopback(server) else ""
        reason = str(error) or "no answer"
        return f"No server answers at {place} ({reason}): {start}name another with --server."
    if isinstance(error, httpx2.TimeoutException):
        return f"{place} took too long to answer."
    return f"The connection to {place} broke: {error or type(error).__name__}"


def _may_pass(error: Refused | Unreachable, seen: bool, started: float, last_answer: float) -> bool:
    """Whether an error while a job is watched may be gone at the next look."""
    now = time.monotonic()
    if isinstance(error, Refused) and error.status == 404 and not seen:
        return now - started < _FIRST_LOOK_SECONDS
    if isinstance(error, Refused) and error.status < 500 and error.status not in {408, 429}:
        return False
    return now - last_answer < _PATIENCE_SECONDS


def _links(document: Any, url: str) -> Iterator[dict[str, str]]:
    """Give a document's links, each with an absolute `href`; what is no link is passed over."""
    links = document.get("links") if isinstance(document, dict) else None
    for link in links if isinstance(links, list) else ():
        if isinstance(link, dict) and isinstance(link.get("href"), str):
            known = {name: value for name, value in link.items() if isinstance(value, str)}
            yield known | {"href": urljoin(url, link["href"])}


def _relation(link: Mapping[str, str]) -> str:
    """Give a link's relation, a full URI by its last part."""
    return link.get("rel", "").rpartition("/")[2].lower()


def _state(info: Mapping[str, Any]) -> str:
    state = str(info.get("status") or "unknown").lower()
    return _STATES.get(state, state)


def _origin(url: str) -> tuple[str, str | None, int]:
    try:
        parts = urlsplit(url)
        port = parts.port or (443 if parts.scheme == "https" else 80)
    except ValueError:
        return "", None, 0
    return parts.scheme, parts.hostname, port


def _is_loopback(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _last_segment(url: str) -> str:
    return urlsplit(url).path.rstrip("/").rpartition("/")[2]


def copy(source: IO[bytes], target: IO[bytes]) -> None:
    """Copy a body from its beginning."""
    source.seek(0)
    shutil.copyfileobj(source, target)
