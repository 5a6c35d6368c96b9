"""Points lie where they should, as often as the ground is large, and the same ones each time."""

from typing import Any

import fastprocesses_sdk as fp
import numpy as np
import pytest
import shapely
from fastprocesses_vector import measure, sample_points
from hypothesis import given, settings
from hypothesis import strategies as st
from pyproj import Geod
from shapely import GeometryCollection, LineString, MultiPoint, MultiPolygon, Point, Polygon, box
from shapely.geometry import shape

GEOD = Geod(ellps="WGS84")


def collection(*geometries: Any) -> fp.FeatureCollection:
    return fp.FeatureCollection([fp.Feature(geometry, {"i": i}) for i, geometry in enumerate(geometries)])


def places(*geometries: Any, **options: Any) -> Any:
    found = sample_points(collection(*geometries), **options).features
    return np.array([each.geometry.coordinates for each in found]).reshape(-1, 2)


def test_each_feature_gets_as_many_as_was_asked():
    found = sample_points(collection(box(0, 0, 1, 1), None, LineString([(5, 5), (6, 6)])), count=7).features

    assert [each.properties["i"] for each in found] == [0] * 7 + [2] * 7
    assert all(box(0, 0, 1, 1).contains(shape(each.geometry)) for each in found[:7])
    assert all(LineString([(5, 5), (6, 6)]).distance(shape(each.geometry)) < 1e-12 for each in found[7:])


def test_properties_and_the_id_are_handed_on():
    lake = fp.Feature(box(0, 0, 1, 1), {"name": "lake"}, id="l1", note="left out")

    (point,) = sample_points(fp.FeatureCollection([lake]), count=1).features

    assert point.properties == {"name": "lake", "feature_id": "l1"}
    assert set(point.members) == {"type", "properties", "geometry"}


def test_the_seed_decides():
    area = box(0, 0, 1, 1)

    assert (places(area, count=5) == places(area, count=5)).all()
    assert (places(area, count=5, seed=1) != places(area, count=5)).all()
    both = places(area, area, count=5)
    assert (both[:5] != both[5:]).all()


def test_density_is_by_square_kilometre():
    area = measure(collection(box(7, 51, 7.1, 51.1))).area / 1e6

    assert len(places(box(7, 51, 7.1, 51.1), density=2.5)) == round(2.5 * area)


def test_density_on_lines_is_by_kilometre():
    assert len(places(LineString([(0, 0), (1, 0)]), density=1)) == 111


@pytest.mark.parametrize("options", [{}, {"count": 1, "density": 1.0}])
def test_either_count_or_density(options):
    with pytest.raises(fp.ProcessError, match="either `count` or `density`"):
        sample_points(collection(box(0, 0, 1, 1)), **options)


@pytest.mark.parametrize("options", [{"count": 150_000}, {"density": 1e9}], ids=str)
def test_too_many_points_are_refused(options):
    with pytest.raises(fp.ProcessError, match="more than 200,000 points; ask for fewer"):
        sample_points(collection(box(0, 0, 1, 1), box(0, 0, 1, 1)), **options)


@pytest.mark.parametrize("geometry", [None, Point(1, 1), MultiPoint([(1, 1), (2, 2)]), Polygon()], ids=str)
def test_what_has_no_extent_gives_none(geometry):
    assert len(places(geometry, count=5)) == 0
    assert len(places(geometry, density=5)) == 0


def test_of_mixed_kinds_areas_go_first():
    mixed = GeometryCollection([LineString([(5, 5), (6, 6)]), box(0, 0, 1, 1), Point(9, 9)])

    assert shapely.contains_xy(box(0, 0, 1, 1), places(mixed, count=50)).all()


def test_every_place_on_the_globe_is_as_likely_as_it_is_large():
    found = places(box(-180, -90, 180, 90), count=40_000)

    for south, north in ((-90, -60), (-60, -30), (-30, 0), (0, 30), (30, 60), (60, 90)):
        band = shapely.segmentize(box(0, south, 90, north), 0.5)
        share = abs(GEOD.geometry_area_perimeter(band)[0]) * 4 / 510_065_621_724_000
        inside = ((found[:, 1] >= south) & (found[:, 1] < north)).mean()
        assert inside == pytest.approx(share, abs=5 * np.sqrt(share * (1 - share) / len(found)))


def test_parts_get_points_by_their_size():
    large, small = box(0, 0, 3, 1), box(100, 0, 101, 1)

    found = places(MultiPolygon([large, small]), count=4000)

    assert shapely.contains_xy(small, found).mean() == pytest.approx(0.25, abs=0.035)


def test_holes_stay_empty():
    ring = Point(0, 0).buffer(1).difference(Point(0, 0).buffer(0.9))

    assert shapely.contains_xy(ring, places(ring, count=500)).all()


def test_slivers_are_filled_evenly():
    sliver = Polygon([(0, 0), (10, 10), (10, 10.000001), (0, 0.000001)])

    found = places(sliver, count=2000)

    assert shapely.contains_xy(sliver, found).all()
    assert (found[:, 0] < 5).mean() == pytest.approx(0.5, abs=0.06)


def test_lines_are_filled_by_their_length_on_the_ground():
    """At 60 degrees a degree of longitude is half as long as at the equator."""
    lines = shapely.MultiLineString([[(0, 0), (10, 0)], [(0, 60), (10, 60)]])

    found = places(lines, count=6000)

    assert (found[:, 1] == 0).mean() == pytest.approx(2 / 3, abs=0.03)


@pytest.mark.parametrize(
    "geometry", [box(175, 0, 185, 1), LineString([(175, 0), (-175, 0)])], ids=["area", "line"]
)
def test_over_the_antimeridian_points_lie_on_both_sides(geometry):
    found = places(geometry, count=200)

    assert (np.abs(found[:, 0]) <= 180).all()
    assert (np.abs(found[:, 0]) >= 175).all()
    assert 60 < (found[:, 0] < 0).sum() < 140


@pytest.mark.parametrize("end", [(180, 1), (-180, 1)])
def test_a_line_that_leads_nowhere_is_told(end):
    with pytest.raises(fp.ProcessError, match="Feature 0 of features: its lines lead nowhere"):
        places(LineString([(180, 1), end]), count=1)


def test_an_area_too_thin_for_numbers_is_told():
    thin = Polygon([(100, 50), (100 + 3e-14, 50), (100, 50 + 1e-14)])

    with pytest.raises(fp.ProcessError, match="Feature 0 of features: its "):
        places(thin, count=3)


def test_an_outline_of_many_positions():
    angles = np.linspace(0, 2 * np.pi, 200_000, endpoint=False)
    radii = 5 * (1 + 0.01 * np.sin(5000 * angles))
    area = Polygon(np.column_stack([radii * np.cos(angles), 50 + radii * np.sin(angles)]))

    assert shapely.contains_xy(area, places(area, count=10_000)).all()


@settings(max_examples=50, deadline=None)
@given(
    corners=st.lists(
        st.tuples(st.floats(-170, 170), st.floats(-85, 85)), min_size=3, max_size=6, unique=True
    ),
    seed=st.integers(0, 2**53),
)
def test_points_lie_inside(corners, seed):
    area = Polygon(corners).convex_hull
    if area.geom_type != "Polygon" or area.area < 1e-6 or area.bounds[2] - area.bounds[0] > 170:
        return

    assert shapely.covers(area, shapely.points(places(area, count=20, seed=seed))).all()
