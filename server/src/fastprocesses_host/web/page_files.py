"""GET `/static/{name}`: the files that pages need."""

from collections.abc import Callable, Mapping
from hashlib import blake2b
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Final

import msgspec
from anyio import to_thread
from starlette.requests import Request
from starlette.responses import Response

from fastprocesses_host.ogc.conformance import common, part1_v10
from fastprocesses_host.ogc.exceptions import NotFound
from fastprocesses_host.web.render import KeptResponse, etag_matches
from fastprocesses_host.web.resource import resource


class StaticFile(msgspec.Struct, frozen=True):
    """A file that pages need."""

    body: bytes
    media_type: str
    etag: str
    encoded: dict[str, bytes]


def _static_folder() -> Traversable:
    return files("fastprocesses_host.web") / "static"


def _swagger_folder() -> Traversable:
    from swagger_ui_bundle import swagger_ui_path

    folder: Traversable = swagger_ui_path
    return folder


_STATIC: Final[Mapping[str, tuple[Callable[[], Traversable], str]]] = {
    "pages.css": (_static_folder, "text/css; charset=utf-8"),
    "job.js": (_static_folder, "text/javascript; charset=utf-8"),
    "api.js": (_static_folder, "text/javascript; charset=utf-8"),
    "swagger-ui.css": (_swagger_folder, "text/css; charset=utf-8"),
    "swagger-ui-bundle.js": (_swagger_folder, "text/javascript; charset=utf-8"),
}


async def static(request: Request) -> Response:
    """Answer a file of ours.

    Raises:
        NotFound: 404, no page needs a file of this name.
    """
    name = request.path_params["name"]
    if name not in _STATIC:
        raise NotFound
    known: dict[str, StaticFile] = request.app.state.static
    if name not in known:
        known[name] = await to_thread.run_sync(_read, name, limiter=request.app.state.parsing)
    file = known[name]
    headers = {
        "ETag": file.etag,
        "Cache-Control": "public, no-cache",
        "X-Content-Type-Options": "nosniff",
    }
    if etag_matches(request.headers.get("if-none-match", ""), file.etag):
        return Response(status_code=304, headers=headers)
    response = KeptResponse(file.body, 200, headers, file.media_type)
    response.encoded = file.encoded
    return response


def _read(name: str) -> StaticFile:
    folder, media_type = _STATIC[name]
    body = (folder() / name).read_bytes()
    return StaticFile(body, media_type, f'"{blake2b(body, digest_size=12).hexdigest()}"', {})


ROUTES: Final = (resource("/static/{name}", get=static, negotiated=False),)
CONFORMANCE: Final = (*part1_v10("html"), *common("html"))
