"""HTML pages, made from the JSON documents (/req/html/definition, /req/html/content)."""

from collections.abc import Callable, Mapping
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

import msgspec
from anyio import to_thread
from fastprocesses_sdk.description import Link
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from fastprocesses_host.ogc.links import HTML, JSON, as_html, as_json, link_header
from fastprocesses_host.web.base_url import urls_of
from fastprocesses_host.web.render import etag_matches
from fastprocesses_host.web.templating import templates

if TYPE_CHECKING:
    from fastprocesses_host.web.resource import Handler, Page  # which answers with pages of problems

Document = dict[str, Any]
Title = str | Callable[[Document], str]

PAGE_HEADERS: Final = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; form-action 'self'; "
        "frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
}
"""No script, nothing from elsewhere: what a plugin or a caller wrote is only ever text."""

INTERACTIVE_HEADERS: Final = {
    **PAGE_HEADERS,
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
        "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    ),
}
"""Of the page that runs scripts of ours: it may ask this service and nobody else."""

_REPRESENTATIONS: Final = ("self", "alternate")


Headers = Mapping[str, str] | Callable[[Document], Mapping[str, str]]


def page_of(template: str, title: Title, *, headers: Headers = PAGE_HEADERS) -> "Page":
    """Make the page of a resource from the JSON document that its handler answers.

    Args:
        template: Shows the document: all of it.
        title: Of the page, or what gives it for a document.
        headers: Security headers of the page, or what gives them for a document.
    """

    async def answer(request: Request, handler: "Handler") -> Response:
        told = await handler(unconditional(request))
        if told.status_code != 200:
            return told
        document = msgspec.json.decode(told.body)
        named = title if isinstance(title, str) else title(document)
        secured = headers(document) if callable(headers) else headers
        return await respond_page(request, template, named, document, told, secured)

    return answer


async def respond_page(
    request: Request,
    template: str,
    title: str,
    document: Document,
    told: Response,
    headers: Mapping[str, str] = PAGE_HEADERS,
) -> Response:
    """Answer with the page of a document, or 304 when the client has it.

    Args:
        request: For it.
        template: Shows the document.
        title: Of the page.
        document: All that is to be seen.
        told: The JSON answer; its headers hold for the page too, where they are not about the JSON itself.
        headers: Security headers of the page.
    """
    urls = urls_of(request)
    links = document.get("links", [])
    self_url = next(
        (link["href"] for link in links if link["rel"] == "self"), _requested_url(request, urls.base)
    )
    json_type = told.headers.get("content-type", JSON)
    own = [
        Link(href=as_html(self_url), rel="self", type=HTML, title="This document"),
        Link(href=as_json(self_url), rel="alternate", type=json_type, title="This document as JSON"),
    ]
    context = {
        "title": title,
        "service": request.app.state.settings.title,
        "base": urls.base,
        "document": document,
        "links": [
            *map(msgspec.to_builtins, own),
            *(link for link in links if link["rel"] not in _REPRESENTATIONS),
        ],
        "json_url": as_json(self_url),
        "json_type": json_type,
        "language": told.headers.get("content-language", ""),
    }
    body = await to_thread.run_sync(_render, template, context, limiter=request.app.state.parsing)
    kept = {name: value for name, value in told.headers.items() if name not in _ABOUT_THE_JSON}
    response = Response(body, told.status_code, {**kept, "Link": link_header(own), **headers}, HTML)
    return _with_etag(request, response) if "etag" in told.headers else response


_ABOUT_THE_JSON: Final = frozenset({"content-length", "content-type", "etag", "link"})


def render_problem_page(
    request: Request, document: Mapping[str, Any], headers: Mapping[str, str]
) -> Response:
    """Give the page of a problem document."""
    try:
        base = urls_of(request).base
    except HTTPException:  # the problem may be that nobody knows where we are
        base = request.scope.get("root_path", "").rstrip("/")
    context = {
        "title": str(document.get("title", "Problem")),
        "service": request.app.state.settings.title,
        "base": base,
        "document": document,
        "json_url": "",
        "json_type": "",
        "language": "",
    }
    body = _render("problem.html", context)
    return Response(body, int(document["status"]), {**headers, **PAGE_HEADERS}, HTML)


def unconditional(request: Request) -> Request:
    """Give the same request without If-None-Match: the tag of the JSON document is not the page's."""
    kept = [header for header in request.scope["headers"] if header[0] != b"if-none-match"]
    return Request({**request.scope, "headers": kept}, request.receive)


def _render(template: str, context: Mapping[str, Any]) -> bytes:
    return templates().get_template(template).render(context).encode()


def _requested_url(request: Request, base: str) -> str:
    path: str = request.scope["path"].removeprefix(request.scope.get("root_path", "").rstrip("/"))
    return base + quote(path)


def _with_etag(request: Request, response: Response) -> Response:
    etag = f'W/"{blake2b(response.body, digest_size=12).hexdigest()}"'
    response.headers["ETag"] = etag
    if not etag_matches(request.headers.get("if-none-match", ""), etag):
        return response
    headers = {name: value for name, value in response.headers.items() if not name.startswith("content-")}
    return Response(status_code=304, headers=headers)
