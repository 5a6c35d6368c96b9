"""GeoJSON and bounding boxes keep what they came with."""

import copy
import datetime as dt
import json
import pickle
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Annotated, Any

import fastprocesses_sdk as fp
import msgspec
import pytest
from fastprocesses_sdk.schema import shape_of
from fastprocesses_sdk.types import CRS84, CRS84H
from fastprocesses_sdk.values import InputValue, encode, reader_of, writer_of
from hypothesis import given
from hypothesis import strategies as st

KNOWN = ("type", "geometry", "features", "properties", "coordinates", "id")
names = st.text(max_size=5).filter(lambda name: name not in KNOWN)
numbers = st.integers(-180, 180) | st.floats(-180, 180)
json_values = st.recursive(
    st.none() | st.booleans() | numbers | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
foreign = st.dictionaries(names, json_values, max_size=2)
positions = st.lists(numbers, min_size=2, max_size=3)


def with_foreign(
    members: dict[str, st.SearchStrategy[Any]], ids: st.SearchStrategy[Any] = json_values
) -> st.SearchStrategy[dict[str, Any]]:
    """Objects with these members and foreign ones; `id` means something in features alone."""
    known = st.fixed_dictionaries(members, optional={"id": ids})
    return st.builds(lambda known, more: {**more, **known}, known, foreign)


geometries = st.one_of(
    with_foreign({"type": st.just("Point"), "coordinates": positions}),
    with_foreign({"type": st.just("LineString"), "coordinates": st.lists(positions, min_size=2, max_size=4)}),
    with_foreign({"type": st.just("Polygon"), "coordinates": st.just([])}),
)
features = with_foreign(
    {
        "type": st.just("Feature"),
        "geometry": st.none() | geometries,
        "properties": st.none() | st.dictionaries(st.text(max_size=5), json_values, max_size=3),
    },
    ids=st.none() | numbers | st.text(max_size=5),
)
collections = with_foreign({"type": st.just("FeatureCollection"), "features": st.lists(features, max_size=3)})


@given(collections)
def test_a_collection_comes_out_as_it_went_in(value):
    shape = shape_of(fp.FeatureCollection)

    collection = reader_of(shape)(InputValue(data=json.dumps(value).encode()))
    written = writer_of(shape)(collection, "")

    assert json.loads(written.data) == value
    assert written.media_type == "application/geo+json"
    assert collection.__geo_interface__ == value


@given(features)
def test_changing_a_feature_keeps_the_rest(value):
    changed = fp.Feature.of(value).with_geometry(fp.Point([1, 2, 3])).with_properties(new=1)

    kept = {name: member for name, member in value.items() if name not in ("geometry", "properties", "bbox")}
    assert changed.__geo_interface__ == {
        **kept,
        "geometry": {"type": "Point", "coordinates": [1, 2, 3]},
        "properties": {**(value["properties"] or {}), "new": 1},
    }


def as_executed(value: Any, **how: Any) -> fp.FeatureCollection:
    """Read a collection as a job does, its document checked before."""
    read = reader_of(shape_of(fp.FeatureCollection))
    collection: fp.FeatureCollection = read(
        InputValue(data=json.dumps(value, **how).encode(), is_checked=True)
    )
    return collection


def square(number: int) -> dict[str, Any]:
    ring = [[0, 0], [number, 0], [number, number], [0, 0]] * 30
    geometry = {"type": "Polygon", "coordinates": [ring]}
    return {"type": "Feature", "id": number, "properties": {"n": number}, "geometry": geometry, "more": [1]}


SQUARES = {"type": "FeatureCollection", "name": "squares", "features": [square(n) for n in range(1, 4)]}


def write(collection: Any) -> Any:
    return json.loads(writer_of(shape_of(fp.FeatureCollection))(collection, "").data)


def test_a_collection_that_nobody_looked_at_goes_out_as_the_text_it_came_as():
    written = writer_of(shape_of(fp.FeatureCollection))(as_executed(SQUARES, indent=3), "")

    assert written.data == json.dumps(SQUARES, indent=3).encode()


@given(collections)
def test_a_collection_reads_the_same_in_whatever_order_it_is_looked_at(value):
    for look in (
        lambda collection: collection.members,
        lambda collection: collection.type,
        lambda collection: [feature.geometry for feature in collection.features],
        lambda collection: [feature.members for feature in collection.features],
        lambda collection: [(feature.id, feature.bbox, feature.type) for feature in collection.features],
        lambda collection: copy.deepcopy(collection),
        lambda collection: pickle.loads(pickle.dumps(collection)),
    ):
        collection = as_executed(value)
        look(collection)

        assert collection.__geo_interface__ == value
        assert write(collection) == value
        assert as_executed(value) == fp.FeatureCollection.of(value)


@pytest.mark.parametrize("count", [3, 3000])
def test_what_is_changed_in_a_collection_goes_out_changed(count):
    value = {**SQUARES, "features": [square(n % 7 + 1) for n in range(count)]}
    collection = as_executed(value)
    first, second, third = collection.features[:3]
    first.properties["n"] = "new"
    second.geometry = fp.Point([1, 2])
    assert third.geometry is not None
    third.geometry.coordinates[0][0] = [9, 9]
    third.members["more"] = "less"
    collection.features.append(first.with_properties(m=1).with_geometry(None))
    collection.members["name"] = "changed"
    written = write(collection)

    assert written["name"] == "changed"
    assert written["features"][0] == square(1) | {"properties": {"n": "new"}}
    assert written["features"][1] == square(2) | {"geometry": {"type": "Point", "coordinates": [1, 2]}}
    assert written["features"][2]["geometry"]["coordinates"][0][0] == [9, 9]
    assert written["features"][2]["more"] == "less"
    assert written["features"][3:-1] == value["features"][3:]
    assert written["features"][-1] == square(1) | {"geometry": None, "properties": {"n": "new", "m": 1}}


@pytest.mark.parametrize(
    ("change", "about"),
    [
        (lambda features: features[1].geometry.coordinates[0].append([1]), r"features\[1\].geometry"),
        (lambda features: features[1].members.update(properties=[]), r"features\[1\].properties"),
        (lambda features: features[1].geometry.coordinates[0].append([float("nan"), 1]), "NaN"),
        (lambda features: features.append({"type": "Feature"}), r"features\[3\]"),
    ],
)
def test_what_does_not_fit_any_more_is_refused(change, about):
    collection = as_executed(SQUARES)
    change(collection.features)

    with pytest.raises((ValueError, TypeError), match=about):
        write(collection)


def test_all_threads_get_the_same_features():
    collection = as_executed({**SQUARES, "features": [square(n) for n in range(500)]})
    barrier = threading.Barrier(4)

    def mark(name: str) -> None:
        barrier.wait()
        for feature in collection.features:
            feature.properties[name] = True

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(mark, "abcd"))

    assert all(len(feature["properties"]) == 5 for feature in write(collection)["features"])


