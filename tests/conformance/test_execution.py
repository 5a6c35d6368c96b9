"""Execute requests: the forms of inputs, the choice of the mode, the forms of answers (clause 7.11 of the standard)."""

import base64
import json

import pytest

from tests.web.test_execution import parts_of

JSON, TEXT, PNG = "application/json", "text/plain", "image/png"
GML = "application/gml+xml; version=3.2"
VALUE, REFERENCE = {"transmissionMode": "value"}, {"transmissionMode": "reference"}
EVERY_RESULT = ("text", "number", "truth", "numbers", "table", "image", "images", "named", "point", "box")
PIXELS = b"\x89PNG\r\n"
BASE64 = base64.b64encode(PIXELS).decode()
BOX = {"bbox": [51.9, 7, 52, 7.1], "crs": "http://www.opengis.net/def/crs/OGC/1.3/CRS84"}
TALL_BOX = {"bbox": [51.9, 7, 0, 52, 7.1, 100], "crs": "http://www.opengis.net/def/crs/OGC/0/CRS84h"}
POLYGON = {"type": "Polygon", "coordinates": [[[0, 0], [1, 0], [1, 1], [0, 0]]]}
MARKUP = "<gml:Polygon/>"


@pytest.mark.requirement("/req/core/process-execute-op", "/req/core/process-execute-request")
@pytest.mark.parametrize(
    ("name", "sent", "told"),
    [
        pytest.param("text", "a", "a", marks=pytest.mark.requirement("/req/core/process-execute-inputs")),
        pytest.param("number", 1.5, 1.5, marks=pytest.mark.requirement("/req/core/process-execute-inputs")),
        pytest.param(
            "truth", False, False, marks=pytest.mark.requirement("/req/core/process-execute-inputs")
        ),
        pytest.param(
            "listed", [1, 2], [1, 2], marks=pytest.mark.requirement("/req/core/process-execute-inputs")
        ),
        pytest.param(
            "text", {"value": "a"}, "a", marks=pytest.mark.requirement("/req/core/process-execute-inputs")
        ),
        pytest.param(
            "several",
            [1, 2.5],
            [1, 2.5],
            marks=pytest.mark.requirement("/req/core/process-execute-input-array"),
        ),
        pytest.param(
            "several", [1.5], [1.5], marks=pytest.mark.requirement("/req/core/process-execute-input-array")
        ),
        pytest.param(
            "several", 1.5, [1.5], marks=pytest.mark.requirement("/req/core/process-execute-input-array")
        ),
        pytest.param(
            "several",
            [{"value": 1.5}, 2.5],
            [1.5, 2.5],
            marks=pytest.mark.requirement("/req/core/process-execute-input-array"),
        ),
        pytest.param(
            "text", ["a"], "a", marks=pytest.mark.requirement("/req/core/process-execute-input-array")
        ),
        pytest.param(
            "measure",
            {"value": {"m": 1.5}},
            {"value": {"m": 1.5}, "mediaType": JSON},
            marks=pytest.mark.requirement("/req/core/process-execute-input-inline-object"),
        ),
        pytest.param(
            "measure",
            {"value": {"m": 1.5}, "mediaType": JSON},
            {"value": {"m": 1.5}, "mediaType": JSON},
            marks=pytest.mark.requirement("/req/core/process-execute-input-inline-object"),
        ),
        pytest.param(
            "measure",
            {"value": {"m": 1.5}, "format": {"mediaType": JSON}},
            {"value": {"m": 1.5}, "mediaType": JSON},
            marks=pytest.mark.requirement("/req/core/process-execute-input-inline-object"),
        ),
        pytest.param(
            "measure",
            {"m": 1.5},
            {"value": {"m": 1.5}, "mediaType": JSON},
            marks=pytest.mark.requirement("/req/core/process-execute-input-inline-object"),
        ),
        pytest.param(
            "geometry",
            {"value": MARKUP, "mediaType": GML},
            {"value": MARKUP, "mediaType": GML},
            marks=pytest.mark.requirement("/req/core/process-execute-input-mixed-type"),
        ),
        pytest.param(
            "geometry",
            {"value": MARKUP, "format": {"mediaType": GML.upper().replace(" ", "")}},
            {"value": MARKUP, "mediaType": GML},
            marks=pytest.mark.requirement("/req/core/process-execute-input-mixed-type"),
        ),
        pytest.param(
            "geometry",
            MARKUP,
            {"value": MARKUP, "mediaType": GML},
            marks=pytest.mark.requirement("/req/core/process-execute-input-mixed-type"),
        ),
        pytest.param(
            "mixed", True, True, marks=pytest.mark.requirement("/req/core/process-execute-input-mixed-type")
        ),
        pytest.param(
            "mixed",
            {"value": 2.5},
            2.5,
            marks=pytest.mark.requirement("/req/core/process-execute-input-mixed-type"),
        ),
        pytest.param(
            "image",
            BASE64,
            {"value": BASE64, "mediaType": PNG, "encoding": "base64"},
            marks=pytest.mark.requirement("/req/core/process-execute-input-inline-binary"),
        ),
        pytest.param(
            "image",
            {"value": BASE64, "encoding": "base64", "mediaType": PNG},
            {"value": BASE64, "mediaType": PNG, "encoding": "base64"},
            marks=pytest.mark.requirement("/req/core/process-execute-input-inline-binary"),
        ),
        pytest.param(
            "image",
            {"value": BASE64, "format": {"mediaType": PNG, "encoding": "base64"}},
            {"value": BASE64, "mediaType": PNG, "encoding": "base64"},
            marks=pytest.mark.requirement("/req/core/process-execute-input-inline-binary"),
        ),
        pytest.param(
            "images",
            [BASE64, BASE64],
            [BASE64, BASE64],
            marks=pytest.mark.requirement("/req/core/process-execute-input-array"),
        ),
        pytest.param(
            "images",
            [BASE64],
            [BASE64],
            marks=pytest.mark.requirement("/req/core/process-execute-input-array"),
        ),
        pytest.param(
            "images", BASE64, [BASE64], marks=pytest.mark.requirement("/req/core/process-execute-input-array")
        ),
        pytest.param(
            "images",
            [{"value": BASE64, "encoding": "base64", "mediaType": PNG}],
            [BASE64],
            marks=pytest.mark.requirement("/req/core/process-execute-input-array"),
        ),
        pytest.param(
            "images",
            [{"value": BASE64, "format": {"mediaType": PNG, "encoding": "base64"}}],
            [BASE64],
            marks=pytest.mark.requirement("/req/core/process-execute-input-array"),
        ),
        pytest.param(
            "named",
            {"value": {"name": "a", "image": BASE64}},
            {"value": {"name": "a", "image": BASE64}, "mediaType": JSON},
            marks=pytest.mark.requirement("/req/core/process-execute-input-inline-object"),
        ),
        pytest.param(
            "named",
            {"value": {"name": "a", "image": BASE64}, "format": {"mediaType": JSON}},
            {"value": {"name": "a", "image": BASE64}, "mediaType": JSON},
            marks=pytest.mark.requirement("/req/core/process-execute-input-inline-object"),
        ),
        pytest.param(
            "named",
            {"name": "a", "image": BASE64},
            {"value": {"name": "a", "image": BASE64}, "mediaType": JSON},
            marks=pytest.mark.requirement("/req/core/process-execute-input-inline-object"),
        ),
        pytest.param(
            "box", BOX, BOX, marks=pytest.mark.requirement("/req/core/process-execute-input-inline-bbox")
        ),
        pytest.param(
            "box",
            TALL_BOX,
            TALL_BOX,
            marks=pytest.mark.requirement("/req/core/process-execute-input-inline-bbox"),
        ),
        pytest.param(
            "box",
            {"bbox": BOX["bbox"]},
            BOX,
            marks=pytest.mark.requirement("/req/core/process-execute-input-inline-bbox"),
        ),
    ],
)
@pytest.mark.parametrize("prefer", ["", "respond-async"], ids=["sync", "async"])
def test_a_value_arrives_in_every_form_it_may_have(client, name, sent, told, prefer):
    body = {"inputs": {name: sent}, "outputs": {name: {}}, "response": "document"}
    get = client.finished_job if prefer else client.execute
    answer = get("forms", body)
    if prefer:
        answer = client.get(answer + "/results")

    assert answer.status_code == 200, answer.text
    assert answer.json() == {name: told}


