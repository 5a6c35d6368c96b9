"""The budgets measured: `uv run python -m tests.bench`. Every figure is a ratio to a limit of the same run.

Rounds are interleaved, limit and host in turn; a ratio is the median of the rounds' ratios. The share of CPU
that the machine gave to others stands below the table: above a few per cent, measure again.
"""

import argparse
import asyncio
import os
import re
import sys
import tempfile
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any

import psutil
import uvloop

from tests.bench import execution_rows, jobs_rows, memory_rows, server_rows, start_rows
from tests.bench.bench import Bench
from tests.bench.page import PAGE, write_section
from tests.bench.rows import table
from tests.bench.services import cpu_ticks

Workload = Callable[[Bench], Coroutine[Any, Any, None]]

WORKLOADS: dict[str, Workload] = {
    "sync": execution_rows.sync_rate,
    "sync-p50": execution_rows.sync_p50,
    "async": execution_rows.async_rate,
    "async-asked": execution_rows.async_rate_asked,
    "submit-to-end": execution_rows.submit_to_end,
    "descriptions": execution_rows.descriptions,
    "large": execution_rows.large_echo,
    "busy": execution_rows.busy_get,
    "store-memory": jobs_rows.store_memory,
    "lists": jobs_rows.lists,
    "expiry": jobs_rows.expiry,
    "servers": server_rows.servers,
    "streamed": memory_rows.streamed,
    "streamed-s3": memory_rows.streamed_s3,
    "idle": memory_rows.idle,
    "cold-start": start_rows.cold_start,
}


def main() -> None:
    options = _options()
    chosen = {name: work for name, work in WORKLOADS.items() if re.search(options.only, name)}
    if options.list or not chosen:
        print("\n".join(f"{name:14} {work.__doc__}" for name, work in WORKLOADS.items()))
        sys.exit(0 if options.list else f"error: no workload is named like {options.only!r}")
    stolen, ticks = cpu_ticks()
    with (
        tempfile.TemporaryDirectory(prefix="fpbench") as folder,
        Bench(
            Path(folder),
            rounds=options.rounds,
            scale=options.scale,
            jobs=options.jobs,
            megabytes=options.megabytes,
            s3_url=options.s3,
        ) as bench,
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
    ):
        _keep_bytecode(Path(folder) / "bytecode")
        for work in chosen.values():
            runner.run(work(bench))
    now_stolen, now_ticks = cpu_ticks()
    report = _report(bench, 100 * (now_stolen - stolen) / max(now_ticks - ticks, 1), sys.argv[1:])
    print(report)
    if options.write:
        write_section("measured", report)
        print(f"\nWritten to {PAGE}.", file=sys.stderr)


def _keep_bytecode(folder: Path) -> None:
    """Measure what is installed: pip compiles the modules, and this may be a place where Python must not."""
    if os.environ.pop("PYTHONDONTWRITEBYTECODE", None):
        os.environ["PYTHONPYCACHEPREFIX"] = str(folder)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument(
        "--only", default="", metavar="PATTERN", help="workloads whose names have this in them"
    )
    parser.add_argument("--list", action="store_true", help="tell the workloads")
    parser.add_argument("--rounds", type=int, default=5, help="rounds of each row (default 5)")
    parser.add_argument("--scale", type=float, default=1.0, help="share of the usual number of requests")
    parser.add_argument(
        "--jobs", type=int, default=1_000_000, help="jobs in the full store (default 1000000)"
    )
    parser.add_argument(
        "--megabytes", type=int, default=100, help="size of values that are streamed (default 100)"
    )
    parser.add_argument(
        "--s3",
        default="",
        metavar="URL",
        help="an S3 server with the bucket 'values', in place of that of the tests, which is slow with large values",
    )
    parser.add_argument("--write", action="store_true", help=f"write the table into {PAGE.name}")
    options = parser.parse_args()
    if options.rounds < 1 or options.scale <= 0 or options.jobs < 1000:
        parser.error("at least one round, a scale above 0, and 1000 jobs are needed")
    return options


def _report(bench: Bench, stolen_percent: float, arguments: Sequence[str]) -> str:
    command = " ".join(["uv run python -m tests.bench", *(word for word in arguments if word != "--write")])
    measured = (
        f"Measured with `{command}` on {psutil.cpu_count()} cores, shared by client, host, worker and store; "
        f"{stolen_percent:.1f} % of the CPU went to others."
    )
    notes = [measured, *bench.notes]
    return "\n".join([table(bench.rows), "", *(f"- {note}" for note in notes)])


if __name__ == "__main__":
    main()
