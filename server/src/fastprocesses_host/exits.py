"""The exit codes of `fastprocesses-host` and of its children, in one table."""

from enum import IntEnum


class Exit(IntEnum):
    """With what a command ends, and why."""

    OK = 0
    FAILED = 1
    USAGE = 2
    SETTINGS = 3
    IN_USE = 4
    STORE = 5
    REFUSED = 6
    JOB = 7
    UNREACHABLE = 8
    PLUGIN = 9
    INTERRUPTED = 130

    @property
    def meaning(self) -> str:
        """What the code says, as help and manual put it."""
        return MEANINGS[self]


MEANINGS = {
    Exit.OK: "done, or stopped in order",
    Exit.FAILED: "failed, or killed before it had stopped in order",
    Exit.USAGE: "the command line cannot be understood",
    Exit.SETTINGS: "a setting cannot be used",
    Exit.IN_USE: "the port or the data directory is in use",
    Exit.STORE: "the store cannot be started or reached",
    Exit.REFUSED: "the server refused what was asked",
    Exit.JOB: "the job failed or was dismissed",
    Exit.UNREACHABLE: "no server answers, or not as one of OGC API - Processes",
    Exit.PLUGIN: "a plugin that was checked is left out, badly described or not installed",
    Exit.INTERRUPTED: "interrupted while waiting; a job goes on",
}

CHILD_CONFIGURATION = 78
"""With what a child of the supervisor says that starting it again is of no use (EX_CONFIG of sysexits.h).

Not one of the small codes: Dramatiq's command uses those for its own purposes.
"""


class StartError(Exception):
    """Nothing was started; the sentence says what to change."""

    def __init__(self, sentence: str, code: Exit) -> None:
        super().__init__(sentence)
        self.code = code