@pytest.mark.requirement(
    "/req/core/process-execute-input-validation", "/req/ogc-process-description/input-def"
)
@pytest.mark.parametrize(
    "wrong",
    [
        {"text": 1},
        {"number": "1"},
        {"number": {"value": "1"}},
        {"listed": [1.5]},
        {"several": [1, "x"]},
        {"several": [1, 2, 3, 4, 5, 6]},
        {"text": ["a", "b"]},
        {"measure": {"value": {"m": "x"}}},
        {"measure": {"value": {"m": 1}, "mediaType": "text/csv"}},
        {"image": "not base64!"},
        {"image": {"value": BASE64, "mediaType": "image/tiff"}},
        {"box": {"bbox": [1, 2, 3]}},
        {"box": [1, 2, 3, 4]},
        {"geometry": {"value": POLYGON, "mediaType": GML}},
        {"geometry": {"value": {"type": "Polygon"}}},
        {"mixed": "x"},
        {"nothing": 1},
    ],
    ids=str,
)
@pytest.mark.parametrize("prefer", ["", "respond-async"], ids=["sync", "async"])
def test_a_value_that_does_not_fit_is_refused_with_its_place(client, wrong, prefer):
    answer = client.execute("forms", {"inputs": wrong}, **({"prefer": prefer} if prefer else {}))
    (name,) = wrong

    assert (answer.status_code, answer.json()["type"]) == (400, "InvalidParameterValue")
    assert all(
        error["pointer"].startswith(f"/inputs/{name}") and error["detail"]
        for error in answer.json()["errors"]
    )
    assert answer.json()["errors"]


