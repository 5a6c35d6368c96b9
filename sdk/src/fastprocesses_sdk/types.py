"""Values that JSON Schema alone does not name: GeoJSON and bounding boxes.

GeoJSON objects keep every member they came with, known or not, in `members`, and give it back as it was;
whatever carries `__geo_interface__` (shapely, geopandas, fiona…) can be put into them and can read them.

A collection that comes in is decoded as far as it is looked at: what a process does not touch goes out as the
text it came as.
"""

import threading
from collections.abc import Callable, Iterable, Mapping
from typing import Any, ClassVar, Self

import msgspec
from msgspec import Raw, Struct
from msgspec.structs import force_setattr

from fastprocesses_sdk import geojson
from fastprocesses_sdk.encoding import uncollected

CRS84 = "http://www.opengis.net/def/crs/OGC/1.3/CRS84"
CRS84H = "http://www.opengis.net/def/crs/OGC/0/CRS84h"


_DECODING = threading.Lock()
"""So that all threads of a process get the same object for what is decoded once."""


class GeoJSONError(ValueError):
    """A value is not the GeoJSON object it should be."""


class GeoJSON:
    """A GeoJSON object (RFC 7946); `members` is all of it, foreign members too, and may be changed."""

    __slots__ = ("members",)

    members: dict[str, Any]

    def __getattr__(self, name: str) -> Any:
        """Decode the members when they are first asked for."""
        if name == "members":
            with _DECODING:
                try:
                    return _members_if_decoded(self)
                except AttributeError:
                    self.members = self._decoded()
                    return self.members
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}", name=name, obj=self)

    def _decoded(self) -> dict[str, Any]:
        raise AttributeError(f"{type(self).__name__!r} object has no attribute 'members'")

    def _text(self) -> bytes | None:
        """Give the text it came as, where nobody looked at it; None: somebody did."""
        return None

    def _encodable(self) -> Any:
        """Give what msgspec encodes to this object; parts that nobody looked at as the text they came as."""
        return self.__geo_interface__

    def _has_text(self) -> bool:
        """Tell whether a geometry in it is still the text it came as, which was checked before it came."""
        return False

    def _unproven(self) -> Any:
        """Give what is to be checked of it: geometries that are text are left out."""
        return self.__geo_interface__

    @classmethod
    def of(cls, value: Any) -> Self:
        """Take anything that is such an object: one of ours, a mapping, or what has `__geo_interface__`.

        The members are shared with the value, not copied.

        Raises:
            GeoJSONError: It is something else; the sentence says what.
        """
        if isinstance(value, cls):
            return value
        return cls._from_members(_members_of(value))

    @classmethod
    def json_schema(cls) -> dict[str, Any]:
        """JSON Schema of such an object."""
        raise NotImplementedError

    @classmethod
    def _from_members(cls, members: dict[str, Any]) -> Self:
        raise NotImplementedError

    @classmethod
    def _wrap(cls, members: dict[str, Any]) -> Self:
        made = cls.__new__(cls)
        made.members = members
        return made

    @property
    def type(self) -> str:
        """Name of the kind of object, for instance `Polygon`."""
        return str(self.members["type"])

    @property
    def bbox(self) -> list[float] | None:
        """The `bbox` member, if it is there."""
        return self.members.get("bbox")

    @property
    def __geo_interface__(self) -> dict[str, Any]:
        """The object in plain dicts and lists."""
        return self.members

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, GeoJSON):
            return NotImplemented
        return self.__geo_interface__ == other.__geo_interface__

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {', '.join(name for name in self.members if name != 'type')}>"

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self)._wrap, (self.members,)


class Geometry(GeoJSON):
    """A geometry of any kind; `Geometry.of(value)` gives the class of its kind."""

    __slots__ = ()
    KIND: ClassVar[str] = ""

    @classmethod
    def json_schema(cls) -> dict[str, Any]:
        """JSON Schema of such a geometry."""
        return geojson.geometry_schema(cls.KIND)

    @classmethod
    def _from_members(cls, members: dict[str, Any]) -> Self:
        kind = _check_geometry(members)
        made = _GEOMETRIES[kind]._wrap(members)
        if not isinstance(made, cls):
            raise GeoJSONError(f"Expected a {cls.KIND}, got a {kind}")
        return made

    @property
    def coordinates(self) -> list[Any]:
        """Positions, nested as the kind of geometry has it: longitude, latitude and perhaps height."""
        coordinates: list[Any] = self.members["coordinates"]
        return coordinates