def test_geometries_are_of_their_kind():
    assert isinstance(fp.Geometry.of({"type": "Point", "coordinates": [1, 2]}), fp.Point)
    collection = fp.GeometryCollection([fp.Point([1, 2]), fp.Polygon([])])
    assert [type(each) for each in collection.geometries] == [fp.Point, fp.Polygon]


def test_anything_with_geo_interface_is_taken():
    class Place:
        @property
        def __geo_interface__(self):
            return {"type": "Point", "coordinates": (1.0, 2.0)}

    feature = fp.Feature(Place(), {"a": 1}, id="x", extra=True)

    assert json.loads(encode(feature)) == {
        "type": "Feature",
        "id": "x",
        "properties": {"a": 1},
        "geometry": {"type": "Point", "coordinates": [1.0, 2.0]},
        "extra": True,
    }
    assert json.loads(encode([Place()])) == [{"type": "Point", "coordinates": [1.0, 2.0]}]


def test_a_feature_may_be_changed_in_place():
    collection = fp.FeatureCollection([{"type": "Feature", "geometry": None}], name="here")

    collection.features[0].properties["a"] = 1
    collection.features[0].geometry = fp.Point([1, 2])

    assert json.loads(encode(collection)) == {
        "type": "FeatureCollection",
        "features": [
            {"type": "Feature", "geometry": {"type": "Point", "coordinates": [1, 2]}, "properties": {"a": 1}}
        ],
        "name": "here",
    }


def test_other_features_keep_the_members_of_the_collection():
    collection = fp.FeatureCollection([fp.Feature()], name="here", bbox=[0, 0, 1, 1])

    assert collection.with_features([]).members == {
        "type": "FeatureCollection",
        "features": [],
        "name": "here",
    }


@pytest.mark.parametrize(
    ("kind", "value", "about"),
    [
        (fp.FeatureCollection, {"type": "Feature"}, "FeatureCollection"),
        (fp.FeatureCollection, {"type": "FeatureCollection"}, "features"),
        (
            fp.FeatureCollection,
            {"type": "FeatureCollection", "features": [{"type": "Feature"}, 1]},
            r"features\[1\]",
        ),
        (fp.Feature, {"type": "Feature", "geometry": {"type": "Circle"}}, "Circle"),
        (fp.Feature, {"type": "Feature", "geometry": {"type": "Point"}}, "coordinates"),
        (fp.Point, {"type": "Polygon", "coordinates": []}, "Point"),
        (fp.Geometry, 1, "int"),
    ],
)
def test_what_is_something_else_is_told(kind, value, about):
    with pytest.raises(fp.GeoJSONError, match=about):
        kind.of(value)


