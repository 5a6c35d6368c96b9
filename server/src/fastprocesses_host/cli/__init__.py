"""The command `fastprocesses-host`."""

import sys

from fastprocesses_host.importing import quick_imports


def main() -> None:
    """Run the command with the arguments of this process, and exit."""
    with quick_imports():
        from fastprocesses_host.cli.commands import app

    app(prog_name="fastprocesses-host", args=sys.argv[1:])