@pytest.mark.requirement("/req/core/process-execute-inputs")
@pytest.mark.parametrize(
    "sent", [{"href": "http://127.0.0.1/a"}, {"href": "http://127.0.0.1/a", "type": "application/json"}]
)
def test_a_reference_is_told_from_a_value(client, sent):
    """It is never taken for an object; this one leads where the server may not go, which its job finds out."""
    answer = client.execute("forms", {"inputs": {"measure": sent}})
    assert answer.status_code == 400
    assert "is not a public one" in answer.json()["detail"]
    assert [error["pointer"] for error in answer.json()["errors"]] == ["/inputs/measure/href"]


@pytest.mark.requirement("/req/core/process-execute-request")
@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"{}", 200),
        (b'{"inputs": {}, "mode": "x", "job_name": "x", "queue": 1, "subscribers": []}', 200),
        (b"", 400),
        (b"[]", 400),
        (b'"x"', 400),
        (b'{"inputs": []}', 400),
        (b'{"inputs": {}', 400),
        (b'{"outputs": []}', 400),
        (b'{"outputs": {"nothing": {}}}', 400),
        (b'{"response": "both"}', 400),
        (b'{"outputs": {"text": {"transmissionMode": "post"}}}', 400),
    ],
)
def test_a_body_is_an_execute_request_or_refused(client, body, status):
    answer = client.post("/processes/results/execution", content=body, headers={"content-type": JSON})
    assert answer.status_code == status, answer.text


@pytest.mark.requirement("/req/core/process-execute-default-outputs")
@pytest.mark.parametrize("prefer", ["", "respond-async"], ids=["sync", "async"])
def test_without_outputs_all_are_given(client, prefer):
    if prefer:
        document = client.get(client.finished_job("results", {}) + "/results").json()
    else:
        document = client.execute("results", {}).json()
    assert set(document) == set(EVERY_RESULT)


