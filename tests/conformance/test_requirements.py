"""Every requirement of a declared class has a test, and the page that says which is up to date."""

import re

import pytest
from fastprocesses_host.app import RESOURCES
from fastprocesses_host.web import page_files

from tests.conformance.requirement_map import CLASS, PAGE, classes, page, requirements, shown


@pytest.fixture(scope="module")
def found() -> dict[str, list[str]]:
    return shown()


@pytest.mark.parametrize("requirement", requirements())
def test_a_requirement_has_a_test(found, requirement):
    assert found.get(requirement)


def test_markers_name_requirements_that_there_are(found):
    assert set(found) <= set(requirements())


def test_the_page_is_up_to_date(found):
    assert PAGE.read_text("utf-8") == page(found), (
        "python -m tests.conformance.requirement_map writes it again"
    )


def test_the_declared_classes_are_those_whose_requirements_are_listed(client):
    declared = client.get("/conformance").json()["conformsTo"]
    assert {uri.removeprefix(CLASS) for uri in declared if uri.startswith(CLASS)} == set(classes())


@pytest.mark.requirement("/req/core/conformance-success")
@pytest.mark.parametrize(("name", "told"), classes().items(), ids=list(classes()))
def test_every_resource_of_a_declared_class_is_there(client, name, told):
    job = client.finished_job("results", {}).rsplit("/", 1)[1]
    methods = {"/processes/{processID}/execution": {"POST"}, "/jobs/{jobID}": {"GET", "DELETE"}}

    assert CLASS + name in client.get("/conformance").json()["conformsTo"]
    for path in told["resources"]:
        answer = client.options(path.replace("{processID}", "results").replace("{jobID}", job))
        assert methods.get(path, {"GET"}) <= set(answer.headers["allow"].split(", "))


def test_a_class_is_declared_by_the_module_that_serves_its_resources():
    """So that leaving out a module leaves out its classes."""
    for name, told in classes().items():
        (module,) = [module for module in RESOURCES if CLASS + name in module.CONFORMANCE]
        served = {re.sub(r"\{.*?\}", "{}", route.path) for route in module.ROUTES}
        assert module is page_files or served & {
            re.sub(r"\{.*?\}", "{}", path) for path in told["resources"]
        }, name
