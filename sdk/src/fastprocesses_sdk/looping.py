"""What is `async`, run to its end: in the event loop of the executor, or in one of its own."""

import contextlib
import inspect
from collections.abc import Iterator
from contextvars import ContextVar, copy_context
from types import GeneratorType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import asyncio


class Loop:
    """One event loop for start functions and jobs, so that a client opened in the first serves the others."""

    def __init__(self) -> None:
        self._runner: asyncio.Runner | None = None

    def run(self, awaitable: Any, *, keeps_tasks: bool) -> Any:
        """Run to the end; tasks that were begun on the way and go on are cancelled, unless they are kept."""
        import asyncio  # slow to import, and seldom needed

        if self._runner is None or self._runner.get_loop().is_closed():
            self._runner = asyncio.Runner()
        loop = self._runner.get_loop()
        before = asyncio.all_tasks(loop)
        try:
            return self._runner.run(_awaited(awaitable), context=copy_context())
        finally:
            left = set() if keeps_tasks or loop.is_closed() else asyncio.all_tasks(loop) - before
            if left:
                for task in left:
                    task.cancel()
                loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))

    def close(self) -> None:
        """Cancel what still runs, and close the loop."""
        if self._runner is not None and not self._runner.get_loop().is_closed():
            self._runner.close()
        self._runner = None


_loop: ContextVar[Loop | None] = ContextVar("loop", default=None)


@contextlib.contextmanager
def one_loop() -> Iterator[None]:
    """Have all that is `async` run in the same event loop, here and in what is called from here."""
    loop = Loop()
    token = _loop.set(loop)
    try:
        yield
    finally:
        _loop.reset(token)
        loop.close()


def finished(returned: Any, *, keeps_tasks: bool = False) -> Any:
    """Return what a call came to; of an `async def`, run it.

    Args:
        returned: By the call.
        keeps_tasks: Whether tasks that it began go on for later calls, where there is one loop for all.
    """
    if not hasattr(type(returned), "__await__") and not isinstance(returned, GeneratorType):
        return returned  # what follows takes longer than most of what is returned did
    if not inspect.isawaitable(returned):
        return returned
    if (loop := _loop.get()) is not None:
        return loop.run(returned, keeps_tasks=keeps_tasks)
    import asyncio  # slow to import, and seldom needed

    return asyncio.run(_awaited(returned))


async def _awaited(awaitable: Any) -> Any:
    return await awaitable
