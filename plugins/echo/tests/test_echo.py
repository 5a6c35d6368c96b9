"""The echo process gives back what it got."""

import json
import time
from typing import Any

import fastprocesses_sdk as fp
import msgspec
import pytest
from fastprocesses_echo import echo
from fastprocesses_sdk.values import InputValue

VALUES: dict[str, Any] = {
    "message": "teststring",
    "pause": 0,
    "numbers": [1, 2, 3],
    "bbox": {"bbox": [51.9, 7, 52, 7.1], "crs": "http://www.opengis.net/def/crs/OGC/1.3/CRS84"},
    "mixed": True,
}


def run(values: dict[str, Any], job: fp.Job = fp.NO_JOB) -> dict[str, Any]:
    inputs = {name: InputValue(data=msgspec.json.encode(value)) for name, value in values.items()}
    outputs = echo.run(inputs, job)
    return {
        name: output.data.decode() if output.form == "text" else json.loads(output.data)
        for name, output in outputs.items()
    }


def test_everything_comes_back():
    assert run({**VALUES, "text": "<a/>"}) == {**VALUES, "text": "<a/>"}


def test_what_was_not_given_is_left_out():
    assert run({"message": "a"}) == {"message": "a", "pause": 0}


@pytest.mark.parametrize("mixed", [5, 5.5, False])
def test_a_number_stays_the_number_it_was(mixed):
    assert repr(run({"message": "a", "mixed": mixed})["mixed"]) == repr(mixed)


def test_the_text_keeps_its_media_type():
    output = echo.run({"message": InputValue(data=b'""'), "text": InputValue(data=b'"<a/>"')}, fp.NO_JOB)[
        "text"
    ]

    assert (output.form, output.media_type, output.data) == ("text", "application/xml", b"<a/>")


@pytest.mark.parametrize(
    "wrong",
    [
        {"pause": 61},
        {"pause": -1},
        {"numbers": [1.5]},
        {"bbox": {"bbox": [1]}},
        {"text": {"type": "x"}},
        {"mixed": "a"},
    ],
    ids=str,
)
def test_wrong_values_are_refused(wrong):
    with pytest.raises(fp.ProcessError) as caught:
        run({"message": "a", **wrong})

    assert caught.value.input in wrong


class Impatient:
    """Cancels as soon as the pause has begun."""

    def __init__(self) -> None:
        self.messages: list[str] = []

    def progress(self, percent: int | None, message: str | None) -> None:
        self.messages += [message] if message else []

    def log(self, level: str, text: str, fields: dict[str, Any]) -> None: ...

    def cancelled(self) -> bool:
        return bool(self.messages)


def test_a_pause_ends_when_the_job_is_cancelled():
    reporter = Impatient()
    started = time.monotonic()

    with pytest.raises(fp.JobCancelled):
        run({"message": "a", "pause": 60}, fp.Job(reporter=reporter))

    assert time.monotonic() - started < 30
    assert reporter.messages == ["Waiting for 60 s"]


def without_not(schema: Any) -> Any:
    """Leave out that a box of five numbers is none; the suite's example admits it."""
    if isinstance(schema, list):
        return [without_not(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    return {name: without_not(value) for name, value in schema.items() if name != "not"}


def test_the_description_is_what_the_compliance_suite_expects(shared):
    expected = json.loads((shared / "cite" / "echo-process.json").read_text())
    told = json.loads(msgspec.json.encode(echo.description))

    for side in ("inputs", "outputs"):
        assert list(told[side]) == list(expected[side])
        for name, described in expected[side].items():
            assert without_not(told[side][name]["schema"]) == described["schema"]
            assert told[side][name].get("minOccurs", 1) == described.get("minOccurs", 1)
    assert told["jobControlOptions"] == expected["jobControlOptions"]
    assert told["outputTransmission"] == expected["outputTransmission"]


def test_the_example_is_accepted():
    assert run(echo.description.example["inputs"])["numbers"] == [1, 2, 3]
