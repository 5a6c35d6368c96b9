"""What holds for every process: what is kept, what is refused and how, progress, examples, the front door."""

import json
import re
from typing import Any

import fastprocesses_sdk as fp
import fastprocesses_vector
import numpy as np
import pytest
import shapely
from fastprocesses_vector import (
    buffer,
    centroid,
    clip,
    dissolve,
    intersection,
    measure,
    repair,
    reproject,
    sample_points,
    simplify,
    validate,
)
from shapely import Point, box
from shapely.geometry import shape

WORLD = fp.FeatureCollection([fp.Feature(box(-180, -90, 180, 90))])
PROCESSES = [getattr(fastprocesses_vector, name) for name in fastprocesses_vector.__all__]

ONE_FOR_ONE = {
    "buffer": lambda features: buffer(features, 1000),
    "centroid": centroid,
    "measure": lambda features: measure(features).features,
    "simplify": lambda features: simplify(features, 10),
    "reproject": lambda features: reproject(features, "EPSG:3035"),
    "repair": repair,
}
"""Those that answer with the features they got."""
COLLECTIONS = {
    **ONE_FOR_ONE,
    "dissolve": dissolve,
    "clip": lambda features: clip(features, WORLD),
    "intersection": lambda features: intersection(features, WORLD),
    "sample_points": lambda features: sample_points(features, count=3),
}
one_for_one = pytest.mark.parametrize("call", ONE_FOR_ONE.values(), ids=ONE_FOR_ONE)
each_call = pytest.mark.parametrize("call", COLLECTIONS.values(), ids=COLLECTIONS)
each_process = pytest.mark.parametrize("process", PROCESSES, ids=lambda process: process.id)


def feature(geometry: Any, **members: Any) -> dict[str, Any]:
    return {"type": "Feature", "geometry": geometry, "properties": {}, **members}


# Kept


@one_for_one
def test_everything_but_the_geometry_is_kept(call):
    given = {
        "type": "Feature",
        "id": 7,
        "geometry": {"type": "Point", "coordinates": [7, 51, 100]},
        "properties": {"name": "Ä", "n": None},
        "note": {"foreign": [1]},
    }
    result = call(fp.FeatureCollection([given], name="foreign"))

    kept = result.features[0].members
    assert result.members["name"] == "foreign"
    assert (kept["id"], kept["note"]) == (7, {"foreign": [1]})
    assert given["properties"].items() <= kept["properties"].items()


@one_for_one
@pytest.mark.parametrize(
    "geometry",
    [
        None,
        {"type": "Point", "coordinates": []},
        {"type": "MultiPolygon", "coordinates": []},
        {"type": "GeometryCollection", "geometries": []},
    ],
    ids=["null", "empty point", "empty polygons", "empty collection"],
)
def test_a_feature_without_a_geometry_stays(call, geometry):
    given = {"type": "Feature", "geometry": geometry, "properties": None}

    assert call(fp.FeatureCollection([given])).features[0].members == given


@each_call
def test_what_is_given_is_not_changed(call):
    given = feature({"type": "Polygon", "coordinates": [[[0, 0], [1, 1], [1, 0], [0, 1], [0, 0]]]})
    features = fp.FeatureCollection([given])
    before = repr(features.__geo_interface__)

    call(features)

    assert repr(features.__geo_interface__) == before


@each_call
def test_nothing_is_nothing(call):
    assert call(fp.FeatureCollection()).features == []


@each_call
def test_the_members_of_the_collection_are_kept_but_not_its_box(call):
    result = call(fp.FeatureCollection([fp.Feature(Point(7, 51))], bbox=[7, 51, 7, 51], name="n"))

    assert result.members["name"] == "n"
    assert "bbox" not in result.members


