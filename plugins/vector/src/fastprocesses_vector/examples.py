"""Values for the examples of the processes: a small town."""

from typing import Any


def _feature(name: str, kind: str, coordinates: Any, **properties: Any) -> dict[str, Any]:
    return {
        "type": "Feature",
        "id": name,
        "properties": {"name": f"A {name}", **properties},
        "geometry": {"type": kind, "coordinates": coordinates},
    }


def _collection(*features: dict[str, Any]) -> dict[str, Any]:
    return {"type": "FeatureCollection", "features": list(features)}


def _rectangle(west: float, south: float, east: float, north: float) -> Any:
    return [[[west, south], [east, south], [east, north], [west, north], [west, south]]]


LAKE = _feature("lake", "Polygon", _rectangle(7.0, 51.0, 7.1, 51.1))
ROAD = _feature("road", "LineString", [[7.2, 51.0], [7.23, 51.02], [7.25, 51.055], [7.3, 51.1]])
LAKE_AND_ROAD = _collection(LAKE, ROAD)
DISTRICTS = _collection(
    _feature("old-town", "Polygon", _rectangle(7.0, 51.0, 7.1, 51.1), city="Hill", people=12_000),
    _feature("harbour", "Polygon", _rectangle(7.1, 51.0, 7.2, 51.1), city="Hill", people=8_000),
    _feature("mill", "Polygon", _rectangle(7.3, 51.0, 7.4, 51.1), city="Dale", people=3_000),
)
FLOOD = _collection(_feature("flood", "Polygon", _rectangle(7.05, 50.95, 7.25, 51.05), depth=1.5))
BOWTIE = _collection(
    _feature("bowtie", "Polygon", [[[7.0, 51.0], [7.1, 51.1], [7.1, 51.0], [7.0, 51.1], [7.0, 51.0]]])
)
