"""A proxy between one of us and the store that loses, delays and holds what passes."""

import asyncio
import random
import threading
from collections import Counter
from collections.abc import Coroutine
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal, Self

Way = Literal["requests", "replies"]
_PIECE_BYTES = 65536


class StoreProxy:
    """Passes on what one of us and the store say, as long as it is told nothing else.

    What it holds is delivered later, also when whoever sent it has given up: requests arrive late, as they do on
    real networks.

    Attributes:
        url: Where the store is found through it.
        shares: Which share of the pieces of each way is eaten, and its connection cut.
        delay_seconds: How long a piece may be under way.
        is_refusing: New connections are closed at once.
        done: How often what was done.
    """

    def __init__(self, target: Path, socket: Path, seed: str) -> None:
        self.url = f"unix://{socket}"
        self.shares: dict[Way, float] = {"requests": 0.0, "replies": 0.0}
        self.delay_seconds = 0.0
        self.is_refusing = False
        self.done: Counter[str] = Counter()
        self._random = random.Random(seed)
        self._target, self._socket = target, socket
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._loop = asyncio.new_event_loop()
        self._open: dict[Way, asyncio.Event] = {"requests": asyncio.Event(), "replies": asyncio.Event()}
        self._thread = threading.Thread(target=self._run, name="proxy", daemon=True)
        started = threading.Event()
        self._loop.call_soon(started.set)
        self._thread.start()
        started.wait()
        self._do(self._listen())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def hold(self, *ways: Way) -> None:
        """Let nothing pass in these directions; connections stay as they are."""
        self.done["held"] += 1
        for way in ways:
            self._loop.call_soon_threadsafe(self._open[way].clear)

    def cut(self) -> None:
        """Close every connection."""
        self.done["cut"] += 1
        self._loop.call_soon_threadsafe(self._hang_up_all)

    def heal(self) -> None:
        """Pass on everything from now on."""
        self.shares = {"requests": 0.0, "replies": 0.0}
        self.delay_seconds, self.is_refusing = 0.0, False
        self.release()

    def release(self) -> None:
        """Pass on what was held."""
        for event in self._open.values():
            self._loop.call_soon_threadsafe(event.set)

    def close(self) -> None:
        """Stop."""
        self._do(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _run(self) -> None:
        for event in self._open.values():
            event.set()
        self._loop.run_forever()

    def _hang_up_all(self) -> None:
        for writer in self._writers:
            _hang_up(writer)

    def _do(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(10)

    async def _listen(self) -> None:
        self._server = await asyncio.start_unix_server(self._accepted, self._socket)

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_unix_connection(self._target)

    async def _end(self) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.sleep(0)

    def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = self._loop.create_task(self._serve(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, reader: asyncio.StreamReader, client: asyncio.StreamWriter) -> None:
        ours = [client]
        self._writers.add(client)
        try:
            if self.is_refusing:
                self.done["refused"] += 1
                return
            store_reader, store = await self._connect()
            ours.append(store)
            self._writers.add(store)
            replies = asyncio.create_task(self._pass("replies", store_reader, client))
            requests = asyncio.create_task(self._pass("requests", reader, store))
            try:
                # Requests that are held are still delivered when their sender has gone, so the end of the other
                # way is not the end of this one; where something was eaten, both were aborted.
                await asyncio.gather(requests, replies)
            finally:
                requests.cancel()
                replies.cancel()
        except OSError:
            pass  # the store is not there, or either of them hung up
        finally:
            for writer in ours:
                self._writers.discard(writer)
                _hang_up(writer)

    async def _pass(self, way: Way, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(_PIECE_BYTES):
                if self._random.random() < self.shares[way]:
                    self.done[f"ate {way}"] += 1
                    if self._random.random() < 0.5:
                        writer.write(data[: self._random.randrange(len(data))])
                    raise ConnectionAbortedError
                if self.delay_seconds:
                    await asyncio.sleep(self._random.uniform(0, self.delay_seconds))
                await self._open[way].wait()
                writer.write(data)
                await writer.drain()
        finally:
            with suppress(OSError, RuntimeError):
                writer.close()


def _hang_up(writer: asyncio.StreamWriter) -> None:
    with suppress(OSError, RuntimeError):
        writer.close()
