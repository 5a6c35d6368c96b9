"""What `describe` shows of a process at a terminal."""

import fastprocesses_sdk as fp
import msgspec
import pytest
from fastprocesses_host.cli.described import as_text


class Aggregation(msgspec.Struct):
    """How values are put together.

    Attributes:
        column: The property.
        digits: Decimal places.
    """

    column: str
    digits: int = 3


class Summary(fp.Outputs):
    """What comes of it.

    Attributes:
        rows: One a zone.
    """

    rows: list[Aggregation]


@fp.process
def summarize(points: fp.FeatureCollection, aggregation: Aggregation, count: int = 1) -> Summary:
    """Put values together."""
    return Summary(rows=[aggregation] * count)


@pytest.fixture(scope="module")
def rows():
    description = msgspec.to_builtins(summarize.description)
    told = {"minOccurs": 1, "maxOccurs": 1}
    described = {**description, "inputs": {name: each | told for name, each in description["inputs"].items()}}
    return [line.split() for line in as_text(described).splitlines()]


def test_the_members_of_an_object_are_told_below_it(rows):
    below = rows[[row[:1] for row in rows].index(["aggregation"]) + 1 :]

    assert below[0] == [".column", "required", "string", "The", "property."]
    assert below[1] == [".digits", "optional", "=", "3", "integer", "Decimal", "places."]


def test_those_of_objects_in_an_output_too(rows):
    below = rows[[row[:1] for row in rows].index(["rows"]) + 1 :]

    assert below[0] == [".column", "string", "The", "property."]


def test_geojson_is_one_word(rows):
    (points,) = [row for row in rows if row[:1] == ["points"]]

    assert points[1:3] == ["required", "geojson-feature-collection"]
    assert not any(row[:1] == [".features"] for row in rows)


@pytest.mark.parametrize("properties", [None, 5, {"a": 1}, {"a": {"default": {}}}], ids=str)
def test_whatever_a_server_tells_is_shown(properties):
    schema = {"type": "object", "properties": properties, "required": 5}

    assert "Inputs:" in as_text({"id": "a", "inputs": {"x": {"schema": schema}}})
