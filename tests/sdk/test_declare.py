"""What a declaration says of a process, and which declarations make no sense."""

import pickle
from collections.abc import AsyncIterator, Iterator
from typing import Annotated, Any, Literal

import fastprocesses_sdk as fp
import msgspec
import pytest
from fastprocesses_sdk.description import InputDescription, OutputDescription
from fastprocesses_sdk.values import EncodedOutput, InputValue


@fp.process(timeout_seconds=600, keywords=["geometry"])
def buffer(
    features: fp.FeatureCollection,
    distance: Annotated[float, fp.Input(gt=0, unit="m")],
    cap: Literal["round", "flat", "square"] = "round",
    *,
    job: fp.Job = fp.NO_JOB,
) -> fp.FeatureCollection:
    """Buffer every feature.

    Longer than it was.

    Args:
        features: What to buffer.
        distance: How far,
            on the ground.
        cap: Shape of line ends.
        job: What is told of it.

    Returns:
        What is near.
    """
    for _ in job.track(features.features):
        pass
    return features


def test_texts_come_from_docstring_and_names():
    description = buffer.description

    assert (description.id, description.title) == ("buffer", "Buffer")
    assert description.description == "Buffer every feature.\n\nLonger than it was."
    assert {name: each.description for name, each in description.inputs.items()} == {
        "features": "What to buffer.",
        "distance": "How far, on the ground. Unit: m.",
        "cap": "Shape of line ends.",
    }
    assert description.outputs["result"].description == "What is near."


def test_inputs_keep_their_order_and_tell_what_may_be_left_out():
    assert {name: each.min_occurs for name, each in buffer.description.inputs.items()} == {
        "features": 1,
        "distance": 1,
        "cap": 0,
    }
    assert buffer.description.inputs["cap"].schema["default"] == "round"


def test_the_policy_is_that_of_the_decorator():
    assert buffer.policy == fp.Policy(timeout_seconds=600)
    assert fp.process(retryable=True)(plain).policy.max_attempts == 2


def test_modes_become_job_control_options():
    assert buffer.description.job_control_options == ["sync-execute", "async-execute", "dismiss"]
    assert fp.process(modes=["async"])(plain).description.job_control_options == ["async-execute", "dismiss"]


def plain(number: int, factor: float = 2.0) -> float:
    return number * factor


def test_a_process_without_any_text_has_titles_and_descriptions():
    description = fp.process(plain).description

    assert (description.title, description.description) == ("Plain", "Plain.")
    assert description.inputs["number"].title == "Number"
    assert description.inputs["number"].description == "The number."
    assert description.outputs["result"].description == "The result."


@pytest.mark.parametrize(
    "docstring",
    [
        "Multiply.\n\nArgs:\n    number: A number.\n\nReturns:\n    A product.",
        "Multiply.\n\nParameters\n----------\nnumber : int\n    A number.\n\nReturns\n-------\nfloat\n    A product.",
        "Multiply.\n\n:param number: A number.\n:returns: A product.",
    ],
    ids=["google", "numpy", "rest"],
)
def test_docstrings_are_read_in_every_usual_style(docstring):
    def multiply(number: int) -> float:
        return float(number)

    multiply.__doc__ = docstring
    description = fp.process(multiply).description

    assert description.description == "Multiply."
    assert description.inputs["number"].description == "A number."
    assert description.outputs["result"].description == "A product."


def test_names_may_be_declared():
    @fp.process(id="other.name", title="Other", description="Does it.", version="3")
    def some_name(x: int) -> Annotated[int, fp.Output(name="y", title="Why", description="Because.")]:
        return x

    description = some_name.description
    assert (description.id, description.title, description.description) == ("other.name", "Other", "Does it.")
    assert some_name.with_version("1").description.version == "3"
    assert description.outputs["y"] == OutputDescription(
        title="Why", description="Because.", schema={"type": "integer"}
    )


def test_an_underscore_in_a_name_is_a_dash_in_the_id():
    @fp.process
    def count_things(things: list[int]) -> int:
        return len(things)

    assert count_things.id == "count-things"
    assert count_things.description.title == "Count things"


def test_several_values_by_occurs():
    @fp.process
    def mean(values: Annotated[list[float], fp.Input(occurs=(1, 5), ge=0)]) -> float:
        return sum(values) / len(values)

    described = mean.description.inputs["values"]
    assert (described.min_occurs, described.max_occurs) == (1, 5)
    assert described.schema == {"type": "number", "minimum": 0}
    assert run(mean, values=b"[1, 3]")["result"].data == b"2.0"
    with pytest.raises(fp.ProcessError, match="values"):
        run(mean, values=b"[]")


