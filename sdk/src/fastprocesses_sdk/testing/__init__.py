"""Test processes as a server would run them: `fp.testing.run_process(buffer, features=..., distance=3)`.

The inputs are encoded as a client would send them, checked against the description, and handed to the process in
a child process as a worker starts it; what it returns is checked and decoded. Needs the extra `test`.
"""

from fastprocesses_sdk.testing.checking import Finding, check_process
from fastprocesses_sdk.testing.hosting import RequestRefused, RunningHost
from fastprocesses_sdk.testing.outcomes import (
    Cancelled,
    InvalidInputs,
    LogLine,
    ProcessFailed,
    Run,
    TimedOut,
)
from fastprocesses_sdk.testing.running import Runner, run_process

__all__ = [
    "Cancelled",
    "Finding",
    "InvalidInputs",
    "LogLine",
    "ProcessFailed",
    "RequestRefused",
    "Run",
    "Runner",
    "RunningHost",
    "TimedOut",
    "check_process",
    "run_process",
]
