"""The command `fastprocesses-host`."""

import sys


def main() -> None:
    """Run the command with the arguments of this process, and exit."""
    from fastprocesses_host.cli.commands import app

    app(prog_name="fastprocesses-host", args=sys.argv[1:])
