"""Inputs by URLs of schemes that plugins know: their code fetches in an executor, watched as a process is."""

import contextlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from fastprocesses_sdk.description import PluginRecord
from fastprocesses_sdk.executor.protocol import Fetch, Order, Progress, Result

from fastprocesses_host.engine import endings
from fastprocesses_host.engine.endings import Ending, Failed
from fastprocesses_host.engine.executors import Executor
from fastprocesses_host.engine.run import Run
from fastprocesses_host.engine.runner import Attempt
from fastprocesses_host.settings import Settings

NewAttempt = Callable[[Executor], Attempt]
NewOrder = Callable[[Path], Order]
InExecutor = Callable[[Run, PluginRecord, NewAttempt, NewOrder], contextlib.AbstractContextManager[Ending]]
"""Runs code of a plugin; what it left in its folder is there until the context is left."""


class PluginReferences:
    """The plugins that fetch, by the scheme of URLs."""

    def __init__(
        self,
        settings: Settings,
        plugins: Mapping[str, PluginRecord],
        in_executor: InExecutor,
    ) -> None:
        self._settings = settings
        self._plugins = plugins
        self._in_executor = in_executor

    def of(self, scheme: str) -> PluginRecord | None:
        """Give the plugin that fetches URLs of a scheme; None: there is none."""
        return self._plugins.get(scheme)

    @contextlib.contextmanager
    def fetching(self, run: Run, place: str, scheme: str, url: str, seconds: float) -> Iterator[Ending]:
        """Have the plugin of a scheme fetch what a URL leads to.

        Args:
            run: Of the job; it hears what the plugin reports.
            place: The input, for people.
            scheme: Of the URL; it has a plugin.
            url: As the request has it.
            seconds: How long it may take once the plugin is loaded.

        Yields:
            How it ended. If well, the output `FETCHED` is a file, which is there until the context is left.
        """
        plugin = self._plugins[scheme]

        def attempt(executor: Executor) -> Attempt:
            return FetchAttempt(run, self._settings, plugin.source, place, seconds, executor)

        def order(workdir: Path) -> Fetch:
            return Fetch(
                job=run.job_id,
                claim=run.claim,
                source=plugin.source,
                distribution=plugin.distribution,
                version=plugin.version,
                scheme=scheme,
                url=url,
                workdir=str(workdir),
            )

        run.progress(None, f"Fetching the input {place} through the plugin {plugin.name}")
        try:
            with self._in_executor(run, plugin, attempt, order) as ending:
                yield ending
        finally:
            run.is_untouched = True  # by its process, which did not begin yet


class FetchAttempt(Attempt):
    """One URL fetched in one executor."""

    def __init__(
        self, run: Run, settings: Settings, source: str, place: str, seconds: float, executor: Executor
    ) -> None:
        super().__init__(run, settings, settings.memory_bytes, source, executor)
        self._longest_seconds = seconds
        self._place = place

    def _tell_progress(self, frame: Progress) -> None:
        told = frame.message or (f"{frame.percent} %" if frame.percent is not None else "")
        if told:  # the percent of the job are those of its process
            self._run.progress(None, f"Fetching the input {self._place}: {told}")

    def _tell_failure(self, detail: str) -> None:
        """Say nothing in the log of the job: its problem does."""

    def _returned(self, frame: Result) -> Ending:
        ending = super()._returned(frame)
        if isinstance(ending, Failed):
            return endings.failed(ending.reason, "The process gave a file that is not in its folder.")
        return ending
