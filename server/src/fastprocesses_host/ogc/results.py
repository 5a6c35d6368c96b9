"""How results are answered: one rule for both versions of the standard (S2.8); no value is touched."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Literal

from fastprocesses_sdk.description import Link, ProcessDescription
from msgspec import Struct, field

from fastprocesses_host.ogc.exceptions import (
    NoSuchOutput,
    NotAcceptable,
    ProcessFailed,
    ResultNotAvailable,
    ResultNotReady,
    ResultsExpired,
)
from fastprocesses_host.ogc.jobs import AskedOutput, AskedResults, Job, JobProblem, OutputValue, Status
from fastprocesses_host.ogc.links import JSON, PROFILE, Urls
from fastprocesses_host.ogc.negotiation import (
    RESULTS,
    accepts_only_json,
    choose_media_type,
    names,
    parse_accept,
)
from fastprocesses_host.ogc.processes import described_media_types, produced_media_types

MULTIPART = ("multipart/related", "multipart/mixed")
ZIP = "application/zip"
SEVERAL = (JSON, *MULTIPART, ZIP)
"""In what several outputs can be answered where the client chooses."""
RESULTS_PROFILE = Link(href=PROFILE + RESULTS, rel="profile")
"""The link of an answer that is a results document of version 2.0."""
_NOTHING_ASKED = AskedOutput()


class Empty(Struct, frozen=True, kw_only=True):
    """204 without a body."""

    references: list[str] = field(default_factory=list)
    """Outputs that are linked to by Link headers (/req/core/process-execute-sync-raw-ref)."""


class Raw(Struct, frozen=True, kw_only=True):
    """One output value, itself the body."""

    output_id: str
    media_type: str


class Part(Struct, frozen=True, kw_only=True):
    """One output of an answer that has several."""

    output_id: str
    media_type: str
    """Of the value; in a document JSON, or what is within the qualified value."""
    by_reference: bool = False


class Multipart(Struct, frozen=True, kw_only=True):
    """Several values, each a part whose Content-ID is the output id; by reference with Content-Location.

    Of the media type `application/zip` each is a file.
    """

    parts: list[Part]
    media_type: str = MULTIPART[0]


class Document(Struct, frozen=True, kw_only=True):
    """A results document (results.yaml)."""

    members: list[Part]
    profile: bool = False
    """The answer links to the profile ogc-results."""
    applied: list[str] = field(default_factory=list)
    """What Preference-Applied says."""


Answer = Empty | Raw | Multipart | Document


class Wish(Struct, frozen=True, kw_only=True):
    """What the header fields of the request for the results say; absent: as the execute request said."""

    accept: str = ""
    return_preference: Literal["", "minimal", "representation"] = ""
    profile: bool = False


def plan_answer(
    asked: AskedResults,
    outputs: Mapping[str, OutputValue],
    offered: Mapping[str, Sequence[str]],
    *,
    resource: Literal["execution", "results"],
    described: Collection[str] = (),
    selected: Collection[str] | None = None,
    wish: Wish | None = None,
    inline_bytes: int = 1024 * 1024,
    references: bool = True,
) -> Answer:
    """Plan the answer of a synchronous execution or of `/jobs/{jobID}/results` (S2.8).

    Args:
        asked: What the execute request said.
        outputs: What the job produced.
        offered: The media types each output can be given in (encodings.offered_outputs).
        resource: Where the answer is given.
        described: The outputs of the process; they count where the request named none.
        selected: Of them only these (`?outputs=`), after `select_outputs`.
        wish: The header fields of a request for `/results`.
        inline_bytes: Up to which size values stand in a document of version 2.0.
        references: Outputs have addresses of their own; else all but those asked for by reference are inline.

    Raises:
        ResultNotAvailable: no output was asked for.
        NotAcceptable: the client accepts none of what there is.
    """
    asked = _with_wish(asked, wish)
    wanted = list(asked.outputs if asked.outputs is not None else described or outputs)
    if not wanted:
        if resource == "results":
            raise ResultNotAvailable("The execute request asked for no outputs, so the job has no results.")
        return Empty()
    kept = [output_id for output_id in wanted if selected is None or output_id in selected]
    available = {output_id: outputs[output_id] for output_id in kept if output_id in outputs}
    layout = _Layout(
        asked=asked, outputs=available, offered=offered, inline_bytes=inline_bytes, references=references
    )
    if _is_document(asked, len(wanted)):
        return layout.document()
    if asked.dialect == "1.0" or asked.response == "raw":
        return layout.raw_table()
    if len(wanted) > 1:
        return _negotiated_document(layout)
    return layout.document() if resource == "results" else _negotiated_value(layout)


def plan_document(
    asked: AskedResults,
    outputs: Mapping[str, OutputValue],
    offered: Mapping[str, Sequence[str]],
    *,
    described: Collection[str] = (),
    inline_bytes: int,
) -> Document:
    """Plan the results document that a subscriber is sent, whatever form the client asked for (S2.7 row 15).

    The arguments are those of `plan_answer`; the job has an address, so that its outputs have.
    """
    wanted = asked.outputs if asked.outputs is not None else described or outputs
    available = {output_id: outputs[output_id] for output_id in wanted if output_id in outputs}
    return _Layout(
        asked=asked, outputs=available, offered=offered, inline_bytes=inline_bytes, references=True
    ).document()


def plan_output(value: OutputValue, offered: Sequence[str], output_id: str, *, accept: str = "") -> Raw:
    """Plan the answer of `/jobs/{jobID}/results/{outputID}` (/req/core/job-result-op).

    Raises:
        NotAcceptable: the client accepts none of the output's media types.
    """
    media_type = choose_media_type(accept, offered)
    if media_type is None:
        raise NotAcceptable(offered, what=f"The output {output_id}")
    return Raw(output_id=output_id, media_type=media_type)


def plan_formats(description: ProcessDescription, asked: AskedResults, *, negotiate: bool) -> dict[str, str]:
    """Choose, before anything runs, the media type of each wanted output that has a choice.

    Args:
        description: Of the process.
        asked: What the request said.
        negotiate: The answer of this request is the results, so the Accept header is about them.

    Returns:
        A media type for each wanted output of which the process knows several.

    Raises:
        NotAcceptable: the results can be given in nothing the client accepts.
    """
    if not asked.accept and asked.outputs is None:
        return {}  # everything is welcome, and nothing chosen
    wanted = list(description.outputs if asked.outputs is None else asked.outputs)
    one = len(wanted) == 1
    if negotiate and wanted and not _is_document(asked, len(wanted)) and asked.dialect == "2.0":
        _check_acceptable(description, asked, wanted)
    formats: dict[str, str] = {}
    for output_id in wanted:
        accept = (asked.outputs or {}).get(output_id, _NOTHING_ASKED).media_type
        if not accept and one:
            accept = asked.accept
        known = produced_media_types(description.outputs[output_id]) if accept else ()
        chosen = choose_media_type(accept, known) if len(known) > 1 else None
        if chosen is not None:
            formats[output_id] = chosen
    return formats


def wants_references(asked: AskedResults) -> bool:
    """Tell whether outputs are asked for by reference, and so need addresses even of a synchronous run."""
    if not asked.outputs:
        return False
    return any(output.transmission_mode == "reference" for output in asked.outputs.values())


def require_results(job: Job) -> None:
    """Make sure a job has results that can be shown (S1.4, what each state answers).

    Raises:
        ResultNotReady: it has not ended.
        ProcessFailed: it failed; the problem is the job's.
        ResultNotAvailable: it was dismissed, or no output was asked for.
    """
    if job.status is Status.FAILED:
        raise ProcessFailed(job.problem or JobProblem())
    if job.status is Status.DISMISSED:
        raise ResultNotAvailable("The job was dismissed, so it has no results.")
    if not job.status.is_final:
        raise ResultNotReady(f"The job is {job.status}. Its results can be fetched once it is successful.")
    if job.asked.outputs == {}:
        raise ResultNotAvailable("The execute request asked for no outputs, so the job has no results.")
    if not job.has_results:
        raise ResultsExpired(
            "The results of this job were kept for a limited time, and have been removed. Execute the process again."
        )


def choose_output(job: Job, output_id: str, described: Collection[str] = ()) -> OutputValue:
    """Find an output of a successful job (/req/core/job-result-op, S2.7 row 8).

    Args:
        job: The job, of which `require_results` has been told.
        output_id: The output.
        described: The outputs of its process, as far as it is still offered.

    Raises:
        NoSuchOutput: the process has no such output.
        ResultNotAvailable: it was not asked for, or the process did not give it.
    """
    if output_id in job.outputs:
        return job.outputs[output_id]
    if output_id in described or output_id in (job.asked.outputs or {}):
        raise ResultNotAvailable(f"The job has no value of the output {output_id[:100]}.")
    known = ", ".join(described or job.outputs)
    raise NoSuchOutput(f"The process has no output {output_id[:100]}. Its outputs: {known}.")


def select_outputs(job: Job, selected: Sequence[str], described: Collection[str] = ()) -> list[str]:
    """Check the outputs a request for `/results` names (`?outputs=a,b`, S2.2).

    Raises:
        NoSuchOutput: the process has no such output.
        ResultNotAvailable: one of them was not asked for.
    """
    for output_id in selected:
        choose_output(job, output_id, described)
    return list(dict.fromkeys(selected))


def output_link(job: Job, output_id: str, urls: Urls, media_type: str) -> dict[str, Any]:
    """Give the link that stands in a document for an output by reference, with its size (link.yaml)."""
    return {
        "href": urls.output(job.id, output_id),
        "rel": "item",  # version 2.0 requires one
        "type": media_type,
        "title": output_id,
        "length": job.outputs[output_id].length,
    }


def output_header_link(job: Job, output_id: str, urls: Urls, media_type: str) -> Link:
    """Give the Link of an output whose answer is 204 (/req/core/process-execute-sync-raw-ref)."""
    return Link(href=urls.output(job.id, output_id), rel=output_id, type=media_type, title=output_id)


class _Layout(Struct, frozen=True, kw_only=True):
    """The wanted outputs and the ways they can be laid out."""

    asked: AskedResults
    outputs: dict[str, OutputValue]
    offered: Mapping[str, Sequence[str]]
    inline_bytes: int
    references: bool

    def media_types(self, output_id: str) -> Sequence[str]:
        return self.offered.get(output_id) or [self.outputs[output_id].media_type]

    def narrowed(self, output_id: str) -> Sequence[str]:
        """Give the media types that are left by the format that was asked for."""
        wanted = self.selection(output_id).media_type
        chosen = choose_media_type(wanted, self.media_types(output_id)) if wanted else None
        return [chosen] if chosen else self.media_types(output_id)

    def selection(self, output_id: str) -> AskedOutput:
        return (self.asked.outputs or {}).get(output_id, _NOTHING_ASKED)

    def media_type(self, output_id: str) -> str:
        """Choose a media type by Accept; it never fails."""
        offered = self.narrowed(output_id)
        return choose_media_type(self.asked.accept, offered) or offered[0]

    def document(self) -> Document:
        members = [
            Part(
                output_id=output_id,
                media_type=self.outputs[output_id].media_type,
                by_reference=self.is_by_reference(output_id),
            )
            for output_id in self.outputs
        ]
        returned = self.asked.return_preference
        kept = returned and all(
            member.by_reference == (returned == "minimal" and self.is_large(member.output_id))
            for member in members
        )
        return Document(
            members=members,
            profile=self.asked.profile or (self.asked.dialect == "2.0" and self.asked.response == ""),
            applied=[f"return={returned}"] if kept else [],
        )

    def is_large(self, output_id: str) -> bool:
        return self.references and self.outputs[output_id].length > self.inline_bytes

    def is_by_reference(self, output_id: str) -> bool:
        """Decide between value and reference (S2.7 row 2)."""
        mode = self.selection(output_id).transmission_mode
        if mode or self.asked.dialect == "1.0":
            return mode == "reference"
        return self.asked.return_preference != "representation" and self.is_large(output_id)

    def raw_table(self) -> Answer:
        """Answer by the table for `response: raw` of 1.0 (/req/core/process-execute-sync-raw-*).

        Of several outputs each has its own type: Accept is about the answer as a whole.
        """
        parts = [
            Part(
                output_id=output_id,
                media_type=self.media_type(output_id)
                if len(self.outputs) == 1
                else self.narrowed(output_id)[0],
                by_reference=self.selection(output_id).transmission_mode == "reference",
            )
            for output_id in self.outputs
        ]
        if all(part.by_reference for part in parts):
            return Empty(references=[part.output_id for part in parts])
        if len(parts) == 1:
            return Raw(output_id=parts[0].output_id, media_type=parts[0].media_type)
        return Multipart(parts=parts)

    def multipart(self, media_type: str) -> Multipart:
        parts = [
            Part(output_id=output_id, media_type=self.narrowed(output_id)[0], by_reference=False)
            for output_id in self.outputs
        ]
        return Multipart(parts=parts, media_type=media_type)


def _with_wish(asked: AskedResults, wish: Wish | None) -> AskedResults:
    if wish is None:
        return asked
    return AskedResults(
        outputs=asked.outputs,
        response=asked.response,
        dialect=asked.dialect,
        accept=wish.accept or asked.accept,
        return_preference=wish.return_preference or asked.return_preference,
        profile=wish.profile or asked.profile,
    )


def _is_document(asked: AskedResults, count: int) -> bool:
    """Tell whether the answer is a results document whatever Accept says besides (S2.8 rules 1, 2 and 4)."""
    if asked.profile or asked.response == "document":
        return True
    marked = asked.dialect == "1.0" and not asked.response and wants_transmission(asked)
    return marked and count > 1 and names(asked.accept, JSON) and not _accepts_multipart(asked.accept)


def _accepts_multipart(accept: str) -> bool:
    return any(accepted.media_type.type == "multipart" for accepted in parse_accept(accept))


def wants_transmission(asked: AskedResults) -> bool:
    """Tell whether a transmissionMode marks the request as one of 1.0."""
    return any(output.transmission_mode for output in (asked.outputs or {}).values())


def _negotiated_document(layout: _Layout) -> Answer:
    chosen = choose_media_type(layout.asked.accept, SEVERAL)
    if chosen is None:
        raise NotAcceptable(SEVERAL, what="The results")
    return layout.document() if chosen == JSON else layout.multipart(chosen)


def _negotiated_value(layout: _Layout) -> Answer:
    """Answer a synchronous execution of one output (/req/core/process-execute-sync-one, S2.5)."""
    if not layout.outputs:
        return Empty()
    output_id = next(iter(layout.outputs))
    offered = layout.narrowed(output_id)
    chosen = choose_media_type(layout.asked.accept, offered)
    if chosen is None and layout.selection(output_id).media_type:
        chosen = offered[0]
    if chosen is None and accepts_only_json(layout.asked.accept):
        return layout.document()
    if chosen is None:
        raise NotAcceptable(offered, what=f"The output {output_id}")
    return Raw(output_id=output_id, media_type=chosen)


def _check_acceptable(description: ProcessDescription, asked: AskedResults, wanted: Sequence[str]) -> None:
    if len(wanted) > 1:
        offered = list(SEVERAL)
    else:
        selection = (asked.outputs or {}).get(wanted[0], _NOTHING_ASKED)
        offered = described_media_types(description.outputs[wanted[0]])
        if selection.media_type or accepts_only_json(asked.accept):
            return
    if choose_media_type(asked.accept, offered) is None:
        raise NotAcceptable(offered, what="The results")
