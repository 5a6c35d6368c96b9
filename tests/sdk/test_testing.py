"""`fp.testing` runs processes as a server would: through encoding, checks, a real child, and decoding."""

import asyncio
import ctypes
import dataclasses
import datetime as dt
import os
import re
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import fastprocesses_sdk as fp
import psutil
import pytest
from fastprocesses_sdk.testing import (
    Cancelled,
    InvalidInputs,
    LogLine,
    ProcessFailed,
    Run,
    Runner,
    TimedOut,
    run_process,
)

from tests.support import wait_until

STARTS: list[str] = []


@fp.on_start
def note_start() -> None:
    STARTS.append("started")


@dataclasses.dataclass
class Corner:
    """Something with `__geo_interface__`."""

    x: float
    y: float

    @property
    def __geo_interface__(self) -> dict[str, Any]:
        return {"type": "Point", "coordinates": [self.x, self.y]}


class Told(fp.Outputs):
    """Several outputs."""

    number: int
    text: Annotated[str, fp.Media("text/csv")]
    image: Annotated[bytes, fp.Media("image/png")]
    box: fp.BBox
    missing: str | None = None


@fp.process
def add(a: int, b: int = 1, *, job: fp.Job = fp.NO_JOB) -> int:
    """Add two numbers."""
    job.progress(10, "adding")
    job.progress(90)
    job.message("added")
    job.log("done", level="warning", total=a + b)
    return a + b


@fp.process
def tell() -> Told:
    """Give one of each."""
    return Told(number=1, text="a,b", image=b"\x89PNG", box=fp.BBox([1.0, 2.0, 3.0, 4.0]))


@fp.process
async def count(features: fp.FeatureCollection) -> int:
    """Count features, asynchronously."""
    await asyncio.sleep(0)
    return len(features.features)


@fp.process
def where(point: fp.Point, day: dt.date, tags: Annotated[list[str], fp.Input(occurs=(1, 2))]) -> str:
    """Tell the values as text."""
    return f"{point.coordinates} {day.isoformat()} {tags}"


@fp.process
def length(data: Annotated[bytes, fp.Media("image/png", "image/jpeg")]) -> int:
    """Tell how many bytes there are."""
    return len(data)


@fp.process
def letters(text: Annotated[str, fp.Media("text/plain")]) -> int:
    """Tell how many letters there are."""
    return len(text)


@fp.process
def draw(*, job: fp.Job = fp.NO_JOB) -> Annotated[bytes, fp.Media("image/png", "image/jpeg")]:
    """Draw in the format that is wanted."""
    return job.format("result").encode()


@fp.process
def copy(
    file: Annotated[Path, fp.Media("text/csv")], *, job: fp.Job = fp.NO_JOB
) -> Annotated[Path, fp.Media("application/x-copy")]:
    """Copy a file."""
    target = job.workdir / "copy"
    target.write_bytes(file.read_bytes() * 2)
    return target


@fp.process
def surroundings(*, job: fp.Job = fp.NO_JOB) -> list[str]:
    """Tell where it runs."""
    Path("left").touch()
    return [str(os.getpid()), str(Path.cwd()), str(job.workdir), os.environ.get("OF_THE_TEST", ""), *STARTS]


class Unspeakable(Exception):
    """It cannot even be told."""

    def __str__(self) -> str:
        raise RuntimeError("no words")


@fp.process
def fail(how: str, *, job: fp.Job = fp.NO_JOB) -> int:
    """Fail."""
    job.progress(33, "about to fail")
    if how == "declared":
        raise fp.ProcessError("Not this.", title="No", status=422, input="how")
    if how == "raise":
        raise RuntimeError("a bug")
    if how == "sys.exit":
        sys.exit(4)
    if how == "exit":
        os._exit(4)
    if how == "segfault":
        ctypes.string_at(0)
    if how == "interrupt":
        raise KeyboardInterrupt
    if how == "give up":
        raise fp.JobCancelled
    if how == "cancelled":
        raise asyncio.CancelledError
    if how == "unspeakable":
        raise Unspeakable
    if how == "endless":
        endless: list[Any] = []
        endless.append(endless)
        return endless  # type: ignore[return-value]
    return how  # type: ignore[return-value]


