"""Which plugin has offered a process until now: it keeps it, whatever is installed beside it."""

import contextlib

import msgspec
from fastprocesses_sdk.conflicts import Origin, settled, standing_of
from fastprocesses_sdk.description import Discovery

from fastprocesses_host.store.client import Store, StoreFull, StoreUnavailable

_decoder = msgspec.json.Decoder(dict[str, Origin])


def settle(found: Discovery, store: Store, environment: str) -> Discovery:
    """Decide which plugins of an environment keep the processes that several offer, and remember it in the store.

    Args:
        found: What all of them offer.
        store: Where the workers of the environment remember what stood; while it is away the alphabet decides.
        environment: Name of the environment.
    """
    key = store.keys.standing(environment)
    text = None
    with contextlib.suppress(StoreUnavailable):
        text = store.command("GET", key)
    plugins = settled(found.plugins, _read(text))
    told = msgspec.json.encode(standing_of(plugins))
    if told != text:
        with contextlib.suppress(StoreUnavailable, StoreFull):
            store.command("SET", key, told)
    return msgspec.structs.replace(found, plugins=plugins)


def _read(text: bytes | None) -> dict[str, Origin]:
    try:
        return _decoder.decode(text) if text else {}
    except msgspec.DecodeError:  # of a version to come
        return {}
