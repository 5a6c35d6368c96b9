"""Workloads that start a service: from nothing to the answer of the first job."""

import subprocess
import sys
import time

from tests.acceptance.service import Service
from tests.bench.bench import Bench
from tests.bench.rows import Budget
from tests.bench.services import free_port
from tests.support import wait_until

_THIRD_PARTY = (
    "import sys; before = set(sys.modules); import fastprocesses_host.serving\n"
    "from importlib.util import find_spec\n"
    "names = {name.partition('.')[0] for name in set(sys.modules) - before}\n"
    "names = {name for name in names if not name.startswith(('_', 'fastprocesses'))}\n"
    "names = names - set(sys.stdlib_module_names) - {'cython_runtime'}\n"
    "print(','.join(sorted(name for name in names if find_spec(name))))"
)


async def cold_start(bench: Bench) -> None:
    """From nothing to the answer of the first job, against importing what the host imports from others."""
    statement = "import " + _run(_THIRD_PARTY).strip()

    async def imported() -> float:
        began = time.perf_counter()
        _run(statement)
        return time.perf_counter() - began

    async def started() -> float:
        return _first_job_seconds(bench)

    await bench.versus("cold start to the first job's answer", imported, started, Budget(4, 3), unit="s")


def _run(statements: str) -> str:
    done = subprocess.run([sys.executable, "-c", statements], capture_output=True, text=True, check=True)
    return done.stdout


def _first_job_seconds(bench: Bench) -> float:
    folder, port = bench.new_folder("cold"), free_port()
    began = time.perf_counter()
    with Service(folder, "--port", str(port), "--data-dir", str(folder / "data"), wait=False) as service:
        service.url = f"http://127.0.0.1:{port}"

        def is_done() -> bool:
            try:
                return service.execute("echo", {"message": "first"}).status == 200
            except OSError:
                return False

        wait_until(is_done, 60, "the first job")
        return time.perf_counter() - began
