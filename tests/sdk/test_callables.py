"""Things that can be called, and still cannot be declared: each is told what to write instead."""

import functools
import math
from typing import Any

import fastprocesses_sdk as fp
import pytest


def scale(x: float, factor: float) -> float:
    return x * factor


class Caller:
    def __call__(self, x: float) -> float:
        return x

    def method(self, x: float) -> float:
        return x


@pytest.mark.parametrize(
    ("thing", "about"),
    [
        (functools.partial(scale, factor=2), "partial"),
        (math.floor, "not written in Python"),
        (len, "not written in Python"),
        (lambda x: x, "lambda"),
        (Caller(), "write a function"),
        (Caller.method, "method"),
    ],
    ids=["partial", "builtin", "len", "lambda", "object", "method"],
)
def test_what_cannot_be_declared_is_told(thing: Any, about: str) -> None:
    with pytest.raises(fp.DeclarationError, match=about):
        fp.process(thing)


def test_a_bound_method_and_a_wrapped_function_are_functions() -> None:
    @functools.wraps(scale)
    def wrapped(*args: Any, **kwargs: Any) -> float:
        return scale(*args, **kwargs)

    assert list(fp.process(wrapped).description.inputs) == ["x", "factor"]
    assert list(fp.process(Caller().method).description.inputs) == ["x"]


def test_examples_are_checked_and_the_first_is_told() -> None:
    made = fp.process(examples=[{"x": 1, "factor": 2}, {"inputs": {"x": 3, "factor": 1}}])(scale)

    assert made.description.example == {"inputs": {"x": 1, "factor": 2}}
    assert made.examples == [made.description.example, {"inputs": {"x": 3, "factor": 1}}]
    assert made.with_version("3").examples == made.examples


@pytest.mark.parametrize(
    "declaration",
    [
        {"examples": [{"x": 1}]},
        {"examples": [{"x": 1, "factor": 2}, {"x": "a", "factor": 2}]},
        {"examples": {"x": 1, "factor": 2}},
        {"examples": "x"},
        {"examples": [3]},
        {"examples": [{"x": object(), "factor": 1}]},
        {"examples": [], "example": {"inputs": {}}},
    ],
    ids=range(7),
)
def test_examples_that_would_be_refused_are_mistakes(declaration: Any) -> None:
    with pytest.raises(fp.DeclarationError, match="example"):
        fp.process(**declaration)(scale)