@fp.process(timeout_seconds=30)
def wait(seconds: float, how: str = "sleep", *, job: fp.Job = fp.NO_JOB) -> str:
    """Wait."""
    job.progress(50, f"pid {os.getpid()}")
    if how == "c":
        re.match(r"(a+)+$", "a" * 60 + "b")
    if how == "politely":
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            job.check_cancelled()
            time.sleep(0.01)
    time.sleep(seconds)
    return "waited"


@fp.process(timeout_seconds=0.5)
def impatient() -> str:
    """Wait longer than it declares itself."""
    time.sleep(30)
    return "?"


class Upper:
    """Described by hand."""

    description = fp.ProcessDescription(
        id="upper",
        version="1",
        title="Upper",
        description="Write in capitals.",
        inputs={"text": fp.InputDescription(title="Text", description="A text.", schema={"type": "string"})},
        outputs={
            "short": fp.OutputDescription(
                title="Short", description="In capitals.", schema={"type": "string", "maxLength": 3}
            )
        },
    )

    def execute(self, inputs: Mapping[str, Any], job: fp.Job) -> Mapping[str, Any]:
        return {"short": inputs["text"].upper()}


class Greeting(fp.Settings):
    """Of the process below."""

    word: str
    token: fp.Secret = fp.Secret("none")


@fp.process
def greet(name: str, *, settings: Greeting) -> str:
    """Greet someone."""
    return f"{settings.word} {name} {settings.token.reveal()}"


CHILD, IN_PROCESS = Runner(), Runner(in_process=True)
both = pytest.mark.parametrize("runner", [CHILD, IN_PROCESS], ids=["child", "in process"])
POINT = {"type": "Point", "coordinates": [7, 51]}
FEATURE = {"type": "Feature", "properties": None, "geometry": POINT}


@both
def test_a_run_has_the_result_and_what_was_reported(runner):
    run = runner.run(add, a=2)

    assert run == Run(
        outputs={"result": 3},
        media_types={"result": "application/json"},
        progress=[10, 90],
        messages=["adding", "added"],
        log=[LogLine("warning", "done", {"total": 3})],
    )
    assert run.result == 3


@both
def test_outputs_are_decoded_by_what_they_are(runner):
    run = runner.run(tell)

    assert run.outputs["number"] == 1
    assert run.outputs["text"] == "a,b"
    assert run.outputs["image"] == b"\x89PNG"
    assert run.outputs["box"]["bbox"] == [1, 2, 3, 4]
    assert "missing" not in run.outputs
    assert run.media_types["image"] == "image/png"
    with pytest.raises(LookupError, match="number, text, image, box"):
        _ = run.result


@both
def test_outputs_and_formats_can_be_chosen(runner):
    where = {"in_process": runner is IN_PROCESS}

    assert Runner(outputs=["number"], **where).run(tell).outputs == {"number": 1}
    assert Runner(formats={"result": "image/jpeg"}, **where).run(draw).result == b"image/jpeg"
    assert runner.run(draw).result == b"image/png"
    with pytest.raises(fp.ProcessError, match="image/gif"):
        Runner(formats={"result": "image/gif"}, **where).run(draw)


@pytest.mark.parametrize(
    "features",
    [
        fp.FeatureCollection([fp.Feature(), fp.Feature()]),
        {"type": "FeatureCollection", "features": [FEATURE, FEATURE]},
        {"value": {"type": "FeatureCollection", "features": [FEATURE, FEATURE]}},
    ],
    ids=["object", "JSON", "qualified value"],
)
@both
def test_geojson_is_given_as_an_object_or_as_json(runner, features):
    assert runner.run(count, features=features).result == 2