@each_call
@pytest.mark.parametrize(
    "geometry",
    [
        box(170, -5, 190, 5),
        shapely.MultiPolygon([box(179, -5, 180, 5), box(-180, -5, -179, 5)]),
        shapely.Polygon([(179, -17), (-179.5, -16.5), (-179, -17.5), (179.5, -18), (-180, -17.2)]),
        shapely.GeometryCollection([Point(1, 2, 3), box(0, 0, 1, 1), shapely.LineString([(5, 5), (6, 6)])]),
        shapely.Polygon([(0, 0), (1, 1), (1, 0), (0, 1)]),
        shapely.Polygon([(0, 0), (1, 1), (2, 2)]),
        box(-180, -90, 180, -60),
        shapely.Polygon([(0, 0, 1), (1, 0, 2), (1, 1, 3)]),
        shapely.GeometryCollection([box(0, 0, 2, 2), box(1, 1, 3, 3)]),
        shapely.GeometryCollection([box(0, 0, 20, 20), box(10, 10, 30, 30), box(-150, 5, 15, 15)]),
    ],
    ids=[
        "beyond 180",
        "cut",
        "jumps",
        "mixed",
        "bowtie",
        "collapsed",
        "pole",
        "heights",
        "overlap",
        "large",
    ],
)
def test_results_are_valid_within_the_map_and_wound_as_they_should(call, geometry):
    if call is ONE_FOR_ONE["measure"] or call is ONE_FOR_ONE["reproject"]:
        pytest.skip("geometries are not changed, or in another system")

    for result in call(fp.FeatureCollection([fp.Feature(geometry)])).features:
        if result.geometry is None:
            continue
        found = shape(result.geometry)
        assert found.is_valid
        assert found.bounds[0] >= -180
        assert found.bounds[2] <= 180
        assert found.bounds[1] >= -90
        assert found.bounds[3] <= 90
        faults = validate(fp.FeatureCollection([result])).report
        assert faults == []


# Refused


@each_call
@pytest.mark.parametrize(
    ("geometry", "about"),
    [
        ({"type": "Point", "coordinates": [51, 91]}, "latitude 91 is beyond 90.*reproject"),
        ({"type": "Point", "coordinates": [1000, 0]}, "longitude 1000"),
        ({"type": "Point", "coordinates": [359_666, 5_651_728]}, "latitude|longitude"),
        ({"type": "Point", "coordinates": ["a", "b"]}, "read"),
        ({"type": "Point", "coordinates": [float("nan"), 1]}, "finite"),
        ({"type": "Point", "coordinates": [float("inf"), 1]}, "finite"),
        ({"type": "Point", "coordinates": [10**400, 1]}, "read"),
        ({"type": "LineString", "coordinates": [[0, 0]]}, "read"),
        ({"type": "Polygon", "coordinates": [[[0, 0], [1, 1]]]}, "read"),
        ({"type": "Polygon", "coordinates": [[[0, 0], [1, 1], [2]]]}, "read"),
    ],
    ids=["latitude", "longitude", "metres", "text", "nan", "inf", "huge", "line", "ring", "position"],
)
def test_what_cannot_be_computed_with_names_the_feature(call, geometry, about):
    good = fp.Feature(fp.Point([7, 51]))

    with pytest.raises(fp.ProcessError, match=about) as caught:
        call(fp.FeatureCollection([good, feature(geometry, id="x")]))

    assert caught.value.detail.startswith("Feature 1 (id 'x') of features: ")
    assert caught.value.detail.endswith(".")
    assert "\n" not in caught.value.detail
    assert (caught.value.input, caught.value.status) == ("features", 400)


@each_call
def test_a_polygon_that_can_be_read_in_two_ways_is_refused(call):
    if call is ONE_FOR_ONE["reproject"]:
        pytest.skip("only positions count")
    ring = [[179, -1], [-179, -1], [-179, 1], [179, 1], [179, -1]]

    with pytest.raises(fp.ProcessError, match=r"Feature 0 of features: .*more than 180 degrees.*cut"):
        call(fp.FeatureCollection([feature({"type": "Polygon", "coordinates": [ring]})]))


@each_call
def test_features_that_say_they_are_elsewhere_are_refused(call):
    if call is ONE_FOR_ONE["reproject"]:
        pytest.skip("that is what it is for")
    crs = {"type": "name", "properties": {"name": "urn:ogc:def:crs:EPSG::25832"}}

    with pytest.raises(fp.ProcessError, match=r"EPSG::25832.*reproject") as caught:
        call(fp.FeatureCollection([fp.Feature(Point(7, 51))], crs=crs))

    assert caught.value.input == "features"


@each_call
@pytest.mark.parametrize("name", ["urn:ogc:def:crs:OGC:1.3:CRS84", "EPSG:4326", "urn:ogc:def:crs:EPSG::4326"])
def test_features_that_say_they_are_in_longitude_and_latitude_are_welcome(call, name):
    crs = {"type": "name", "properties": {"name": name}}

    call(fp.FeatureCollection([fp.Feature(Point(7, 51))], crs=crs))


@each_call
@pytest.mark.parametrize(
    "coordinates",
    [[[0, 0], [1, 1, 5]], [[0, 0, 1, 2], [1, 1, 5, 2]]],
    ids=["heights here and there", "four numbers"],
)
def test_heights_that_are_not_everywhere_are_dropped(call, coordinates):
    result = call(fp.FeatureCollection([feature({"type": "LineString", "coordinates": coordinates})]))

    if call is not ONE_FOR_ONE["measure"]:
        assert all(not shape(each.geometry).has_z for each in result.features)


