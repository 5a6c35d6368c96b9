"""The reference of the SDK, made of its docstrings: `uv run python -m tests.docs.reference` writes it anew."""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import griffe

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "sdk" / "docs" / "reference.md"

HEAD = """# Reference

Everything in `fastprocesses_sdk`, by name; `import fastprocesses_sdk as fp`. This page is made of the docstrings:
`uv run python -m tests.docs.reference` writes it anew.
"""

CHAPTERS = {
    "Declare": [
        "process",
        "Process",
        "Input",
        "Output",
        "Outputs",
        "Media",
        "on_start",
        "reference_scheme",
        "Fetched",
        "Settings",
        "Secret",
    ],
    "The job": ["Job", "NO_JOB", "Reporter"],
    "Errors": ["ProcessError", "DeclarationError", "PluginError", "JobCancelled", "GeoJSONError"],
    "Types": [
        *(
            "URI",
            "CSV",
            "GeoPackage",
            "GeoTIFF",
            "NetCDF",
            "PNG",
            "Link",
            "BBox",
            "GeoJSON",
            "FeatureCollection",
        ),
        *(
            "Feature",
            "Geometry",
            "Point",
            "MultiPoint",
            "LineString",
            "MultiLineString",
            "Polygon",
            "MultiPolygon",
        ),
        "GeometryCollection",
    ],
    "Descriptions": ["ProcessDescription", "InputDescription", "OutputDescription", "Policy", "hookimpl"],
}
"""Where a public name stands; one that is not here stands in the last chapter."""


def load(package: str) -> griffe.Module:
    loader = griffe.GriffeLoader(
        search_paths=[ROOT / "sdk" / "src"],
        docstring_parser=griffe.Parser.google,
        docstring_options={
            "warnings": False,
            "returns_multiple_items": False,
            "returns_named_value": False,
        },
    )
    module = loader.load(package)
    loader.resolve_aliases()
    assert isinstance(module, griffe.Module)
    return module


def write() -> str:
    """Give the page."""
    sdk = load("fastprocesses_sdk")
    names = [name for name in public(sdk) if name != "__version__"]
    known = [name for chapter in CHAPTERS.values() for name in chapter]
    rest = [name for name in names if name not in known]
    parts = [HEAD]
    for chapter, wanted in {**CHAPTERS, "Further": rest}.items():
        here = [name for name in wanted if name in names]
        parts += [f"## {chapter}\n"] if here else []
        for name in here:
            parts += entry(f"fp.{name}", sdk[name])
            if name == "process":
                parts += ["What it may be told:\n", *members(sdk["declaration.Declaration"], "")]
    testing = sdk["testing"]
    parts += ["## Testing: `fp.testing`\n", text(testing)]
    for name in public(testing):
        parts += entry(f"fp.testing.{name}", testing[name])
    parts += ["## Fixtures for pytest\n"]
    fixtures = load("pytest_fastprocesses")
    for function in fixtures.functions.values():
        parts += [f"### {function.name}\n", text(function)]
    return "\n".join(part for part in parts if part).rstrip() + "\n"


def public(module: griffe.Object | griffe.Alias) -> list[str]:
    return [str(name) for name in module.exports or ()]


def entry(name: str, given: griffe.Object | griffe.Alias) -> Iterator[str]:
    """Write one public name."""
    found = given.final_target if isinstance(given, griffe.Alias) else given
    yield f"### {name}\n"
    if isinstance(found, griffe.Attribute):
        value = f" = {found.value}" if found.value is not None and name != "fp.NO_JOB" else ""
        yield f"`{name}{value}`\n"
    elif isinstance(found, griffe.Function):
        yield f"`{signature(name, found.parameters)}{returned(found)}`\n"
    elif isinstance(found, griffe.Class):
        bases = ", ".join(
            str(base) for base in found.bases if not str(base).startswith(("Struct", "Generic"))
        )
        yield f"Class{f' ({bases})' if bases else ''}\n"
        if "__init__" in found.members:
            parameters = griffe.Parameters(*list(found.members["__init__"].parameters)[1:])
            yield f"`{signature(name, parameters)}`\n"
    yield text(found)
    if isinstance(found, griffe.Class):
        yield from members(found, name)


