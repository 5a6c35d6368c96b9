"""`run_process`: one execution as a server would do it."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from fastprocesses_sdk.configured import given_by
from fastprocesses_sdk.declare import declare
from fastprocesses_sdk.described import is_described
from fastprocesses_sdk.processes import Process
from fastprocesses_sdk.settings import Settings
from fastprocesses_sdk.testing.encoding import encoded_inputs
from fastprocesses_sdk.testing.executing import PLUGIN_IN_TESTS, Request, execute_here, execute_in_child
from fastprocesses_sdk.testing.outcomes import Run

TIMEOUT_SECONDS = 60.0


class Runner:
    """Runs processes as a server would, under other conditions than `run_process` has.

    Args:
        in_process: Run the process in this interpreter: a debugger, coverage and monkeypatch reach it then, but a
            crash is a crash of the tests, and only a process that asks its job is stopped.
        settings: Of the plugin: its `fp.Settings`, or a mapping that they are made of as of an operator's file.
        formats: Media type wanted of an output, by its id.
        outputs: Ids of the outputs that are wanted; None: all.
        timeout_seconds: How long it may run; a process may declare less.
        cancel_when: Asked after everything that the process reports; once it says yes, the job is cancelled.
    """

    def __init__(
        self,
        *,
        in_process: bool = False,
        settings: Settings | Mapping[str, Any] | None = None,
        formats: Mapping[str, str] | None = None,
        outputs: Sequence[str] | None = None,
        timeout_seconds: float = TIMEOUT_SECONDS,
        cancel_when: Callable[[Run], bool] | None = None,
    ) -> None:
        self._execute = execute_here if in_process else execute_in_child
        self._settings = given_by(PLUGIN_IN_TESTS, settings)
        self._formats = dict(formats or {})
        self._outputs = None if outputs is None else list(outputs)
        self._timeout_seconds = timeout_seconds
        self._cancel_when = cancel_when

    def run(self, process: Any, /, **inputs: Any) -> Run:
        """Run a process once.

        Args:
            process: What `@fp.process` made, or a class or an object with a description and `execute`.
            **inputs: By id. JSON values as a client sends them, or Python values, which are encoded: GeoJSON
                objects and whatever has `__geo_interface__`, bytes, dates, dataclasses; a Path stands for the
                content of its file. None: not given.

        Raises:
            InvalidInputs: The inputs do not fit the description.
            ProcessError: The process raised it.
            ProcessFailed: It raised anything else, crashed, or returned what it does not describe.
            TimedOut: It was too slow.
            Cancelled: `cancel_when` had it cancelled.
            LookupError: It is not at the top of a module, where a child process could import it from.
        """
        declared = as_process(process)
        request = Request(
            process=declared,
            given=process,
            inputs=encoded_inputs(declared.description, inputs),
            outputs=self._outputs,
            formats=self._formats,
            settings=self._settings,
            timeout_seconds=min(self._timeout_seconds, declared.policy.timeout_seconds or float("inf")),
            cancel_when=self._cancel_when,
        )
        return self._execute(request)


def run_process(process: Any, /, **inputs: Any) -> Run:
    """Run a process once in a child process, as a server would: `Runner().run`.

    ```python
    run = fp.testing.run_process(buffer, features=points, distance=3)
    assert run.result["features"][0]["geometry"]["type"] == "Polygon"
    ```
    """
    return Runner().run(process, **inputs)


def as_process(given: Any) -> "Process[..., Any]":
    """Return the process, or make one of a class or object that has a description.

    Raises:
        TypeError: It is neither.
    """
    if isinstance(given, Process):
        return given
    if is_described(given):
        return declare(given, {})
    raise TypeError(f"{given!r} is not a process; write @fp.process above the function.")
