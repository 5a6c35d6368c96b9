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
        if scope["type"] == "http" and scope["path"].endswith("/"):
            root = scope.get("root_path", "").rstrip("/")
            path = scope["path"].rstrip("/")
            # The landing page of a service under a path is the one place where the slash belongs.
            scope = {**scope, "path": f"{root}/" if len(path) <= len(root) else path}
        await self.app(scope, receive, send)
