"""Centroids on Earth."""

import fastprocesses_sdk as fp
import numpy as np
import shapely
from shapely import Point
from shapely.geometry.base import BaseGeometry

from fastprocesses_vector.antimeridian import flattened, wrapped
from fastprocesses_vector.errors import UnusableGeometryError
from fastprocesses_vector.examples import LAKE_AND_ROAD
from fastprocesses_vector.parts import Array, flat_parts, joined
from fastprocesses_vector.planes import Plane
from fastprocesses_vector.reading import for_each_feature
from fastprocesses_vector.tiling import tiles

_TILE_DEGREES = 15.0
_WHOLE_DEGREES = 20.0
_EDGE_DEGREES = 0.25


@fp.process(
    keywords=["vector", "geojson", "centroid"],
    deterministic=True,
    retryable=True,
    timeout_seconds=600,
    examples=[{"features": LAKE_AND_ROAD}],
)
def centroid(features: fp.FeatureCollection, *, job: fp.Job = fp.NO_JOB) -> fp.FeatureCollection:
    """Put a point in place of every feature: the centre of its area, else of its lines, else of its points.

    The centre is that of the mass on the ground; it need not lie inside. Properties, ids and other members
    are kept, and so are features without a geometry. Heights are dropped.

    Args:
        features: Whose centres to find; longitude and latitude in WGS84.
        job: What is told of each feature done.

    Returns:
        The features, each at its centre.
    """

    def centre(feature: fp.Feature, geometry: BaseGeometry) -> fp.Feature:
        return feature.with_geometry(centroid_of(geometry))

    return for_each_feature(features, centre, job, "Finding centres")


def centroid_of(geometry: BaseGeometry) -> Point:
    """Return the centre of mass of a geometry: of its areas, else of its lines, else of its points.

    A large geometry is weighed piece by piece, as masses on a globe.

    Raises:
        UnusableGeometryError: Its masses balance around the centre of the globe, or it has none.
    """
    flat = flattened(geometry)
    parts = flat_parts(flat)
    dimension = max((shapely.get_dimensions(part) for part in parts), default=-1)
    heaviest = [part for part in parts if shapely.get_dimensions(part) == dimension]
    if not heaviest or dimension < 0:
        raise UnusableGeometryError("it has no parts")
    whole = joined(heaviest)
    weighed = [_weighed(piece) for piece in (heaviest if dimension == 0 else _pieces(whole))]
    if len(weighed) == 1:
        return wrapped(weighed[0][0])
    return _balanced([place for place, _ in weighed], np.array([weight for _, weight in weighed]))


def _pieces(whole: BaseGeometry) -> list[BaseGeometry]:
    """Cut what is large into tiles; areas of a collection that overlap each for itself."""
    parts = [whole] if whole.is_valid else flat_parts(whole)
    return [tile for part in parts for tile in tiles(part, _TILE_DEGREES, _WHOLE_DEGREES)]


def _weighed(piece: BaseGeometry) -> tuple[BaseGeometry, float]:
    plane = Plane("laea", piece)
    flat = plane.onto(shapely.segmentize(piece, _EDGE_DEGREES))
    weight = flat.area or flat.length or 1.0
    return plane.off(flat.centroid), weight


def _balanced(places: list[BaseGeometry], weights: Array) -> Point:
    longitudes, latitudes = np.radians(shapely.get_coordinates(places)).T
    directions = np.column_stack(
        [np.cos(latitudes) * np.cos(longitudes), np.cos(latitudes) * np.sin(longitudes), np.sin(latitudes)]
    )
    x, y, z = weights @ directions / weights.sum()
    if np.hypot(np.hypot(x, y), z) < 1e-3:
        raise UnusableGeometryError("it surrounds the globe evenly, so that no place is its centre")
    return Point(float(np.degrees(np.arctan2(y, x))), float(np.degrees(np.arctan2(z, np.hypot(x, y)))))
