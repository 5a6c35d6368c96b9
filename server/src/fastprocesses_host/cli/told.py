"""What a caller's command ends with when it cannot go on: a sentence on standard error and an exit code."""

from collections.abc import Iterator
from contextlib import contextmanager

import typer

from fastprocesses_host.exits import Exit


class CallError(Exception):
    """A command of a caller cannot go on; the sentence says why and what to change."""

    def __init__(self, sentence: str, code: Exit) -> None:
        super().__init__(sentence)
        self.code = code


def tell(sentence: str) -> None:
    """Say something on standard error, where no result is."""
    typer.echo(sentence, err=True)


@contextmanager
def errors_told() -> Iterator[None]:
    """End the command with a sentence and an exit code instead of a traceback."""
    try:
        yield
    except CallError as error:
        tell(f"error: {error}")
        raise typer.Exit(error.code) from None
    except KeyboardInterrupt:
        tell("interrupted")
        raise typer.Exit(Exit.INTERRUPTED) from None
    except BrokenPipeError:  # the reader of our output, `head` for one, has enough
        raise typer.Exit(Exit.OK) from None