class _WithCoordinates(Geometry):
    __slots__ = ()

    def __init__(self, coordinates: Iterable[Any], **members: Any) -> None:
        self.members = {"type": self.KIND, "coordinates": coordinates, **members}


class Point(_WithCoordinates):
    """One position: `Point([7.1, 51.9])`."""

    __slots__ = ()
    KIND = "Point"


class MultiPoint(_WithCoordinates):
    """Several positions."""

    __slots__ = ()
    KIND = "MultiPoint"


class LineString(_WithCoordinates):
    """A line of two or more positions."""

    __slots__ = ()
    KIND = "LineString"


class MultiLineString(_WithCoordinates):
    """Several lines."""

    __slots__ = ()
    KIND = "MultiLineString"


class Polygon(_WithCoordinates):
    """An area: its outer ring, then its holes."""

    __slots__ = ()
    KIND = "Polygon"


class MultiPolygon(_WithCoordinates):
    """Several areas."""

    __slots__ = ()
    KIND = "MultiPolygon"


class GeometryCollection(Geometry):
    """Geometries of any kinds."""

    __slots__ = ()
    KIND = "GeometryCollection"

    def __init__(self, geometries: Iterable[Any], **members: Any) -> None:
        plain = [Geometry.of(geometry).members for geometry in geometries]
        self.members = {"type": self.KIND, "geometries": plain, **members}

    @property
    def geometries(self) -> list[Geometry]:
        """The geometries of the collection."""
        return [Geometry.of(geometry) for geometry in self.members["geometries"]]


_GEOMETRIES: dict[str, type[Geometry]] = {
    kind.KIND: kind
    for kind in (Point, MultiPoint, LineString, MultiLineString, Polygon, MultiPolygon, GeometryCollection)
}


class Feature(GeoJSON):
    """A thing with a geometry, or with null for one, and properties.

    Args:
        geometry: A geometry, anything with `__geo_interface__` (a shapely geometry), or None.
        properties: What is known of it.
        id: What it is called.
        **members: Further members.
    """

    __slots__ = ("_parts",)

    _parts: dict[str, Any]
    """The members of a feature that came in and was not looked at as a whole: those not yet decoded are Raw."""

    def __init__(
        self,
        geometry: Any = None,
        properties: Mapping[str, Any] | None = None,
        id: str | float | None = None,  # noqa: A002
        **members: Any,
    ) -> None:
        self.members = {"type": "Feature"}
        if id is not None:
            self.members["id"] = id
        self.members |= {
            "properties": dict(properties or {}),
            "geometry": _plain_geometry(geometry),
            **members,
        }

    @classmethod
    def json_schema(cls) -> dict[str, Any]:
        """JSON Schema of a feature."""
        return geojson.feature_schema()

    @classmethod
    def _from_members(cls, members: dict[str, Any]) -> Self:
        _check_type(members, "Feature")
        geometry = members.get("geometry")
        if geometry is not None:
            _check_geometry(geometry)
        return cls._wrap(members)

    @classmethod
    def _in_parts(cls, parts: dict[str, Any]) -> Self:
        made = cls.__new__(cls)
        made._parts = parts
        return made

    def _decoded(self) -> dict[str, Any]:
        return {
            name: msgspec.json.decode(part) if type(part) is Raw else part
            for name, part in self._parts.items()
        }

    def _known(self) -> dict[str, Any]:
        """Give the members, or the parts where the feature was not looked at as a whole."""
        try:
            return _members_if_decoded(self)
        except AttributeError:
            return self._parts

    def _member(self, name: str) -> Any:
        """Give one member, and decode no other."""
        try:
            return _members_if_decoded(self).get(name)
        except AttributeError:
            pass
        with _DECODING:
            known = self._known()
            member = known.get(name)
            if type(member) is Raw:
                member = known[name] = msgspec.json.decode(member)
            return member

    def _encodable(self) -> Any:
        return self._known()

    def _has_text(self) -> bool:
        return type(self._known().get("geometry")) is Raw

    def _unproven(self) -> Any:
        return {**self._known(), "geometry": None} if self._has_text() else self._known()

    @property
    def id(self) -> str | float | None:
        """What the feature is called; None where it has no name."""
        name: str | float | None = self._member("id")
        return name

    @property
    def bbox(self) -> list[float] | None:
        """The `bbox` member, if it is there."""
        bbox: list[float] | None = self._member("bbox")
        return bbox

    @property
    def geometry(self) -> Geometry | None:
        """The geometry, or None. May be set to a geometry, anything with `__geo_interface__`, or None."""
        geometry = self._member("geometry")
        return None if geometry is None else Geometry.of(geometry)

    @geometry.setter
    def geometry(self, geometry: Any) -> None:
        self._known()["geometry"] = _plain_geometry(geometry)

    @property
    def properties(self) -> dict[str, Any]:
        """What is known of it; may be changed. Where the feature has none they are an empty dict."""
        properties: dict[str, Any] | None = self._member("properties")
        if properties is None:
            properties = self._known()["properties"] = {}
        return properties

    def with_geometry(self, geometry: Any) -> "Feature":
        """Return the same feature, id, properties and foreign members kept, with another geometry.

        Its `bbox`, which was that of the old geometry, is left out.
        """
        known = {name: value for name, value in self._known().items() if name != "bbox"}
        return Feature._in_parts({**known, "geometry": _plain_geometry(geometry)})

    def with_properties(self, **properties: Any) -> "Feature":
        """Return the same feature with these properties added, or put in place of those of the same name."""
        known = self._member("properties") or {}
        return Feature._in_parts({**self._known(), "properties": {**known, **properties}})


