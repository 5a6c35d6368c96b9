"""What a crash left on the disk, and where the store of a running service is."""

import socket
from pathlib import Path

from fastprocesses_host.private_store import noted_store_url, private_store
from fastprocesses_host.store.leftovers import remove_unfinished
from fastprocesses_host.store.values import FileValues

JOB = "018bcfe5-6800-77be-a29b-df0345e8cb02"


def test_what_was_being_written_is_removed_and_values_stay(tmp_path: Path) -> None:
    values = FileValues(tmp_path / "values")
    kept = values.put(JOB, b"kept")
    path, file = values.create()
    file.write(b"half")
    file.close()

    assert remove_unfinished(values.folder) == 1

    assert not path.exists()
    with values.open(kept) as opened:
        assert opened.read() == b"kept"
    assert remove_unfinished(tmp_path / "not there") == 0
    values.close()


def test_the_store_of_a_running_service_is_found(tmp_path: Path) -> None:
    assert noted_store_url(tmp_path) == ""
    with private_store(tmp_path) as store:
        assert noted_store_url(tmp_path) == ""
        with socket.socket(socket.AF_UNIX) as listening:
            listening.bind(str(store.socket))
            assert noted_store_url(tmp_path) == store.url
    assert noted_store_url(tmp_path) == ""
