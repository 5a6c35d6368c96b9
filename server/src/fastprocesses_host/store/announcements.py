"""What workers announce in the store, and which of it counts."""

from collections.abc import Mapping

import msgspec
from fastprocesses_sdk.description import Discovery
from msgspec import Struct

LIVE_MS = 15_000
"""Workers whose last tick is older than that, before the newest of all, do not count as living."""


class Announcement(Struct, frozen=True, kw_only=True):
    """What the workers of one environment have found installed there."""

    environment: str
    announced_at: int
    """Milliseconds of the store's clock since 1970."""
    discovery: Discovery


announcement_decoder = msgspec.json.Decoder(Announcement)


def choose_offers(seen_ms: Mapping[str, float], offers: Mapping[str, Announcement]) -> set[str]:
    """Choose one offer an environment: announced last, among those of living workers if there are any.

    Args:
        seen_ms: When each offer was last ticked, in milliseconds of the store's clock.
        offers: What each of them is; one that is not here is not chosen.
    """
    newest_ms = max(seen_ms.values(), default=0.0)
    best: dict[str, tuple[bool, int, str]] = {}
    for name, ms in seen_ms.items():
        if name in offers:
            rank = (newest_ms - ms < LIVE_MS, offers[name].announced_at, name)
            environment = offers[name].environment
            best[environment] = max(best.get(environment, rank), rank)
    return {name for _, _, name in best.values()}
