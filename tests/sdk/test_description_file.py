"""A description in a file: what it adds is told, what contradicts the code is told with both places."""

import itertools
import json
import sys
import textwrap
import types
from pathlib import Path
from typing import Any

import fastprocesses_sdk as fp
import msgspec
import pytest
import yaml
from fastprocesses_sdk.documents import MOST_BYTES, read_document
from fastprocesses_sdk.narrowing import Disagreement, narrowed
from fastprocesses_sdk.processes import Process
from fastprocesses_sdk.values import InputValue
from hypothesis import given
from hypothesis import strategies as st

CODE = """
    from typing import Annotated, Literal
    import fastprocesses_sdk as fp

    @fp.process(description={file!r}{more})
    def buffer(
        distance: Annotated[float, fp.Input(gt=0, unit="m")],
        cap: Literal["round", "flat", "square"] = "round",
        tags: Annotated[list[str], fp.Input(occurs=(1, 5))] = ["a"],
        size: int | str = 3,
        *, job: fp.Job = fp.NO_JOB,
    ) -> float:
        \"\"\"A text of the docstring.

        Args:
            distance: Of the docstring.
            cap: Of the docstring too.
        \"\"\"
        return distance
"""
WHOLE: dict[str, Any] = {
    "id": "buffer-by-file",
    "version": "2.1",
    "title": "Buffers",
    "description": "Of the file.",
    "keywords": ["a", "b"],
    "metadata": [{"role": "about", "href": "https://example.org/"}],
    "jobControlOptions": ["async-execute", "dismiss"],
    "outputTransmission": ["value"],
    "inputs": {
        "distance": {
            "title": "Distance",
            "description": "Of the file.",
            "keywords": ["k"],
            "schema": {"type": "number", "maximum": 1000, "examples": [10]},
        },
        "cap": {"schema": {"enum": ["round", "flat"]}},
        "tags": {"maxOccurs": 3},
        "size": {"schema": {"type": "integer", "minimum": 1}},
    },
    "outputs": {"result": {"title": "What came of it", "schema": {"type": "number", "minimum": 0}}},
    "example": {"inputs": {"distance": 5}},
}

_names = (f"described_by_hand_{number}" for number in itertools.count())


def module_of(folder: Path, code: str) -> types.ModuleType:
    """Import code as a module of a name of its own, its file in the folder."""
    name = next(_names)
    file = folder / f"{name}.py"
    file.write_text(textwrap.dedent(code))
    module = types.ModuleType(name)
    module.__file__ = str(file)
    sys.modules[name] = module
    exec(compile(file.read_text(), str(file), "exec"), vars(module))
    return module


def declared(
    folder: Path, content: Any, *, file: str = "buffer.json", code: str = CODE, more: str = ""
) -> Any:
    """Write the file, import the code beside it, return its process."""
    if not isinstance(content, bytes):
        text = json.dumps(content) if file.endswith("json") else yaml.safe_dump(content)
        content = text.encode()
    (folder / file).write_bytes(content)
    return module_of(folder, code.format(file=file, more=more)).buffer


@pytest.mark.parametrize("file", ["buffer.json", "buffer.yaml", "buffer.yml"])
def test_what_the_file_tells_is_told(tmp_path, file):
    process = declared(tmp_path, WHOLE, file=file)
    told = process.description

    assert isinstance(process, Process)
    assert (told.id, told.version, told.title, told.description) == (
        "buffer-by-file",
        "2.1",
        "Buffers",
        "Of the file.",
    )
    assert (told.keywords, told.metadata) == (WHOLE["keywords"], WHOLE["metadata"])
    assert (told.job_control_options, told.output_transmission) == (["async-execute", "dismiss"], ["value"])
    distance = told.inputs["distance"]
    assert (distance.title, distance.description, distance.keywords) == ("Distance", "Of the file.", ["k"])
    assert distance.schema == {
        "type": "number",
        "minimum": 0,
        "not": {"enum": [0]},
        "maximum": 1000,
        "example": 10,  # which both versions of the standard know
    }
    assert distance.metadata == [{"role": "unit", "title": "m"}]
    assert told.inputs["cap"].schema == {"type": "string", "enum": ["round", "flat"], "default": "round"}
    assert told.inputs["cap"].description == "Of the docstring too."
    assert (told.inputs["tags"].min_occurs, told.inputs["tags"].max_occurs) == (0, 3)
    assert told.inputs["size"].schema == {"type": "integer", "minimum": 1, "default": 3}
    assert told.outputs["result"].title == "What came of it"
    assert told.outputs["result"].schema == {"type": "number", "minimum": 0}
    assert told.example == {"inputs": {"distance": 5}}
    assert process(4.0) == 4.0


