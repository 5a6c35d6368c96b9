"""Values on their way between a job and the value store: how a run ends when they do not get through."""

from fastprocesses_host.engine import endings
from fastprocesses_host.engine.endings import Failed, Stopped
from fastprocesses_host.engine.run import Run, ending_of_stop
from fastprocesses_host.logs import get_logger
from fastprocesses_host.store.values import NoSuchValue, TransferStopped, ValuesAway

log = get_logger()

LOST = (ValuesAway, NoSuchValue, TransferStopped)
"""What the value store raises when a value does not get through."""


def without_inputs(run: Run, error: Exception) -> Failed | Stopped:
    """Give the ending of a run whose inputs could not be fetched from the value store."""
    return _stopped(run, error) or _told(
        run,
        error,
        endings.input_gone() if isinstance(error, NoSuchValue) else endings.inputs_away(),
    )


def without_results(run: Run, error: Exception) -> Failed | Stopped:
    """Give the ending of a run whose results could not be brought to the value store."""
    return _stopped(run, error) or _told(run, error, endings.results_not_stored())


def _stopped(run: Run, error: Exception) -> Failed | Stopped | None:
    return ending_of_stop(run) if isinstance(error, TransferStopped) else None


def _told(run: Run, error: Exception, ending: Failed) -> Failed:
    reason = error.reason if isinstance(error, ValuesAway) else f"there is no {error}"
    log.error("values did not get through", process=run.claimed.process_id, reason=reason)
    return ending