@pytest.mark.parametrize(
    ("process_id", "prefer", "status"),
    [
        pytest.param(
            process_id,
            prefer,
            status,
            marks=pytest.mark.requirement(
                "/req/core/process-execute-default-execution-mode",
                "/req/core/process-execute-auto-execution-mode",
            ),
        )
        for process_id, statuses in {
            "only-sync": (200, 200, 200, 200),
            "only-async": (201, 201, 201, 201),
            "results": (200, 201, 200, 200),
        }.items()
        for prefer, status in zip(
            ["", "respond-async", "wait=20", "respond-async, wait=20"], statuses, strict=True
        )
    ],
)
def test_the_mode_is_chosen_by_process_and_preference(client, process_id, prefer, status):
    answer = client.execute(process_id, {}, **({"prefer": prefer} if prefer else {}))
    applied = {token.strip() for token in answer.headers.get("preference-applied", "").split(",") if token}

    assert answer.status_code == status
    assert applied <= {token.strip() for token in prefer.split(",")}


@pytest.mark.requirement("/req/core/process-execute-success-async", "/req/core/job-success")
def test_an_asynchronous_execution_is_201_with_location_and_status(client, base_url):
    answer = client.execute("results", {}, prefer="respond-async")
    status = answer.json()

    assert answer.status_code == 201
    assert answer.headers["location"] == f"{base_url}/jobs/{status['jobID']}"
    assert (status["type"], status["processID"]) == ("process", "results")
    assert client.get(answer.headers["location"]).json()["jobID"] == status["jobID"]


@pytest.mark.requirement("/req/core/job-results-success-sync")
def test_a_synchronous_execution_makes_no_job_and_links_to_none(client):
    def newest() -> list[str]:
        return [job["jobID"] for job in client.get("/jobs?limit=1").json()["jobs"]]

    before = newest()
    answer = client.execute("results", {"response": "document"})

    assert "link" not in answer.headers
    assert newest() == before


@pytest.fixture(params=["sync", "async"])
def answered(request, client):
    """Execute; give the answer, or that of the results of the job."""

    def ask(body, **headers):
        if request.param == "sync":
            return client.execute("results", body, **headers)
        return client.get(client.finished_job("results", body, **headers) + "/results")

    return ask


@pytest.mark.requirement(
    "/req/core/process-execute-sync-raw-value-one", "/req/core/job-results-async-raw-value-one"
)
@pytest.mark.parametrize(
    ("name", "media_type", "content"),
    [
        ("text", TEXT, b"teststring"),
        ("number", TEXT, b"1.5"),
        ("truth", TEXT, b"true"),
        ("numbers", JSON, b"[1,2]"),
        ("table", JSON, b'{"a":1}'),
        ("image", PNG, b"\x89PNG"),
        ("point", "application/geo+json", b'{"type":"Point","coordinates":[1,2]}'),
    ],
)
def test_one_output_raw_is_its_value(answered, name, media_type, content):
    answer = answered({"outputs": {name: VALUE}, "response": "raw"})

    assert answer.status_code == 200
    assert answer.headers["content-type"].partition(";")[0] == media_type
    assert (
        (json.loads(answer.content) == json.loads(content))
        if "json" in media_type
        else answer.content == content
    )


@pytest.mark.requirement(
    "/req/core/process-execute-sync-raw-value-multi", "/req/core/job-results-async-raw-value-multi"
)
def test_several_outputs_raw_are_parts(answered):
    answer = answered({"outputs": {"text": VALUE, "image": VALUE}, "response": "raw"})

    assert answer.headers["content-type"].startswith("multipart/related")
    assert parts_of(answer) == {"text": (TEXT, "", b"teststring"), "image": (PNG, "", b"\x89PNG")}


