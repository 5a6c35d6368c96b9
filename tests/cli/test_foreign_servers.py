"""The commands of callers against servers that follow the standard in their own way."""

import json
import os
import pty
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastprocesses_host.cli import caller
from fastprocesses_host.cli.commands import app
from fastprocesses_host.exits import Exit
from typer.testing import CliRunner, Result

from tests.acceptance.service import COMMAND, clean_environ
from tests.cli.foreign import ANIMALS, OUTPUTS, PARTS, TIFF, ForeignServer, foreign_server

PROCESS = {"id": "greet", "outputs": {"echo": {"schema": {"type": "string"}}}, "inputs": {"name": {}}}
SUCCESSFUL = {"status": "successful"}


@pytest.fixture
def server() -> Iterator[ForeignServer]:
    with foreign_server() as started:
        started.page("/processes/greet", PROCESS)
        yield started


def run(server: ForeignServer, *arguments: str, stdin: bytes = b"") -> Result:
    return CliRunner(env={"FASTPROCESSES_SERVER": server.url + "/"}).invoke(app, arguments, input=stdin)


def execute(server: ForeignServer, *arguments: str) -> Result:
    return run(server, "execute", "greet", "-i", "name=you", *arguments)


def of_several_outputs(server: ForeignServer) -> None:
    server.page("/processes/greet", {"id": "greet", "outputs": OUTPUTS})
    server.page("/files/far.json", ANIMALS)


def test_the_process_list_of_several_sparse_pages(server: ForeignServer):
    server.page(
        "/processes",
        {"processes": [{"id": "a", "title": None}], "links": [{"rel": "next", "href": "processes?page=2"}]},
    )
    server.page("/processes?page=2", {"processes": [{"id": "b", "title": "B\x1b[31m", "version": "1"}, None]})
    done = run(server, "processes")

    assert done.stdout.splitlines() == ["ID  VERSION  TITLE", "a   -        -", "b   1        B [31m"]
    assert done.exit_code == 0


def test_a_page_that_leads_to_itself_is_read_once(server: ForeignServer):
    server.page("/processes", {"processes": [{"id": "a"}], "links": [{"rel": "next", "href": "processes"}]})

    assert len(json.loads(run(server, "processes", "--json").stdout)["processes"]) == 1


def test_a_description_without_anything_is_shown(server: ForeignServer):
    server.page("/processes/greet", {"id": "greet"})
    shown = run(server, "describe", "greet").stdout

    assert shown.startswith("greet\n")
    assert "none told" in shown


@pytest.mark.parametrize(
    ("content_type", "body", "shown"),
    [
        ("application/json", b'{"echo": "hello you"}', "hello you"),
        ("application/json", b'{"echo": {"value": "hello you", "mediaType": "text/plain"}}', "hello you"),
        ("application/json", b'{"echo": {"value": "aGk=", "format": {"encoding": "base64"}}}', "hi"),
        ("application/json", b'{"outputs": [{"id": "echo", "value": "hello you"}]}', "hello you"),
        ("application/json", b'{"outputs": {"echo": 7}}', "7\n"),
        ("application/json", b'{"id": "echo", "value": "hi"}', '{\n  "id": "echo",\n  "value": "hi"\n}\n'),
        ("application/json", b'"hello you"', "hello you"),
        ("application/json;charset=utf-8", b"[1, 2]", "[\n  1,\n  2\n]\n"),
        ("text/plain; charset=utf-8", b"hello you", "hello you"),
    ],
)
def test_one_output_in_every_shape(server: ForeignServer, content_type: str, body: bytes, shown: str):
    server.execution = (200, {"Content-Type": content_type}, body)
    done = execute(server, "--sync")

    assert (done.stdout, done.stderr, done.exit_code) == (shown, "", 0)
    assert server.bodies() == [{"inputs": {"name": "you"}}]
    assert all("Prefer" not in headers for _, _, headers, _ in server.asked)


