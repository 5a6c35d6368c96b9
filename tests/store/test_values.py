"""Large values as files: written once, found by location, and nothing else is ever opened."""

import stat
from pathlib import Path

import pytest
from fastprocesses_host.store.values import FileValues, NoSuchValue

JOB = "018bcfe5-6800-77be-a29b-df0345e8cb02"


@pytest.fixture
def values(tmp_path: Path):
    values = FileValues(tmp_path / "values")
    yield values
    values.close()


def test_bytes_and_files_come_back(values: FileValues, tmp_path: Path) -> None:
    (tmp_path / "source").write_bytes(b"from a file")
    for source, content in ((b"bytes", b"bytes"), (tmp_path / "source", b"from a file")):
        location = values.put(JOB, source)
        with values.open(location) as file:
            assert file.read() == content
        assert values.path(location).read_bytes() == content
        assert stat.S_IMODE(values.path(location).stat().st_mode) == 0o600
    assert stat.S_IMODE(values.folder.stat().st_mode) == 0o700


def test_what_is_deleted_is_gone_and_may_be_deleted_again(values: FileValues) -> None:
    location = values.put(JOB, b"x")
    values.delete(location)
    values.delete(location)
    with pytest.raises(NoSuchValue):
        values.open(location)


@pytest.mark.parametrize(
    "location",
    [
        "",
        "file:",
        "file:../../etc/passwd",
        "/etc/passwd",
        "file:/etc/passwd",
        f"file:aa/../{JOB}.0123456789abcdef",
    ],
)
def test_other_locations_are_refused(values: FileValues, location: str) -> None:
    for use in (values.open, values.path, values.delete):
        with pytest.raises(NoSuchValue):
            use(location)


def test_links_are_not_followed(values: FileValues, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret")
    location = values.put(JOB, b"x")
    path = values.path(location)
    path.unlink()
    path.symlink_to(tmp_path / "secret")
    with pytest.raises(NoSuchValue):
        values.open(location)
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "secret")
    with pytest.raises(OSError, match="symbolic links"):
        values.put(JOB, link)
    assert not [file for file in values.folder.rglob(".*") if file.is_file()]


def test_orphans_are_found_when_they_are_old(values: FileValues) -> None:
    location = values.put(JOB, b"x")
    partial = values.path(location).with_name("." + "x" * 53)
    partial.write_bytes(b"half")
    assert list(values.orphans()) == []
    later = partial.stat().st_mtime + 3601
    assert list(values.orphans(now_seconds=later)) == [(JOB, location)]
    assert not partial.exists()