def test_an_empty_file_leaves_all_to_the_code(tmp_path):
    told = declared(tmp_path, {}).description

    assert told.id == "buffer"
    assert told.description == "A text of the docstring."
    assert told.inputs["distance"].description == "Of the docstring. Unit: m."
    assert told.example == {"inputs": {"distance": 1, "cap": "round", "size": 3}}


def test_a_text_that_names_no_file_is_the_description(tmp_path):
    for text in ("Buffers things, see buffer.json", "Buffers.", "buffer.txt"):
        assert (
            declared(tmp_path, {}, code=CODE.replace("{file!r}", repr(text))).description.description == text
        )


def test_a_path_names_a_file_too(tmp_path):
    code = CODE.replace("{file!r}", "__import__('pathlib').Path('buffer.json')")

    assert declared(tmp_path, {"title": "Of the file"}, code=code).description.title == "Of the file"


def test_the_first_of_several_examples_is_the_example(tmp_path):
    process = declared(tmp_path, {"examples": [{"inputs": {"distance": 1}}, {"distance": 2}]})

    assert process.examples == [{"inputs": {"distance": 1}}, {"inputs": {"distance": 2}}]
    assert process.description.example == process.examples[0]


def change(*path: str, value: Any) -> dict[str, Any]:
    """The whole description with one member changed."""
    changed = json.loads(json.dumps(WHOLE))
    inner = changed
    for name in path[:-1]:
        inner = inner[name]
    if value is None:
        del inner[path[-1]]
    else:
        inner[path[-1]] = value
    return changed


DISAGREEMENTS: list[tuple[str, dict[str, Any], list[str]]] = [
    ("unknown input", change("inputs", "widht", value={}), ["inputs.widht", "no argument", "distance, cap"]),
    ("missing input", change("inputs", "cap", value=None), ["inputs: lacks 'cap'"]),
    ("unknown output", change("outputs", "other", value={}), ["outputs.other", "no output", "result"]),
    ("missing output", change("outputs", value={}), ["outputs: lacks 'result'"]),
    (
        "other type",
        change("inputs", "distance", "schema", value={"type": "string"}),
        ["inputs.distance.schema.type: is 'string', and 'number' there", "argument 'distance'"],
    ),
    (
        "no type",
        change("inputs", "distance", "schema", value={"type": "numbr"}),
        ["'numbr', which is no type; types are string"],
    ),
    (
        "other output type",
        change("outputs", "result", "schema", value={"type": "array"}),
        ["outputs.result.schema.type: is 'array', and 'number' there"],
    ),
    (
        "wider",
        change("inputs", "distance", "schema", value={"minimum": -1}),
        ["schema.minimum: is -1, and 0"],
    ),
    (
        "required",
        change("inputs", "cap", "minOccurs", value=1),
        ["inputs.cap.minOccurs: is 1", "optional there"],
    ),
    (
        "optional",
        change("inputs", "distance", "minOccurs", value=0),
        ["is 0, and the input is required there"],
    ),
    (
        "more often",
        change("inputs", "distance", "maxOccurs", value=4),
        ["maxOccurs: is 4, and 1", "fp.Input(occurs"],
    ),
    ("unbounded", change("inputs", "tags", "maxOccurs", value="unbounded"), ["is unbounded, and 5 there"]),
    ("no number", change("inputs", "tags", "maxOccurs", value="many"), ["a number or 'unbounded'"]),
    (
        "no choice",
        change("inputs", "cap", "schema", value={"enum": ["pointed"]}),
        ["'pointed'", "'round', 'flat'"],
    ),
    (
        "default gone",
        change("inputs", "cap", "schema", value={"enum": ["flat"]}),
        ["enum: lacks the default 'round'"],
    ),
    (
        "default out",
        change("inputs", "size", "schema", value={"type": "integer", "minimum": 9}),
        ["the default 3"],
    ),
    (
        "default",
        change("inputs", "cap", "schema", value={"default": "flat"}),
        ["default: is 'flat', and 'round'"],
    ),
    (
        "none of a union",
        change("inputs", "size", "schema", value={"type": "array"}),
        ["none of the alternatives"],
    ),
    ("a reference", change("inputs", "size", "schema", value={"$ref": "x.yaml"}), ["$ref", "write out"]),
    (
        "media",
        change("inputs", "size", "schema", value={"type": "string", "contentMediaType": "a/b"}),
        ["alternatives"],
    ),
    ("typo", change("titel", value="x"), ["unknown field `titel`", "known are id, version, title"]),
    (
        "typo inside",
        change("inputs", "cap", "titel", value="x"),
        ["inputs.cap: ", "`titel`", "known are title"],
    ),
    ("a number as text", change("version", value=2.1), ["version: Expected `str`", "put it in quotes"]),
    ("a mode", change("jobControlOptions", value=["sync"]), ["jobControlOptions", "Invalid enum value"]),
    ("an id", change("id", value="a b"), ["'a b' cannot be an id"]),
    (
        "an example",
        change("example", value={"inputs": {"distance": "x"}}),
        ["its example: the input 'distance'"],
    ),
    ("a schema", change("inputs", "cap", "schema", value="string"), ["inputs.cap.schema: Expected `object`"]),
]


