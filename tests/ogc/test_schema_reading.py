"""Schemas as plugins write them, brought into JSON Schema 2020-12 (S2.7 row 11)."""

import pytest
from fastprocesses_host.schemas.reading import current
from fastprocesses_host.schemas.validators import ValueSchema

GEOJSON = "http://schemas.opengis.net/ogcapi/features/part1/1.0/openapi/schemas/"
POINT = {"type": "Point", "coordinates": [1, 2]}
FEATURE = {"type": "Feature", "geometry": POINT, "properties": {}}


@pytest.mark.parametrize(
    ("schema", "accepted", "refused"),
    [
        ({"minimum": 0, "exclusiveMinimum": True}, [0.1, 5], [0, -1]),
        ({"maximum": 9, "exclusiveMaximum": False}, [9], [10]),
        ({"exclusiveMinimum": 0}, [1], [0]),
        ({"type": "array", "items": {"minimum": 0, "exclusiveMinimum": True}}, [[1]], [[0]]),
        ({"properties": {"nullable": {"type": "string"}}}, [{"nullable": "x"}], [{"nullable": None}]),
        ({"type": "string", "nullable": True}, ["x", None], [1]),
        ({"type": "string", "nullable": False}, ["x"], [None]),
        ({"enum": [{"nullable": True}]}, [{"nullable": True}], [{}]),
        ({"$ref": "https://geojson.org/schema/Point.json"}, [POINT], [{"type": "Polygon"}, 1]),
        ({"$ref": "https://geojson.org/schema/Feature.json"}, [FEATURE], [POINT]),
        ({"$ref": GEOJSON + "geometryGeoJSON.yaml"}, [POINT], [FEATURE]),
        (
            {"$ref": GEOJSON + "featureCollectionGeoJSON.yaml"},
            [{"type": "FeatureCollection", "features": []}],
            [POINT],
        ),
        (
            {"allOf": [{"$ref": "../../openapi/schemas/bbox.yaml"}]},
            [{"bbox": [1, 2, 3, 4]}],
            [{"bbox": [1]}, {}],
        ),
        ({"$ref": "#/$defs/a", "$defs": {"a": {"type": "string"}}}, ["x"], [1]),
    ],
)
def test_what_others_write_is_checked_as_it_is_meant(schema, accepted, refused):
    compiled = ValueSchema(current(schema))

    assert all(compiled.accepts(value) for value in accepted)
    assert not any(compiled.accepts(value) for value in refused)
