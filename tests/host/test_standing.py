"""What a plugin has offered it keeps, as the workers of its environment remember in the store."""

import fastprocesses_sdk as fp
from fastprocesses_host.engine.standing import settle
from fastprocesses_host.store.client import Store
from fastprocesses_host.store.keys import Keys
from fastprocesses_sdk.description import Discovery, PluginRecord, ProcessRecord


def discovery(**offered: str) -> Discovery:
    """Plugins by name, each with one process."""
    plugins = [
        PluginRecord(
            name=name, distribution=name, version="1", source="s", state="loaded",
            processes=[
                ProcessRecord(
                    description=fp.ProcessDescription(id=process, version="1", title=name, description="D."),
                    policy=fp.Policy(),
                    digest=name,
                )
            ],
        )
        for name, process in offered.items()
    ]  # fmt: skip
    return Discovery(sdk_version="0", python_version="3", plugins=plugins)


def offering(found: Discovery) -> list[str]:
    return [plugin.name for plugin in found.plugins if plugin.state == "loaded"]


def test_a_newcomer_does_not_displace_who_stood(store: Store):
    assert offering(settle(discovery(m="x"), store, "default")) == ["m"]

    found = settle(discovery(a="x", m="x"), store, "default")

    assert offering(found) == ["m"]
    assert "'x' is taken by m (m), which offered it before" in found.plugins[0].reason
    assert offering(settle(discovery(a="x", m="x"), store, "another")) == ["a"]


def test_who_is_gone_is_forgotten(store: Store):
    settle(discovery(m="x"), store, "default")

    assert offering(settle(discovery(a="x"), store, "default")) == ["a"]
    assert offering(settle(discovery(a="x", m="x"), store, "default")) == ["a"]


def test_without_a_store_or_with_a_strange_text_in_it_the_alphabet_decides(store: Store, key_prefix: str):
    away = Store("unix:///nowhere/s", Keys.of(key_prefix))
    assert offering(settle(discovery(a="x", m="x"), away, "default")) == ["a"]
    away.close()

    settle(discovery(m="x"), store, "default")
    store.command("SET", store.keys.standing("default"), b"{")
    assert offering(settle(discovery(a="x", m="x"), store, "default")) == ["a"]


def test_it_is_decided_the_same_again_and_again(store: Store):
    settle(discovery(m="x"), store, "default")

    assert {tuple(offering(settle(discovery(a="x", m="x"), store, "default"))) for _ in range(3)} == {("m",)}
