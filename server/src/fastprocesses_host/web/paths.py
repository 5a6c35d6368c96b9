"""Paths as clients write them."""

from starlette.types import ASGIApp, Receive, Scope, Send


class TrailingSlashes:
    """Answer a path with trailing slashes like the same path without.

    A redirect would cost a round trip, and many clients do not send a POST again.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on without the slashes."""
        if scope["type"] == "http":
            root = scope.get("root_path", "").rstrip("/")
            path = scope["path"].rstrip("/")
            if path == root:
                path += "/"  # the landing page of a service under a path is the one that has the slash
            if path != scope["path"]:
                scope = {**scope, "path": path}
        await self.app(scope, receive, send)