def test_a_path_stands_for_the_content_of_its_file(tmp_path):
    (tmp_path / "two.geojson").write_text('{"type": "FeatureCollection", "features": []}')
    (tmp_path / "image.jpg").write_bytes(b"12345")
    (tmp_path / "text.txt").write_text("äöü", "utf-8")

    assert run_process(count, features=tmp_path / "two.geojson").result == 0
    assert run_process(length, data=tmp_path / "image.jpg").result == 5
    assert run_process(letters, text=tmp_path / "text.txt").result == 3
    with pytest.raises(InvalidInputs, match="nowhere"):
        run_process(length, data=tmp_path / "nowhere.png")


@both
def test_files_go_in_and_come_out_with_their_content(runner, tmp_path):
    (tmp_path / "large.csv").write_bytes(b"a,b\n" * 500_000)

    run = runner.run(copy, file=tmp_path / "large.csv")

    assert run.result == b"a,b\n" * 1_000_000
    assert run.media_types == {"result": "application/x-copy"}
    assert runner.run(copy, file=b"1").result == b"11"


@both
def test_an_async_process_is_run_from_a_test_with_an_event_loop_too(runner):
    async def test() -> Any:
        return runner.run(count, features={"type": "FeatureCollection", "features": []}).result

    assert asyncio.run(test()) == 0


def test_python_values_are_encoded_as_a_client_would():
    run = run_process(where, point=Corner(1.0, 2.0), day=dt.date(2026, 1, 31), tags=("a", "b"))

    assert run.result == "[1.0, 2.0] 2026-01-31 ['a', 'b']"
    assert run_process(where, point=POINT, day="2026-01-31", tags="a").result.endswith("['a']")
    assert run_process(length, data=b"123").result == 3
    assert run_process(length, data={"value": "MTIz", "mediaType": "image/jpeg"}).result == 3
    assert run_process(add, a=1, b=None).result == 2


INVALID: dict[str, tuple[Any, dict[str, Any], list[str]]] = {
    "type": (add, {"a": "x"}, ["a"]),
    "several": (add, {"a": "x", "b": 1.5, "c": 1}, ["c", "a", "b"]),
    "missing": (add, {}, ["a"]),
    "deep": (
        count,
        {"features": {"type": "FeatureCollection", "features": [FEATURE, 5]}},
        ["features/features/1"],
    ),
    "format": (where, {"point": POINT, "day": "31.1.", "tags": ["a"]}, ["day"]),
    "item": (where, {"point": POINT, "day": "2026-01-31", "tags": ["a", 1]}, ["tags/1"]),
    "too many": (where, {"point": POINT, "day": "2026-01-31", "tags": ["a"] * 3}, ["tags"]),
    "too few": (where, {"point": POINT, "day": "2026-01-31", "tags": []}, ["tags"]),
    "base64": (length, {"data": "%"}, ["data"]),
    "media type": (length, {"data": {"value": "MTIz", "mediaType": "image/gif"}}, ["data"]),
    "reference": (count, {"features": {"href": "http://localhost/"}}, ["features"]),
    "no JSON": (add, {"a": object()}, ["a"]),
}


@pytest.mark.parametrize("case", INVALID)
def test_inputs_that_do_not_fit_are_told_with_their_places(case):
    process, inputs, places = INVALID[case]

    with pytest.raises(InvalidInputs) as caught:
        run_process(process, **inputs)

    assert [place for place, _ in caught.value.faults] == places
    assert all(f"  {place}: {text}" in str(caught.value) for place, text in caught.value.faults)


@both
def test_what_a_process_declares_is_raised_as_it_was(runner):
    with pytest.raises(fp.ProcessError) as caught:
        runner.run(fail, how="declared")

    error = caught.value
    assert (error.detail, error.title, error.status, error.input) == ("Not this.", "No", 422, "how")