def test_optional_is_absent_not_null():
    @fp.process
    def maybe(number: Annotated[int | None, fp.Input(ge=1)] = None) -> str:
        return repr(number)

    described = maybe.description.inputs["number"]
    assert (described.min_occurs, described.schema) == (0, {"type": "integer", "minimum": 1})
    assert run(maybe)["result"].data == b'"None"'


def run(process: fp.Process[..., Any], job: fp.Job = fp.NO_JOB, **inputs: bytes) -> dict[str, EncodedOutput]:
    return process.run({name: InputValue(data=data) for name, data in inputs.items()}, job)


# Calls


def test_a_plain_call_is_a_plain_call():
    collection = fp.FeatureCollection()

    assert buffer(collection, -1.0, cap="round") is collection
    assert buffer.__doc__ == buffer.function.__doc__
    assert buffer.__name__ == "buffer"


def test_a_process_is_pickled_by_its_name():
    assert pickle.loads(pickle.dumps(triple)) is triple


@fp.process
def triple(number: int) -> int:
    """Return three times a number."""
    return 3 * number


def test_an_async_function_is_run():
    @fp.process
    async def later(number: int) -> int:
        return number + 1

    assert run(later, number=b"1")["result"].data == b"2"


def test_the_job_is_handed_over():
    @fp.process
    def who(*, me: fp.Job) -> str:
        return me.id

    assert "me" not in who.description.inputs
    assert run(who, fp.Job(id="7"))["result"].data == b'"7"'


def test_what_the_function_raises_passes():
    @fp.process
    def fails(kind: Literal["mine", "bug"]) -> int:
        raise fp.ProcessError("No such thing.", status=404) if kind == "mine" else ZeroDivisionError

    with pytest.raises(fp.ProcessError, match="No such thing"):
        run(fails, kind=b'"mine"')
    with pytest.raises(ZeroDivisionError):
        run(fails, kind=b'"bug"')


@pytest.mark.parametrize(
    ("inputs", "about"),
    [
        ({}, "number"),
        ({"number": b'"1"'}, "number"),
        ({"number": b"1", "x": b"1"}, "x"),
        ({"number": b"{"}, "number"),
    ],
    ids=["missing", "wrong", "unknown", "no JSON"],
)
def test_bad_inputs_are_the_callers_to_mend(inputs, about):
    with pytest.raises(fp.ProcessError) as caught:
        run(triple, **inputs)

    assert (caught.value.input, caught.value.status) == (about, 400)
    assert about in caught.value.detail


# Outputs


class Statistics(fp.Outputs):
    """What is known of numbers.

    Attributes:
        mean: Their mean.
    """

    mean: float
    count: Annotated[int, fp.Output(name="how-many")] = 0
    page: Annotated[str | None, fp.Media("text/html")] = None
    image: Annotated[bytes | None, fp.Media("image/png", "image/gif")] = None


@fp.process
def statistics(full: bool = False, *, job: fp.Job = fp.NO_JOB) -> Statistics:
    """Look at numbers."""
    if not full:
        return Statistics(mean=1.5)
    return Statistics(mean=1, count=2, page="<p>ä</p>", image=job.format("image").encode())


def test_fields_are_outputs():
    assert list(statistics.description.outputs) == ["mean", "how-many", "page", "image"]
    assert statistics.description.outputs["mean"].description == "Their mean."


def test_outputs_left_empty_are_left_out():
    assert list(run(statistics)) == ["mean", "how-many"]


def test_outputs_have_their_form_and_media_type():
    outputs = run(statistics, full=b"true")

    assert {name: (each.form, each.media_type, each.data) for name, each in outputs.items()} == {
        "mean": ("json", "application/json", b"1"),
        "how-many": ("json", "application/json", b"2"),
        "page": ("text", "text/html", "<p>ä</p>".encode()),
        "image": ("binary", "image/png", b"image/png"),
    }


def test_only_wanted_outputs_in_the_wanted_format():
    outputs = statistics.run({"full": InputValue(data=b"true")}, fp.NO_JOB, ["image"], {"image": "image/gif"})

    assert outputs == {"image": EncodedOutput(form="binary", media_type="image/gif", data=b"image/gif")}
    assert statistics.run({}, fp.NO_JOB, [], {}) == {}


