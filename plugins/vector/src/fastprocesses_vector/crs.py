"""Coordinate reference systems by their names."""

import re
from functools import lru_cache
from typing import Any

import fastprocesses_sdk as fp
from pyproj import CRS
from pyproj.exceptions import CRSError

CRS84 = "OGC:CRS84"
_FORMS = tuple(
    re.compile(form, re.IGNORECASE)
    for form in (
        r"\[?(?P<authority>[a-z_]{2,16})[:/](?P<code>[a-z0-9_]{1,32})\]?",
        r"https?://www\.opengis\.net/def/crs/(?P<authority>[a-z_]{2,16})/[0-9.]*/(?P<code>[a-z0-9_]{1,32})/?",
        r"urn:(x-)?ogc:def:crs:(?P<authority>[a-z_]{2,16}):[0-9.]*:(?P<code>[a-z0-9_]{1,32})",
        r"(?P<code>[0-9]{4,6})",
    )
)
_LONGITUDE_LATITUDE = {"OGC:CRS84", "OGC:CRS84H", "EPSG:4326", "EPSG:4979"}
"""What GeoJSON has by itself; in GeoJSON the longitude comes first whatever the definition says."""

_ALIASES = {"OGC:CRS84H": "EPSG:4979"}
"""What PROJ does not know by its own name; the order of the axes is ours anyway."""


def short_name(text: str) -> str:
    """Return the name as `EPSG:25832`, from any of the usual spellings; empty where it is none."""
    for form in _FORMS:
        if match := form.fullmatch(text.strip()):
            parts = match.groupdict()
            return f"{parts.get('authority') or 'EPSG'}:{parts['code']}".upper()
    return ""


def crs_named(text: str, input_name: str) -> CRS:
    """Return the coordinate reference system of this name.

    Raises:
        ProcessError: There is none, or it is none of longitudes and latitudes or of eastings and northings.
    """
    crs = _known(short_name(text))
    if crs is None:
        raise fp.ProcessError(
            f"{text!r} is no coordinate reference system that is known here; name one as EPSG:25832, "
            "http://www.opengis.net/def/crs/EPSG/0/25832 or OGC:CRS84.",
            title="Unknown coordinate reference system",
            input=input_name,
        )
    if not (crs.is_geographic or crs.is_projected):
        raise fp.ProcessError(
            f"{text} ({crs.name}) has no longitude and latitude nor easting and northing; "
            "name a geographic or a projected system.",
            title="Unusable coordinate reference system",
            input=input_name,
        )
    return crs


@lru_cache(maxsize=64)
def _known(name: str) -> CRS | None:
    authority, _, code = _ALIASES.get(name, name).partition(":")
    try:
        return CRS.from_authority(authority, code) if code else None
    except CRSError:
        return None


def crs_member(collection: fp.FeatureCollection) -> str:
    """Return what the foreign member `crs` (GeoJSON of 2008) names; empty where it is not there."""
    member: Any = collection.members.get("crs")
    properties = member.get("properties") if isinstance(member, dict) else None
    name = properties.get("name") if isinstance(properties, dict) else None
    return name if isinstance(name, str) else ""


def check_longitude_latitude(collection: fp.FeatureCollection, input_name: str) -> None:
    """Refuse a collection that says it is not in longitude and latitude.

    Raises:
        ProcessError: It has a member `crs` that names another system.
    """
    name = crs_member(collection)
    if name and short_name(name) not in _LONGITUDE_LATITUDE:
        raise fp.ProcessError(
            f"The member `crs` of {input_name} says {name}; positions must be longitude and latitude (CRS84). "
            "The process reproject brings them there.",
            title="Not in longitude and latitude",
            input=input_name,
        )


def is_longitude_latitude(crs: CRS) -> bool:
    """Whether GeoJSON in this system needs no word about it."""
    authority = crs.to_authority()
    return bool(authority) and ":".join(authority) in _LONGITUDE_LATITUDE