@pytest.mark.parametrize(
    ("content", "told"), [each[1:] for each in DISAGREEMENTS], ids=[each[0] for each in DISAGREEMENTS]
)
def test_what_contradicts_is_told_with_both_places(tmp_path, content, told):
    with pytest.raises(fp.DeclarationError) as caught:
        declared(tmp_path, content)

    sentence = str(caught.value)
    assert sentence.startswith("buffer(): ")
    assert len(sentence) < 400
    for part in told:
        assert part in sentence


def test_both_places_are_file_and_line(tmp_path):
    with pytest.raises(fp.DeclarationError) as caught:
        declared(tmp_path, change("inputs", "distance", "schema", value={"type": "string"}), file="b.yaml")

    assert "buffer(): b.yaml, inputs.distance.schema.type: " in str(caught.value)
    assert ".py:5)" in str(caught.value)


@pytest.mark.parametrize(
    ("more", "told"),
    [
        (", title='Other'", "title: says something else than title="),
        (", modes=['sync']", "stands beside modes="),
    ],
)
def test_what_is_told_twice_is_a_disagreement(tmp_path, more, told):
    with pytest.raises(fp.DeclarationError, match=told):
        declared(tmp_path, WHOLE, more=more)


def test_policy_stays_in_the_code(tmp_path):
    assert declared(tmp_path, WHOLE, more=", timeout_seconds=5").policy.timeout_seconds == 5