@pytest.mark.parametrize(
    ("outputs", "formats"), [(["x"], {}), (None, {"image": "image/bmp"}), (None, {"x": "a/b"})]
)
def test_unknown_outputs_and_formats_are_refused(outputs, formats):
    with pytest.raises(fp.ProcessError):
        statistics.run({}, fp.NO_JOB, outputs, formats)


WRONG_RETURNS: list[tuple[Any, Any]] = [
    (int, "a"),
    (int, None),
    (float, float("nan")),
    (list[float], [float("inf")]),
    (str, b"a"),
    (fp.FeatureCollection, fp.Feature()),
    (fp.Point, fp.Point([float("nan"), 1.0])),
    (dict[str, Any], {"a": len}),
    (Annotated[bytes, fp.Media("image/png")], "text"),
    (Annotated[str, fp.Media("text/html")], b"bytes"),
    (Statistics, 1.0),
    (Literal["a"], "b"),
]


@pytest.mark.parametrize(("annotation", "value"), WRONG_RETURNS, ids=str)
def test_returning_what_was_not_declared_is_a_bug_of_the_process(annotation, value):
    def wrong() -> Any:
        return value

    wrong.__annotations__["return"] = annotation
    with pytest.raises(TypeError):
        run(fp.process(wrong))


# Examples


def test_a_process_has_an_example_that_it_accepts():
    example = buffer.description.example

    assert example["inputs"]["distance"] == 1
    assert example["inputs"]["cap"] == "round"


def test_there_is_no_example_where_none_can_be_thought_of():
    @fp.process
    def coded(code: Annotated[str, fp.Input(pattern="^[A-Z]{2}$")]) -> str:
        return code

    assert b'"example"' not in msgspec.json.encode(coded.description)


@pytest.mark.parametrize(
    "example", [{}, {"inputs": {}}, {"inputs": {"number": "a"}}, {"inputs": {"number": 1, "x": 1}}]
)
def test_an_example_that_would_be_refused_is_a_mistake(example):
    with pytest.raises(fp.DeclarationError, match="example"):
        fp.process(example=example)(plain)


# By hand


class Reverse:
    description = fp.ProcessDescription(
        id="reverse",
        version="2.1",
        title="Reverse",
        description="Turn a text around.",
        inputs={"text": InputDescription(title="Text", description="Any.", schema={"type": "string"})},
        outputs={"text": OutputDescription(title="Text", description="Turned.", schema={"type": "string"})},
    )

    def execute(self, inputs: dict[str, Any], job: fp.Job) -> dict[str, Any]:
        return {"text": inputs["text"][::-1]}


@pytest.mark.parametrize("declared", [Reverse, Reverse()], ids=["class", "object"])
def test_a_class_with_a_description_is_a_process(declared):
    reverse = fp.process(declared)

    assert reverse.id == "reverse"
    assert run(reverse, text=b'"abc"')["text"].data == b'"cba"'
    assert reverse.with_version("9").description.version == "2.1"


# Mistakes


def no_type(x) -> int: ...
def no_return(x: int): ...
def returns_none(x: int) -> None: ...
def star(*xs: int) -> int: ...
def stars(**xs: int) -> int: ...
def positional(x: int, /) -> int: ...
def unknown_type(x: complex) -> int: ...
def any_object(x: pytest.MonkeyPatch) -> int: ...
def bare_bytes(x: bytes) -> int: ...
def null_inside(x: list[int | None]) -> int: ...
def number_keys(x: dict[int, int]) -> int: ...
def optional_without_default(x: int | None) -> int: ...
def none_default(x: int = None) -> int: ...  # type: ignore[assignment]  # noqa: RUF013
def wrong_default(x: int = "a") -> int: ...  # type: ignore[assignment]
def default_out_of_bounds(x: Annotated[int, fp.Input(ge=1)] = 0) -> int: ...
def crossed_bounds(x: Annotated[int, fp.Input(ge=2, le=1)]) -> int: ...
def empty_bounds(x: Annotated[float, fp.Input(gt=1, lt=1)]) -> int: ...
def two_lower_bounds(x: Annotated[float, fp.Input(gt=1, ge=1)]) -> int: ...
def infinite_bound(x: Annotated[float, fp.Input(gt=float("inf"))]) -> int: ...
def crossed_lengths(x: Annotated[str, fp.Input(min_length=2, max_length=1)]) -> int: ...
def bound_on_text(x: Annotated[str, fp.Input(ge=1)]) -> int: ...
def bad_pattern(x: Annotated[str, fp.Input(pattern="(")]) -> int: ...
def float_literal(x: Literal[1.5]) -> int: ...  # type: ignore[valid-type]
def mixed_tuple(x: tuple[int, str]) -> int: ...
def occurs_scalar(x: Annotated[int, fp.Input(occurs=(1, 2))]) -> int: ...
def occurs_crossed(x: Annotated[list[int], fp.Input(occurs=(2, 1))]) -> int: ...
def occurs_zero(x: Annotated[list[int], fp.Input(occurs=(0, 2))]) -> int: ...
def input_on_output(x: int) -> Annotated[int, fp.Input(ge=1)]: ...
def two_jobs(x: fp.Job, y: fp.Job) -> int: ...
def unresolvable(x: "Nowhere") -> int: ...  # noqa: F821
def generator(x: int) -> Iterator[int]:
    yield x