def test_a_raw_result_is_written_byte_for_byte(server: ForeignServer, tmp_path: Path):
    server.execution = (200, {"Content-Type": "image/tiff"}, TIFF)
    done = execute(server, "-o", str(tmp_path / "out.tif"))

    assert (tmp_path / "out.tif").read_bytes() == TIFF
    assert (done.stdout, done.exit_code) == ("", 0)
    assert server.asked[-1][2]["Prefer"] == "respond-async", "a server may answer at once all the same"


def test_several_outputs_of_multipart_go_into_a_folder(server: ForeignServer, tmp_path: Path):
    of_several_outputs(server)
    server.page("/jobs/j/results", PARTS, Content_Type='multipart/related; boundary="b0"')
    server.execution = (201, {"Location": "../../jobs/j"}, b"")
    server.jobs["j"] = [{"status": "running"}, SUCCESSFUL]
    server.page("/jobs/files/far.json", ANIMALS)
    done = run(server, "execute", "greet", "-o", f"{tmp_path}/out/")

    assert done.exit_code == 0, done.output
    assert (tmp_path / "out" / "text.txt").read_bytes() == b"hello"
    assert (tmp_path / "out" / "image.tif").read_bytes() == TIFF
    assert json.loads((tmp_path / "out" / "far.json").read_text()) == ANIMALS


def test_several_outputs_of_a_document_go_into_files_of_their_own(server: ForeignServer, tmp_path: Path):
    of_several_outputs(server)
    server.execution = (
        200,
        {"Content-Type": "application/json"},
        b'{"text": "hello", "image": "SUkq", "far": {"href": "/api/files/far.json", "type": "application/json"}}',
    )
    named = [f"{name}={tmp_path}/{name}" for name in ("text", "image", "far")]
    done = run(server, "execute", "greet", "--sync", "-o", named[0], "-o", named[1], "-o", named[2])

    assert done.exit_code == 0, done.output
    assert (tmp_path / "text").read_text() == "hello"
    assert (tmp_path / "image").read_bytes() == b"II*"
    assert json.loads((tmp_path / "far").read_text()) == ANIMALS
    assert server.bodies()[0]["outputs"] == {"text": {}, "image": {}, "far": {}}


def test_several_outputs_are_one_document_on_standard_output(server: ForeignServer):
    of_several_outputs(server)
    server.execution = (200, {"Content-Type": 'multipart/related; boundary="b0"'}, PARTS)
    shown = json.loads(run(server, "execute", "greet", "--sync").stdout)

    assert shown["text"] == "hello"
    assert shown["image"]["mediaType"] == "image/tiff"
    assert shown["far"]["href"].endswith("/files/far.json")


def test_results_by_link_headers_alone_are_fetched(server: ForeignServer, tmp_path: Path):
    server.execution = (
        204,
        {"Link": '</api/files/1.tif>; rel="echo"; type="image/tiff", </api>; rel=up'},
        b"",
    )
    server.page("/files/1.tif", TIFF, Content_Type="image/tiff")
    done = execute(server, "--sync", "-o", str(tmp_path / "out.tif"))

    assert done.exit_code == 0, done.output
    assert (tmp_path / "out.tif").read_bytes() == TIFF


@pytest.mark.parametrize(
    ("headers", "info"),
    [
        ({"Location": "/api/jobs/j"}, b"null"),
        ({"Location": "../../jobs/j?f=json"}, b"{}"),
        ({}, b'{"jobID": "j", "status": "accepted"}'),
        ({}, b'{"status": "accepted", "links": [{"rel": "monitor", "href": "/api/jobs/j"}]}'),
        ({"Location": "http://127.0.0.1:9/gone/jobs/j"}, b'{"jobID": "j"}'),
    ],
)
def test_a_job_is_found_however_the_server_says_where_it_is(
    server: ForeignServer, headers: dict[str, str], info: bytes
):
    server.execution = (201, {"Content-Type": "application/json", **headers}, info)
    server.jobs["j"] = [{"status": "accepted"}, {"status": "running", "progress": None}, SUCCESSFUL]
    server.page("/jobs/j/results", {"echo": "hello you"})
    done = execute(server)

    assert (done.stdout, done.stderr, done.exit_code) == ("hello you", "", 0)


