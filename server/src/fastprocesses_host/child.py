"""A child of the supervisor: `python -P -m fastprocesses_host.child <supervisor's pid> store|worker|host …`.

Each child first makes sure that it does not outlive its supervisor, then becomes its part. What a part needs
is imported by that part: the store's program starts as soon as the interpreter is up.
"""

import os
import signal
import sys
from collections.abc import Sequence

from fastprocesses_host.importing import quick_imports
from fastprocesses_host.lifeline import end_with_parent

AFTER_WORKER_SECONDS = 1.5
"""What of `drain_seconds` is left when Dramatiq stops waiting for its threads."""
_STORE_ALLOCATION = {"GLIBC_TUNABLES": "glibc.malloc.tcache_count=2000"}
"""Scripts make many small objects at a time; with what glibc keeps at hand of each size, a job costs 7 % more there."""


def child_command(part: str, arguments: Sequence[str]) -> list[str]:
    """Give the command that starts a part as a child of this process."""
    return [sys.executable, "-P", "-m", "fastprocesses_host.child", str(os.getpid()), part, *arguments]


def main(arguments: Sequence[str]) -> int:
    """Become one part; return its exit code.

    Args:
        arguments: The supervisor's process id, the part, and what the part needs.
    """
    supervisor_pid, part, *rest = arguments
    die_with_parent(int(supervisor_pid), signal.SIGTERM if part == "store" else signal.SIGKILL)
    if part == "store":
        become_store(rest)
    from fastprocesses_host.exits import CHILD_CONFIGURATION
    from fastprocesses_host.settings import SettingsError

    try:
        return become_host(rest) if part == "host" else become_worker(rest)
    except SettingsError as error:
        print(f"error: {error}", file=sys.stderr, flush=True)
        return CHILD_CONFIGURATION


def die_with_parent(parent_pid: int, death_signal: signal.Signals) -> None:
    """Have the kernel send `death_signal` to this process when its parent ends; exit if it has ended already.

    Linux only. Elsewhere a child notices its parent's end only where it talks to it.
    """
    end_with_parent(death_signal)
    if os.getppid() != parent_pid:
        os._exit(1)


def become_store(arguments: Sequence[str]) -> None:
    """Wait until no other store uses the folder, then become the store's program.

    The lock is held by the store itself: one that outlives its supervisor for a moment still holds it.

    Args:
        arguments: The lock file, the program, and the program's own arguments.
    """
    import fcntl

    lock, program, *rest = arguments
    descriptor = os.open(lock, os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    os.set_inheritable(descriptor, True)
    os.execve(program, [program, *rest], _STORE_ALLOCATION | os.environ)  # noqa: S606 - no shell is what we want


def become_worker(arguments: Sequence[str]) -> int:
    """Run Dramatiq's command with one worker process.

    Args:
        arguments: The descriptor to report readiness to.
    """
    with quick_imports():
        import multiprocessing

        from dramatiq import cli
        from fastprocesses_sdk.memory import release_unused_memory

        from fastprocesses_host.settings import REPORT_VARIABLE, Settings

    os.environ.setdefault("dramatiq_worker_timeout", "100")  # ms; how soon idle threads see a stop
    os.environ[REPORT_VARIABLE] = arguments[0]
    if sys.platform == "linux":
        multiprocessing.set_start_method("fork")  # the worker process inherits that descriptor
    signal.signal(signal.SIGUSR1, _pass_on)
    settings = Settings.from_env()

    parser = cli.make_argument_parser()  # type: ignore[no-untyped-call]
    shutdown_seconds = max(settings.drain_seconds - AFTER_WORKER_SECONDS, settings.drain_seconds / 2)
    words = [
        "--path",  # with nothing after it: the folder we happen to stand in is no place to import from
        *("--processes", "1"),
        *("--threads", str(settings.slot_count)),
        *("--worker-shutdown-timeout", str(int(shutdown_seconds * 1000))),
        *("--worker-fork-timeout", "10"),  # milliseconds; while it waits for a boot it sees no death
        "--skip-logging",
        "fastprocesses_host.actors",
    ]
    release_unused_memory()
    return int(cli.main(parser.parse_args(words)) or 0)  # type: ignore[no-untyped-call]


def become_host(arguments: Sequence[str]) -> int:
    """Serve HTTP.

    Args:
        arguments: The descriptor of the listening socket, the one to report readiness to, how many seconds
            requests under way may take once it was told to stop, and `successor` where another host still serves.
    """
    with quick_imports():
        from fastprocesses_host.serving import run_host
        from fastprocesses_host.settings import Settings

    listen_fd, report_fd, stop_seconds, *rest = arguments
    return run_host(
        Settings.from_env(),
        listen_fd=int(listen_fd),
        report_fd=int(report_fd),
        stop_seconds=float(stop_seconds),
        is_successor=rest == ["successor"],
    )


def _pass_on(number: int, _frame: object) -> None:
    """Pass a signal on to the worker process, of which Dramatiq's command knows nothing."""
    import multiprocessing  # as every child but this one can do without

    for process in multiprocessing.active_children():
        if process.pid is not None:
            os.kill(process.pid, number)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
