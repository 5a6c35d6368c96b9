"""Write processes for OGC API - Processes as typed Python functions: `import fastprocesses_sdk as fp`."""

from fastprocesses_sdk.annotations import Input, Media, Output, Outputs
from fastprocesses_sdk.declare import process
from fastprocesses_sdk.description import (
    InputDescription,
    Link,
    OutputDescription,
    Policy,
    ProcessDescription,
)
from fastprocesses_sdk.errors import DeclarationError, JobCancelled, PluginError, ProcessError
from fastprocesses_sdk.hooks import hookimpl
from fastprocesses_sdk.job import NO_JOB, Job, Reporter
from fastprocesses_sdk.processes import Process
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
    "NO_JOB",
    "BBox",
    "DeclarationError",
    "Feature",
    "FeatureCollection",
    "GeoJSON",
    "GeoJSONError",
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
    "__version__",
    "hookimpl",
    "process",
]
