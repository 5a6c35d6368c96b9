"""Services that take uploads, in this process, on a private store and a folder of their own."""

import itertools
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import cache
from pathlib import Path
from typing import Any

import httpx2
import pytest
from fastprocesses_host.app import create_app
from fastprocesses_host.settings import Settings
from starlette.testclient import TestClient

Open = Callable[..., TestClient]


@pytest.fixture
def settings_of(store_url: str, key_prefix: str, tmp_path: Path) -> Callable[..., Settings]:
    """Give settings with a value store; further ones by name."""

    def make(**told: Any) -> Settings:
        usual = {
            "redis_url": store_url,
            "key_prefix": key_prefix,
            "value_store_url": f"file://{tmp_path}/values",
            "min_free_disk_bytes": 0,
        }
        return Settings(**{**usual, **told})

    return make


@pytest.fixture
def opened(settings_of: Callable[..., Settings]) -> Iterator[Open]:
    """Open a service with these settings until the test ends; give a client of it."""
    addresses = (f"192.0.2.{number}" for number in itertools.count(1))
    with ExitStack() as stack:

        def enter(**told: Any) -> TestClient:
            app = create_app(settings_of(**told))
            return stack.enter_context(TestClient(app, "http://example.org", client=(next(addresses), 1)))

        yield enter


@pytest.fixture
def client(opened: Open) -> TestClient:
    return opened()


@cache
def http() -> httpx2.Client:
    """Give a client that all tests here share: to make one takes longer than what it is asked."""
    return httpx2.Client(timeout=60)


@pytest.fixture(autouse=True, scope="module")
def closed() -> Iterator[None]:
    yield
    http().close()
    http.cache_clear()