HOSTILE: list[tuple[str, str, bytes, str]] = [
    ("empty", "b.json", b"", "no JSON"),
    ("cut off", "b.json", b'{"title": "x', "no JSON: Unterminated string"),
    ("a list", "b.json", b"[]", "no description; write an object"),
    ("twice", "b.json", b'{"title": "a", "title": "b"}', "'title' stands twice"),
    ("NaN", "b.json", b'{"metadata": [{"a": NaN}]}', "NaN is no JSON"),
    ("infinite", "b.json", b'{"metadata": [{"a": 1e999}]}', "no value of JSON"),
    ("many digits", "b.json", b'{"metadata": [{"a": ' + b"9" * 5000 + b"}]}", "no JSON"),
    ("deep", "b.json", b'{"metadata": ' + b"[" * 100_000, "nested more than 64 deep"),
    (
        "rather deep",
        "b.json",
        b'{"metadata": [{"a": ' + b"[" * 80 + b"]" * 80 + b"}]}",
        "nested more than 64 deep",
    ),
    ("large", "b.json", b'{"title": "' + b"x" * 10_000_000 + b'"}', f"more than the {MOST_BYTES} bytes"),
    ("Latin-1", "b.json", '{"title": "Größe"}'.encode("latin-1"), "is not UTF-8 (byte 13)"),
    ("nothing", "b.yaml", b"", "no description; write an object"),
    ("broken", "b.yaml", b"title: [a", "no YAML: did not find expected ',' or ']' (line 2)"),
    ("a tab", "b.yaml", b"title: a\n\tb: c", "no YAML"),
    ("twice", "b.yaml", b"title: a\ntitle: b", "'title' stands twice"),
    (
        "code",
        "b.yaml",
        b"title: !!python/object/apply:os.system ['true']",
        "no YAML: could not determine a constructor",
    ),
    ("deep", "b.yaml", b"metadata: " + b"[" * 500_000 + b"]" * 500_000, "nested more than 64 deep"),
    ("large", "b.yaml", b"title: " + b"x" * 10_000_000, f"more than the {MOST_BYTES} bytes"),
    ("a name that is no text", "b.yaml", b"? [a]\n: b", "a name in line 1 is no text"),
    ("itself", "b.yaml", b"metadata: &a [{b: *a}]", "recursive node (line 1)"),
    ("two documents", "b.yaml", b"title: a\n---\ntitle: b", "no YAML"),
    ("bytes", "b.yaml", b"metadata: [{a: !!binary aGFsbG8=}]", "no value of JSON"),
    ("a set", "b.yaml", b"metadata: [{a: !!set {x}}]", "no value of JSON"),
    ("infinite", "b.yaml", b"metadata: [{a: .inf}]", "no value of JSON"),
    (
        "a bomb",
        "b.yaml",
        b"metadata:\n- &a [x,x,x,x,x,x,x,x,x,x]\n"
        + b"".join(b"- &%c [%s]\n" % (98 + n, b",".join([b"*%c" % (97 + n)] * 10)) for n in range(9)),
        "more than the 50000 values",
    ),
    (
        "a bomb of merge keys",
        "b.yaml",
        b"metadata:\n- &a {k: v}\n"
        + b"".join(b"- &%c {<<: [%s]}\n" % (98 + n, b",".join([b"*%c" % (97 + n)] * 10)) for n in range(9)),
        "b.yaml: ",
    ),
]


@pytest.mark.parametrize(
    ("file", "content", "told"),
    [each[1:] for each in HOSTILE],
    ids=[f"{each[0]} {each[1]}" for each in HOSTILE],
)
def test_a_hostile_file_gets_a_sentence(tmp_path, file, content, told):
    with pytest.raises(fp.DeclarationError) as caught:
        declared(tmp_path, content, file=file)

    assert told in str(caught.value)
    assert f"buffer(): {file}" in str(caught.value)
    assert len(str(caught.value)) < 400


def test_yaml_is_read_as_version_1_2(tmp_path):
    file = tmp_path / "a.yaml"
    file.write_text("[no, on, 2026-01-31, 12:30:00, 0123, 1_000, 1, 1.5, -1e3, true, null, ~, '1', a b]")

    assert read_document(file) == [
        *("no", "on", "2026-01-31", "12:30:00", "0123", "1_000"),
        *(1, 1.5, -1000.0, True, None, None, "1", "a b"),
    ]


plain = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=10,
)


@given(value=plain)
def test_json_is_read_as_it_was_written(tmp_path_factory, value):
    file = tmp_path_factory.getbasetemp() / "any.json"
    file.write_text(json.dumps(value))

    assert read_document(file) == value


def test_aliases_are_written_out(tmp_path):
    content = b"title: &t Same\ndescription: *t"
    told = declared(tmp_path, content, file="b.yaml").description

    assert (told.title, told.description) == ("Same", "Same")


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("missing.json", "there is no such file; is it part of the package"),
        ("../outside.json", "it is outside of the package"),
        ("/etc/description.json", "it is outside of the package"),
        ("folder.json", "there is no such file"),
    ],
)
def test_a_file_that_is_not_there_is_told(tmp_path, name, told):
    (tmp_path / "folder.json").mkdir()

    with pytest.raises(fp.DeclarationError, match=told):
        module_of(tmp_path, CODE.format(file=name, more=""))


