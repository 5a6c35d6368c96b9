"""Buffers, centres and sizes agree with geodesics, wherever on Earth."""

from typing import Any

import fastprocesses_sdk as fp
import numpy as np
import pytest
import shapely
from fastprocesses_vector import buffer, centroid, measure
from hypothesis import given, settings
from hypothesis import strategies as st
from pyproj import Geod
from shapely import LineString, MultiPoint, MultiPolygon, Point, Polygon, box
from shapely.geometry import shape

GEOD = Geod(ellps="WGS84")
PLACES = [(0, 0), (7.6, 51.9), (179.95, -16), (-179.99, 70), (30, 89.9), (10, 90), (-75, -89.95)]


def collection(*geometries: Any) -> fp.FeatureCollection:
    return fp.FeatureCollection(
        [fp.Feature(geometry, {"index": i}, id=i) for i, geometry in enumerate(geometries)]
    )


def buffered(geometry: Any, distance: float, **options: Any) -> Any:
    return shape(buffer(collection(geometry), distance, **options).features[0].geometry)


def centre(geometry: Any) -> tuple[float, float]:
    (x, y) = shape(centroid(collection(geometry)).features[0].geometry).coords[0]
    return x, y


def on_land(area: Any) -> Any:
    """The positions of an outline that are not where the map is cut."""
    positions = shapely.get_coordinates(area)
    return positions[(np.abs(positions[:, 0]) < 180) & (np.abs(positions[:, 1]) < 90)]


# Buffers


@pytest.mark.parametrize("distance", [5.0, 10_000.0, 500_000.0, 2_000_000.0])
@pytest.mark.parametrize("place", PLACES, ids=str)
def test_the_edge_of_a_circle_is_as_far_as_was_asked(place, distance):
    area = buffered(Point(place), distance)

    edge = on_land(area)
    _, _, far = GEOD.inv(np.full(len(edge), place[0]), np.full(len(edge), place[1]), *edge.T)
    assert area.is_valid
    assert far == pytest.approx(distance, rel=0.01)


@pytest.mark.parametrize("place", PLACES, ids=str)
def test_a_circle_has_the_area_of_one_also_over_a_pole_and_the_antimeridian(place):
    measured = measure(fp.FeatureCollection([fp.Feature(buffered(Point(place), 100_000, segments=64))]))

    assert measured.area == pytest.approx(np.pi * 100_000**2, rel=0.005)


@pytest.mark.parametrize(
    "geometry",
    [
        box(0, 40, 60, 70),
        box(-180, -90, 180, -70),
        LineString([(-170, 10), (170, 60)]),
        MultiPolygon([box(-10, -5, 0, 5), box(100, -5, 130, 5)]),
        box(170, -20, 190, 20),
    ],
    ids=["wide", "around a pole", "line", "parts", "beyond 180"],
)
def test_the_edge_around_a_large_geometry_is_nowhere_too_near_nor_too_far(geometry):
    distance = 200_000.0
    area = buffered(geometry, distance)

    outline = shapely.segmentize(geometry, 0.2)
    corners = shapely.get_coordinates(outline)
    if isinstance(geometry, LineString):  # its one edge goes the short way
        corners = np.column_stack([np.linspace(-170, -190, 400), np.linspace(10, 60, 400)])
    for x, y in on_land(area)[::7]:
        _, _, far = GEOD.inv(np.full(len(corners), x), np.full(len(corners), y), *corners.T)
        assert far.min() == pytest.approx(distance, rel=0.02)


def test_what_is_surrounded_lies_inside():
    island = box(-30, 60, 40, 88)

    assert buffered(island, 1000).covers(island)


def test_a_ring_that_jumps_over_the_antimeridian_goes_the_short_way():
    ring = Polygon([(179, -17), (-179.5, -16.5), (-179, -17.5), (179.5, -18), (-180, -17.2)])

    area = buffered(ring, 1000)

    assert shapely.intersects(area, box(-175, -90, 175, 90)) is np.False_ or not area.intersects(
        box(-175, -90, 175, 90)
    )


def test_caps_and_joins():
    line = LineString([(7, 51), (7.1, 51)])
    flat, square, round_ = (buffered(line, 1000, cap=cap).area for cap in ("flat", "square", "round"))

    assert flat < round_ < square
    assert buffered(box(7, 51, 8, 52), 1000, join="mitre").area > buffered(box(7, 51, 8, 52), 1000).area


def test_more_segments_make_a_rounder_circle():
    assert buffered(Point(7, 51), 1000, segments=1).area < buffered(Point(7, 51), 1000, segments=32).area


# Centres


@pytest.mark.parametrize(
    ("geometry", "expected"),
    [
        (Point(7, 51, 30), (7, 51)),
        (box(7, 51, 7.01, 51.01), (7.005, 51.005)),
        (MultiPoint([(179, 0), (-179, 0)]), (180, 0)),
        (MultiPoint([(0, 80), (90, 80), (180, 80), (-90, 80)]), (None, 90)),
        (box(-180, -90, 180, -80), (None, -90)),
        (MultiPolygon([box(178, -1, 180, 1), box(-180, -1, -178, 1)]), (180, 0)),
        (LineString([(0, -40), (0, 40)]), (0, 0)),
        (shapely.GeometryCollection([Point(50, 50), box(0, -1, 2, 1)]), (1, 0)),
        (Polygon([(0, 0), (1, 1), (1, 0), (0, 1)]), (0.5, 0.5)),
        (Polygon([(1, 1), (1, 1), (1, 1)]), (1, 1)),
    ],
    ids=str,
)
def test_the_centre_lies_where_it_should(geometry, expected):
    x, y = centre(geometry)

    assert y == pytest.approx(expected[1], abs=0.01)
    assert expected[0] is None or (x - expected[0] + 180) % 360 - 180 == pytest.approx(0, abs=0.01)


