"""The one client that speaks to other hosts for what callers name; it cannot be turned against the network it is in.

```python
client = GuardedClient(settings.outbound_rules)
with client.stream("GET", url, max_bytes=10_000_000, total_seconds=60) as response:
    for piece in response: ...
```

For threads: every call waits. Whatever goes wrong is a `GuardedError` whose text is a sentence that the one who named
the URL may read; it tells of the host at most, never an address, a header or a body.
"""

from typing import TYPE_CHECKING, Any

from fastprocesses_host.guarded.errors import (
    Cancelled,
    Failed,
    GuardedError,
    Refused,
    TooLarge,
    TooSlow,
)

if TYPE_CHECKING:
    from fastprocesses_host.guarded.client import GuardedClient, Response

__all__ = [
    "Cancelled",
    "Failed",
    "GuardedClient",
    "GuardedError",
    "Refused",
    "Response",
    "TooLarge",
    "TooSlow",
]


def __getattr__(name: str) -> Any:
    """Import the client, and HTTP with it, when it is first asked for: most workers never need it."""
    if name in ("GuardedClient", "Response"):
        from fastprocesses_host.guarded import client

        return getattr(client, name)
    raise AttributeError(name)
