"""Texts in several languages, declared beside the code or in its description file."""

import sys
from types import ModuleType

import fastprocesses_sdk as fp
import msgspec
import pytest

GERMAN = fp.Translation(
    title="Wachsen",
    inputs={"by": fp.TranslatedText(title="Um")},
    outputs={"result": fp.TranslatedText(title="Größe")},
)


def grow(by: int = 1) -> int:
    """Make it grow."""
    return by


def test_translations_are_part_of_the_description():
    description = fp.process(language="en-GB", translations={"de": GERMAN})(grow).description

    assert (description.language, description.translations) == ("en-GB", {"de": GERMAN})
    assert description.title == "Grow"
    assert msgspec.json.decode(msgspec.json.encode(description), type=fp.ProcessDescription) == description
    assert description.digest != fp.process(grow).description.digest


def test_without_translations_nothing_is_told_of_languages():
    wire = msgspec.json.decode(msgspec.json.encode(fp.process(grow).description))

    assert not {"language", "translations"} & wire.keys()


@pytest.mark.parametrize(
    ("declaration", "sentence"),
    [
        ({"translations": {"german language": GERMAN}}, "'german language' is no language tag"),
        ({"language": "e"}, "'e' is no language tag"),
        ({"language": "de", "translations": {"DE": GERMAN}}, "tell one language twice"),
        ({"translations": {"de": {"title": "Wachsen"}}}, "takes a fp.Translation"),
        (
            {"translations": {"de": fp.Translation(inputs={"bei": fp.TranslatedText(title="x")})}},
            "'bei' is no input",
        ),
        (
            {"translations": {"de": fp.Translation(outputs={"x": fp.TranslatedText(title="x")})}},
            "'x' is no output",
        ),
    ],
)
def test_what_makes_no_sense_is_told(declaration, sentence):
    with pytest.raises(fp.DeclarationError, match=sentence):
        fp.process(**declaration)(grow)


def test_a_description_file_may_tell_them(tmp_path, monkeypatch):
    source = tmp_path / "growing.py"
    source.write_text('def grow(by: int = 1) -> int:\n    """Make it grow."""\n    return by\n')
    (tmp_path / "grow.json").write_text(
        '{"language": "en", "translations": {"de": {"title": "Wachsen", "inputs": {"by": {"title": "Um"}}}}}'
    )
    module = ModuleType("growing")
    module.__file__ = str(source)
    monkeypatch.setitem(sys.modules, "growing", module)
    exec(compile(source.read_text(), str(source), "exec"), module.__dict__)
    description = fp.process(description="grow.json")(module.grow).description

    assert description.language == "en"
    assert description.translations["de"].inputs["by"].title == "Um"
