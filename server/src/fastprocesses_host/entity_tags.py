"""What is behind references before a job fetches it: the entity tags that their hosts tell when they are asked."""

import asyncio
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from typing import TYPE_CHECKING, Final

from msgspec import Struct
from msgspec.structs import replace

from fastprocesses_host.catalog import OfferedProcess
from fastprocesses_host.fetched import accepted_media_types
from fastprocesses_host.guarded.errors import GuardedError
from fastprocesses_host.inputs import CheckedInput
from fastprocesses_host.ogc.references import GivenValue, encode_referenced, version_told
from fastprocesses_host.settings import Settings, SettingsError

if TYPE_CHECKING:
    from fastprocesses_host.guarded import GuardedClient

ASK_SECONDS: Final = 3.0
"""How long a request waits for all entity tags of its references."""
_ASKED_AT_ONCE: Final = 16
"""Threads that ask; with all of them busy the others wait, each no longer than its request does."""


class _Place(Struct, frozen=True):
    """What is asked for: servers may give each media type its own content, with its own tag."""

    href: str
    accept: str


class EntityTags:
    """Asks other hosts for entity tags, by HEAD, through the guarded client and with the operator's headers.

    Args:
        settings: Whom to speak to.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._threads = ThreadPoolExecutor(_ASKED_AT_ONCE, thread_name_prefix="entity-tags")
        self._turns = asyncio.Semaphore(_ASKED_AT_ONCE)
        self._waiting: dict[_Place, asyncio.Task[str]] = {}
        self._tasks: set[asyncio.Task[str]] = set()

    async def told(
        self, process: OfferedProcess, inputs: Mapping[str, CheckedInput]
    ) -> Mapping[str, CheckedInput] | None:
        """Give inputs with the versions of what their references name, as they are now.

        Args:
            process: Whose inputs they are.
            inputs: Of which some are by reference.

        Returns:
            None: it is not known of all of them within `ASK_SECONDS`.
        """
        if not all(_can_be_known(value) for value in inputs.values()):
            return None
        places = {place: None for name, value in inputs.items() for place in _places(process, name, value)}
        try:
            async with asyncio.timeout(ASK_SECONDS):
                tags = await asyncio.gather(*[self._tag(place) for place in places])
        except TimeoutError:
            return None
        if not all(tags):
            return None
        found = dict(zip(places, tags, strict=True))
        return {name: _with_versions(process, name, value, found) for name, value in inputs.items()}

    def close(self) -> None:
        """Ask no more; what is under way ends by itself."""
        for task in self._tasks:
            task.cancel()
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _tag(self, place: _Place) -> str:
        """Give the tag of a place as its host tells it from now on; requests that wait for a turn ask together."""
        task = self._waiting.get(place)
        if task is None:
            task = self._waiting[place] = asyncio.create_task(self._ask(place), name="entity-tag")
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        return await asyncio.shield(task)

    async def _ask(self, place: _Place) -> str:
        loop = asyncio.get_running_loop()
        until_seconds = loop.time() + ASK_SECONDS
        async with self._turns:
            del self._waiting[place]  # who comes from now on is not to get an older answer
            if loop.time() > until_seconds:
                return ""
            return await loop.run_in_executor(self._threads, self._told_by_host, place)

    def _told_by_host(self, place: _Place) -> str:
        try:
            with self._client.stream(
                "HEAD",
                place.href,
                headers={"accept": place.accept},
                max_bytes=0,
                total_seconds=ASK_SECONDS,
            ) as response:
                return version_told(response.url, response.headers) if response.status == 200 else ""
        except (GuardedError, SettingsError):  # the job will tell, if it is so still when it fetches
            return ""

    @cached_property
    def _client(self) -> "GuardedClient":
        """What speaks to other hosts; imported when it is first needed."""
        from fastprocesses_host.guarded import GuardedClient

        return GuardedClient(self._settings.outbound_rules, secret_headers=self._settings.outbound_headers)


def _can_be_known(value: CheckedInput) -> bool:
    """Tell whether nothing but hosts has to be asked: what was uploaded has its digest, or never will."""
    if value.referenced is None:
        return True
    return all(given.version for given in value.referenced.values if given.location)


def _places(process: OfferedProcess, name: str, value: CheckedInput) -> list[_Place]:
    given = value.referenced.values if value.referenced is not None else ()
    return [_place(process, name, each) for each in given if each.href]


def _place(process: OfferedProcess, name: str, given: GivenValue) -> _Place:
    return _Place(given.href, accepted_media_types(process.input_schemas[name], given.media_type))


def _with_versions(
    process: OfferedProcess, name: str, value: CheckedInput, tags: Mapping[_Place, str]
) -> CheckedInput:
    if value.referenced is None:
        return value
    values = tuple(
        replace(given, version=tags[_place(process, name, given)]) if given.href else given
        for given in value.referenced.values
    )
    referenced = replace(value.referenced, values=values)
    return replace(value, data=encode_referenced(referenced), referenced=referenced)
