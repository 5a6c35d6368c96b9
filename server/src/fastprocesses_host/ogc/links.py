"""The addresses of the server's resources and the links between them (S1.8)."""

import re
from collections.abc import Iterable
from functools import lru_cache
from urllib.parse import quote

from fastprocesses_sdk.description import Link
from msgspec import UNSET, Struct, UnsetType

REL = "http://www.opengis.net/def/rel/ogc/1.0/"
"""What a link relation registered with OGC starts with."""

EVENTS = "https://html.spec.whatwg.org/multipage/server-sent-events.html"
"""Relation of a resource to the stream of what happens to it; none is registered, so it is the name of the protocol."""

PROFILE = "https://www.opengis.net/def/profile/OGC/0/"
"""What the identifier of a profile of version 2.0 starts with."""

JSON = "application/json"
HTML = "text/html"
EVENT_STREAM = "text/event-stream"
OPENAPI_30 = "application/vnd.oai.openapi+json;version=3.0"
OPENAPI_31 = "application/vnd.oai.openapi+json;version=3.1"


UPLOADS = "https://tus.io/protocols/resumable-upload"
"""The relation of where files are uploaded to: no registered one fits, so it is named by its protocol."""


class Urls(Struct, frozen=True):
    """Absolute URLs of everything this server has, right for the client that asks."""

    base: str
    """The landing page's URL without the slash at its end."""
    html: bool = False
    """There are HTML pages to link to."""
    secure_relations: bool = True
    """Relations of OGC are written with http, and again with https (S2.7 row 4)."""
    logs: bool = True
    """Jobs show their logs."""
    takes_uploads: bool = False
    """There is a resource to upload files to."""

    def landing(self) -> str:
        """Give the URL of the landing page."""
        return self.base + "/"

    def conformance(self) -> str:
        """Give the URL of the conformance declaration."""
        return self.base + "/conformance"

    def api(self) -> str:
        """Give the URL of the API definition."""
        return self.base + "/api"

    def api_31(self) -> str:
        """Give the URL of the API definition as OpenAPI 3.1."""
        return self.api() + "/3.1"

    def uploads(self) -> str:
        """Give the URL where files are uploaded to."""
        return self.base + "/uploads"

    def upload(self, upload_id: str) -> str:
        """Give the URL of an upload."""
        return f"{self.uploads()}/{_segment(upload_id)}"

    def processes(self) -> str:
        """Give the URL of the process list."""
        return self.base + "/processes"

    def process(self, process_id: str) -> str:
        """Give the URL of a process description."""
        return f"{self.base}/processes/{_segment(process_id)}"

    def execution(self, process_id: str) -> str:
        """Give the URL where a process is executed."""
        return self.process(process_id) + "/execution"

    def jobs(self) -> str:
        """Give the URL of the job list."""
        return self.base + "/jobs"

    def job(self, job_id: str) -> str:
        """Give the URL of a job's status, never with a query."""
        return f"{self.base}/jobs/{_segment(job_id)}"

    def log(self, job_id: str) -> str:
        """Give the URL of a job's log."""
        return self.job(job_id) + "/log"

    def inputs(self, job_id: str) -> str:
        """Give the URL of the inputs of a job."""
        return self.job(job_id) + "/inputs"

    def events(self, job_id: str) -> str:
        """Give the URL of what happens to a job."""
        return self.job(job_id) + "/events"

    def results(self, job_id: str) -> str:
        """Give the URL of a job's results."""
        return self.job(job_id) + "/results"

    def output(self, job_id: str, output_id: str, n: int | None = None) -> str:
        """Give the URL of one output, or of its value number `n` counted from 0 (S2.6)."""
        url = f"{self.results(job_id)}/{_segment(output_id)}"
        return url if n is None else f"{url}/{n}"

    def representations(self, url: str, title: str, *, rel: str = "self") -> list[Link]:
        """Link to a resource as JSON, then to its HTML page when there is one (/req/core/pl-links)."""
        links = [Link(href=url, rel=rel, type=JSON, title=title)]
        if self.html:
            links.append(Link(href=as_html(url), rel="alternate", type=HTML, title=f"{title} (HTML)"))
        return links

    def ogc(
        self, name: str, url: str, title: str, *, media_type: str = JSON, short: bool = False
    ) -> list[Link]:
        """Link by a relation of OGC in every spelling clients look for.

        Args:
            name: The relation without its prefix, for instance `results`.
            url: Where to.
            title: What is there.
            media_type: Of what is there.
            short: Link by the bare name too (/req/core/landingpage-success names relations both ways).
        """
        relations = [REL + name]
        if self.secure_relations:
            relations.append(REL.replace("http:", "https:", 1) + name)
        if short:
            relations.append(name)
        return [Link(href=url, rel=rel, type=media_type, title=title) for rel in relations]


