"""Waiting for the end of a job: whoever waits is woken once, by what comes first."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from fastprocesses_host.waiting import Unended, Wait, Waiting


async def waited(
    seconds: float,
    disconnected: Callable[[], Awaitable[None]] | None = None,
    told: bytes | None = None,
) -> bytes | Unended:
    waiting = Waiting()
    looking = asyncio.create_task(waiting.look_after())
    wait = Wait(seconds, disconnected)
    try:
        async with asyncio.timeout(10):
            with waiting.of("job", wait):
                assert (len(waiting), waiting.job_ids()) == (1, ["job"])
                if told is not None:
                    waiting.tell("another")
                    waiting.tell("job", told)
                    waiting.tell("job", b"too late")
                return await wait.done
    finally:
        assert len(waiting) == 0
        looking.cancel()


async def never() -> None:
    await asyncio.Event().wait()


async def at_once() -> None:
    pass


@pytest.mark.parametrize(
    ("seconds", "disconnected", "told", "end"),
    [
        (5, None, b"told", b"told"),
        (5, never, b"", b""),
        (0, never, b"told", b"told"),
        (0, None, None, Unended.LATE),
        (0.1, never, None, Unended.LATE),
        (5, at_once, None, Unended.GONE),
    ],
)
def test_what_comes_first_ends_the_wait(
    seconds: float,
    disconnected: Callable[[], Awaitable[None]] | None,
    told: bytes | None,
    end: bytes | Unended,
) -> None:
    assert asyncio.run(waited(seconds, disconnected, told)) == end


def test_who_is_done_is_watched_no_longer() -> None:
    async def scenario() -> None:
        stopped = asyncio.Event()
        begun = asyncio.Event()

        async def watch() -> None:
            begun.set()
            try:
                await never()
            finally:
                stopped.set()

        waiting = Waiting()
        looking = asyncio.create_task(waiting.look_after())
        async with asyncio.timeout(10):
            with waiting.of("job", Wait(5, watch)):
                await begun.wait()
            await stopped.wait()
        looking.cancel()

    asyncio.run(scenario())


def test_it_is_not_too_late_before_the_job_is_accepted() -> None:
    async def scenario() -> None:
        wait, now = Wait(0, None), asyncio.get_running_loop().time() + 1
        wait.is_pending = True
        wait.look(now)
        assert not wait.done.done()
        wait.is_pending = False
        wait.look(now)
        assert await wait.done is Unended.LATE

    asyncio.run(scenario())


def test_a_refusal_ends_the_wait_unless_the_end_was_told() -> None:
    async def scenario() -> None:
        refused, ended = Wait(5, None), Wait(5, None)
        refused.fail(ValueError("refused"))
        refused.end(b"too late")
        with pytest.raises(ValueError, match="refused"):
            await refused.done
        ended.end(b"told")
        ended.fail(ValueError("too late"))
        assert await ended.done == b"told"

    asyncio.run(scenario())


def test_all_are_sent_away() -> None:
    async def scenario() -> None:
        waiting = Waiting()
        first, second = Wait(5, None), Wait(5, None)
        with waiting.of("first", first), waiting.of("second", second):
            waiting.tell("first", b"told")
            waiting.send_away()
            assert await first.done == b"told"
            assert await second.done is Unended.STOPPED

    asyncio.run(scenario())
