"""A plugin that is imported and started: how its code is called for a job.

Imported with the first job, so that an executor that waits for one holds little memory.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fastprocesses_sdk.configured import GivenSettings, PluginSettings
from fastprocesses_sdk.executor.protocol import FETCHED, Execute, Fetch, Order, Output, plain
from fastprocesses_sdk.executor.running import RunningJob
from fastprocesses_sdk.job import Job
from fastprocesses_sdk.plugins import load_plugin
from fastprocesses_sdk.processes import Process
from fastprocesses_sdk.schemes import ReferenceScheme, declared_schemes
from fastprocesses_sdk.starting import start


class LoadedPlugin:
    """A plugin that is ready for jobs.

    Args:
        processes: By id.
        schemes: What fetches, by scheme.
        settings: What the operator set for it.
    """

    def __init__(
        self,
        processes: Mapping[str, Process[..., Any]],
        schemes: Mapping[str, ReferenceScheme[..., Any]],
        settings: PluginSettings,
    ) -> None:
        self._processes = processes
        self._schemes = schemes
        self._settings = settings
        self._workdir = Path()
        self._workdir_text = ""

    def run(self, order: Order, running: RunningJob) -> dict[str, Output]:
        """Run its code for a job; whatever it raises passes."""
        # Told at once of the usual order, while to tell that it is none of the other kind takes longer.
        if not isinstance(order, Execute):
            return self._fetch(order, running)
        process = self._processes[order.process]
        job = self._job(order, running, process.media_types(order.formats))
        outputs = process.run(order.inputs, job, order.outputs, order.formats, self._settings)
        for number, (name, output) in enumerate(outputs.items()):
            if len(output.data) > order.inline_bytes:
                outputs[name] = _in_file(output, Path(order.workdir) / f".output-{number}")
        return outputs

    def _fetch(self, fetch: Fetch, running: RunningJob) -> dict[str, Output]:
        job = self._job(fetch, running, {})
        fetched = self._schemes[fetch.scheme].fetch(fetch.url, job, self._settings)
        return {FETCHED: Output("binary", plain(fetched.media_type), path=str(fetched.path))}

    def _job(self, order: Order, running: RunningJob, formats: Mapping[str, str]) -> Job:
        if self._workdir_text != order.workdir:  # an executor has the same one for all jobs
            self._workdir, self._workdir_text = Path(order.workdir), order.workdir
        return Job(id=order.job, workdir=self._workdir, reporter=running, formats=formats)


def loaded(order: Order, given: GivenSettings | None) -> LoadedPlugin:
    """Import and start the plugin of a job.

    Raises:
        PluginError: It cannot be used. Whatever else it raises passes too.
    """
    processes = load_plugin(order.source, order.distribution, order.version)
    settings = PluginSettings(given or GivenSettings(plugin=order.distribution))
    start(order.source, processes.values(), settings)
    return LoadedPlugin(processes, declared_schemes(order.source, processes.values()), settings)


def _in_file(output: Output, path: Path) -> Output:
    path.write_bytes(output.data)
    return Output(output.form, output.media_type, path=str(path))
