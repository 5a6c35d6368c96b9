"""The server that is meant when none is named: the one that runs on this machine."""

from collections.abc import Mapping

from fastprocesses_host.cli.told import CallError
from fastprocesses_host.exits import Exit
from fastprocesses_host.settings import Settings, SettingsError


def local_url(environ: Mapping[str, str]) -> str:
    """Give the URL that the running service noted in its data folder, else where it would listen by the settings.

    Raises:
        CallError: the settings cannot be used.
    """
    from fastprocesses_host.embedded import data_dir_of
    from fastprocesses_host.listening import local_url_of
    from fastprocesses_host.private_store import noted_url

    try:
        settings = Settings.from_env(environ)
    except SettingsError as error:
        raise CallError(f"{error} Name the server with --server.", Exit.SETTINGS) from None
    return noted_url(data_dir_of(settings)) or local_url_of(settings)