FAILURES = {
    "raise": ("raised RuntimeError: a bug", "in fail"),
    "sys.exit": ("raised SystemExit: 4", "in fail"),
    "wrong": ("output 'result'", ""),
    "give up": ("", ""),
    "cancelled": ("raised CancelledError", "in fail"),
    "unspeakable": ("raised Unspeakable", "in fail"),
    "endless": ("It contains itself, or is nested too deeply", ""),
}
CRASHES = {
    "exit": ("ended the process with exit code 4", ""),
    "segfault": ("crashed the process (SIGSEGV)", "in fail"),
    "interrupt": ("interrupted itself", ""),
}


@pytest.mark.parametrize("how", FAILURES)
@both
def test_a_bug_of_a_process_is_a_failure_with_its_traceback(runner, how):
    sentence, place = FAILURES[how]

    with pytest.raises(ProcessFailed) as caught:
        runner.run(fail, how=how)

    assert sentence in str(caught.value)
    assert place in caught.value.traceback
    assert (caught.value.run.progress, caught.value.run.messages) == ([33], ["about to fail"])


@pytest.mark.parametrize("how", CRASHES)
def test_a_crash_of_a_process_is_not_one_of_the_tests(how):
    sentence, place = CRASHES[how]

    with pytest.raises(ProcessFailed) as caught:
        run_process(fail, how=how)

    assert sentence in str(caught.value)
    assert place in caught.value.traceback
    assert caught.value.run.progress == [33]
    assert run_process(add, a=1).result == 2


@both
def test_a_class_with_a_description_is_run_and_held_to_it(runner):
    assert runner.run(Upper, text="abc").outputs == {"short": "ABC"}
    with pytest.raises(ProcessFailed, match="output short"):
        runner.run(Upper, text="abcd")


def test_what_is_no_process_is_told():
    with pytest.raises(TypeError, match=r"write @fp\.process"):
        run_process(len)


# Time and cancelling


@pytest.mark.parametrize("how", ["sleep", "c", "politely"])
def test_a_process_that_takes_too_long_is_stopped(how):
    with pytest.raises(TimedOut, match="longer than 2 seconds") as caught:
        Runner(timeout_seconds=2).run(wait, seconds=30, how=how)

    pid = int(caught.value.run.messages[0].split()[1])
    wait_until(lambda: not psutil.pid_exists(pid), what="the end of the child")


def test_in_process_only_a_process_that_asks_is_stopped():
    with pytest.raises(TimedOut):
        Runner(in_process=True, timeout_seconds=0.2).run(wait, seconds=30, how="politely")
    assert Runner(in_process=True, timeout_seconds=0.01).run(add, a=1).result == 2


def test_the_time_that_a_process_declares_counts_too():
    with pytest.raises(TimedOut, match=r"0\.5 seconds"):
        run_process(impatient)


@pytest.mark.parametrize("how", ["sleep", "c", "politely"])
def test_a_run_is_cancelled_when_the_test_says_so(how):
    with pytest.raises(Cancelled) as caught:
        Runner(cancel_when=lambda run: 50 in run.progress).run(wait, seconds=30, how=how)

    assert caught.value.run.progress == [50]


def test_in_process_a_run_is_cancelled_where_it_asks():
    runner = Runner(in_process=True, cancel_when=lambda run: 50 in run.progress)

    with pytest.raises(Cancelled):
        runner.run(wait, seconds=30, how="politely")


# Where it runs


@both
def test_a_process_runs_in_a_folder_of_its_own_which_is_removed(runner):
    before = Path.cwd()

    first, second = runner.run(surroundings).result, runner.run(surroundings).result

    assert first[1] == first[2] != second[1]
    assert not Path(first[1]).exists()
    assert Path.cwd() == before


