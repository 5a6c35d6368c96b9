"""The shapes of answers: the matrix of 1.0, the table of 2.0, the one rule (S1.3, S2.5, S2.8)."""

import pytest
from fastprocesses_host.encodings import offered_media_types, offered_outputs
from fastprocesses_host.ogc.exceptions import (
    NoSuchOutput,
    NotAcceptable,
    ProcessFailed,
    ResultNotAvailable,
    ResultNotReady,
)
from fastprocesses_host.ogc.jobs import AskedOutput, AskedResults, OutputValue, Status
from fastprocesses_host.ogc.links import Urls
from fastprocesses_host.ogc.results import (
    Document,
    Empty,
    Multipart,
    Raw,
    Wish,
    choose_output,
    output_header_link,
    output_link,
    plan_answer,
    plan_formats,
    plan_output,
    require_results,
    select_outputs,
    wants_references,
)
from hypothesis import given
from hypothesis import strategies as st

from tests.ogc.examples import GML, OFFERED, OUTPUTS, TIFF, VALUES, asked, job, process

BOTH = ["execution", "results"]
JSON, TEXT, RELATED = "application/json", "text/plain", "multipart/related"


def plan(request: AskedResults, resource: str = "execution", **options):
    return plan_answer(request, VALUES, OFFERED, resource=resource, described=list(OUTPUTS), **options)


def shape(answer) -> str:
    """An answer in one line."""
    match answer:
        case Empty(references=references):
            return " ".join(["204", *references])
        case Raw(output_id=output_id, media_type=media_type):
            return f"raw {output_id} {media_type}"
        case Multipart(parts=parts, media_type=media_type):
            return " ".join([media_type, *(part.output_id + "->" * part.by_reference for part in parts)])
        case Document(members=members, profile=profile, applied=applied):
            inside = [member.output_id + "->" * member.by_reference for member in members]
            return " ".join(["document", *inside, *["profile"] * profile, *applied])
    raise AssertionError(answer)


@pytest.mark.parametrize("resource", BOTH)
@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        # sync-raw-value-one, its media type by Accept, never 406
        (asked("text=value", response="raw"), f"raw text {TEXT}"),
        (asked("text", response="raw"), f"raw text {TEXT}"),
        (asked("text=value", response="raw", accept=JSON), f"raw text {JSON}"),
        (asked("text=value", response="raw", accept="image/png"), f"raw text {TEXT}"),
        (asked("image=value", response="raw", accept=JSON), f"raw image {TIFF}"),
        (asked("features", response="raw"), "raw features application/geo+json"),
        # sync-raw-value-multi
        (asked("text=value", "image=value", response="raw"), f"{RELATED} text image"),
        (asked("text", "image", response="raw", accept=JSON), f"{RELATED} text image"),
        (asked(response="raw"), f"{RELATED} text features image choice"),
        # sync-raw-ref
        (asked("text=reference", response="raw"), "204 text"),
        (asked("text=reference", "image=reference", response="raw"), "204 text image"),
        # sync-raw-mixed-multi
        (asked("text=value", "image=reference", response="raw"), f"{RELATED} text image->"),
        (asked("text", "image=reference", response="raw"), f"{RELATED} text image->"),
        # sync-document: without transmissionMode values, however large
        (asked("text=value", response="document"), "document text"),
        (asked("text", "features", response="document"), "document text features"),
        (asked("text=value", "image=reference", response="document"), "document text image->"),
        (asked(response="document", accept="image/png"), "document text features image choice"),
        # transmissionMode without response: raw, but a document for several and a client of JSON
        (asked("text=value"), f"raw text {TEXT}"),
        (asked("text=value", accept=JSON), f"raw text {JSON}"),
        (asked("text=value", "image=value"), f"{RELATED} text image"),
        (asked("text=value", "image=value", accept="*/*"), f"{RELATED} text image"),
        (asked("text=value", "image=value", accept=JSON), "document text image"),
        (asked("text=value", "image=reference", accept=JSON), "document text image->"),
        (asked("text=value", "image=value", accept=f"{JSON}, multipart/related"), f"{RELATED} text image"),
        # strict sites: an unmarked request by the table of 1.0
        (asked("text", dialect="1.0"), f"raw text {TEXT}"),
        (asked("text", "image", dialect="1.0", accept=JSON), f"{RELATED} text image"),
        # rule 1: the profile wins, whatever else is said
        (asked("text=value", response="raw", profile=True), "document text profile"),
        (asked("text=reference", "image=value", profile=True), "document text-> image profile"),
    ],
)
def test_the_matrix_of_1_0(resource, request_, expected):
    """/req/core/process-execute-sync-raw-*, -sync-document, /req/core/job-results-async-*."""
    assert shape(plan(request_, resource)) == expected


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        (asked("text"), f"raw text {TEXT}"),
        (asked("text", accept="*/*"), f"raw text {TEXT}"),
        (asked("text", accept="*"), f"raw text {TEXT}"),
        (asked("text", accept=JSON), f"raw text {JSON}"),
        (asked("text", accept="application/*"), f"raw text {JSON}"),
        (asked("features", accept=JSON), f"raw features {JSON}"),
        (asked("features", accept="application/geo+json"), "raw features application/geo+json"),
        (asked("image"), f"raw image {TIFF}"),
        (asked("image", accept="image/*"), f"raw image {TIFF}"),
        (asked("image", accept=JSON), "document image profile"),
        (asked("image", profile=True), "document image profile"),
        (asked("text", "image"), "document text image profile"),
        (asked("text", "image", accept="*/*"), "document text image profile"),
        (asked("text", "image", accept=JSON), "document text image profile"),
        (asked("text", "image", accept="multipart/related"), f"{RELATED} text image"),
        (asked("text", "image", accept="multipart/mixed"), "multipart/mixed text image"),
        (asked("text", "image", accept="multipart/*"), f"{RELATED} text image"),
        (asked("text", "image", accept="application/zip"), "application/zip text image"),
        (asked(), "document text features-> image choice profile"),
        (asked(return_preference="minimal"), "document text features-> image choice profile return=minimal"),
        (
            asked(return_preference="representation"),
            "document text features image choice profile return=representation",
        ),
    ],
)
def test_the_table_of_2_0(request_, expected):
    """S2.5."""
    assert shape(plan(request_)) == expected


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        (asked("text"), "document text profile"),
        (asked("image", accept="image/*"), "document image profile"),
        (asked("text", "image"), "document text image profile"),
        (asked("text", "image", accept="multipart/mixed"), "multipart/mixed text image"),
        (asked("text", profile=True), "document text profile"),
    ],
)
def test_results_of_2_0_are_documents(request_, expected):
    """S2.8 rule 6: of one output too."""
    assert shape(plan(request_, "results")) == expected


