"""Write processes for OGC API - Processes as typed Python functions: `import fastprocesses_sdk as fp`."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fastprocesses_sdk import testing as testing
    from fastprocesses_sdk.aliases import CSV, PNG, URI, GeoPackage, GeoTIFF, NetCDF
    from fastprocesses_sdk.annotations import Input, Media, Output, Outputs
    from fastprocesses_sdk.declare import process
    from fastprocesses_sdk.description import (
        InputDescription,
        Link,
        OutputDescription,
        Policy,
        ProcessDescription,
        TranslatedText,
        Translation,
    )
    from fastprocesses_sdk.errors import DeclarationError, JobCancelled, PluginError, ProcessError
    from fastprocesses_sdk.hooks import hookimpl
    from fastprocesses_sdk.job import NO_JOB, Job, Reporter
    from fastprocesses_sdk.processes import Process
    from fastprocesses_sdk.schemes import Fetched, reference_scheme
    from fastprocesses_sdk.settings import Secret, Settings
    from fastprocesses_sdk.starting import on_start
    from fastprocesses_sdk.types import (
        BBox,
        Feature,
        FeatureCollection,
        GeoJSON,
        GeoJSONError,
        Geometry,
        GeometryCollection,
        LineString,
        MultiLineString,
        MultiPoint,
        MultiPolygon,
        Point,
        Polygon,
    )

__version__ = "0.1.0"

__all__ = [
    "CSV",
    "NO_JOB",
    "PNG",
    "URI",
    "BBox",
    "DeclarationError",
    "Feature",
    "FeatureCollection",
    "Fetched",
    "GeoJSON",
    "GeoJSONError",
    "GeoPackage",
    "GeoTIFF",
    "Geometry",
    "GeometryCollection",
    "Input",
    "InputDescription",
    "Job",
    "JobCancelled",
    "LineString",
    "Link",
    "Media",
    "MultiLineString",
    "MultiPoint",
    "MultiPolygon",
    "NetCDF",
    "Output",
    "OutputDescription",
    "Outputs",
    "PluginError",
    "Point",
    "Policy",
    "Polygon",
    "Process",
    "ProcessDescription",
    "ProcessError",
    "Reporter",
    "Secret",
    "Settings",
    "TranslatedText",
    "Translation",
    "__version__",
    "hookimpl",
    "on_start",
    "process",
    "reference_scheme",
]


_HOMES = {
    "aliases": ("CSV", "PNG", "URI", "GeoPackage", "GeoTIFF", "NetCDF"),
    "annotations": ("Input", "Media", "Output", "Outputs"),
    "declare": ("process",),
    "description": (
        "InputDescription",
        "Link",
        "OutputDescription",
        "Policy",
        "ProcessDescription",
        "TranslatedText",
        "Translation",
    ),
    "errors": ("DeclarationError", "JobCancelled", "PluginError", "ProcessError"),
    "hooks": ("hookimpl",),
    "job": ("NO_JOB", "Job", "Reporter"),
    "processes": ("Process",),
    "schemes": ("Fetched", "reference_scheme"),
    "settings": ("Secret", "Settings"),
    "starting": ("on_start",),
    "types": (
        "BBox",
        "Feature",
        "FeatureCollection",
        "GeoJSON",
        "GeoJSONError",
        "Geometry",
        "GeometryCollection",
        "LineString",
        "MultiLineString",
        "MultiPoint",
        "MultiPolygon",
        "Point",
        "Polygon",
    ),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}


if not TYPE_CHECKING:  # type checkers would take any name to be there

    def __getattr__(name: str) -> Any:
        """Import what is first asked for: most processes of a service run no plugin, and need none of it."""
        home = name if name == "testing" or name in _HOMES else _HOME_OF.get(name)
        if home is None:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        module = import_module(f"{__name__}.{home}")
        value = globals()[name] = module if name == home else getattr(module, name)
        return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, "testing"})