def _segment(name: str) -> str:
    is_plain = name.isascii() and name.replace("-", "").isalnum()  # as the ids of jobs are, each of them new
    return name if is_plain else _quoted(name)


@lru_cache(maxsize=1024)
def _quoted(name: str) -> str:
    return quote(name, safe="")


def as_html(url: str) -> str:
    """Give the URL of a resource's HTML page."""
    return _in_representation(url, "html")


def as_json(url: str) -> str:
    """Give the URL of a resource's JSON document, for clients that would be given the page."""
    return _in_representation(url, "json")


def _in_representation(url: str, f: str) -> str:
    path, _, query = url.partition("?")
    kept = [part for part in query.split("&") if part and part.partition("=")[0] != "f"]
    return f"{path}?{'&'.join([*kept, f'f={f}'])}"


def landing_links(urls: Urls) -> list[Link]:
    """Link to everything there is from the landing page (/req/core/landingpage-success)."""
    links = urls.representations(urls.landing(), "This document")
    links += [
        Link(href=urls.api(), rel="service-desc", type=OPENAPI_30, title="API definition, OpenAPI 3.0"),
        Link(href=urls.api_31(), rel="service-desc", type=OPENAPI_31, title="API definition, OpenAPI 3.1"),
    ]
    if urls.html:
        links.append(Link(href=as_html(urls.api()), rel="service-doc", type=HTML, title="API documentation"))
    links += urls.ogc("conformance", urls.conformance(), "Conformance classes", short=True)
    links += urls.ogc("processes", urls.processes(), "Processes", short=True)
    links += urls.ogc("job-list", urls.jobs(), "Jobs", short=True)
    if urls.takes_uploads:
        links.append(
            Link(
                href=urls.uploads(),
                rel=UPLOADS,
                type=JSON,
                title="Uploads: POST a file, or resume by tus 1.0.0",
            )
        )
    return links


def page_links(
    urls: Urls, self_url: str, title: str, *, next_url: str = "", prev_url: str = ""
) -> list[Link]:
    """Link a page of a list to its other representations and its neighbours (/rec/core/next-1 to -3)."""
    links = urls.representations(self_url, title)
    if next_url:
        links.append(Link(href=next_url, rel="next", type=JSON, title="Next page"))
    if prev_url:
        links.append(Link(href=prev_url, rel="prev", type=JSON, title="Previous page"))
    return links


def link_header(links: Iterable[Link]) -> str:
    """Give the value of a Link header field (RFC 8288 section 3)."""
    return ", ".join(_link_value(link) for link in links)


def _link_value(link: Link) -> str:
    target = link.href if _URL.fullmatch(link.href) else quote(link.href, safe=_URL_CHARACTERS)
    return f"<{target}>{_parameters(link.rel, link.type, link.hreflang, link.title)}"


_URL_CHARACTERS = "%:/?#[]@!$&'()*+,;=-._~"
_URL = re.compile(f"[a-zA-Z0-9{re.escape(_URL_CHARACTERS)}]*")
"""Looking is faster than quoting, and nearly every URL is one already."""


@lru_cache(maxsize=512)
def _parameters(*values: str | UnsetType) -> str:
    named = zip(("rel", "type", "hreflang", "title"), values, strict=True)
    return "".join(f"; {_parameter(name, value)}" for name, value in named if value is not UNSET)


def _parameter(name: str, value: str) -> str:
    """Give a parameter; what does not fit into a header is written by RFC 8187."""
    if value.isascii() and value.isprintable():
        escaped = value.replace("\\", "\\\\").replace('"', '\\"')
        return f'{name}="{escaped}"'
    return f"{name}*=UTF-8''{quote(value, safe='')}"