def test_the_results_are_where_the_status_says_and_json_goes_before_html(server: ForeignServer):
    relation = "http://www.opengis.net/def/rel/ogc/1.0/results"
    links = [
        {"rel": relation, "href": "/api/elsewhere?f=html", "type": "text/html"},
        {"rel": relation, "href": "/api/elsewhere?f=json", "type": "application/json"},
    ]
    server.jobs["j"] = [{"jobID": "j", "processID": "greet", "status": "successful", "links": links}]
    server.page("/elsewhere?f=json", "hello you")

    assert run(server, "results", "j").stdout == "hello you"


def test_a_job_that_is_not_known_at_once_is_waited_for(server: ForeignServer):
    class Late(dict[str, Any]):
        looks = 0

        def __contains__(self, key: object) -> bool:
            self.looks += 1
            return self.looks > 2 and super().__contains__(key)

    server.execution = (201, {"Location": "/api/jobs/j"}, b"")
    server.jobs = Late(j=[SUCCESSFUL])
    server.page("/jobs/j/results", {"echo": "hello you"})

    assert execute(server).stdout == "hello you"


@pytest.mark.parametrize(
    ("info", "results", "reason"),
    [
        ({"message": "the disk is full"}, None, "the disk is full"),
        ({"exception": {"title": "Too large", "detail": "Give less."}}, None, "Too large: Give less."),
        ({}, {"title": "Bad", "detail": "No such layer"}, "Bad (500): No such layer"),
    ],
)
def test_a_failed_job_is_told_with_its_reason(
    server: ForeignServer, info: dict[str, Any], results: dict[str, Any] | None, reason: str
):
    server.execution = (201, {"Location": "/api/jobs/j"}, b"")
    server.jobs["j"] = [{"status": "failed", **info}]
    server.page("/jobs/j/results", results or {}, 500 if results else 200)
    done = execute(server)

    assert done.exit_code == Exit.JOB
    assert done.stderr == f"error: The job j failed: {reason}\n"


@pytest.mark.parametrize(
    ("status", "content_type", "body", "sentence"),
    [
        (400, "application/json", b'{"code": "InvalidParameterValue", "description": "no name"}', "no name"),
        (400, "application/problem+json", b'{"title": "Bad", "detail": "no name"}', "Bad (400): no name"),
        (422, "application/json", b'{"detail": [{"loc": ["body"]}]}', "Error (422)"),
        (502, "text/html", b"<html><h1>Bad gateway</h1></html>", "answered 502: Bad gateway"),
        (500, "text/plain", b"", "no reason given"),
        (401, "application/json", b"{}", "Error (401)"),
    ],
)
def test_an_error_of_any_form_is_one_sentence(
    server: ForeignServer, status: int, content_type: str, body: bytes, sentence: str
):
    server.execution = (status, {"Content-Type": content_type}, body)
    done = execute(server)

    assert done.exit_code == Exit.REFUSED
    assert done.stderr.startswith("error: ")
    assert sentence in done.stderr
    assert done.stdout == ""


def test_every_fault_of_a_problem_is_told(server: ForeignServer):
    problem = {
        "title": "Invalid",
        "detail": "2 faults",
        "errors": [{"pointer": "/inputs/a", "detail": "one"}, {"pointer": "/inputs/b", "detail": "two"}],
    }
    server.execution = (400, {"Content-Type": "application/json"}, json.dumps(problem).encode())

    assert execute(server).stderr.splitlines() == [
        "error: Invalid (400): 2 faults",
        "  /inputs/a: one",
        "  /inputs/b: two",
    ]


def test_jobs_are_filtered_here_when_the_server_does_not(server: ForeignServer):
    jobs = [
        {"jobID": str(number), "processID": "greet" if number % 2 else "other", "status": "failed"}
        for number in range(10)
    ]
    server.page("/jobs?processID=greet&limit=3", {"jobs": jobs, "links": None})
    found = json.loads(run(server, "jobs", "--process", "greet", "--limit", "3", "--json").stdout)

    assert [each["jobID"] for each in found["jobs"]] == ["1", "3", "5"]


