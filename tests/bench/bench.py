"""What all workloads share: the host, the bare server, and the rounds between them."""

import statistics
import sys
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.acceptance.service import Service
from tests.bench.client import CONCURRENCY
from tests.bench.rows import Budget, Row
from tests.bench.services import bare_server, plugin_folder, private_store_url

Measure = Callable[[], Awaitable[float]]


class Bench:
    """Starts what a workload needs when it is first asked for, stops all of it at the end, and keeps the rows."""

    def __init__(
        self, folder: Path, *, rounds: int, scale: float, jobs: int, megabytes: int = 100, s3_url: str = ""
    ) -> None:
        self.folder = folder
        self.rounds = rounds
        self.scale = scale
        self.jobs = jobs
        """How many jobs are in the store where there are to be many."""
        self.megabytes = megabytes
        """How large values are that are streamed."""
        self.s3_url = s3_url
        """Where an S3 server is; empty: that of the tests is started."""
        self.rows: list[Row] = []
        self.notes: list[str] = []
        """What was measured beside the rows."""
        self.stack = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stack.close()

    def new_folder(self, name: str) -> Path:
        """Make a folder for a service or a store."""
        folder = self.folder / f"{name}{len(list(self.folder.iterdir()))}"
        folder.mkdir()
        return folder

    @cached_property
    def environ(self) -> dict[str, str]:
        """Environment of services with the processes for measuring."""
        return {"PYTHONPATH": str(plugin_folder(self.folder / "plugins"))}

    @cached_property
    def service(self) -> Service:
        """An embedded host with the processes for measuring."""
        return self.start(self.stack)

    def start(self, stack: ExitStack, *options: str, **environ: str) -> Service:
        """Start a host; it is stopped with the stack."""
        folder = self.new_folder("host")
        return stack.enter_context(
            Service(
                folder,
                *("--data-dir", str(folder / "data")),
                *options,
                environ=self.environ
                | {f"FASTPROCESSES_{name.upper()}": text for name, text in environ.items()},
            )
        )

    @cached_property
    def store_url(self) -> str:
        """The store of `service`."""
        return private_store_url(self.service)

    @cached_property
    def bare_url(self) -> str:
        """The bare server; it offers what `service` answers for the descriptions of processes."""
        folder = self.new_folder("bytes")
        for path, file in (("/processes", "processes"), ("/processes/echo", "process")):
            (folder / file).write_bytes(self.service.ask("GET", path).body)
        return self.stack.enter_context(bare_server(folder))

    def count(self, normal: int) -> int:
        """Give the number of requests of a round."""
        return max(int(normal * self.scale), CONCURRENCY)

    async def versus(self, name: str, limit: Measure, ours: Measure, budget: Budget, *, unit: str) -> None:
        """Measure limit and host in turn, after one round to warm up; note the median of the ratios."""
        await limit()
        await ours()
        pairs = [(await limit(), await ours()) for _ in range(self.rounds)]
        middle = [statistics.median(pair[column] for pair in pairs) for column in (0, 1)]
        self.note(
            Row(
                name=name,
                limit=f"{middle[0]:.4g} {unit}",
                measured=f"{middle[1]:.4g} {unit}",
                value=statistics.median(ours_ / limit_ for limit_, ours_ in pairs),
                budget=budget,
            )
        )

    def note(self, row: Row) -> None:
        """Keep a row, and show it at once."""
        self.rows.append(row)
        print(" | ".join(cell for cell in row.cells if cell), file=sys.stderr, flush=True)

    def remark(self, sentence: str) -> None:
        """Keep a sentence for below the table, and show it at once."""
        self.notes.append(sentence)
        print(sentence, file=sys.stderr, flush=True)
