"""Which programs that speak HTTP are installed here, found without importing any."""

import importlib.util

from fastprocesses_host.exits import Exit, StartError
from fastprocesses_host.settings import ServerName

_PACKAGES: dict[ServerName, tuple[str, ...]] = {
    "hypercorn": ("hypercorn",),
    "uvicorn": ("uvicorn", "httptools"),
}


def require_server(name: ServerName) -> None:
    """Check that a server is installed.

    Raises:
        StartError: it is not; the sentence says how to get it.
    """
    if not all(importlib.util.find_spec(package) for package in _PACKAGES[name]):
        raise StartError(
            f"{name} is not installed here. Install it with `pip install 'fastprocesses-host[{name}]'`, or leave "
            "--server out to use hypercorn.",
            Exit.SETTINGS,
        )
