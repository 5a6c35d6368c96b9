"""Discovery: `python -P -m fastprocesses_sdk.describe` prints what the plugins of this environment offer.

It loads them in a child of its own, each under a time limit, while one takes long the others in another child.
One that crashes while it is imported is tried once more alone, so that it is not blamed for another's doing, and
then left out with the reason. Only the document reaches standard output, whatever plugins print.
"""

import argparse
import os
import platform
import subprocess
import sys
from collections.abc import Mapping, Sequence

import msgspec

from fastprocesses_sdk import __version__
from fastprocesses_sdk.configured import ENVIRONMENT_PREFIX, OperatorSettings
from fastprocesses_sdk.conflicts import settled
from fastprocesses_sdk.description import Discovery
from fastprocesses_sdk.installed import installed_plugins
from fastprocesses_sdk.lifeline import end_with_parent
from fastprocesses_sdk.loading import Loading

LOAD_SECONDS = 30.0


def discover(
    *,
    load_seconds: float = LOAD_SECONDS,
    python: str = sys.executable,
    environ: Mapping[str, str] | None = None,
    settings: OperatorSettings | None = None,
) -> Discovery:
    """Return what the plugins of an environment offer. Imports none of them in this process.

    Of plugins that offer the same process the first keeps it.

    Args:
        load_seconds: How long loading one plugin may take.
        python: The environment's interpreter.
        environ: Environment variables of the child; None: those of this process.
        settings: What the operator set for the plugins; None: what those environment variables say.

    Raises:
        RuntimeError: The interpreter does not start, or has no fastprocesses-sdk.
    """
    found = discover_all(load_seconds=load_seconds, python=python, environ=environ, settings=settings)
    return msgspec.structs.replace(found, plugins=settled(found.plugins))


def discover_all(
    *,
    load_seconds: float = LOAD_SECONDS,
    python: str = sys.executable,
    environ: Mapping[str, str] | None = None,
    settings: OperatorSettings | None = None,
) -> Discovery:
    """Do as `discover`, but leave plugins that offer the same process as they are, for `conflicts.settled`."""
    command = [python, "-P", "-m", __name__, "--all", "--load-seconds", str(load_seconds)]
    if settings is not None:
        command.append("--settings")
    done = subprocess.run(
        command,
        input=b"" if settings is None else msgspec.msgpack.encode(settings),
        stdout=subprocess.PIPE,
        env=None if environ is None else dict(environ),
        check=False,
    )
    try:
        return msgspec.json.decode(done.stdout, type=Discovery)
    except msgspec.DecodeError as error:
        raise RuntimeError(
            f"{python} could not describe its plugins (exit code {done.returncode}); "
            "is fastprocesses-sdk installed there?"
        ) from error


def discover_here(
    *, load_seconds: float, settings: OperatorSettings, environ: Mapping[str, str]
) -> Discovery:
    """Do as `discover_all` for this environment: with a process less, whose start would take a tenth of a second.

    Plugins are still imported in children alone.

    Args:
        load_seconds: How long loading one plugin may take.
        settings: What the operator set for the plugins.
        environ: Environment variables of the children.
    """
    records = Loading(installed_plugins(), load_seconds, settings, environ).records()
    return Discovery(sdk_version=__version__, python_version=platform.python_version(), plugins=records)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m fastprocesses_sdk.describe",
        description="Print, as one JSON document, the processes that the plugins of this environment offer.",
    )
    parser.add_argument(
        "--load-seconds",
        type=float,
        default=LOAD_SECONDS,
        help="how long loading one plugin may take (default: %(default)s)",
    )
    parser.add_argument("--settings", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--all", action="store_true", help="leave plugins that offer the same process")
    asked = parser.parse_args(arguments)
    end_with_parent()
    settings = _operator_settings(is_told=asked.settings)
    found = discover_here(load_seconds=asked.load_seconds, settings=settings, environ=os.environ)
    if not asked.all:
        found = msgspec.structs.replace(found, plugins=settled(found.plugins))
    document = msgspec.json.encode(found)
    sys.stdout.buffer.write(document + b"\n")
    sys.stdout.buffer.flush()


def _operator_settings(*, is_told: bool) -> OperatorSettings:
    """Take what the operator set from standard input, or the environment, and out of the environment anyway."""
    if is_told:
        settings = msgspec.msgpack.decode(sys.stdin.buffer.read(), type=OperatorSettings)
    else:
        settings = OperatorSettings.from_environ(os.environ)
    for name in [name for name in os.environ if name.startswith(ENVIRONMENT_PREFIX)]:
        del os.environ[name]
    return settings


if __name__ == "__main__":
    main()