def test_a_job_list_is_a_table_with_dashes_for_what_is_missing(server: ForeignServer):
    server.page(
        "/jobs?limit=20", {"jobs": [{"jobID": "a", "status": "running", "progress": 50}, {"jobID": "b"}]}
    )

    assert run(server, "jobs").stdout.splitlines() == [
        "JOB  PROCESS  STATUS   PROGRESS  CREATED",
        "a    -        running  50 %      -",
        "b    -        -        -         -",
    ]


def test_no_jobs_is_no_error(server: ForeignServer):
    server.page("/jobs?status=failed%2Cdismissed&limit=20", {"jobs": []})
    done = run(server, "jobs", "--status", "failed", "--status", "dismissed")

    assert (done.stdout, done.stderr, done.exit_code) == ("", "There are no such jobs.\n", 0)


def test_a_job_can_be_named_by_its_url(server: ForeignServer):
    server.jobs["j"] = [{"jobID": "j", "status": "running", "progress": 7, "message": "on it"}]
    done = run(server, "status", f"{server.url}/jobs/j")

    assert done.stdout.splitlines() == [
        "jobID     j",
        "status    running",
        "progress  7 %",
        "message   on it",
    ]


def test_a_watched_job_that_was_dismissed_is_an_error(server: ForeignServer):
    server.jobs["j"] = [{"status": "running"}, {"status": "dismissed"}]
    done = run(server, "status", "j", "--watch")

    assert done.exit_code == Exit.JOB
    assert "The job j is dismissed" in done.stderr


def test_results_of_a_running_job_are_refused_with_what_to_do(server: ForeignServer):
    server.jobs["j"] = [{"status": "running"}]
    done = run(server, "results", "j")

    assert done.exit_code == Exit.REFUSED
    assert f"fastprocesses-host status --watch j --server {server.url}" in done.stderr


def test_dismissing_says_what_became_of_the_job(server: ForeignServer):
    server.jobs["j"] = [{"status": "running"}]
    done = run(server, "dismiss", "j")

    assert (done.stderr, done.exit_code) == ("The job j is dismissed.\n", 0)
    assert server.asked[-1][0] == "DELETE"


def test_headers_go_to_the_server_and_to_nobody_else(server: ForeignServer, tmp_path: Path):
    with foreign_server() as other:
        other.page("/files/a", "hello")
        server.execution = (
            200,
            {"Content-Type": "application/json"},
            json.dumps({"echo": {"href": f"{other.url}/files/a"}}).encode(),
        )
        done = execute(
            server, "--sync", "--token", "secret", "--header", "X-Key: k", "-o", str(tmp_path / "out")
        )

        assert done.exit_code == 0, done.output
        assert {headers.get("Authorization") for _, _, headers, _ in server.asked} == {"Bearer secret"}
        assert server.asked[-1][2]["X-Key"] == "k"
        (asked,) = other.asked
        assert not {"Authorization", "X-Key"} & set(asked[2])


def test_redirects_are_followed_with_method_and_body(server: ForeignServer):
    server.page("/processes/moved", PROCESS)
    server.execution = (307, {"Location": "/api/processes/greet/again"}, b"")
    server.page("/processes/greet/again", {"echo": "hello you"})

    assert execute(server).stdout == "hello you"
    assert [body for _, path, _, body in server.asked if path.endswith("again")] == [
        {"inputs": {"name": "you"}}
    ]


def test_a_page_that_is_no_json_names_the_address(server: ForeignServer):
    server.page("/processes", b"<html>", Content_Type="text/html")
    done = run(server, "processes")

    assert done.exit_code == Exit.UNREACHABLE
    assert "text/html that is not JSON. Is this the address of an OGC API - Processes server?" in done.stderr


