"""The plugins of a worker: looked for while the rest of it is still being imported, as both take as long."""

import os
import sys
import threading
from concurrent.futures import Future
from pathlib import Path

from fastprocesses_sdk.describe import discover_all, discover_here
from fastprocesses_sdk.description import Discovery

from fastprocesses_host.settings import PREFIX, Settings


class Discovering:
    """Begins to look for plugins when it is made; they are imported in children alone."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        # Code of plugins has no business in the store.
        self._environ = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
        self._found: Future[Discovery] = Future()
        threading.Thread(target=self._discover, name="discovery", daemon=True).start()

    def result(self) -> Discovery:
        """Wait for what was found; what kept it from being found is raised."""
        return self._found.result()

    def _discover(self) -> None:
        discover = discover_all if _may_import_from_here() else discover_here
        try:
            found = discover(
                load_seconds=self._settings.plugin_load_seconds,
                settings=self._settings.plugins,
                environ=self._environ,
            )
        except BaseException as error:
            self._found.set_exception(error)
        else:
            self._found.set_result(found)


def _may_import_from_here() -> bool:
    """Whether modules of the folder we stand in may be imported, as Dramatiq's bare command has it; plugins may not."""
    here = Path.cwd()
    return any(Path(entry).absolute() == here for entry in sys.path)