class FeatureCollection(GeoJSON):
    """Features, in an order.

    Args:
        features: Features, or anything that can be one (`Feature.of`).
        **members: Further members.
    """

    __slots__ = ("_document",)

    _document: bytes
    """The text of a collection that came in and was not looked at."""

    def __init__(self, features: Iterable[Any] = (), **members: Any) -> None:
        self.members = {
            "type": "FeatureCollection",
            "features": [Feature.of(item) for item in features],
            **members,
        }

    @classmethod
    def json_schema(cls) -> dict[str, Any]:
        """JSON Schema of a collection of features."""
        return geojson.feature_collection_schema()

    @classmethod
    def _from_members(cls, members: dict[str, Any]) -> Self:
        _check_type(members, "FeatureCollection")
        features = members.get("features")
        if not isinstance(features, list | tuple):
            raise GeoJSONError("Expected the member `features` of the FeatureCollection to be an array")
        return cls._wrap({**members, "features": _features_of(features)})

    @classmethod
    def _unread(cls, document: bytes) -> Self:
        """Take a collection by its text, which has been checked against the schema of collections."""
        made = cls.__new__(cls)
        made._document = document
        return made

    def _decoded(self) -> dict[str, Any]:
        document = self._document
        with uncollected(document):
            if _has_small_features(document):
                members: dict[str, Any] = msgspec.json.decode(document)
                return {**members, "features": _features_of(members["features"])}
            parts = msgspec.json.decode(document, type=dict[str, Raw])
            features = msgspec.json.decode(parts.pop("features"), type=list[dict[str, Raw]])
            members = {name: msgspec.json.decode(part) for name, part in parts.items()}
            return {**members, "features": [Feature._in_parts(feature) for feature in features]}

    def _text(self) -> bytes | None:
        try:
            _members_if_decoded(self)
        except AttributeError:
            return self._document
        return None

    def _encodable(self) -> Any:
        return {**self.members, "features": [Feature.of(feature)._encodable() for feature in self.features]}

    def _has_text(self) -> bool:
        return any(isinstance(feature, Feature) and feature._has_text() for feature in self.features)

    def _unproven(self) -> Any:
        return {**self.members, "features": [Feature.of(feature)._unproven() for feature in self.features]}

    @property
    def features(self) -> list[Feature]:
        """The features; the list may be changed."""
        features: list[Feature] = self.members["features"]
        return features

    @property
    def __geo_interface__(self) -> dict[str, Any]:
        """The collection in plain dicts and lists."""
        return {**self.members, "features": [Feature.of(feature).members for feature in self.features]}

    def with_features(self, features: Iterable[Any]) -> "FeatureCollection":
        """Return a collection with the same foreign members and other features. Its `bbox` is left out."""
        kept = {
            name: value for name, value in self.members.items() if name not in ("type", "features", "bbox")
        }
        return FeatureCollection(features, **kept)