def test_nobody_there_says_what_to_do():
    done = CliRunner().invoke(app, ["processes", "--server", "127.0.0.1:9"])

    assert done.exit_code == Exit.UNREACHABLE
    assert "fastprocesses-host run" in done.stderr
    assert "--server" in done.stderr


@pytest.mark.parametrize("address", ["ftp://example.org", "http://", "http://[::1", "http://a:b"])
def test_what_is_no_address_of_a_server_is_told(address: str):
    done = CliRunner().invoke(app, ["processes", "--server", address])

    assert done.exit_code == Exit.USAGE
    assert "is not the URL of a server" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["-o", "echo=a", "-o", "b"], "give -o once"),
        (["-o", "/nowhere/at/all/out"], "the folder of /nowhere/at/all/out does not exist"),
        (["-o", "nothing=/nowhere/at/all/out"], "the process has no output 'nothing'"),
        (["--format", "echo"], "NAME=TYPE"),
        (["--format", "nothing=image/png"], "no output 'nothing'"),
        (["--sync", "--no-wait"], "cannot both be"),
        (["--request", "/nowhere/request.json"], "cannot be read"),
        (["--header", "nonsense"], "Name: value"),
        (["--header", "A: b\r\nEvil: c"], "Name: value"),
    ],
)
def test_an_option_that_cannot_be_is_told_before_anything_runs(
    server: ForeignServer, arguments: list[str], sentence: str
):
    done = execute(server, *arguments)

    assert done.exit_code == Exit.USAGE
    assert sentence in done.stderr
    assert server.bodies() == []


def test_one_file_for_several_outputs_is_told_before_anything_runs(server: ForeignServer, tmp_path: Path):
    of_several_outputs(server)
    done = run(server, "execute", "greet", "-o", str(tmp_path / "out"))

    assert done.exit_code == Exit.USAGE
    assert "several outputs (text, image, far)" in done.stderr
    assert server.bodies() == []


def test_a_request_from_a_file_is_sent_with_what_is_added(server: ForeignServer, tmp_path: Path):
    (tmp_path / "request.json").write_text('{"inputs": {"name": "a", "b": [1]}, "subscriber": {}}')
    (tmp_path / "inputs.json").write_text('{"name": "a"}')
    server.page("/processes/greet", {"id": "greet"})
    server.execution = (200, {"Content-Type": "text/plain"}, b"hello")
    run(server, "execute", "greet", "--request", str(tmp_path / "request.json"), "-i", "name=you")
    run(server, "execute", "greet", "--request", str(tmp_path / "inputs.json"))
    execute(server, "--format", "echo=text/plain")

    assert server.bodies() == [
        {"inputs": {"name": "you", "b": [1]}, "subscriber": {}},
        {"inputs": {"name": "a"}},
        {"inputs": {"name": "you"}, "outputs": {"echo": {"format": {"mediaType": "text/plain"}}}},
    ]


@pytest.mark.parametrize(
    ("schema", "document", "files"),
    [
        (
            {"type": "array", "items": OUTPUTS["image"]["schema"]},
            ["SUkq", "SUkrSQ=="],
            {"pictures-0.tif": b"II*", "pictures-1.tif": b"II+I"},
        ),
        (
            {"type": "array"},
            [{"value": "SUkq", "encoding": "base64", "mediaType": "image/tiff"}, {"href": "/api/far.tif"}],
            {"pictures-0.tif": b"II*", "pictures-1.tif": TIFF},
        ),
        ({"type": "array"}, ["SUkq", 1], {"pictures.json": b'["SUkq", 1]'}),
        ({"type": "array"}, [], {"pictures.json": b"[]"}),
    ],
    ids=["described", "qualified", "no files", "nothing"],
)
def test_an_array_of_files_goes_into_a_folder_file_by_file(
    server: ForeignServer, tmp_path: Path, schema: Any, document: Any, files: dict[str, bytes]
):
    server.page("/processes/greet", {"id": "greet", "outputs": {"pictures": {"schema": schema}}})
    server.page("/far.tif", TIFF, Content_Type="image/tiff")
    server.execution = (
        200,
        {"Content-Type": "application/json"},
        json.dumps({"pictures": document}).encode(),
    )
    done = run(server, "execute", "greet", "-o", f"{tmp_path}/out/")

    assert done.exit_code == 0, done.output
    assert {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()} == files