@pytest.mark.parametrize(
    "request_",
    [
        asked("text", accept="image/png"),
        asked("image", accept="image/png"),
        asked("image", accept=f"{JSON}, text/html"),
        asked("text", "image", accept="image/png"),
        asked("text", "image", accept="application/gzip"),
    ],
)
def test_what_2_0_cannot_give_is_not_acceptable(request_):
    with pytest.raises(NotAcceptable) as raised:
        plan(request_)

    assert raised.value.members["available"]


def test_no_outputs_asked_for():
    """S2.8 rule 0."""
    for members in ({}, {"response": "raw", "dialect": "1.0"}, {"profile": True}):
        request = AskedResults(outputs={}, **members)
        assert plan(request) == Empty()
        with pytest.raises(ResultNotAvailable):
            plan(request, "results")


def test_a_format_that_was_asked_for_wins_where_accept_leaves_nothing():
    """S2.2: `format` narrows the types, Accept picks among them."""
    wanted = AskedResults(outputs={"text": AskedOutput(media_type=TEXT)}, accept=JSON)

    assert shape(plan(wanted)) == f"raw text {TEXT}"


@pytest.mark.parametrize(
    ("wish", "expected"),
    [
        (Wish(), "document text features-> profile"),
        (Wish(return_preference="representation"), "document text features profile return=representation"),
        (Wish(accept="multipart/related"), f"{RELATED} text features"),
    ],
)
def test_the_header_fields_of_the_get_override_those_of_the_request(wish, expected):
    assert shape(plan(asked("text", "features", accept=JSON), "results", wish=wish)) == expected


def test_the_profile_of_the_get_makes_a_document():
    assert (
        shape(plan(asked("text", response="raw"), "results", wish=Wish(profile=True)))
        == "document text profile"
    )


def test_selected_outputs_alone_are_answered():
    """`/results?outputs=…`: a document even if one is left."""
    assert shape(plan(asked(), "results", selected=["choice"])) == "document choice profile"


def test_an_output_the_process_left_out_is_absent():
    few = {"text": VALUES["text"]}
    answer = plan_answer(asked(), few, OFFERED, resource="execution", described=list(OUTPUTS))

    assert shape(answer) == "document text profile"
    assert plan_answer(asked("image"), few, OFFERED, resource="execution") == Empty()


def test_without_addresses_all_is_inline():
    assert shape(plan(asked("text", "features"), references=False)) == "document text features profile"


def test_the_size_from_which_values_are_linked_to_can_be_set():
    assert shape(plan(asked("text", "image"), inline_bytes=100)) == "document text image-> profile"


@given(
    st.lists(st.sampled_from(list(OUTPUTS)), unique=True, min_size=1),
    st.sampled_from(["", "value", "reference"]),
    st.sampled_from(["", "raw", "document"]),
    st.sampled_from(["", "*/*", JSON, "multipart/*", "image/*", "text/html"]),
    st.booleans(),
    st.sampled_from(BOTH),
)
def test_every_wanted_output_is_in_the_answer_once(ids, mode, response, accept, profile, resource):
    request = asked(
        *(f"{output_id}={mode}" for output_id in ids), response=response, accept=accept, profile=profile
    )
    try:
        answer = plan(request, resource)
    except NotAcceptable:
        assert request.dialect == "2.0"
        return
    match answer:
        case Empty(references=told):
            assert told == ids
        case Raw(output_id=told):
            assert [told] == ids
        case Multipart(parts=parts) | Document(members=parts):
            assert [part.output_id for part in parts] == ids


