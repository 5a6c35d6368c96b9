"""Everyday types by name: files of a media type, and strings of a format."""

from pathlib import Path
from typing import Annotated

from fastprocesses_sdk.annotations import Input, Media

CSV = Annotated[Path, Media("text/csv")]
"""A file of comma-separated values."""

GeoPackage = Annotated[Path, Media("application/geopackage+sqlite3")]
"""A GeoPackage file."""

GeoTIFF = Annotated[Path, Media("image/tiff; application=geotiff")]
"""A GeoTIFF file."""

NetCDF = Annotated[Path, Media("application/x-netcdf")]
"""A NetCDF file."""

PNG = Annotated[Path, Media("image/png")]
"""A PNG file."""

URI = Annotated[str, Input(format="uri")]
"""An absolute URI (RFC 3986)."""
