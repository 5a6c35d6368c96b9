"""The value store that the settings name."""

from pathlib import Path

from fastprocesses_host.settings import Settings, SettingsError
from fastprocesses_host.store.values import FileValues, Values


def open_values(settings: Settings, *, patience_seconds: float) -> Values | None:
    """Open the value store; None where large values lie in the store.

    Nothing is asked yet of an object store, which need not be there.

    Args:
        settings: With its URL and its options.
        patience_seconds: How long transfers to and from an object store are tried again.

    Raises:
        SettingsError: The value store cannot be used as it is set.
    """
    if not settings.value_store_url:
        return None
    if settings.value_folder is not None:
        return FileValues(settings.value_folder)
    from fastprocesses_host.store.object_values import ObjectValues  # a large library, and seldom needed

    try:
        return ObjectValues(
            settings.value_store_url,
            settings.value_store.options,
            spool_folder(settings),
            timeout_seconds=settings.value_store_timeout_seconds,
            patience_seconds=patience_seconds,
        )
    except (ValueError, OSError) as error:
        raise SettingsError(f"The value store cannot be used: {error}") from None


def folder_of_values(settings: Settings) -> Path | None:
    """Give the folder of this machine in which a host writes values, or what is on its way to an object store."""
    if not settings.value_store_url:
        return None
    return settings.value_folder or spool_folder(settings)


def spool_folder(settings: Settings) -> Path:
    """Give the folder for what is on its way to an object store."""
    import platformdirs

    data = settings.data_dir or platformdirs.user_data_dir("fastprocesses", appauthor=False)
    return Path(data).expanduser() / "spool"
