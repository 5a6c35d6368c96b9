"""What comes of a run: its outputs and what it reported, or why there are none."""

from collections.abc import Sequence
from typing import Any

from msgspec import Struct, field


class LogLine(Struct, frozen=True):
    """One line that the process wrote with `job.log`."""

    level: str
    text: str
    fields: dict[str, Any] = {}


class Run(Struct, kw_only=True):
    """What a process returned and what it reported on the way."""

    outputs: dict[str, Any] = field(default_factory=dict)
    """By id: decoded JSON, the text of an output with a text media type, the bytes of a binary one or a file."""
    media_types: dict[str, str] = field(default_factory=dict)
    """Of the outputs, by id."""
    progress: list[int] = field(default_factory=list)
    """Percentages, as they came."""
    messages: list[str] = field(default_factory=list)
    log: list[LogLine] = field(default_factory=list)

    @property
    def result(self) -> Any:
        """The only output.

        Raises:
            LookupError: There are several, or none; look into `outputs`.
        """
        if len(self.outputs) != 1:
            raise LookupError(
                f"The run has the outputs {', '.join(self.outputs) or 'none'}; use run.outputs."
            )
        return next(iter(self.outputs.values()))


class InvalidInputs(ValueError):
    """A server would refuse these inputs (400), and the process would not run.

    Args:
        process_id: The process.
        faults: Each with its place, an input id or a path inside it, and a sentence.
    """

    def __init__(self, process_id: str, faults: Sequence[tuple[str, str]]) -> None:
        lines = "".join(f"\n  {place}: {text}" for place, text in faults)
        super().__init__(f"The process {process_id} does not accept these inputs:{lines}")
        self.faults = list(faults)


class _Unsuccessful(Exception):
    """The process did not return; `run` is what it had reported until then."""

    def __init__(self, sentence: str, run: Run | None = None) -> None:
        super().__init__(sentence)
        self.run = run or Run()


class ProcessFailed(_Unsuccessful):
    """The process raised something else than ProcessError, crashed, or returned what it does not describe.

    A caller would learn only that it failed.

    Args:
        sentence: What happened.
        traceback: Where it happened; empty: not known.
        run: What was reported until then.
    """

    def __init__(self, sentence: str, *, traceback: str = "", run: Run | None = None) -> None:
        super().__init__(f"{sentence}\n\n{traceback}" if traceback else sentence, run)
        self.traceback = traceback


class TimedOut(_Unsuccessful):
    """The process was still running when its time was over, and was stopped."""


class Cancelled(_Unsuccessful):
    """The process was cancelled, as `Runner(cancel_when=...)` asked for."""
