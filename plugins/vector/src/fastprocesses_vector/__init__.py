"""Vector processes on GeoJSON: buffer, centroid, measure; widths, areas and lengths as on the ground."""

from typing import Annotated

import fastprocesses_sdk as fp
from shapely.geometry.base import BaseGeometry

from fastprocesses_vector.buffering import Cap, Join, buffered
from fastprocesses_vector.centroids import centroid_of
from fastprocesses_vector.measuring import Size, size_of
from fastprocesses_vector.reading import for_each_feature

_EXAMPLE = {
    "type": "FeatureCollection",
    "features": [
        {
            "type": "Feature",
            "id": "lake",
            "properties": {"name": "A lake"},
            "geometry": {
                "type": "Polygon",
                "coordinates": [[[7.0, 51.0], [7.1, 51.0], [7.1, 51.1], [7.0, 51.1], [7.0, 51.0]]],
            },
        },
        {
            "type": "Feature",
            "id": "road",
            "properties": {"name": "A road"},
            "geometry": {"type": "LineString", "coordinates": [[7.2, 51.0], [7.3, 51.1]]},
        },
    ],
}
_KEYWORDS = ["vector", "geojson"]


@fp.process(
    keywords=[*_KEYWORDS, "buffer"],
    deterministic=True,
    retryable=True,
    example={"inputs": {"features": _EXAMPLE, "distance": 1000}},
)
def buffer(
    features: fp.FeatureCollection,
    distance: Annotated[float, fp.Input(gt=0, le=2_000_000, unit="m")],
    cap: Cap = "round",
    join: Join = "round",
    segments: Annotated[int, fp.Input(ge=1, le=64)] = 8,
    *,
    job: fp.Job = fp.NO_JOB,
) -> fp.FeatureCollection:
    """Surround every feature with the area that lies within a distance of it.

    The distance is measured on the ground, anywhere on Earth: geometries across the antimeridian and around
    the poles too. Properties, ids and other members are kept, and so are features without a geometry.

    Args:
        features: What to surround; longitude and latitude in WGS84.
        distance: How far, on the ground.
        cap: Shape of the ends of lines.
        join: Shape of corners. Other caps and joins than round are for features of at most 20 degrees.
        segments: How many edges stand for a quarter of a circle.
        job: What is told of each feature done.

    Returns:
        The features, each with its area; one across the antimeridian is cut there.
    """

    def surround(feature: fp.Feature, geometry: BaseGeometry) -> fp.Feature:
        return feature.with_geometry(buffered(geometry, distance, cap, join, segments))

    return for_each_feature(features, surround, job, "Buffering")


@fp.process(
    keywords=[*_KEYWORDS, "centroid"],
    deterministic=True,
    retryable=True,
    example={"inputs": {"features": _EXAMPLE}},
)
def centroid(features: fp.FeatureCollection, *, job: fp.Job = fp.NO_JOB) -> fp.FeatureCollection:
    """Put a point in place of every feature: the centre of its area, else of its lines, else of its points.

    Properties, ids and other members are kept, and so are features without a geometry.

    Args:
        features: Whose centres to find; longitude and latitude in WGS84.
        job: What is told of each feature done.

    Returns:
        The features, each at its centre.
    """

    def centre(feature: fp.Feature, geometry: BaseGeometry) -> fp.Feature:
        return feature.with_geometry(centroid_of(geometry))

    return for_each_feature(features, centre, job, "Finding centres")


class Measured(fp.Outputs):
    """Features with their sizes, and the sums.

    Attributes:
        features: The features, each with the properties `area_m2` and `length_m`; a length is that of lines
            and outlines.
        area: Area of all features together.
        length: Length of all lines and outlines together.
    """

    features: fp.FeatureCollection
    area: Annotated[float, fp.Output(unit="m²")]
    length: Annotated[float, fp.Output(unit="m")]


@fp.process(
    keywords=[*_KEYWORDS, "area", "length"],
    deterministic=True,
    retryable=True,
    example={"inputs": {"features": _EXAMPLE}},
)
def measure(features: fp.FeatureCollection, *, job: fp.Job = fp.NO_JOB) -> Measured:
    """Measure area and length of every feature on the WGS84 ellipsoid.

    Geometries, properties, ids and other members are kept; features without a geometry stay as they are.

    Args:
        features: What to measure; longitude and latitude in WGS84.
        job: What is told of each feature done.
    """
    sizes: list[Size] = []

    def measured(feature: fp.Feature, geometry: BaseGeometry) -> fp.Feature:
        sizes.append(size := size_of(geometry))
        return feature.with_properties(area_m2=size.area, length_m=size.length)

    changed = for_each_feature(features, measured, job, "Measuring")
    return Measured(
        features=changed, area=sum(size.area for size in sizes), length=sum(size.length for size in sizes)
    )
