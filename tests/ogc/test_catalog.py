"""The catalogue: the union of what the environments offer."""

import msgspec
import pytest
from fastprocesses_host.catalog import Announcement, Catalog
from fastprocesses_host.ogc.exceptions import NoSuchProcess
from fastprocesses_sdk.description import Discovery, PluginRecord, ProcessRecord

from tests.ogc.examples import process


def plugin(name: str, *ids: str, state: str = "loaded", version: str = "1") -> PluginRecord:
    offered = [process(id=process_id, keywords=[version]) for process_id in ids]
    records = [
        ProcessRecord(description=each.description, policy=each.policy, digest=each.digest)
        for each in offered
    ]
    members = {"name": name, "distribution": name, "version": version, "source": name, "state": state}
    return msgspec.structs.replace(msgspec.convert(members, PluginRecord), processes=records)


def announced(environment: str, *plugins: PluginRecord) -> Announcement:
    discovery = Discovery(sdk_version="1", python_version="3.11", plugins=list(plugins))
    return Announcement(environment=environment, announced_at=1, discovery=discovery)


def test_processes_of_all_environments_are_offered_by_id():
    catalog = Catalog.from_announcements(
        [announced("b", plugin("two", "y", "a")), announced("a", plugin("one", "x"))]
    )

    assert list(catalog.processes) == ["a", "x", "y"]
    assert (catalog.get("x").environment, catalog.get("x").plugin) == ("a", "one")
    assert catalog.get("y").environment == "b"
    assert [record.name for record in catalog.plugins] == ["one", "two"]


def test_of_equal_ids_the_first_environment_wins():
    catalog = Catalog.from_announcements(
        [announced("b", plugin("late", "z", "x")), announced("a", plugin("early", "x"))]
    )

    assert list(catalog.processes) == ["x"]
    assert catalog.get("x").plugin == "early"
    assert [(record.name, record.state) for record in catalog.plugins] == [
        ("early", "loaded"),
        ("late", "quarantined"),
    ]
    assert catalog.plugins[1].reason == "The process x is already offered by early in the environment a."


def test_what_is_quarantined_is_shown_and_not_offered():
    catalog = Catalog.from_announcements([announced("a", plugin("broken", "x", state="quarantined"))])

    assert not catalog.processes
    assert [record.name for record in catalog.plugins] == ["broken"]


@pytest.mark.parametrize(("asked", "hint"), [("ecko", " Did you mean echo?"), ("xyz", ""), ("", "")])
def test_an_unknown_process_is_told_with_the_nearest(asked, hint):
    catalog = Catalog.from_announcements([announced("a", plugin("one", "echo"))])

    with pytest.raises(NoSuchProcess) as raised:
        catalog.get(asked)
    assert raised.value.detail == f"No process {asked} is offered.{hint}"


def test_the_etag_changes_with_what_is_offered_alone():
    one = Catalog.from_announcements([announced("a", plugin("one", "x"))])
    same = Catalog.from_announcements([announced("a", plugin("one", "x"), plugin("none"))])
    other = Catalog.from_announcements([announced("a", plugin("one", "x", version="2"))])

    assert one.etag == same.etag != other.etag


def test_nothing_announced_is_an_empty_catalogue():
    assert Catalog.from_announcements([]).processes == {}
