"""The echo process: what goes in comes out, for trying out servers and clients."""

import time
from typing import Annotated

import fastprocesses_sdk as fp

_STEP_SECONDS = 0.1
_NUMBER_OR_TRUTH = int | float | bool


class Echoed(fp.Outputs):
    """What came in.

    Attributes:
        message: The message that was given.
        pause: The seconds that were waited.
        numbers: The numbers that were given.
        bbox: The bounding box that was given.
        text: The text that was given.
        mixed: The number or boolean that was given.
    """

    message: str
    pause: int
    numbers: list[int] | None = None
    bbox: Annotated[fp.BBox | None, fp.Output(title="Bounding box")] = None
    text: Annotated[str | None, fp.Media("application/xml")] = None
    mixed: _NUMBER_OR_TRUTH | None = None


@fp.process(
    keywords=["echo", "test"],
    deterministic=True,
    retryable=True,
    example={"inputs": {"message": "Hello, world!", "numbers": [1, 2, 3]}},
)
def echo(
    message: str,
    pause: Annotated[int, fp.Input(ge=0, le=60, unit="s")] = 0,
    numbers: list[int] | None = None,
    bbox: Annotated[fp.BBox | None, fp.Input(title="Bounding box")] = None,
    text: Annotated[str | None, fp.Media("application/xml"), fp.Input(title="Text with a media type")] = None,
    mixed: Annotated[_NUMBER_OR_TRUTH | None, fp.Input(title="Mixed type")] = None,
    *,
    job: fp.Job = fp.NO_JOB,
) -> Echoed:
    """Return every input it was given as the output of the same name.

    Args:
        message: Any text.
        pause: How long to wait before the results are returned.
        numbers: Whole numbers.
        bbox: Any bounding box; it is not looked at.
        text: Any XML; it is not parsed.
        mixed: A number or a boolean.
        job: What is told how much of the pause is over.
    """
    wait(pause, job)
    return Echoed(message=message, pause=pause, numbers=numbers, bbox=bbox, text=text, mixed=mixed)


def wait(seconds: float, job: fp.Job) -> None:
    """Wait in small steps, telling progress.

    Raises:
        JobCancelled: Nobody waits for the job any more.
    """
    if not seconds:
        return
    job.message(f"Waiting for {seconds} s")
    started = time.monotonic()
    while (passed := time.monotonic() - started) < seconds:
        job.check_cancelled()
        job.progress(100 * passed / seconds)
        time.sleep(min(_STEP_SECONDS, seconds - passed))
