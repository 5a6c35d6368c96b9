"""A service with the echo process, and the checks of the official compliance suite under their own names."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.service import service
from tests.cite import official, statements
from tests.cite.suite import JSON, Answer, Echo, Suite


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Give each check the name it has in the suite."""
    if marker := metafunc.definition.get_closest_marker("cite"):
        metafunc.fixturenames.append("check")
        metafunc.parametrize("check", marker.args)


@pytest.fixture(scope="session")
def iut(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of the implementation under test, without a slash at its end."""
    with service(tmp_path_factory.mktemp("cite")) as started:
        yield started.url


@pytest.fixture(scope="session")
def suite(iut: str) -> Suite:
    return Suite(iut, "echo")


@pytest.fixture
def echo(suite: Suite) -> Echo:
    return Echo(suite.process())


class Judge:
    """Holds answers against our own statements, and against the official files where they are."""

    def __init__(self, shared: Path | None) -> None:
        self.shared = shared

    def response(self, name: str, answer: Answer, *, problem: bool = False) -> None:
        """As the suite's validator of responses: media type, then schema.

        Args:
            name: Of the schema.
            answer: To judge.
            problem: The check takes application/problem+json for JSON too, if it has no parameter.
        """
        assert answer.media_type == JSON or (problem and answer.content_type == "application/problem+json")
        statements.states(name, answer.json)
        if self.shared:
            assert official.response_faults(self.shared, name, answer.json) == []

    def document(self, name: str, document: Any) -> None:
        """As the suite's validator of JSON Schema."""
        statements.states(name, document)
        if self.shared:
            assert official.schema_faults(self.shared, name, document) == []

    def sync_answer(self, answer: Answer) -> None:
        """As the suite judges the answer of a synchronous execution: multipart with the text, or one alternative."""
        if answer.content_type.startswith("multipart/related"):
            assert any(
                "teststring" in text for text in statements.text_parts(answer.content_type, answer.body)
            )
            return
        assert len(statements.alternatives_of_a_sync_answer(answer.json)) == 1
        if self.shared:
            assert official.sync_answer_faults(self.shared, answer.json) == []


@pytest.fixture(scope="session")
def judge(request: pytest.FixtureRequest) -> Judge:
    try:
        return Judge(request.getfixturevalue("shared"))
    except pytest.skip.Exception:
        return Judge(None)
