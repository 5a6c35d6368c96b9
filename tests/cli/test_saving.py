"""Files that outputs are written to: whole, or as they were before."""

from collections.abc import Iterator
from typing import IO

import pytest
from fastprocesses_host.cli.caller import Caller
from fastprocesses_host.cli.received import Value
from fastprocesses_host.cli.saving import Destinations, save


class Broken(Value, kw_only=True):
    """What a server sent half of when somebody pressed Ctrl-C."""

    def write(self, target: IO[bytes]) -> None:
        target.write(b"half")
        raise KeyboardInterrupt


@pytest.fixture
def caller() -> Iterator[Caller]:
    with Caller("http://127.0.0.1:9") as found:
        yield found


@pytest.mark.parametrize("before", [None, b"before"])
def test_a_file_is_written_whole_or_not_at_all(tmp_path, caller, before):
    file = tmp_path / "out.tif"
    if before is not None:
        file.write_bytes(before)
    with pytest.raises(KeyboardInterrupt):
        save({"result": Broken()}, Destinations(file=str(file)), caller)
    assert (file.read_bytes() if file.exists() else None) == before
    assert [path.name for path in tmp_path.iterdir()] == ([] if before is None else ["out.tif"])


def test_a_link_stays_one_and_what_is_no_plain_file_is_written_to(tmp_path, caller):
    target, link = tmp_path / "target", tmp_path / "link"
    link.symlink_to(target)
    save({"result": Value(content=b"whole")}, Destinations(file=str(link)), caller)
    assert link.is_symlink()
    assert target.read_bytes() == b"whole"
    save({"result": Value(content=b"away")}, Destinations(file="/dev/null"), caller)