def test_the_name_of_an_output_is_no_way_out_of_the_folder(server: ForeignServer, tmp_path: Path):
    server.page("/processes/greet", {"id": "greet", "outputs": {"../../evil": {}, "b": {}}})
    server.execution = (200, {"Content-Type": "application/json"}, b'{"../../evil": 1, "b": 2}')
    done = run(server, "execute", "greet", "-o", f"{tmp_path}/out/")

    assert done.exit_code == 0
    assert sorted(path.relative_to(tmp_path).parts[0] for path in tmp_path.rglob("*")) == ["out"] * 3


def test_process_ids_are_completed_from_the_server(server: ForeignServer):
    server.page("/processes", {"processes": [{"id": "greet"}, {"id": "grow", "title": "G"}, {"id": "b"}]})
    environ = {
        "FASTPROCESSES_SERVER": server.url,
        "_FASTPROCESSES_HOST_COMPLETE": "complete_bash",
        "COMP_WORDS": "fastprocesses-host execute gr",
        "COMP_CWORD": "2",
    }
    done = CliRunner(env=environ).invoke(app, [], prog_name="fastprocesses-host")

    assert done.stdout.split() == ["greet", "grow"]


def test_completion_where_nobody_answers_is_silent():
    environ = {
        "FASTPROCESSES_SERVER": "http://127.0.0.1:9",
        "_FASTPROCESSES_HOST_COMPLETE": "complete_bash",
        "COMP_WORDS": "fastprocesses-host execute gr",
        "COMP_CWORD": "2",
    }
    done = CliRunner(env=environ).invoke(app, [], prog_name="fastprocesses-host")

    assert (done.stdout.strip(), done.stderr) == ("", "")


def test_a_server_that_is_away_for_a_moment_is_waited_for(
    server: ForeignServer, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(caller, "_FIRST_LOOK_SECONDS", 0.0)
    server.execution = (201, {"Location": "/api/jobs/j"}, b"")
    server.jobs["j"] = [SUCCESSFUL]
    server.page("/jobs/j/results", {"echo": "hello you"})
    found, looks = server._found, iter([503, 502])

    def away(method: str, path: str) -> tuple[int, dict[str, str], bytes]:
        if path == "/jobs/j" and (status := next(looks, None)):
            return status, {}, b""
        return found(method, path)

    server._found = away  # type: ignore[method-assign]

    assert execute(server).stdout == "hello you"


@pytest.mark.parametrize(
    ("content_type", "body", "shown"),
    [
        ("image/tiff", TIFF, "The result is image/tiff: write it into a file with -o FILE."),
        ("text/plain", b"a\x1b[2Jb\n\xc3\xa9", "a [2Jb\r\né"),
        ("application/json", b'"a\\u001b[2Jb"', "a [2Jb"),
        ("application/json", b'{"a": "\\u001b[2J"}', '{\r\n  "a": "\\u001b[2J"\r\n}'),
    ],
)
def test_a_terminal_gets_text_that_it_does_not_obey(
    server: ForeignServer, content_type: str, body: bytes, shown: str
):
    server.execution = (200, {"Content-Type": content_type}, body)
    primary, secondary = pty.openpty()
    command = [COMMAND, "execute", "greet", "-i", "name=you", "--sync", "--server", server.url]
    environ = clean_environ() | {"PYTHONUTF8": "1"}
    done = subprocess.run(command, stdout=secondary, stderr=secondary, timeout=50, env=environ)
    os.close(secondary)
    with os.fdopen(primary, "rb", buffering=0) as terminal:
        printed = terminal.read(65_536).decode()

    assert done.returncode == 0
    assert printed == shown + "\r\n"
