"""Inputs by URLs of a scheme that a plugin knows: fetched by its code in an executor, then checked as any other."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from fastprocesses_host.catalog import Catalog
from fastprocesses_host.engine.worker import with_wanted_schemes
from fastprocesses_host.inputs import check_request
from fastprocesses_host.ogc.exceptions import InvalidParameterValue, ProcessFailed
from fastprocesses_host.ogc.execute import ExecuteRequest
from fastprocesses_host.ogc.jobs import Job, Status
from fastprocesses_host.settings import Settings
from fastprocesses_host.store.announcements import Announcement
from fastprocesses_sdk.description import Discovery, PluginRecord

from tests.host.engine import Engine, Worker, is_gone, running_engine
from tests.support import StoreServer, wait_until

PNG = "image/png"


@pytest.fixture(scope="module")
def running(
    embedded_store: StoreServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Engine, list[Worker]]]:
    folder = tmp_path_factory.mktemp("schemes")
    settings = Settings(
        redis_url=embedded_store.url,
        key_prefix="schemes",
        slots=2,
        value_store_url=f"file://{folder}/values",
        max_value_bytes=1_000_000,
        max_fetched_bytes=1_500_000,
    )
    with running_engine(settings, folder) as started:
        yield started


@pytest.fixture
def engine(running: tuple[Engine, list[Worker]]) -> Engine:
    return running[0]


def gathered(engine: Engine, name: str, value: Any) -> Any:
    return engine.execute("gather", {name: value})[name]


def failure(engine: Engine, url: str, name: str = "note") -> Any:
    with pytest.raises(ProcessFailed) as failed:
        engine.execute("gather", {name: {"href": url}})
    return failed.value


# What comes


def test_a_plugin_fetches(engine: Engine) -> None:
    job = engine.final(engine.submit("gather", {"note": {"href": "memo:text/a%20b"}}))
    assert engine.value(job)["note"] == "a%20b"
    assert [line["text"] for line in engine.log(job.id)] == [
        "looked it up",
        "Fetched the input note through the plugin memo: 5 bytes, text/plain.",
    ]


def test_it_has_its_settings_and_all_its_schemes(engine: Engine) -> None:
    assert gathered(engine, "note", {"href": "Memo+X:text"}) == "hello"


def test_items_of_an_array_come_from_anywhere(engine: Engine) -> None:
    items = [1, {"href": "memo:text/2"}, {"href": "data:,3"}]
    assert gathered(engine, "numbers", items) == [1, 2, 3]


def test_a_large_file_comes_and_goes(engine: Engine) -> None:
    job = engine.final(engine.submit("double-file", {"raster": {"href": "memo:bytes/400000"}}))
    assert job.status is Status.SUCCESSFUL
    assert engine._portal.call(engine.host.output_bytes, job, "result") == b"x" * 800_000


def test_a_file_that_has_another_name_is_copied(engine: Engine) -> None:
    """A process may write into its files, which are those of nobody else."""
    kept = engine.folder / "kept"
    kept.write_text("keep me")
    kept.chmod(0o444)
    job = engine.final(engine.submit("scribble", {"raster": {"href": f"memo:hard{kept}"}}))
    assert job.status is Status.SUCCESSFUL, job.problem
    assert (kept.read_text(), kept.stat().st_mode & 0o777) == ("keep me", 0o444)


# What does not


@pytest.mark.parametrize(
    ("url", "status", "title", "word"),
    [
        ("memo:refuse", 404, "Input not fetched", "could not be fetched. There is no such memo."),
        ("memo:refuse/Lost", 404, "Lost", "could not be fetched. There is no such memo."),
        ("memo:raise", 502, "Input not fetched", "The plugin for memo: URLs ended in an error of its own."),
        ("memo:die", 502, "Input not fetched", "The plugin for memo: URLs was ended by SIGKILL."),
        ("memo:nothing", 502, "Input not fetched", "a file that is not there"),
        ("memo:folder", 502, "Input not fetched", "something that is no file"),
        ("memo:stray/etc/hostname", 502, "Input not fetched", "a file that is not in its folder"),
        ("memo:symbolic/etc/hostname", 502, "Input not fetched", "a file that is not in its folder"),
        ("memo:bytes/1000001", 413, "Input too large", "larger than 1000000 bytes"),
        ("memo:typed/image/tiff", 400, "Invalid parameter value", "The media type image/tiff is not one of"),
    ],
)
def test_a_failure_names_the_input(engine: Engine, url: str, status: int, title: str, word: str) -> None:
    told = failure(engine, url)
    assert (told.status, told.title) == (status, title)
    assert word in told.detail
    assert "Input note" in told.detail
    assert "secret" not in told.detail
    assert told.errors[0]["pointer"].startswith("/inputs/note")


def test_content_is_checked(engine: Engine) -> None:
    told = failure(engine, "memo:text/many", "numbers")
    assert (told.status, told.errors[0]["pointer"]) == (400, "/inputs/numbers")


def test_all_together_may_have_so_much(engine: Engine) -> None:
    with pytest.raises(ProcessFailed, match="may have 1500000 bytes together") as failed:
        engine.execute("gather", {"images": [{"href": "memo:bytes/900000"}, {"href": "memo:bytes/900000"}]})
    assert failed.value.errors[0]["pointer"] == "/inputs/images/1"


def test_only_schemes_that_a_plugin_knows_are_taken(engine: Engine) -> None:
    with pytest.raises(InvalidParameterValue) as refused:
        engine.submit("gather", {"note": {"href": "s3://bucket/key"}})
    assert "Possible schemes: data, http, https, memo, memo+x." in refused.value.detail
    with pytest.raises(InvalidParameterValue, match="not printable"):
        engine.submit("gather", {"note": {"href": "memo:text/a\nb"}})


# Stopping


def test_a_dismissed_job_fetches_no_more(engine: Engine, tmp_path: Path) -> None:
    mark = tmp_path / "begun"
    job_id = engine.submit("gather", {"note": {"href": f"memo:wait{mark}"}})
    wait_until(lambda: mark.exists() and bool(mark.read_text()), 60, "the plugin")
    message = "Fetching the input note: half of it"
    wait_until(lambda: engine.job(job_id).message == message, 60, "its message")
    assert not engine.job(job_id).progress  # that is the process's to tell
    engine.dismiss(job_id)
    wait_until(lambda: is_gone(int(mark.read_text())), 60, "the end of the executor")
    assert gathered(engine, "note", {"href": "memo:text/on"}) == "on"


def test_fetching_ends_with_the_time_of_the_job(engine: Engine, tmp_path: Path) -> None:
    job = engine.final(engine.submit("too-long", {"kind": {"href": f"memo:wait{tmp_path}/begun"}}), 60)
    told = problem(job)
    assert (told.status, told.errors[0]["pointer"]) == (504, "/inputs/kind")
    assert "The plugin for memo: URLs was stopped after" in told.detail


def problem(job: Job) -> Any:
    assert (job.status, job.reason) == (Status.FAILED, "reference")
    assert job.problem is not None
    return job.problem


# The operator's rule


def discovery(*schemes: str) -> Discovery:
    plugin = PluginRecord(
        name="p", distribution="p", version="1", source="p", state="loaded", reference_schemes=list(schemes)
    )
    return Discovery(sdk_version="1", python_version="3", plugins=[plugin])


@pytest.mark.parametrize(
    ("rule", "left"),
    [("*", ["s3", "ftp"]), ("", []), ("FTP, x", ["ftp"]), ("s3,ftp", ["s3", "ftp"]), ("x, *", ["s3", "ftp"])],
)
def test_the_operator_says_which_schemes_are_wanted(rule: str, left: list[str]) -> None:
    ruled = with_wanted_schemes(Settings(reference_schemes=rule), discovery("s3", "ftp"))
    assert ruled.plugins[0].reference_schemes == left


def test_schemes_are_those_of_the_environment_of_a_process(engine: Engine) -> None:
    found = engine.host._offers.values()
    here = next(each.discovery for each in found)
    there = msgspec.structs.replace(here, plugins=[one for one in here.plugins if one.name != "memo"])
    for told, expected in ((here, ("memo", "memo+x")), (there, ())):
        announced = Announcement(environment="a", announced_at=1, discovery=told)
        beside = Announcement(environment="b", announced_at=1, discovery=discovery("s3"))
        assert Catalog.from_announcements([announced, beside]).get("gather").reference_schemes == expected
    request = ExecuteRequest(inputs={"note": msgspec.Raw(b'{"href": "memo:text/a"}')})
    alone = Catalog.from_announcements([Announcement(environment="a", announced_at=1, discovery=there)])
    with pytest.raises(InvalidParameterValue, match="data, http, https"):
        check_request(alone.get("gather"), request)
