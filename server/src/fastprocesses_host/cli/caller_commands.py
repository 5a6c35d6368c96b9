"""The commands of callers: what can be said to a server, ours or another, of OGC API - Processes."""

import json
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from fastprocesses_host.cli.told import CallError, errors_told, tell
from fastprocesses_host.exits import Exit
from fastprocesses_host.settings import PREFIX

if TYPE_CHECKING:
    from fastprocesses_host.cli.caller import Caller, JobPlace

_COMPLETION_SECONDS: Final = 2.0
_WIDE: Final = 60


def _complete_processes(ctx: typer.Context, incomplete: str) -> list[tuple[str, str]]:
    """Offer the ids of the server's processes; nothing where it does not answer."""
    try:
        server, token = ctx.params.get("server"), ctx.params.get("token")
        with _caller(server, (), token, answer_seconds=_COMPLETION_SECONDS) as caller:
            found = [(str(each.get("id", "")), str(each.get("title", ""))) for each in caller.processes()]
    except CallError:
        return []
    return [each for each in found if each[0].startswith(incomplete)]


Server = Annotated[
    str | None,
    typer.Option(
        "--server",
        help="The server's URL.",
        metavar="URL",
        envvar=PREFIX + "SERVER",
        show_default="the one that runs here",
    ),
]
Header = Annotated[
    list[str] | None,
    typer.Option("--header", help="Send this too. Repeatable.", metavar="'NAME: VALUE'", show_default=False),
]
Token = Annotated[
    str | None,
    typer.Option(
        "--token",
        help="Send this as a bearer token.",
        metavar="TOKEN",
        envvar=PREFIX + "TOKEN",
        show_default=False,
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Write one JSON document.")]
ProcessId = Annotated[
    str,
    typer.Argument(
        help="The id of a process.", metavar="ID", autocompletion=_complete_processes, show_default=False
    ),
]
JobId = Annotated[str, typer.Argument(help="The id or the URL of a job.", metavar="JOB", show_default=False)]
ShowLog = Annotated[
    bool | None,
    typer.Option(
        "--log/--no-log",
        help="Show what the process writes while it is waited for.",
        show_default="on a terminal",
    ),
]
Outputs = Annotated[
    list[str] | None,
    typer.Option(
        "--output",
        "-o",
        help="Write the result into FILE, or each into a file in FOLDER/; NAME=FILE asks for that output and "
        "may be repeated.",
        metavar="[NAME=]FILE",
        show_default=False,
    ),
]


def processes(
    server: Server = None, header: Header = None, token: Token = None, as_json: AsJson = False
) -> None:
    """List the processes of a server.

    Example: fastprocesses-host processes --server https://example.org/ogcapi
    """
    with errors_told(), _caller(server, header, token) as caller:
        found = list(caller.processes())
        if as_json:
            _print_json({"processes": found})
            return
        rows = [[_text(each, "id"), _text(each, "version"), _title(each)] for each in found]
        _print_table(["ID", "VERSION", "TITLE"], rows, "The server offers no processes.")


def describe(
    process_id: ProcessId,
    server: Server = None,
    header: Header = None,
    token: Token = None,
    as_json: AsJson = False,
) -> None:
    """Tell what a process does, what it takes and what it gives.

    Example: fastprocesses-host describe buffer
    """
    with errors_told(), _caller(server, header, token) as caller:
        description = caller.describe(process_id)
        if as_json:
            _print_json(description)
            return
        from fastprocesses_host.cli.described import as_text

        typer.echo(as_text(description))


def execute(
    process_id: ProcessId,
    inputs: Annotated[
        list[str] | None,
        typer.Option(
            "--input",
            "-i",
            help="An input: name=text, name=@file, name=@- (standard input), name=href=URL, name:=JSON. "
            "The same name again adds a value.",
            metavar="NAME=VALUE",
            show_default=False,
        ),
    ] = None,
    outputs: Outputs = None,
    formats: Annotated[
        list[str] | None,
        typer.Option(
            "--format",
            help="The media type an output is wanted in. Repeatable.",
            metavar="NAME=TYPE",
            show_default=False,
        ),
    ] = None,
    request: Annotated[
        Path | None,
        typer.Option(
            "--request",
            help="A JSON file with an execute request or its inputs, to which -i adds.",
            metavar="FILE",
            show_default=False,
        ),
    ] = None,
    sync: Annotated[
        bool, typer.Option("--sync", help="Have the results in the answer, without a job.")
    ] = False,
    no_wait: Annotated[
        bool, typer.Option("--no-wait", help="Print the job's id and leave it running.")
    ] = False,
    dismiss_on_interrupt: Annotated[
        bool, typer.Option("--dismiss-on-interrupt", help="Ctrl-C stops the job too.")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Show no progress.")] = False,
    log: ShowLog = None,
    server: Server = None,
    header: Header = None,
    token: Token = None,
    as_json: AsJson = False,
) -> None:
    """Execute a process, wait for it, and write its results.

    It runs as a job, whose progress and log are shown on a terminal. Ctrl-C ends the waiting, not the job.

    Example: fastprocesses-host execute buffer -i distance=100 -i features=@in.geojson -o out.geojson
    """
    with errors_told(), _caller(server, header, token) as caller:
        from fastprocesses_host.cli import execution
        from fastprocesses_host.cli.uploading import Uploader

        if sync and no_wait:
            raise CallError("--sync and --no-wait cannot both be.", Exit.USAGE)
        description = caller.describe(process_id)
        order = execution.read_order(
            description,
            inputs=inputs or (),
            outputs=outputs or (),
            formats=formats or (),
            request=request,
            uploads=Uploader(caller, quiet=quiet),
        )
        answer = caller.execute(process_id, order.body, wait=sync)
        if answer.status != 201:
            with closing(answer):
                execution.deliver(caller, answer, description, order, as_json=as_json)
            return
        with closing(answer):
            place = caller.accepted(answer)
        if no_wait:
            _print_json(caller.status(place)) if as_json else typer.echo(place.job_id)
            return
        info = _wait(caller, place, quiet=quiet, log=log, dismiss=dismiss_on_interrupt)
        with closing(caller.results(info, place)) as results:
            execution.deliver(caller, results, description, order, as_json=as_json)


jobs_app = typer.Typer(no_args_is_help=False, rich_markup_mode=None)


def jobs(
    context: typer.Context,
    process: Annotated[
        str | None,
        typer.Option(
            "--process", help="Only of this process.", metavar="ID", autocompletion=_complete_processes
        ),
    ] = None,
    status: Annotated[
        list[str] | None,
        typer.Option(
            "--status",
            help="Only in this state: accepted, running, successful, failed, dismissed. Repeatable.",
            metavar="STATE",
            show_default=False,
        ),
    ] = None,
    datetime: Annotated[
        str | None,
        typer.Option(
            "--datetime", help="Only created then: a time or START/END, `..` is open.", metavar="WHEN"
        ),
    ] = None,
    min_duration: Annotated[
        int | None,
        typer.Option("--min-duration", help="Only those that took as many.", metavar="SECONDS", min=0),
    ] = None,
    max_duration: Annotated[
        int | None,
        typer.Option("--max-duration", help="Only those that took no more.", metavar="SECONDS", min=0),
    ] = None,
    limit: Annotated[int, typer.Option("--limit", help="No more than these.", metavar="NUMBER", min=1)] = 20,
    server: Server = None,
    header: Header = None,
    token: Token = None,
    as_json: AsJson = False,
) -> None:
    """List the jobs of a server, the newest first.

    Example: fastprocesses-host jobs --status running --limit 5
    """
    if context.invoked_subcommand is not None:
        return
    filters = {
        "processID": process,
        "status": ",".join(status or ()),
        "datetime": datetime,
        "minDuration": min_duration,
        "maxDuration": max_duration,
    }
    asked = {name: str(value) for name, value in filters.items() if value not in {None, ""}}
    with errors_told(), _caller(server, header, token) as caller:
        wanted = (each for each in caller.jobs(asked, limit) if _is_wanted(each, process, status))
        found = list(islice(wanted, limit))
        if as_json:
            _print_json({"jobs": found})
            return
        rows = [
            [
                _job_id(each),
                _text(each, "processID"),
                _text(each, "status"),
                _percent(each),
                _text(each, "created"),
            ]
            for each in found
        ]
        _print_table(["JOB", "PROCESS", "STATUS", "PROGRESS", "CREATED"], rows, "There are no such jobs.")


def status(
    job: JobId,
    watch: Annotated[bool, typer.Option("--watch", "-w", help="Wait for its end, showing progress.")] = False,
    log: ShowLog = None,
    server: Server = None,
    header: Header = None,
    token: Token = None,
    as_json: AsJson = False,
) -> None:
    """Tell how far a job is.

    With --watch it waits for its end, and fails if the job did.

    Example: fastprocesses-host status 019abe56-0a1c-7000-8000-000000000000 --watch
    """
    with errors_told(), _caller(server, header, token) as caller:
        place = caller.place(job)
        info = _wait(caller, place, log=log, succeed=False) if watch else caller.status(place)
        _print_status(info, as_json=as_json)
        if watch:
            from fastprocesses_host.cli.waiting import require_success

            require_success(caller, info, place)


def results(
    job: JobId,
    outputs: Outputs = None,
    server: Server = None,
    header: Header = None,
    token: Token = None,
    as_json: AsJson = False,
) -> None:
    """Write the results of a job that has ended.

    Example: fastprocesses-host results 019abe56-0a1c-7000-8000-000000000000 -o out.geojson
    """
    with errors_told(), _caller(server, header, token) as caller:
        from fastprocesses_host.cli import execution
        from fastprocesses_host.cli.waiting import require_success

        place = caller.place(job)
        info = caller.status(place)
        if info["status"] in {"accepted", "running", "created"}:
            raise CallError(
                f"The job is {info['status']}; `{_own_command(caller, 'status --watch', job)}` waits for it.",
                Exit.REFUSED,
            )
        require_success(caller, info, place)
        description = execution.description_of(caller, info)
        order = execution.read_order(description, outputs=outputs or (), running=True)
        with closing(caller.results(info, place)) as answer:
            execution.deliver(caller, answer, description, order, as_json=as_json)


def dismiss(
    job: JobId, server: Server = None, header: Header = None, token: Token = None, as_json: AsJson = False
) -> None:
    """Stop a job; remove one that has ended, with its results.

    Example: fastprocesses-host dismiss 019abe56-0a1c-7000-8000-000000000000
    """
    with errors_told(), _caller(server, header, token) as caller:
        info = caller.dismiss(caller.place(job))
        if as_json:
            _print_json(info)
        else:
            tell(f"The job {_job_id(info) or job} is {info.get('status') or 'dismissed'}.")


COMMANDS: Final = (processes, describe, execute, status, results, dismiss)


def register(app: typer.Typer, *, epilog: str) -> None:
    """Add the commands of callers to the command line."""
    for command in COMMANDS:
        app.command(epilog=epilog, rich_help_panel=None)(command)
    jobs_app.callback(invoke_without_command=True, epilog=epilog)(jobs)
    app.add_typer(jobs_app, name="jobs", epilog=epilog)


@contextmanager
def _caller(
    server: str | None, header: Sequence[str] | None, token: str | None, *, answer_seconds: float = 60.0
) -> Iterator["Caller"]:
    from fastprocesses_host.cli.caller import Caller
    from fastprocesses_host.cli.local_server import local_url

    headers = dict(map(_header, header or ()))
    if token:
        headers["Authorization"] = f"Bearer {token}"
    url = server or local_url(os.environ)
    with Caller(url, headers, answer_seconds=answer_seconds) as caller:
        yield caller


def _header(text: str) -> tuple[str, str]:
    name, colon, value = text.partition(":")
    sound = name.strip().isascii() and name.strip() and value.isprintable() and value.isascii()
    if not colon or not sound:
        raise CallError(f"--header {text!r} is not of the form 'Name: value'.", Exit.USAGE)
    return name.strip(), value.strip()


def _wait(
    caller: "Caller",
    place: "JobPlace",
    *,
    quiet: bool = False,
    log: bool | None = None,
    dismiss: bool = False,
    succeed: bool = True,
) -> dict[str, Any]:
    """Wait for a job; interrupted, say how to go on, or stop it."""
    from fastprocesses_host.cli.waiting import require_success, wait

    try:
        info = wait(caller, place, quiet=quiet, log=log)
    except KeyboardInterrupt:
        if dismiss:
            caller.dismiss(place)
            tell(f"The job {place.job_id} is dismissed.")
        else:
            tell(_how_to_go_on(caller, place))
        raise typer.Exit(Exit.INTERRUPTED) from None
    if succeed:
        require_success(caller, info, place)
    return info


def _how_to_go_on(caller: "Caller", place: "JobPlace") -> str:
    lines = [f"The job {place.job_id} goes on."]
    for command, purpose in (
        ("status --watch", "waits for it again"),
        ("results", "writes its results"),
        ("dismiss", "stops it"),
    ):
        lines.append(f"  {_own_command(caller, command, place.job_id)}  {purpose}")
    return "\n".join(lines)


def _own_command(caller: "Caller", command: str, job: str) -> str:
    return f"fastprocesses-host {command} {job} --server {caller.server}"


def _is_wanted(info: Mapping[str, Any], process: str | None, states: Sequence[str] | None) -> bool:
    """Filter again what a server may have ignored."""
    return (not process or info.get("processID", process) == process) and (
        not states or info.get("status") in states
    )


def _print_status(info: Mapping[str, Any], *, as_json: bool) -> None:
    if as_json:
        _print_json(info)
        return
    from fastprocesses_host.cli.tables import aligned

    names = (
        "jobID",
        "processID",
        "status",
        "progress",
        "message",
        "created",
        "started",
        "finished",
        "updated",
        "expires",
    )
    rows = [
        [name, _percent(info) if name == "progress" else _text(info, name)] for name in names if name in info
    ]
    typer.echo(aligned(rows))


def _print_table(headings: Sequence[str], rows: Sequence[Sequence[str]], nothing: str) -> None:
    from fastprocesses_host.cli.tables import aligned

    if rows:
        typer.echo(aligned([headings, *rows]))
    else:
        tell(nothing)


def _print_json(document: Any) -> None:
    json.dump(document, sys.stdout, indent=2, ensure_ascii=False)
    sys.stdout.write("\n")


def _text(document: Mapping[str, Any], name: str) -> str:
    value = document.get(name)
    return "-" if value is None else str(value)


def _title(summary: Mapping[str, Any]) -> str:
    from fastprocesses_host.cli.tables import shortened

    return shortened(str(summary.get("title") or summary.get("description") or "-"), _WIDE)


def _job_id(info: Mapping[str, Any]) -> str:
    return str(info.get("jobID") or info.get("id") or "")


def _percent(info: Mapping[str, Any]) -> str:
    return f"{info['progress']} %" if isinstance(info.get("progress"), int | float) else "-"