def members(found: griffe.Object | griffe.Alias, name: str) -> Iterator[str]:
    """Write the public members of a class, inherited ones too, one a list item."""
    lines = []
    for each in found.all_members.values():
        each = each.final_target if isinstance(each, griffe.Alias) else each
        if each.name.startswith("_") or isinstance(each, griffe.Class | griffe.Module):
            continue
        if each.parent is not None and each.parent.name in {
            "Exception",
            "BaseException",
            "Struct",
            "Protocol",
        }:
            continue
        if isinstance(each, griffe.Attribute) and each.annotation is None and not each.has_docstring:
            continue
        if isinstance(each, griffe.Function):
            parameters = list(each.parameters)
            plain = parameters[1:] if parameters and parameters[0].name in {"self", "cls"} else parameters
            head = f"`{signature(each.name, griffe.Parameters(*plain))}{returned(each)}`"
        else:
            default = f" = {made(str(each.value))}" if each.value is not None else ""
            kind = f": {each.annotation}" if each.annotation is not None else ""
            head = f"`{each.name}{kind}{default}`"
        lines.append(f"- {head}{told(each)}")
    if lines:
        yield ("Members:\n\n" if name else "") + "\n".join(lines) + "\n"


def made(default: str) -> str:
    """Give what a factory of defaults makes in place of the factory."""
    if found := re.fullmatch(r"field\(default_factory=\(?(?:lambda: )?(.*?)\)*", default):
        return {"list": "[]", "dict": "{}"}.get(found[1], found[1])
    return default


def told(each: griffe.Object) -> str:
    """Give the docstring of a member, moved in below its list item."""
    words = text(each).strip()
    if not words:
        return ""
    return ": " + words.replace("\n", "\n  ").replace("\n  \n", "\n\n")


def signature(name: str, parameters: griffe.Parameters) -> str:
    """Give a call as it is declared."""
    written: list[str] = []
    star = False
    for parameter in parameters:
        kind = parameter.kind
        if (
            kind is griffe.ParameterKind.keyword_only
            and not star
            and not any(w.startswith("*") for w in written)
        ):
            written.append("*")
            star = True
        prefix = {
            griffe.ParameterKind.var_positional: "*",
            griffe.ParameterKind.var_keyword: "**",
        }.get(kind, "")
        annotation = f": {parameter.annotation}" if parameter.annotation is not None else ""
        is_star = bool(prefix)
        default = f" = {parameter.default}" if parameter.default is not None and not is_star else ""
        written.append(f"{prefix}{parameter.name}{annotation}{default}")
    return f"{name}({', '.join(written)})"


def returned(function: griffe.Function) -> str:
    return f" -> {function.returns}" if function.returns is not None else ""


def text(found: griffe.Object | griffe.Alias) -> str:
    """Write a docstring: its text, and its sections as lists."""
    if found.docstring is None:
        return ""
    return "\n".join(written for section in found.docstring.parsed for written in section_text(section))


def section_text(section: griffe.DocstringSection) -> Iterator[str]:
    headings = {
        griffe.DocstringSectionKind.parameters: "Takes:",
        griffe.DocstringSectionKind.attributes: "Has:",
        griffe.DocstringSectionKind.raises: "Raises:",
        griffe.DocstringSectionKind.returns: "Returns:",
        griffe.DocstringSectionKind.yields: "Yields:",
    }
    if section.kind is griffe.DocstringSectionKind.text:
        yield f"{section.value}\n"
    elif section.kind in headings:
        yield f"{headings[section.kind]}\n"
        yield "\n".join(items(section.value)) + "\n"
    else:
        raise ValueError(f"a section that nobody writes: {section.kind}")


def items(values: Iterable[griffe.DocstringNamedElement | griffe.DocstringElement]) -> Iterator[str]:
    for value in values:
        name = getattr(value, "name", "")
        if isinstance(value, griffe.DocstringRaise):
            name = str(value.annotation)
        words = value.description.replace("\n", "\n  ")
        yield f"- `{name}`: {words}" if name else f"- {words}"


if __name__ == "__main__":
    PAGE.write_text(write(), "utf-8")