def test_a_package_keeps_its_descriptions_where_it_likes(tmp_path, monkeypatch):
    package = tmp_path / "package_with_descriptions"
    (package / "inner").mkdir(parents=True)
    (package / "texts").mkdir()
    (package / "__init__.py").write_text("")
    (package / "inner" / "__init__.py").write_text("")
    (package / "texts" / "b.json").write_text('{"title": "From above"}')
    (package / "inner" / "mod.py").write_text(textwrap.dedent(CODE.format(file="../texts/b.json", more="")))
    monkeypatch.syspath_prepend(str(tmp_path))
    import importlib

    assert (
        importlib.import_module("package_with_descriptions.inner.mod").buffer.description.title
        == "From above"
    )


def test_without_the_library_for_yaml_it_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "yaml", None)

    with pytest.raises(fp.DeclarationError, match=r"fastprocesses-sdk\[yaml\]"):
        declared(tmp_path, b"title: a", file="b.yaml")


def test_what_the_file_narrows_the_process_still_reads(tmp_path):
    process = declared(tmp_path, WHOLE)

    outputs = process.run({"distance": InputValue(data=b"7")}, fp.NO_JOB)

    assert outputs["result"].data == b"7.0"


# Narrowing

UNION = {"oneOf": [{"type": "integer"}, {"type": "string", "maxLength": 5}]}
OBJECT = {
    "type": "object",
    "required": ["a"],
    "properties": {"a": {"type": "integer"}, "b": {"type": "string"}},
}


@pytest.mark.parametrize(
    ("derived", "written", "merged"),
    [
        ({}, {"type": "string", "pattern": "a"}, {"type": "string", "pattern": "a"}),
        ({"type": "number"}, {"type": "integer"}, {"type": "integer"}),
        ({"type": "number"}, {"exclusiveMinimum": 0}, {"type": "number", "exclusiveMinimum": 0}),
        ({"type": "string"}, {"format": "uri"}, {"type": "string", "format": "uri"}),
        ({"type": "integer", "multipleOf": 2}, {"multipleOf": 6}, {"type": "integer", "multipleOf": 6}),
        ({"multipleOf": 0.1}, {"multipleOf": 0.3}, {"multipleOf": 0.3}),
        ({"multipleOf": 0.5}, {"multipleOf": 10**400}, {"multipleOf": 10**400}),
        (
            {"type": "array", "items": {"type": "number"}},
            {"minItems": 2, "items": {"minimum": 0}},
            {"type": "array", "minItems": 2, "items": {"type": "number", "minimum": 0}},
        ),
        (OBJECT, {"required": ["b"]}, {**OBJECT, "required": ["a", "b"]}),
        (
            OBJECT,
            {"properties": {"a": {"minimum": 1}}},
            {**OBJECT, "properties": {"a": {"type": "integer", "minimum": 1}, "b": {"type": "string"}}},
        ),
        (
            {"type": "object", "additionalProperties": {"type": "number"}},
            {"properties": {"x": {"maximum": 1}}, "additionalProperties": False},
            {
                "type": "object",
                "properties": {"x": {"type": "number", "maximum": 1}},
                "additionalProperties": False,
            },
        ),
        (UNION, {"title": "Either"}, {**UNION, "title": "Either"}),
        (UNION, {"type": "string", "maxLength": 3}, {"type": "string", "maxLength": 3}),
        (
            UNION,
            {"oneOf": [{"type": "string", "minLength": 1}]},
            {"oneOf": [{"type": "string", "maxLength": 5, "minLength": 1}]},
        ),
        (
            {"type": "string"},
            {"oneOf": [{"pattern": "a"}, {"pattern": "b"}]},
            {"type": "string", "oneOf": [{"pattern": "a"}, {"pattern": "b"}]},
        ),
        ({"type": "object", "format": "f"}, {"format": "f"}, {"type": "object", "format": "f"}),
    ],
)
def test_what_asks_for_more_is_taken_over(derived, written, merged):
    assert narrowed(derived, written) == merged