def test_the_child_is_used_again_while_nothing_has_changed(monkeypatch):
    pid, *_, start = run_process(surroundings).result
    again = run_process(surroundings).result
    monkeypatch.setenv("OF_THE_TEST", "yes")
    changed = run_process(surroundings).result

    assert (again[0], again[4:]) == (pid, [start])
    assert changed[0] != pid
    assert changed[3] == "yes"
    assert int(pid) != os.getpid()


def test_in_process_monkeypatch_reaches_the_process(monkeypatch):
    monkeypatch.setattr(os, "getpid", lambda: -1)

    assert Runner(in_process=True).run(surroundings).result[0] == "-1"


def test_a_module_that_was_written_anew_is_imported_anew(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(tmp_path))
    file = tmp_path / "written_anew.py"
    code = "import fastprocesses_sdk as fp\n@fp.process\ndef version() -> int:\n    return {}\n"
    file.write_text(code.format(1))
    import written_anew

    first = run_process(written_anew.version).result
    file.write_text(code.format(2))
    os.utime(file, ns=(0, file.stat().st_mtime_ns + 10**9))

    assert (first, run_process(written_anew.version).result) == (1, 2)


def test_a_process_inside_a_function_is_told_where_to_go():
    @fp.process
    def inner() -> int:
        return 1

    with pytest.raises(LookupError, match=r"Runner\(in_process=True\)"):
        run_process(inner)
    assert Runner(in_process=True).run(inner).result == 1


def test_runs_of_several_threads_do_not_meet():
    results: dict[int, int] = {}

    def work(number: int) -> None:
        results[number] = run_process(add, a=number).result

    threads = [threading.Thread(target=work, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert results == {0: 1, 1: 2, 2: 3}


@both
def test_it_is_said_how_a_test_gives_settings(runner):
    with pytest.raises(ProcessFailed, match=r"'word'.*is missing; .*fp\.testing\.Runner\(settings="):
        runner.run(greet, name="you")


@both
def test_settings_are_handed_over(runner):
    where = {"in_process": runner is IN_PROCESS}
    made = Runner(settings=Greeting(word="Hello", token=fp.Secret("psst")), **where)
    read = Runner(settings={"word": "Bye"}, **where)

    assert made.run(greet, name="you").result == "Hello you psst"
    assert read.run(greet, name="you").result == "Bye you none"
    with pytest.raises(ProcessFailed, match="'word' is missing"):
        runner.run(greet, name="you")


SCRIPT = """
    import sys
    import fastprocesses_sdk as fp

    @fp.process
    def main_pid() -> list[int]:
        import os
        return [os.getpid(), os.getppid()]

    if __name__ == "__main__":
        print(*fp.testing.run_process(main_pid).result, flush=True)
        sys.stdin.read()
"""


@pytest.mark.parametrize("end", ["in order", "killed"])
def test_a_process_of_a_script_is_run_and_its_child_ends_with_the_script(tmp_path, end):
    (tmp_path / "script.py").write_text(textwrap.dedent(SCRIPT))

    with subprocess.Popen(
        [sys.executable, str(tmp_path / "script.py")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as script:
        assert script.stdin
        assert script.stdout
        child, parent = map(int, script.stdout.readline().split())
        assert parent == script.pid
        if end == "killed":
            script.send_signal(signal.SIGKILL)
        script.stdin.close()

    wait_until(lambda: not psutil.pid_exists(child), what="the end of the child")


def test_what_has_no_file_cannot_be_run_in_a_child():
    code = textwrap.dedent(SCRIPT).replace("sys.stdin.read()", "")

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)

    assert "Runner(in_process=True)" in done.stderr


def test_without_the_extra_a_sentence_names_it():
    code = textwrap.dedent(SCRIPT).replace("run_process(", "Runner(in_process=True).run(")
    code = "import sys; sys.modules['jsonschema_rs'] = None\n" + code

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)

    assert "pip install 'fastprocesses-sdk[test]'" in done.stderr