_members_if_decoded: Callable[[GeoJSON], dict[str, Any]] = GeoJSON.__dict__["members"].__get__
"""The members where they have been decoded; raises AttributeError where not."""

_HEAD_BYTES = 1 << 16
_SMALL_FEATURE_BYTES = 1 << 10


def _has_small_features(document: bytes) -> bool:
    """Tell whether taking the features apart would cost more than decoding them."""
    head = document[:_HEAD_BYTES]
    return head.count(b'"geometry"') * _SMALL_FEATURE_BYTES > len(head)


def _members_of(value: Any) -> dict[str, Any]:
    if type(value) is dict:
        return value
    members = getattr(value, "__geo_interface__", value)
    if not isinstance(members, Mapping):
        raise GeoJSONError(f"Expected a GeoJSON object, got `{type(value).__name__}`")
    return dict(members)


def _check_type(members: dict[str, Any], expected: str) -> None:
    if (found := members.get("type")) != expected:
        raise GeoJSONError(f"Expected a GeoJSON object of type {expected!r}, got type {found!r}")


def _check_geometry(members: Any) -> str:
    """Check what every reader of a geometry relies on, and return its kind; positions are not looked at."""
    kind = members.get("type") if isinstance(members, Mapping) else None
    if kind not in _GEOMETRIES:
        raise GeoJSONError(f"Expected a GeoJSON geometry, got type {kind!r}; one of {', '.join(_GEOMETRIES)}")
    content = "geometries" if kind == "GeometryCollection" else "coordinates"
    if not isinstance(members.get(content), list | tuple):
        raise GeoJSONError(f"Expected the member `{content}` of the {kind} to be an array")
    return str(kind)


def _features_of(items: Iterable[Any]) -> list[Feature]:
    """Take features; those in plain JSON, of which there may be very many, without detours."""
    features = []
    for index, item in enumerate(items):
        if _is_plain_feature(item):
            feature = Feature.__new__(Feature)
            feature.members = item
        else:
            feature = _numbered(item, index)
        features.append(feature)
    return features


def _is_plain_feature(item: Any) -> bool:
    if type(item) is not dict or item.get("type") != "Feature":
        return False
    geometry = item.get("geometry")
    if geometry is None:
        return True
    return (
        type(geometry) is dict
        and geometry.get("type") in geojson.WITH_COORDINATES
        and type(geometry.get("coordinates")) is list
    )


def _numbered(item: Any, index: int) -> Feature:
    try:
        return Feature.of(item)
    except GeoJSONError as error:
        raise GeoJSONError(f"{error} - at `features[{index}]`") from None


def _plain_geometry(geometry: Any) -> dict[str, Any] | None:
    return None if geometry is None else Geometry.of(geometry).members


class BBox(Struct, frozen=True):
    """A bounding box: west, south, east, north, or with heights in the third and the last place (bbox.yaml).

    West of a box across the antimeridian is greater than its east. Without a crs it is in CRS84, or, with
    heights, in CRS84h.
    """

    bbox: list[float]
    crs: str = ""

    def __post_init__(self) -> None:
        if len(self.bbox) not in (4, 6):
            raise ValueError(f"A bounding box has 4 or 6 numbers, not {len(self.bbox)}")
        if not self.crs:
            force_setattr(self, "crs", CRS84 if len(self.bbox) == 4 else CRS84H)

    @property
    def bounds(self) -> tuple[float, float, float, float]:
        """West, south, east, north, without heights."""
        half = len(self.bbox) // 2
        return (self.bbox[0], self.bbox[1], self.bbox[half], self.bbox[half + 1])

    @classmethod
    def json_schema(cls) -> dict[str, Any]:
        """JSON Schema of a bounding box, with its format (/req/ogc-process-description/format-key)."""
        not_five = {"minItems": 5, "maxItems": 5}
        numbers = {
            "type": "array",
            "minItems": 4,
            "maxItems": 6,
            "not": not_five,
            "items": {"type": "number"},
        }
        properties = {
            "bbox": numbers,
            "crs": {"type": "string", "format": "uri", "default": CRS84},
        }
        return {
            "allOf": [
                {"format": "ogc-bbox"},
                {"type": "object", "required": ["bbox"], "properties": properties},
            ]
        }
