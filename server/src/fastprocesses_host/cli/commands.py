"""The commands: what can be said on the command line, and the exit code of what came of it."""

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from fastprocesses_host.cli import caller_commands
from fastprocesses_host.exits import Exit, StartError
from fastprocesses_host.settings import PREFIX, ServerName, Settings, SettingsError

EXIT_CODES = "Exit codes: " + "; ".join(f"{int(code)} {code.meaning}" for code in Exit) + "."

app = typer.Typer(
    name="fastprocesses-host",
    epilog=EXIT_CODES,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

Config = Annotated[
    Path | None, typer.Option("--config", help="A TOML file of settings.", metavar="FILE", show_default=False)
]
RedisUrl = Annotated[
    str | None,
    typer.Option("--redis-url", help="Use this store.", metavar="URL", show_default=False),
]
Workers = Annotated[
    int | None,
    typer.Option(
        "--workers", help="How many worker processes run.", metavar="NUMBER", min=1, show_default="1"
    ),
]


@app.callback(invoke_without_command=True, epilog=EXIT_CODES)
def common(
    version: Annotated[
        bool, typer.Option("--version", help="Tell the version and exit.", is_eager=True)
    ] = False,
) -> None:
    """Offer Python functions as processes through OGC API - Processes.

    Every setting can also be given as FASTPROCESSES_<NAME> in the environment or in a TOML
    file (--config).

    Example: fastprocesses-host run --port 8080
    """
    if version:
        import importlib.metadata  # slow to import, and with it modules that read mail

        typer.echo(f"fastprocesses-host {importlib.metadata.version('fastprocesses-host')}")
        raise typer.Exit


@app.command(epilog=EXIT_CODES)
def run(
    host: Annotated[
        str | None,
        typer.Option(help="The address to listen on.", metavar="ADDRESS", show_default="127.0.0.1"),
    ] = None,
    port: Annotated[
        int | None,
        typer.Option(
            help="The port; 0 takes any free one.", metavar="PORT", min=0, max=65_535, show_default="8080"
        ),
    ] = None,
    data_dir: Annotated[
        Path | None,
        typer.Option(
            help="Where jobs and results are kept.", metavar="FOLDER", show_default="the user's data folder"
        ),
    ] = None,
    redis_url: RedisUrl = None,
    workers: Workers = None,
    server: Annotated[
        ServerName | None,
        typer.Option("--server", help="What speaks HTTP; uvicorn is an extra.", show_default="hypercorn"),
    ] = None,
    with_worker: Annotated[
        bool, typer.Option("--with-worker", help="With --redis-url: start the workers here too.")
    ] = False,
    config: Config = None,
) -> None:
    """Start the host, with a store and a worker of its own.

    With --redis-url it is the host alone. Stops in order on Ctrl-C or SIGTERM. Jobs and results are still there after
    the next start. On SIGHUP workers and host are replaced one by one, with the code and the settings as they are then:
    no request and no job is lost.

    Example: fastprocesses-host run --port 8080 --data-dir ./data
    """

    def read() -> Settings:
        return _settings(
            config,
            host=host,
            port=port,
            data_dir=None if data_dir is None else str(data_dir),
            redis_url=redis_url,
            workers=workers,
            http_server=server,
        )

    with _errors_told():
        settings = read()
        from fastprocesses_host import embedded

        raise typer.Exit(embedded.run(settings, with_worker=with_worker, reread=read))


@app.command(epilog=EXIT_CODES)
def worker(
    redis_url: RedisUrl = None,
    workers: Workers = None,
    queues: Annotated[
        str | None,
        typer.Option(
            "--queues",
            help="The queues to serve, with commas between; 'default' is that of processes without one of their own.",
            metavar="NAMES",
            show_default="all",
        ),
    ] = None,
    config: Config = None,
) -> None:
    """Start workers for a store that hosts elsewhere use too.

    On SIGHUP they are replaced one by one; the old ones end when their jobs have ended.

    Example: fastprocesses-host worker --redis-url redis://127.0.0.1:6379/0 --workers 2
    """

    def read() -> Settings:
        return _settings(config, redis_url=redis_url, workers=workers, queues=queues)

    with _errors_told():
        settings = read()
        from fastprocesses_host import embedded

        raise typer.Exit(embedded.run_workers(settings, reread=read))


plugins_app = typer.Typer(no_args_is_help=False, rich_markup_mode=None)
app.add_typer(plugins_app, name="plugins", epilog=EXIT_CODES)


@plugins_app.callback(invoke_without_command=True, epilog=EXIT_CODES)
def plugins(
    context: typer.Context,
    as_json: Annotated[
        bool, typer.Option("--json", help="Everything that is known, as one JSON document.")
    ] = False,
    config: Config = None,
) -> None:
    """List the plugins installed here.

    It tells their processes, or why they are left out.

    Example: fastprocesses-host plugins --json
    """
    if context.invoked_subcommand is not None:
        return
    with _errors_told():
        settings = _settings(config)
        from fastprocesses_host.cli.plugin_table import as_document, as_table, discovered

        found = discovered(settings)
        typer.echo(as_document(found) if as_json else as_table(found))


@plugins_app.command("check", epilog=EXIT_CODES)
def check_plugins(
    name: Annotated[
        str,
        typer.Argument(
            help="Only this plugin: its entry point, or its distribution.",
            metavar="NAME",
            show_default="all",
        ),
    ] = "",
    as_json: Annotated[bool, typer.Option("--json", help="What was found, as one JSON document.")] = False,
    strict: Annotated[bool, typer.Option("--strict", help="Let warnings fail the check too.")] = False,
    config: Config = None,
) -> None:
    """Check what the plugins installed here offer.

    Whether they load, their texts, schemas and examples: made for their authors. What is to be changed is told with
    its place, and any error with the exit code.

    Example: fastprocesses-host plugins check my-plugin --strict
    """
    with _errors_told():
        settings = _settings(config)
        from fastprocesses_host.cli import plugin_check
        from fastprocesses_host.cli.plugin_table import discovered

        found = discovered(settings).plugins
        report = plugin_check.checked(found, name)
        if as_json:
            typer.echo(plugin_check.as_document(report))
        elif report.plugins:
            typer.echo(plugin_check.as_text(report))
        if not report.plugins:
            typer.echo(plugin_check.nothing_to_check(found, name), err=True)
        raise typer.Exit(Exit.OK if report.is_fine(strict=strict) else Exit.PLUGIN)


@app.command(epilog=EXIT_CODES)
def new(
    name: Annotated[
        str, typer.Argument(help="Of the plugin, as my-plugin.", metavar="NAME", show_default=False)
    ],
    folder: Annotated[
        Path | None,
        typer.Option("--folder", help="Where it is made.", metavar="FOLDER", show_default="./NAME"),
    ] = None,
    title: Annotated[
        str, typer.Option("--title", help="What it is, in a line.", metavar="TEXT")
    ] = "Processes of my own.",
    author: Annotated[
        str,
        typer.Option(
            "--author", help="'Name' or 'Name <mail@example.org>'.", metavar="TEXT", show_default=False
        ),
    ] = "",
) -> None:
    """Make the package of a plugin, tests included.

    Example: fastprocesses-host new my-plugin
    """
    from fastprocesses_host.cli.told import errors_told

    with errors_told():
        from fastprocesses_host.cli.new import NewPlugin, make, next_steps

        plugin = NewPlugin(name=name, folder=folder or Path(name), title=title, author=author)
        make(plugin)
        typer.echo(next_steps(plugin))


caller_commands.register(app, epilog=EXIT_CODES)


@caller_commands.jobs_app.command("purge", epilog=EXIT_CODES)
def purge_jobs(
    older_than: Annotated[
        str | None,
        typer.Option(
            "--older-than",
            help="Only those that ended so long ago: 90s, 15m, 12h, 7d, 2w.",
            metavar="SPAN",
            show_default=False,
        ),
    ] = None,
    process: Annotated[
        str | None, typer.Option("--process", help="Only of this process.", metavar="ID", show_default=False)
    ] = None,
    status: Annotated[
        list[str] | None,
        typer.Option(
            "--status",
            help="Only in this state: successful, failed, dismissed; with --dismiss accepted and running too. "
            "Repeatable.",
            metavar="STATE",
            show_default=False,
        ),
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="All jobs that have ended.")] = False,
    dismiss: Annotated[
        bool, typer.Option("--dismiss", help="Those that have not ended too: they are stopped.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only tell how many there are.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Write one JSON document.")] = False,
    data_dir: Annotated[
        Path | None,
        typer.Option(
            help="Of the service that runs here.", metavar="FOLDER", show_default="the user's data folder"
        ),
    ] = None,
    redis_url: RedisUrl = None,
    config: Config = None,
) -> None:
    """Remove jobs before their time, with their results and logs.

    From the store itself, as its operator; those under way are left alone. It says how many there are, and asks before
    it removes them. Interrupted it can be said again.

    Example: fastprocesses-host jobs purge --older-than 7d --status failed --dry-run
    """
    from fastprocesses_host.cli.told import CallError, errors_told

    with _errors_told(), errors_told():
        from fastprocesses_host.cli import purging

        if not (older_than or process or status or everything):
            raise CallError("Say which: --older-than, --process, --status, or --all.", Exit.USAGE)
        choice = purging.Choice(
            older_than_seconds=purging.read_age(older_than) if older_than else 0.0,
            process_id=process or "",
            statuses=purging.read_statuses(status or ()),
            dismiss=dismiss,
        )
        settings = _settings(
            config, redis_url=redis_url, data_dir=None if data_dir is None else str(data_dir)
        )
        removed = purging.purge(settings, choice, is_dry=dry_run, is_sure=yes, may_ask=sys.stdin.isatty())
        if as_json:
            document = {"removed": 0 if dry_run else removed.jobs, "underWay": removed.under_way}
            typer.echo(json.dumps({"chosen": removed.jobs, **document}))
        else:
            typer.echo(purging.as_text(removed))


def _settings(config: Path | None, **overrides: Any) -> Settings:
    """Read the settings, the command line's last.

    Raises:
        SettingsError: as `Settings.from_env`.
    """
    environ = dict(os.environ)
    if config is not None:
        environ[PREFIX + "CONFIG"] = str(config)
    return Settings.from_env(environ, **overrides)


@contextmanager
def _errors_told() -> Iterator[None]:
    """Turn what keeps a command from starting into a sentence and an exit code."""
    try:
        yield
    except SettingsError as error:
        sentence, code = str(error), Exit.SETTINGS
    except StartError as error:
        sentence, code = str(error), error.code
    else:
        return
    typer.echo(f"error: {sentence}", err=True)
    raise typer.Exit(code)
