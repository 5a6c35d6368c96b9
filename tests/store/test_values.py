"""Large values as files: written once, found by location, and nothing else is ever opened."""

import os
import stat
import tempfile
from pathlib import Path

import pytest
from fastprocesses_host.store.values import FileValues, NoSuchValue

NOWHERE = Path("/nowhere")
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
        assert values.local(location, NOWHERE).read_bytes() == content
        assert stat.S_IMODE(values.local(location, NOWHERE).stat().st_mode) == 0o600
    assert stat.S_IMODE(values.folder.stat().st_mode) == 0o700


def test_a_file_is_moved_in(values: FileValues, tmp_path: Path) -> None:
    source = tmp_path / "result.tif"
    source.write_bytes(b"content")
    source.chmod(0o644)
    inode = source.stat().st_ino

    path = values.local(values.move(JOB, source), NOWHERE)

    assert path.read_bytes() == b"content"
    assert path.stat().st_ino == inode
    assert not source.exists()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_file_that_others_hold_is_copied(values: FileValues, tmp_path: Path) -> None:
    source = tmp_path / "result.tif"
    source.write_bytes(b"content")
    (tmp_path / "other").hardlink_to(source)

    path = values.local(values.move(JOB, source), NOWHERE)
    (tmp_path / "other").write_bytes(b"changed")

    assert path.read_bytes() == b"content"


@pytest.mark.skipif(not Path("/dev/shm").is_dir(), reason="there is no file system in memory")
def test_a_file_of_another_file_system_is_copied(values: FileValues) -> None:
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        source = Path(folder) / "result.tif"
        source.write_bytes(b"content")

        assert values.local(values.move(JOB, source), NOWHERE).read_bytes() == b"content"


@pytest.mark.parametrize("kind", ["link", "pipe", "folder"])
@pytest.mark.parametrize("way", ["put", "move"])
def test_only_plain_files_are_taken(values: FileValues, tmp_path: Path, kind: str, way: str) -> None:
    source = tmp_path / "result"
    if kind == "pipe":
        os.mkfifo(source)
    elif kind == "link":
        (tmp_path / "secret").write_text("secret")
        source.symlink_to(tmp_path / "secret")
    else:
        source.mkdir()

    with pytest.raises(OSError):
        getattr(values, way)(JOB, source)


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
    for use in (values.open, values.length, values.delete):
        with pytest.raises(NoSuchValue):
            use(location)


def test_links_are_not_followed(values: FileValues, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret")
    location = values.put(JOB, b"x")
    path = values.local(location, NOWHERE)
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
    partial = values.local(location, NOWHERE).with_name("." + "x" * 53)
    partial.write_bytes(b"half")
    assert list(values.orphans()) == []
    later = partial.stat().st_mtime + 3601
    assert list(values.orphans(now_seconds=later)) == [(JOB, location)]
    assert not partial.exists()


def test_a_new_file_is_kept_under_a_name_of_its_own(values: FileValues) -> None:
    path, file = values.create()
    with file:
        file.write(b"content")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600

    first, second = values.link(JOB, path), values.link(JOB, path)
    path.unlink()
    values.delete(first)

    with values.open(second) as kept:
        assert kept.read() == b"content"


def test_a_new_file_is_copied_where_it_can_have_one_name_only(
    values: FileValues, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError

    path, file = values.create()
    with file:
        file.write(b"content")
    monkeypatch.setattr(os, "link", refuse)

    assert values.local(values.link(JOB, path), NOWHERE).read_bytes() == b"content"


def test_a_new_file_that_is_gone_cannot_be_kept(values: FileValues) -> None:
    path, file = values.create()
    file.close()
    path.unlink()

    with pytest.raises(FileNotFoundError):
        values.link(JOB, path)
    assert not [left for left in values.folder.rglob("*") if left.is_file()]


def test_new_files_that_a_crash_left_are_deleted(values: FileValues) -> None:
    path, file = values.create()
    file.close()
    assert list(values.orphans()) == []
    assert path.exists()
    assert list(values.orphans(now_seconds=path.stat().st_mtime + 3601)) == []
    assert not path.exists()
