"""Fixtures for the tests of a plugin: a running service with all that is installed here.

Loaded by pytest wherever fastprocesses-sdk is installed; it imports nothing of it until a test asks for a fixture.
`-p no:fastprocesses` leaves it out.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from fastprocesses_sdk.testing.hosting import RunningHost


@pytest.fixture(scope="session")
def fastprocesses_environ() -> dict[str, str]:
    """Environment variables of the service that `fastprocesses_host` starts; override it to set some.

    ```python
    @pytest.fixture(scope="session")
    def fastprocesses_environ() -> dict[str, str]:
        return {"FASTPROCESSES_PLUGINS__TILES__TOKEN": "for tests"}
    ```
    """
    return {}


@pytest.fixture(scope="session")
def fastprocesses_host(
    tmp_path_factory: pytest.TempPathFactory, fastprocesses_environ: dict[str, str]
) -> Iterator["RunningHost"]:
    """A running fastprocesses-host with the plugins that are installed here, one for all tests.

    What a test gets is a `fp.testing.RunningHost`: `url` is where it is, `execute(process_id, inputs)` runs a process
    there, `Run.result` is what comes of it. It listens on a free port of this machine and keeps its data in a
    temporary folder; it stops with the tests, however they end. With pytest-xdist each worker has its own.
    """
    from fastprocesses_sdk.testing.hosting import HostUnavailable, running_host

    try:
        with running_host(tmp_path_factory.mktemp("fastprocesses"), fastprocesses_environ) as host:
            yield host
    except HostUnavailable as error:
        pytest.fail(str(error), pytrace=False)
