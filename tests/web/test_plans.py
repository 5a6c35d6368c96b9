"""Plans of answers: kept for jobs that are alike, and for no others."""

from typing import Any

from fastprocesses_host.catalog import OfferedProcess
from fastprocesses_host.ogc.jobs import AskedOutput, AskedResults, Job, OutputValue, Status
from fastprocesses_host.ogc.results import Document, Raw
from fastprocesses_host.web import execution
from fastprocesses_host.web.execution import Plans
from fastprocesses_sdk.description import OutputDescription, Policy, ProcessDescription

NAMES = ("first", "second")


def process(*names: str) -> OfferedProcess:
    outputs = {
        name: OutputDescription(title=name, description=name, schema={"type": "string"}) for name in names
    }
    description = ProcessDescription(id="p", title="p", description="p", version="1.0.0", outputs=outputs)
    return OfferedProcess(
        description=description, policy=Policy(), digest="-".join(names), environment="default", plugin="p"
    )


def job(*names: str, media_type: str = "application/json", length: int = 3, **told: Any) -> Job:
    value = OutputValue(form="json", media_type=media_type, length=length)
    options: dict[str, Any] = {"listed": False, **told}
    return Job(
        id="j",
        process_id="p",
        status=Status.SUCCESSFUL,
        created=0,
        outputs=dict.fromkeys(names, value),
        **options,
    )


def test_jobs_that_are_alike_share_a_plan() -> None:
    plans, offered = Plans(), process(*NAMES)
    planned = plans.of(offered, job(*NAMES), 100)
    assert isinstance(planned.plan, Document)
    assert [member.output_id for member in planned.plan.members] == list(NAMES)
    assert plans.of(offered, job(*NAMES, length=5), 100) is planned


def test_what_makes_a_difference_is_planned_for_itself() -> None:
    plans, offered = Plans(), process("first")
    usual = plans.of(offered, job("first"), 100).plan
    assert usual == Raw(output_id="first", media_type="text/plain")
    as_json = AskedResults(accept="application/json")
    assert plans.of(offered, job("first", asked=as_json), 100).plan != usual
    assert plans.of(offered, job("first", media_type="application/geo+json"), 100).plan != usual
    assert plans.of(process(*NAMES), job("first"), 100).plan != usual
    chosen = AskedResults(outputs={"first": AskedOutput(media_type="application/json")})
    assert plans.of(offered, job("first", asked=chosen), 100).plan != usual


def test_what_has_an_address_depends_on_its_size() -> None:
    plans, offered = Plans(), process(*NAMES)
    for length, by_reference in ((3, False), (300, True)):
        plan = plans.of(offered, job(*NAMES, length=length, listed=True), 100).plan
        assert isinstance(plan, Document)
        assert [member.by_reference for member in plan.members] == [by_reference] * 2


def test_no_more_than_some_are_kept() -> None:
    plans, offered = Plans(), process("first")
    for number in range(2 * execution._MOST_PLANS + 1):
        plans.of(offered, job("first", asked=AskedResults(accept=f"*/*;q=0.{number:03}1")), 100)
    assert len(plans._plans) == 1
