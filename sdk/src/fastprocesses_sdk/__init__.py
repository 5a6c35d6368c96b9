"""Write processes for OGC API - Processes as typed Python functions: `import fastprocesses_sdk as fp`."""

from typing import TYPE_CHECKING, Any

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

if TYPE_CHECKING:
    from fastprocesses_sdk import testing as testing

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


def __getattr__(name: str) -> Any:
    """Import `fp.testing` when it is first asked for."""
    if name == "testing":
        import importlib

        return importlib.import_module("fastprocesses_sdk.testing")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