@pytest.mark.parametrize(
    ("derived", "written", "at"),
    [
        ({"type": "integer"}, {"type": "number"}, ".type"),
        ({"type": "string", "maxLength": 5}, {"maxLength": 6}, ".maxLength"),
        ({"type": "number", "minimum": 1}, {"exclusiveMinimum": 0}, ".exclusiveMinimum"),
        ({"type": "number"}, {"minimum": "0"}, ".minimum"),
        ({"type": "integer", "multipleOf": 2}, {"multipleOf": 3}, ".multipleOf"),
        ({"type": "string", "pattern": "a"}, {"pattern": "b"}, ".pattern"),
        ({"type": "string", "format": "date"}, {"format": "uri"}, ".format"),
        ({"type": "string"}, {"contentEncoding": "base64"}, ".contentEncoding"),
        ({"type": "string"}, {"enum": []}, ".enum"),
        ({"type": "string"}, {"enum": [1]}, ".enum"),
        ({"type": "string"}, {"const": 1}, ".const"),
        ({"type": "string"}, {"default": "a"}, ".default"),
        ({"type": "string"}, {"title": 1}, ".title"),
        ({"type": "array", "items": {"type": "string"}}, {"items": {"type": "number"}}, ".items.type"),
        ({"type": "array", "items": {"type": "string"}}, {"items": 5}, ".items"),
        (OBJECT, {"properties": {"c": {}}}, ".properties.c"),
        (OBJECT, {"properties": []}, ".properties"),
        (OBJECT, {"required": "a"}, ".required"),
        (
            {"type": "object", "additionalProperties": False},
            {"additionalProperties": True},
            ".additionalProperties",
        ),
        (UNION, {"oneOf": [{"type": "boolean"}]}, ".oneOf[0]"),
        (UNION, {"oneOf": {}}, ".oneOf"),
        ({"type": "string"}, {"anyOf": [{"type": "number"}]}, ".anyOf[0].type"),
    ],
)
def test_what_contradicts_is_told_with_its_place(derived, written, at):
    with pytest.raises(Disagreement) as caught:
        narrowed(derived, written)

    assert caught.value.at == at


schemas = st.fixed_dictionaries(
    {"type": st.sampled_from(["integer", "number"])},
    optional={
        "minimum": st.integers(-5, 5),
        "maximum": st.integers(-5, 5),
        "multipleOf": st.sampled_from([1, 2, 3]),
    },
)


def accepts(schema: dict[str, Any], value: float) -> bool:
    return (
        (schema["type"] == "number" or value == int(value))
        and value >= schema.get("minimum", value)
        and value <= schema.get("maximum", value)
        and value % schema.get("multipleOf", value or 1) == 0
    )


@given(derived=schemas, written=schemas, value=st.integers(-12, 12).map(lambda number: number / 2))
def test_nothing_is_accepted_that_the_type_would_refuse(derived, written, value):
    try:
        merged = narrowed(derived, written)
    except Disagreement:
        return

    assert accepts(merged, value) <= accepts(derived, value)


@given(derived=plain, written=plain)
def test_any_two_values_are_merged_or_told_apart(derived, written):
    try:
        narrowed(
            derived if isinstance(derived, dict) else {},
            {"items": written, "oneOf": [written], "type": "array"},
        )
    except Disagreement as error:
        told = str(error)
    else:
        told = "merged"

    assert told


# Classes

CLASS = """
    import fastprocesses_sdk as fp

    class Scales(fp.Settings):
        factor: float = 2.0

    {decorator}
    class Buffer:
        {description}

        def execute(self, inputs, job, settings: Scales):
            job.message("scaling")
            return {{"result": inputs["distance"] * settings.factor}}
"""
OF_CLASS = {
    "id": "scale",
    "title": "Scale",
    "inputs": {"distance": {"schema": {"type": "number"}}, "cap": {"schema": {}, "minOccurs": 0}},
    "outputs": {"result": {"schema": {"type": "number"}}},
    "example": {"inputs": {"distance": 5}},
}
BOTH = pytest.mark.parametrize(
    ("decorator", "description"),
    [("@fp.process(description='scale.yaml')", ""), ("@fp.process", "description = 'scale.yaml'")],
)