@pytest.mark.parametrize(
    ("document", "crs", "bounds"),
    [
        (b'{"bbox": [1, 2, 3, 4]}', CRS84, (1, 2, 3, 4)),
        (b'{"bbox": [1, 2, 0, 3, 4, 9]}', CRS84H, (1, 2, 3, 4)),
        (b'{"bbox": [1, 2, 3, 4], "crs": "http://www.opengis.net/def/crs/EPSG/0/4326"}', None, (1, 2, 3, 4)),
    ],
)
def test_a_bounding_box_knows_its_crs(document, crs, bounds):
    box = reader_of(shape_of(fp.BBox))(InputValue(data=document))

    assert box.bounds == bounds
    assert box.crs == (crs or "http://www.opengis.net/def/crs/EPSG/0/4326")


def test_values_of_numpy_are_written():
    numpy = pytest.importorskip("numpy")

    assert encode([numpy.float64(1.5), numpy.int32(2), numpy.array([1, 2])]) == b"[1.5,2,[1,2]]"


class Timestamp(dt.datetime):
    """A time as pandas has it."""


class NotATime(Timestamp):
    def __ne__(self, other: object) -> bool:
        return True


class Timedelta(dt.timedelta):
    """A duration as pandas has it."""


def test_times_of_subclasses_are_written_as_what_they_are():
    times = [
        Timestamp(2025, 1, 2, 3, tzinfo=dt.UTC),
        Timestamp(2025, 1, 2),
        NotATime(2025, 1, 2),
        Timedelta(days=2),
    ]

    assert encode(times) == b'["2025-01-02T03:00:00Z","2025-01-02T00:00:00",null,"P2D"]'


def test_a_result_that_is_not_a_number_is_told_as_one():
    with pytest.raises(msgspec.ValidationError, match=r"got `null`.*; NaN and infinity become null"):
        writer_of(shape_of(list[float]))([1.0, float("nan")], "")


@pytest.mark.parametrize("hole", [float("nan"), float("inf")])
def test_a_position_must_be_finite(hole):
    collection = fp.FeatureCollection([fp.Feature(fp.LineString([[1, 2], [hole, 3]]), {"note": [None]})])

    with pytest.raises(ValueError, match="finite"):
        writer_of(shape_of(fp.FeatureCollection))(collection, "")


def test_what_json_cannot_carry_is_told():
    with pytest.raises(TypeError, match="object"):
        encode({"a": object()})


def test_a_value_may_lie_in_a_file(tmp_path):
    (tmp_path / "value").write_bytes(b"[1, 2]")

    assert reader_of(shape_of(list[int]))(InputValue(path=str(tmp_path / "value"))) == [1, 2]


GEOJSON = "application/geo+json"
TIFF = "image/tiff"
Place = fp.FeatureCollection | fp.Feature | fp.Point
PlaceOrPicture = Place | Annotated[bytes, fp.Media(TIFF)]
FEATURE = {"type": "Feature", "geometry": None, "properties": None}
POINT = {"type": "Point", "coordinates": [1, 2]}


@pytest.mark.parametrize("annotation", [Place, PlaceOrPicture], ids=["one media type", "two media types"])
@pytest.mark.parametrize("media_type", ["", GEOJSON, "application/json"])
@pytest.mark.parametrize(
    ("value", "kind"),
    [
        ({"type": "FeatureCollection", "features": [FEATURE]}, fp.FeatureCollection),
        (FEATURE, fp.Feature),
        (POINT, fp.Point),
    ],
    ids=["collection", "feature", "point"],
)
def test_of_kinds_that_share_a_media_type_the_value_tells_which_it_is(annotation, media_type, value, kind):
    read = reader_of(shape_of(annotation))

    found = read(InputValue(data=json.dumps(value).encode(), media_type=media_type))

    assert type(found) is kind
    assert found.__geo_interface__ == value


@pytest.mark.parametrize("media_type", ["", TIFF])
def test_the_only_alternative_of_a_media_type_is_read_as_that(media_type):
    read = reader_of(shape_of(PlaceOrPicture))

    assert read(InputValue(data=b'"AAEC"', media_type=media_type)) == b"\0\1\2"
    with pytest.raises((msgspec.DecodeError, ValueError)):
        read(InputValue(data=json.dumps(POINT).encode(), media_type=TIFF))


@pytest.mark.parametrize("media_type", ["", GEOJSON])
def test_a_value_that_is_none_of_the_kinds_is_refused(media_type):
    with pytest.raises((msgspec.DecodeError, ValueError)):
        reader_of(shape_of(Place))(InputValue(data=b'{"type": "Star"}', media_type=media_type))


def test_text_that_is_no_json_is_no_value():
    with pytest.raises(msgspec.DecodeError):
        reader_of(shape_of(int))(InputValue(data=b"nonsense"))