async def async_generator(x: int) -> AsyncIterator[int]:
    yield x


class Twice(fp.Outputs):
    a: int
    b: Annotated[int, fp.Output(name="a")]


class Nothing(fp.Outputs):
    pass


class NoneDefault(fp.Outputs):
    a: int = None  # type: ignore[assignment]


class NoDefault(fp.Outputs):
    a: int | None


def same_output_twice() -> Twice: ...
def no_outputs() -> Nothing: ...
def output_none() -> NoneDefault: ...
def output_optional() -> NoDefault: ...


MISTAKES = [
    *[
        (each, "'x'")
        for each in (no_type, positional, unknown_type, any_object, bare_bytes, null_inside, number_keys)
    ],
    *[
        (each, "'x'")
        for each in (optional_without_default, none_default, wrong_default, default_out_of_bounds)
    ],
    *[
        (each, "'x'")
        for each in (crossed_bounds, empty_bounds, two_lower_bounds, infinite_bound, crossed_lengths)
    ],
    *[(each, "'x'") for each in (bound_on_text, bad_pattern, float_literal, mixed_tuple)],
    *[(each, "'x'") for each in (occurs_scalar, occurs_crossed, occurs_zero)],
    (star, "'xs'"),
    (stars, "'xs'"),
    (no_return, "return value"),
    (returns_none, "return value"),
    (input_on_output, "return value"),
    (two_jobs, "'y'"),
    (unresolvable, "Nowhere"),
    (generator, "yields"),
    (async_generator, "yields"),
    (same_output_twice, "'b'"),
    (no_outputs, "Nothing"),
    (output_none, "'a'"),
    (output_optional, "'a'"),
]


@pytest.mark.parametrize(("function", "about"), MISTAKES, ids=lambda value: getattr(value, "__name__", value))
def test_a_mistake_is_told_with_function_and_argument(function, about):
    with pytest.raises(fp.DeclarationError) as caught:
        fp.process(function)

    assert isinstance(caught.value, TypeError)
    assert function.__name__ in str(caught.value)
    assert about in str(caught.value)


@pytest.mark.parametrize(
    "declaration",
    [
        {"timeout_seconds": 0},
        {"timeout_seconds": float("nan")},
        {"timeout_seconds": float("inf")},
        {"memory_mb": "1"},
        {"memory_mb": 0.5},
        {"max_concurrent": True},
        {"title": 5},
        {"version": 1.0},
        {"id": 5},
        {"queue": 5},
        {"queue": ""},
        {"queue": "sync"},
        {"queue": "not.one"},
        {"retryable": "yes"},
        {"keywords": "water"},
        {"keywords": [5]},
        {"metadata": {"role": "x"}},
        {"metadata": ["x"]},
        {"max_attempts": 3},
        {"modes": "sync"},
        {"modes": ["later"]},
        {"id": "with space"},
        {"nonsense": 1},
    ],
    ids=str,
)
def test_keywords_that_make_no_sense_are_told(declaration):
    with pytest.raises(fp.DeclarationError, match=r"plain\(\)"):
        fp.process(**declaration)(plain)


@pytest.mark.parametrize("thing", [1, int, triple, Statistics], ids=str)
def test_only_functions_and_described_classes_are_declared(thing):
    with pytest.raises(fp.DeclarationError):
        fp.process(thing)