@pytest.mark.requirement("/req/core/process-execute-sync-raw-ref", "/req/core/job-results-async-raw-ref")
@pytest.mark.parametrize("names", [["text"], ["text", "image"]])
def test_outputs_raw_by_reference_are_links(client, answered, names):
    answer = answered({"outputs": dict.fromkeys(names, REFERENCE), "response": "raw"})
    links = {link["rel"]: link for link in answer.links.values()}

    assert (answer.status_code, answer.content) == (204, b"")
    assert set(links) == set(names)
    assert client.get(links["text"]["url"]).text == "teststring"


@pytest.mark.requirement(
    "/req/core/process-execute-sync-raw-mixed-multi", "/req/core/job-results-async-raw-mixed-multi"
)
def test_outputs_raw_of_both_kinds_are_parts_with_a_location(client, answered):
    answer = answered({"outputs": {"text": VALUE, "image": REFERENCE}, "response": "raw"})
    parts = parts_of(answer)

    assert answer.headers["content-type"].startswith("multipart/related")
    assert parts["text"] == (TEXT, "", b"teststring")
    assert (parts["image"][0], parts["image"][2]) == (PNG, b"")
    assert client.get(parts["image"][1]).content == b"\x89PNG"


@pytest.mark.requirement("/req/core/process-execute-sync-document", "/req/core/job-results-async-document")
def test_a_document_has_every_output(client, answered):
    answer = answered(
        {"outputs": {"text": VALUE, "table": VALUE, "image": REFERENCE}, "response": "document"}
    )
    document = answer.json()

    assert (answer.status_code, answer.headers["content-type"]) == (200, JSON)
    assert (document["text"], document["table"]) == ("teststring", {"value": {"a": 1}, "mediaType": JSON})
    assert client.get(document["image"]["href"]).content == b"\x89PNG"


@pytest.mark.requirement("/req/core/job-results-failed")
@pytest.mark.parametrize("response", ["raw", "document"])
def test_what_a_failed_job_says_is_its_reason(answered_refusal, response):
    answer = answered_refusal({"response": response})
    assert (answer.status_code, answer.json()["title"]) == (409, "Wrong moon")


@pytest.fixture(params=["sync", "async"])
def answered_refusal(request, client):
    def ask(body):
        if request.param == "sync":
            return client.execute("refuse", body)
        return client.get(client.finished_job("refuse", body) + "/results")

    return ask


@pytest.mark.parametrize(
    ("side", "name", "keyword"),
    [
        pytest.param(
            "inputs",
            "image",
            "format",
            marks=pytest.mark.requirement("/req/ogc-process-description/input-binary"),
        ),
        pytest.param(
            "inputs",
            "mixed",
            "oneOf",
            marks=pytest.mark.requirement("/req/ogc-process-description/input-mixed-type"),
        ),
        pytest.param(
            "outputs",
            "mixed",
            "oneOf",
            marks=pytest.mark.requirement("/req/ogc-process-description/output-mixed-type"),
        ),
    ],
)
def test_a_schema_says_what_the_standard_wants_it_to(client, side, name, keyword):
    schema = client.get("/processes/forms").json()[side][name]["schema"]

    assert keyword in schema
    if keyword == "format":
        assert (schema["type"], schema["format"]) == ("string", "byte")


@pytest.mark.requirement(
    "/req/ogc-process-description/inputs-def",
    "/req/ogc-process-description/outputs-def",
    "/req/ogc-process-description/output-def",
    "/req/core/process-success",
)
@pytest.mark.parametrize("process_id", ["forms", "results", "only-sync", "echo"])
def test_a_description_has_maps_of_inputs_and_outputs_each_with_a_schema(client, process_id):
    described = client.get(f"/processes/{process_id}").json()

    assert isinstance(described["inputs"], dict)
    assert described["outputs"]
    for told in (*described["inputs"].values(), *described["outputs"].values()):
        assert isinstance(told["schema"], dict)