# Heights


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("simplify", True),
        ("clip", True),
        ("repair", True),
        ("reproject", True),
        ("measure", True),
        ("buffer", False),
        ("centroid", False),
        ("dissolve", False),
        ("intersection", False),
        ("sample_points", False),
    ],
)
def test_heights_are_kept_or_dropped_as_promised(name, kept):
    line = feature({"type": "LineString", "coordinates": [[0, 0, 10], [1, 1, 20]]})

    (first, *_) = COLLECTIONS[name](fp.FeatureCollection([line])).features

    assert shape(first.geometry).has_z is kept


# Jobs


class Heard:
    """Listens to a job, and cancels it half way."""

    def __init__(self) -> None:
        self.percents: list[int] = []

    def progress(self, percent: int | None, message: str | None) -> None:
        self.percents += [] if percent is None else [percent]

    def log(self, level: str, text: str, fields: dict[str, Any]) -> None: ...

    def cancelled(self) -> bool:
        return 50 in self.percents


OTHER_INPUTS: dict[str, dict[str, Any]] = {
    "buffer": {"distance": 10},
    "simplify": {"tolerance": 10},
    "clip": {"bbox": fp.BBox([-10, -10, 120, 10])},
    "intersection": {"other": WORLD},
    "reproject": {"to_crs": "EPSG:3857"},
    "sample-points": {"count": 2},
}


@each_process
def test_progress_is_told_and_cancelling_is_heard(process):
    heard = Heard()
    features = fp.FeatureCollection([fp.Feature(Point(x, 0)) for x in range(100)])

    with pytest.raises(fp.JobCancelled):
        process(features, **OTHER_INPUTS.get(process.id, {}), job=fp.Job(reporter=heard))

    assert heard.percents == list(range(51))


@each_process
def test_progress_ends_at_one_hundred(process):
    heard = Heard()
    features = fp.FeatureCollection([fp.Feature(Point(7, 51))])

    process(features, **OTHER_INPUTS.get(process.id, {}), job=fp.Job(reporter=heard))

    assert heard.percents == [0, 100]


@each_process
def test_processes_may_be_run_again_and_answer_the_same(process):
    assert (process.policy.deterministic, process.policy.retryable) == (True, True)
    assert process.policy.timeout_seconds


# The front door


@each_process
def test_the_description_is_fit_for_a_server(process):
    assert fp.testing.check_process(process) == []


@each_process
def test_the_example_runs_as_on_a_server(process):
    run = fp.testing.run_process(process, **process.description.example["inputs"])

    assert set(run.outputs) == set(process.description.outputs)
    assert run.progress[-1] == 100
    collection = run.outputs.get("result") or run.outputs.get("features")
    if collection:
        assert collection["features"]
        assert run.media_types.get("result", "application/geo+json") == "application/geo+json"


@each_process
def test_a_bad_feature_is_told_as_on_a_server(process):
    runner = fp.testing.Runner(in_process=True)
    inputs = dict(process.description.example["inputs"])
    inputs["features"] = {
        "type": "FeatureCollection",
        "features": [feature({"type": "Point", "coordinates": [0, 91]})],
    }
    if process is validate:
        assert runner.run(process, **inputs).outputs["valid"] is False
    else:
        if process is reproject:
            inputs["to_crs"] = "EPSG:3857"
        if process is dissolve:
            inputs = {"features": inputs["features"]}
        with pytest.raises(fp.ProcessError, match="Feature 0 of features: the latitude 91"):
            runner.run(process, **inputs)


def test_all_processes_have_a_line_in_the_readme(request):
    readme = (request.path.parents[1] / "README.md").read_text()

    for process in PROCESSES:
        assert f"`{process.id}`" in readme


def test_the_examples_of_the_readme_are_those_of_the_descriptions(request):
    readme = (request.path.parents[1] / "README.md").read_text()
    written = dict(re.findall(r"^\| `([a-z-]+)` \| `(\{.*\})` \|$", readme, re.MULTILINE))

    assert set(written) == {process.id for process in PROCESSES}
    for process in PROCESSES:
        inputs = json.loads(written[process.id].replace("…", "null"))
        example = process.description.example["inputs"]
        assert set(inputs) == set(example)
        assert all(value == example[name] for name, value in inputs.items() if value is not None)


def test_the_code_of_the_readme_runs(request, capsys):
    readme = (request.path.parents[1] / "README.md").read_text()
    (code,) = re.findall(r"```python\n(.*?)```", readme, re.DOTALL)

    exec(code, {})

    assert float(capsys.readouterr().out) == pytest.approx(np.pi * 1000**2, rel=0.01)
