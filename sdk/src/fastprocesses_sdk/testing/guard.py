"""Runs a service for as long as standard input is open: `python -P -m fastprocesses_sdk.testing.guard FOLDER`.

Whoever starts it need not stop it: when they end, however they do, standard input closes.
"""

import contextlib
import os
import signal
import subprocess
import sys
import threading

_START = "import sys; from fastprocesses_host.cli import main; sys.argv[0] = 'fastprocesses-host'; main()"
_DRAIN_SECONDS = "1"
_STOP_SECONDS = 5.0


def main(folder: str) -> int:
    """Run a service with its data in this folder; return its exit code."""
    service = subprocess.Popen(
        [sys.executable, "-P", "-c", _START, "run", "--port", "0", "--data-dir", folder],
        stdin=subprocess.DEVNULL,
        env={"FASTPROCESSES_DRAIN_SECONDS": _DRAIN_SECONDS} | dict(os.environ),
    )
    threading.Thread(target=_stop_at_end_of_input, args=(service,), daemon=True).start()
    return service.wait()


def _stop_at_end_of_input(service: "subprocess.Popen[bytes]") -> None:
    while os.read(0, 4096):
        pass
    for number in (signal.SIGTERM, signal.SIGTERM):  # the second one means at once
        with contextlib.suppress(subprocess.TimeoutExpired):
            service.send_signal(number)
            service.wait(_STOP_SECONDS)
            return
    service.kill()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