@BOTH
def test_a_class_has_its_description_in_a_file(tmp_path, decorator, description):
    (tmp_path / "scale.yaml").write_text(yaml.safe_dump(OF_CLASS))
    process = module_of(tmp_path, CLASS.format(decorator=decorator, description=description)).Buffer

    assert isinstance(process, Process)
    assert (process.id, process.description.title) == ("scale", "Scale")
    assert process.description.inputs["cap"].min_occurs == 0
    assert process.description.inputs["distance"].description == "The distance."
    assert process.description.example == {"inputs": {"distance": 5}}
    assert process.run({"distance": InputValue(data=b"21")}, fp.NO_JOB)["result"].data == b"42.0"
    assert list(process.settings) == ["settings"]


@BOTH
def test_what_is_wrong_in_the_file_of_a_class_is_told(tmp_path, decorator, description):
    (tmp_path / "scale.yaml").write_text(yaml.safe_dump({"inputs": {"distance": {"title": "Distance"}}}))

    with pytest.raises(
        fp.DeclarationError, match=r"scale.yaml, inputs.distance: has no schema \(class Buffer in"
    ):
        module_of(tmp_path, CLASS.format(decorator=decorator, description=description))


DESCRIBED = fp.ProcessDescription(
    id="turn",
    version="1",
    title="Turn",
    description="Turn.",
    inputs={"text": fp.InputDescription(title="Text", description="Text.", schema={"type": "string"})},
    outputs={"result": fp.OutputDescription(title="Text", description="Text.", schema={"type": "string"})},
)


class Needs(fp.Settings):
    url: str = ""


def test_a_class_may_be_described_by_an_object_of_its_own():
    class Turn:
        description = DESCRIBED

        async def execute(self, inputs, job):
            return {"result": inputs["text"][::-1]}

    process = fp.process(Turn)

    assert process.description is DESCRIBED
    assert process.run({"text": InputValue(data=b'"abc"')}, fp.NO_JOB)["result"].data == b'"cba"'


def without_execute():
    class Turn:
        description = DESCRIBED

    fp.process(Turn)


def with_too_few_arguments():
    class Turn:
        description = DESCRIBED

        def execute(self, inputs): ...

    fp.process(Turn)


def with_an_argument_nobody_fills():
    class Turn:
        description = DESCRIBED

        def execute(self, inputs, job, text: str): ...

    fp.process(Turn)


def with_settings_called_as_an_input():
    class Turn:
        description = DESCRIBED

        def execute(self, inputs, job, text: Needs): ...

    fp.process(Turn)


def with_arguments_of_its_own():
    class Turn:
        description = DESCRIBED

        def __init__(self, url): ...

        def execute(self, inputs, job): ...

    fp.process(Turn)


def with_an_example_that_lacks_an_input():
    class Turn:
        description = msgspec.structs.replace(DESCRIBED, example={"inputs": {}})

        def execute(self, inputs, job): ...

    fp.process(Turn)


def told_twice():
    @fp.process(title="Other")
    class Turn:
        description = DESCRIBED

        def execute(self, inputs, job): ...


@pytest.mark.parametrize(
    ("declare", "told"),
    [
        (without_execute, "a method execute"),
        (with_too_few_arguments, r"called as execute\(inputs, job\)"),
        (with_an_argument_nobody_fills, "missing a required argument: 'text'"),
        (with_settings_called_as_an_input, "'text' is called as one of the inputs"),
        (with_arguments_of_its_own, "made without arguments"),
        (with_an_example_that_lacks_an_input, "its example: the input 'text' is missing"),
        (told_twice, "title: a process with a description of its own tells it there"),
    ],
)
def test_a_class_that_makes_no_sense_is_told(declare, told):
    with pytest.raises(fp.DeclarationError, match=told):
        declare()