def test_what_surrounds_the_globe_has_no_centre():
    with pytest.raises(fp.ProcessError, match="Feature 0"):
        centre(box(-180, -90, 180, 90))


# Sizes


@pytest.mark.parametrize(
    ("geometry", "expected"),
    [
        (Point(7, 51), (0, 0, 0)),
        (LineString([(0, 0), (1, 0)]), (0, 111_319.5, 0)),
        (LineString([(179.5, 0), (-179.5, 0)]), (0, 111_319.5, 0)),
        (LineString([(180, 0), (180, 1)]), (0, 110_574.4, 0)),
        (LineString([(0, 0), (0, 0)]), (0, 0, 0)),
        (box(-180, -90, 180, 90), (5.10065622e14, 0, 0)),
        (box(-180, 0, 180, 90), (2.55032811e14, 0, 40_075_017)),
        (box(0, 0, 1, 1).difference(box(0.4, 0.4, 0.6, 0.6)), (11_816_400_000, 0, 532_600)),
        (
            shapely.GeometryCollection([box(0, 0, 1, 1), LineString([(0, 0), (1, 0)]), Point(0, 0)]),
            (12_308_778_361, 111_319.5, 443_771),
        ),
        (MultiPolygon([box(0, 0, 1, 1), box(0, 0, 1, 1)]), (12_308_778_361, 0, 443_771)),
    ],
    ids=str,
)
def test_sizes_on_the_ellipsoid(geometry, expected):
    measured = measure(collection(geometry, geometry))

    properties = measured.features.features[0].properties
    one = (properties["area_m2"], properties["length_m"], properties["perimeter_m"])
    assert one == pytest.approx(expected, rel=1e-3)
    sums = (measured.area, measured.length, measured.perimeter)
    assert sums == pytest.approx([2 * each for each in expected], rel=1e-3)


def test_a_small_area_is_that_of_the_geodesic_polygon():
    corners = [(7.0, 51.0), (7.01, 51.0), (7.01, 51.01), (7.0, 51.01)]
    area, perimeter = GEOD.geometry_area_perimeter(Polygon(corners))

    measured = measure(collection(Polygon(corners)))

    assert (measured.area, measured.perimeter) == pytest.approx((area, perimeter), rel=1e-6)


def test_the_cut_along_the_antimeridian_is_no_outline():
    whole = measure(collection(box(179, 0, 181, 1)))
    cut = measure(collection(MultiPolygon([box(179, 0, 180, 1), box(-180, 0, -179, 1)])))

    assert (cut.area, cut.perimeter) == pytest.approx((whole.area, whole.perimeter), rel=1e-6)


@pytest.mark.parametrize(
    "needle",
    [
        Polygon([(1, 0), (1, 1), (1 + 1e-12, 0)]),
        LineString([(1, 0), (1, 1), (1, 0), (1, 0)]),
        LineString([(1, 0), (1, 1), (1 + 1e-12, 0), (1, 0)]),
    ],
)
def test_an_area_of_almost_no_width_is_surrounded_like_a_line(needle):
    assert needle.is_valid

    area = buffered(needle, 100)

    assert area.covers(LineString([(1, 0), (1, 1)]))
    assert area.area == pytest.approx(buffered(LineString([(1, 0), (1, 1)]), 100).area, rel=1e-6)


# What always holds


def degrees(low: float, high: float) -> Any:
    """Numbers as data has them: nanodegrees are a tenth of a millimetre."""
    return st.floats(low, high).map(lambda number: round(number, 9))


offsets = degrees(-1, 1)
places = st.tuples(degrees(-179, 179), degrees(-80, 80))


@st.composite
def polygons(draw):
    x, y = draw(places)
    corners = draw(st.lists(st.tuples(offsets, offsets), min_size=3, max_size=8, unique=True))
    return Polygon([(x + dx, y + dy) for dx, dy in corners])


@pytest.mark.parametrize("latitude", [34, 0, -50])
@pytest.mark.parametrize("thickness", [1e-14, -1e-13, 1e-12, 1e-9, -1e-7, 1e-6])
@pytest.mark.parametrize("distance", [1.0, 100.0])
def test_the_thinnest_of_areas_lies_inside_its_buffer(latitude, thickness, distance):
    needle = Polygon([(0, latitude), (0.8125, latitude), (0.375, latitude + thickness)])

    area = buffered(needle, distance)

    assert area.is_valid
    for x, y in needle.exterior.coords:
        assert area.covers(Point(x, y))


@settings(max_examples=40, deadline=None)
@given(geometry=polygons().filter(lambda polygon: polygon.is_valid), distance=st.floats(1, 100_000))
def test_a_buffer_is_valid_and_contains_what_it_surrounds(geometry, distance):
    area = buffered(geometry, distance)

    assert area.is_valid
    for x, y in geometry.exterior.coords:
        assert area.covers(Point(x, y))


@settings(max_examples=40, deadline=None)
@given(geometry=polygons().filter(lambda polygon: polygon.convex_hull.area > 1e-6))
def test_a_centre_lies_inside_the_hull(geometry):
    assert geometry.convex_hull.buffer(0.01).covers(Point(centre(geometry)))


@settings(max_examples=40, deadline=None)
@given(place=places, other=places)
def test_a_line_is_as_long_there_as_back_and_no_shorter_than_a_geodesic(place, other):
    there = measure(collection(LineString([place, other]))).length
    back = measure(collection(LineString([other, place]))).length

    assert there == pytest.approx(back)
    assert there >= GEOD.inv(*place, *other)[2] * (1 - 1e-9)