@pytest.mark.parametrize(
    ("status", "members", "expected"),
    [
        (Status.CREATED, {}, ResultNotReady),
        (Status.ACCEPTED, {}, ResultNotReady),
        (Status.RUNNING, {}, ResultNotReady),
        (Status.SUCCESSFUL, {}, None),
        (Status.SUCCESSFUL, {"asked": AskedResults(outputs={})}, ResultNotAvailable),
        (Status.FAILED, {}, ProcessFailed),
        (Status.DISMISSED, {}, ResultNotAvailable),
    ],
)
def test_each_state_answers_for_its_results(status, members, expected):
    """S1.4, the state table."""
    if expected is None:
        require_results(job(status, **members))
    else:
        with pytest.raises(expected):
            require_results(job(status, **members))


def test_a_failed_job_answers_with_its_reason():
    with pytest.raises(ProcessFailed) as raised:
        require_results(job(Status.FAILED))

    assert (raised.value.status, raised.value.title) == (422, "No overlap")


@pytest.mark.parametrize(
    ("output_id", "expected"),
    [("image", VALUES["image"]), ("choice", ResultNotAvailable), ("nothing", NoSuchOutput)],
)
def test_outputs_of_a_job_are_found_or_told_apart(output_id, expected):
    """S2.7 row 8: unknown 400, not asked for 404."""
    done = job(outputs={"image": VALUES["image"]}, asked=asked("image"))
    if isinstance(expected, OutputValue):
        assert choose_output(done, output_id, list(OUTPUTS)) == expected
        assert select_outputs(done, [output_id, output_id], list(OUTPUTS)) == [output_id]
    else:
        with pytest.raises(expected):
            choose_output(done, output_id, list(OUTPUTS))
        with pytest.raises(expected):
            select_outputs(done, ["image", output_id], list(OUTPUTS))


@pytest.mark.parametrize(
    ("output_id", "accept", "expected"),
    [
        ("text", "", TEXT),
        ("text", JSON, JSON),
        ("image", "*/*", TIFF),
        ("image", JSON, None),
        ("features", JSON, JSON),
    ],
)
def test_one_output_is_negotiated(output_id, accept, expected):
    """/req/core/job-result-op."""
    if expected is None:
        with pytest.raises(NotAcceptable, match=output_id):
            plan_output(VALUES[output_id], OFFERED[output_id], output_id, accept=accept)
    else:
        answer = plan_output(VALUES[output_id], OFFERED[output_id], output_id, accept=accept)
        assert answer == Raw(output_id=output_id, media_type=expected)


def wanting(output_id: str, media_type: str) -> AskedResults:
    return AskedResults(outputs={output_id: AskedOutput(media_type=media_type)})


@pytest.mark.parametrize(
    ("request_", "negotiate", "formats"),
    [
        (asked(), True, {}),
        (asked("choice"), True, {}),
        (asked("choice", accept="application/geo+json"), True, {"choice": "application/geo+json"}),
        (asked("choice", accept="application/gml+xml"), True, {"choice": GML}),
        (asked("choice", "text", accept=JSON), True, {}),
        (wanting("choice", "application/geo+json"), True, {"choice": "application/geo+json"}),
        (wanting("choice", "application/geo+json"), False, {"choice": "application/geo+json"}),
        (wanting("text", JSON), True, {}),
        (asked("choice", accept=JSON), True, {}),
        (asked("choice", accept="image/png"), False, {}),
        (asked("image", accept="image/png", response="raw"), True, {}),
    ],
)
def test_formats_are_chosen_before_anything_runs(request_, negotiate, formats):
    assert plan_formats(process(outputs=OUTPUTS).description, request_, negotiate=negotiate) == formats


@pytest.mark.parametrize(
    "request_",
    [asked("image", accept="image/png"), asked("choice", accept="text/html"), asked(accept="image/png")],
)
def test_what_is_not_acceptable_is_told_before_anything_runs(request_):
    with pytest.raises(NotAcceptable):
        plan_formats(process(outputs=OUTPUTS).description, request_, negotiate=True)


def test_what_the_process_can_give_is_what_the_answer_offers():
    offered = offered_outputs(VALUES, process(outputs=OUTPUTS).description)

    assert offered == OFFERED
    assert offered_outputs(VALUES, None)["text"] == [JSON]
    assert offered_media_types(VALUES["image"]) == [TIFF]


@pytest.mark.parametrize(
    ("request_", "wants"),
    [(asked(), False), (asked("text=value"), False), (asked("text=value", "image=reference"), True)],
)
def test_references_that_are_asked_for_are_known(request_, wants):
    assert wants_references(request_) is wants


def test_a_reference_has_an_address_a_type_and_a_size():
    urls = Urls("https://example.org")

    assert output_link(job(), "image", urls, TIFF) == {
        "href": "https://example.org/jobs/0198/results/image",
        "rel": "item",
        "type": TIFF,
        "title": "image",
        "length": 400,
    }
    assert output_header_link(job(), "image", urls, TIFF).rel == "image"
