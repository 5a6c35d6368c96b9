"""Simplified geometries stay near what they were, and valid."""

from typing import Any

import fastprocesses_sdk as fp
import numpy as np
import pytest
import shapely
from fastprocesses_vector import simplify
from hypothesis import given, settings
from hypothesis import strategies as st
from pyproj import Geod
from shapely import LineString, MultiPolygon, Point, Polygon, box
from shapely.geometry import shape

GEOD = Geod(ellps="WGS84")


def simpler(geometry: Any, tolerance: float, **options: Any) -> Any:
    (result,) = simplify(fp.FeatureCollection([fp.Feature(geometry)]), tolerance, **options).features
    return None if result.geometry is None else shape(result.geometry)


def metres_away(positions: Any, line: Any) -> Any:
    """From each position to the nearest of many places on a line, on the ground."""
    places = shapely.get_coordinates(shapely.segmentize(line, 0.001))
    nearest = []
    for x, y in positions:
        _, _, far = GEOD.inv(np.full(len(places), x), np.full(len(places), y), places[:, 0], places[:, 1])
        nearest.append(far.min())
    return np.array(nearest)


def test_on_the_equator_it_is_douglas_and_peucker():
    random = np.random.default_rng(1)
    line = LineString(np.column_stack([np.linspace(0, 1, 500), random.normal(0, 0.01, 500)]))

    found = simpler(line, 1000)

    expected = shapely.simplify(line, 1000 / 111_694.4)
    assert found.equals_exact(expected, 0)
    assert 2 < len(found.coords) < 400


def test_positions_that_stay_are_the_same_to_the_last_digit():
    polygon = Point(7.123456789, 60.987654321).buffer(0.1, quad_segs=64)

    found = simpler(polygon, 100)

    before = set(map(tuple, shapely.get_coordinates(polygon)))
    assert set(map(tuple, shapely.get_coordinates(found))) < before


@pytest.mark.parametrize(("latitude", "kept"), [(0, True), (60, True), (75, False)])
def test_the_tolerance_is_that_on_the_ground_not_in_degrees(latitude, kept):
    """A bend to the east of 0.02 degrees is 2.2 km wide at the equator, 1.1 at 60 degrees and 0.6 at 75."""
    line = LineString([(0, latitude), (0.02, latitude + 0.1), (0, latitude + 0.2)])

    assert (len(simpler(line, 1000).coords) == 3) is kept


def test_heights_of_the_positions_that_stay_are_kept():
    found = simpler(LineString([(0, 0, 1), (1, 0.00001, 5), (2, 0, 9)]), 100)

    assert list(found.coords) == [(0, 0, 1), (2, 0, 9)]


def test_small_areas_stay_with_topology_and_vanish_without():
    speck = Point(7, 51).buffer(0.0001)

    assert simpler(speck, 10_000).area > 0
    assert simpler(speck, 10_000, keep_topology=False) is None


def test_parts_that_would_overlap_are_looked_at_together():
    outer = Point(0, 0).buffer(1, quad_segs=32).difference(Point(0, 0).buffer(0.95, quad_segs=32))
    inner = Point(0, 0).buffer(0.94, quad_segs=32)

    for tolerance in (1000, 5000, 20_000, 60_000):
        found = simpler(MultiPolygon([outer, inner]), tolerance)
        assert found.is_valid
        assert found.geom_type == "MultiPolygon"


@pytest.mark.parametrize("keep_topology", [True, False])
def test_what_crosses_itself_is_mended(keep_topology):
    assert simpler(Polygon([(0, 0), (1, 1), (1, 0), (0, 1)]), 100, keep_topology=keep_topology).is_valid


def test_a_line_over_the_antimeridian_is_cut_there_and_stays_near():
    line = LineString([(179, 0), (179.6, 3.5), (-179.5, 9), (-179, 10)])

    found = simpler(line, 30_000)

    assert found.geom_type == "MultiLineString"
    assert shapely.get_coordinates(found)[:, 0].max() == 180
    assert (metres_away([(-179.5, 9), (179.6, 3.5)], found) < 30_500).all()


def test_points_stay():
    assert simpler(shapely.MultiPoint([(0, 0), (0.00001, 0)]), 1000).geoms[1].x == 0.00001


steps = st.floats(-0.05, 0.05).map(lambda number: round(number, 9))


@settings(max_examples=60, deadline=None)
@given(
    west=st.floats(-170, 170).map(lambda number: round(number, 9)),
    south=st.floats(-80, 80).map(lambda number: round(number, 9)),
    steps=st.lists(st.tuples(steps, steps), min_size=2, max_size=30),
    tolerance=st.floats(10, 5000),
)
def test_nothing_left_out_is_farther_than_the_tolerance(west, south, steps, tolerance):
    line = LineString(np.cumsum([(west, south), *steps], axis=0))
    if line.length == 0:
        return

    found = simpler(line, tolerance)

    step = 0.001 * 111_700  # between the places looked at
    assert metres_away(line.coords, found).max() <= tolerance + step
    assert found.coords[0] == line.coords[0]


@settings(max_examples=40, deadline=None)
@given(
    radii=st.lists(st.floats(0.2, 1), min_size=4, max_size=40),
    tolerance=st.floats(10, 100_000),
    keep_topology=st.booleans(),
)
def test_areas_are_valid_whatever_the_tolerance(radii, tolerance, keep_topology):
    angles = np.linspace(0, 2 * np.pi, len(radii), endpoint=False)
    star = Polygon(np.column_stack([radii * np.cos(angles), radii * np.sin(angles) + 50]))

    found = simpler(star, tolerance, keep_topology=keep_topology)

    assert found is None or found.is_valid
    assert found is not None or not keep_topology


def test_many_positions_are_done_in_one_go():
    angles = np.linspace(0, 2 * np.pi, 200_000, endpoint=False)
    radii = 5 * (1 + 0.01 * np.sin(5000 * angles))
    found = simpler(Polygon(np.column_stack([radii * np.cos(angles), 50 + radii * np.sin(angles)])), 10_000)

    assert found.is_valid
    assert len(found.exterior.coords) < 2000
    assert found.covers(box(-2, 48, 2, 52))
