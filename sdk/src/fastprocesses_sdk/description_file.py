"""A description in a file beside the code, `@process(description="buffer.yaml")`, and the code it is about."""

import inspect
import os
import re
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar, cast

import msgspec
from msgspec import UNSET, Struct, UnsetType

from fastprocesses_sdk.declaration import Declaration, described_text
from fastprocesses_sdk.description import (
    InputDescription,
    JobControlOption,
    Link,
    OutputDescription,
    ProcessDescription,
    Translation,
    TransmissionMode,
)
from fastprocesses_sdk.dialects import numeric_bounds, schema_in_both
from fastprocesses_sdk.docstrings import title_of
from fastprocesses_sdk.documents import read_document
from fastprocesses_sdk.errors import DeclarationError
from fastprocesses_sdk.narrowing import Disagreement, narrowed
from fastprocesses_sdk.telling import place_of

_FILE_NAME = re.compile(r"\S+\.(?:json|yaml|yml)")
T = TypeVar("T", "WrittenInput", "WrittenOutput")


class WrittenOutput(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """What a file tells of an output; all of it may be left to the code."""

    title: str | UnsetType = UNSET
    description: str | UnsetType = UNSET
    schema: dict[str, Any] | UnsetType = UNSET
    keywords: list[str] | UnsetType = UNSET
    metadata: list[dict[str, Any]] | UnsetType = UNSET


class WrittenInput(WrittenOutput, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """What a file tells of an input; all of it may be left to the code."""

    min_occurs: int | UnsetType = UNSET
    max_occurs: int | str | UnsetType = UNSET


class Written(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """What a file tells of a process; all of it may be left to the code."""

    id: str | UnsetType = UNSET
    version: str | UnsetType = UNSET
    title: str | UnsetType = UNSET
    description: str | UnsetType = UNSET
    keywords: list[str] | UnsetType = UNSET
    metadata: list[dict[str, Any]] | UnsetType = UNSET
    job_control_options: list[JobControlOption] | UnsetType = UNSET
    output_transmission: list[TransmissionMode] | UnsetType = UNSET
    inputs: dict[str, dict[str, Any]] | UnsetType = UNSET
    outputs: dict[str, dict[str, Any]] | UnsetType = UNSET
    example: dict[str, Any] | UnsetType = UNSET
    examples: list[dict[str, Any]] | UnsetType = UNSET
    links: list[Link] | UnsetType = UNSET
    language: str | UnsetType = UNSET
    translations: dict[str, Translation] | UnsetType = UNSET


_FROM_DECLARATION = (
    "id",
    "version",
    "title",
    "keywords",
    "metadata",
    "example",
    "examples",
    "language",
    "translations",
)
"""What stands in the file or in the decorator, under the same name."""


def is_file_name(description: object) -> bool:
    """Whether a description names a file instead of being the text."""
    if isinstance(description, os.PathLike):
        return True
    return isinstance(description, str) and _FILE_NAME.fullmatch(description.strip()) is not None


class DescriptionFile:
    """A description that was read, and the function or class that it describes.

    Args:
        described: The function or class; the file lies beside its module.
        name: Name of the file, from there.

    Raises:
        DeclarationError: The file is missing, outside of the package, or makes no sense.
    """

    def __init__(self, described: Any, name: str) -> None:
        self.name = name
        self._described = described
        try:
            self.written = self._read(_beside(described, name))
        except DeclarationError as error:
            raise DeclarationError(f"{name}: {error}") from None
        self.inputs = self._each("inputs", self.written.inputs, WrittenInput)
        self.outputs = self._each("outputs", self.written.outputs, WrittenOutput)

    def declaration(self, declared: Declaration) -> Declaration:
        """Return what is declared, in the code and in the file.

        Raises:
            DeclarationError: Something is told in both.
        """
        merged: dict[str, Any] = dict(declared)
        del merged["description"]
        for name in (*_FROM_DECLARATION, "description"):
            value = getattr(self.written, name)
            if value is UNSET:
                continue
            if name in merged and merged[name] != value:
                raise self._disagreement(name, f"says something else than {name}= beside @process")
            merged[name] = value
        if self.written.job_control_options is not UNSET and "modes" in merged:
            raise self._disagreement("jobControlOptions", "stands beside modes=; leave one of them out")
        return cast("Declaration", merged)

    def refined(self, description: ProcessDescription) -> ProcessDescription:
        """Return the description of a typed function with what the file tells of it.

        Raises:
            DeclarationError: File and function disagree.
        """
        self._check_names("inputs", self.inputs, description.inputs, "argument")
        self._check_names("outputs", self.outputs, description.outputs, "output")
        inputs = {name: self._input(name, known) for name, known in description.inputs.items()}
        outputs = {name: self._output(name, known) for name, known in description.outputs.items()}
        return msgspec.structs.replace(description, inputs=inputs, outputs=outputs, **self._modes())

    def whole(self, description: ProcessDescription) -> ProcessDescription:
        """Return the description of a class, whose inputs and outputs only the file knows.

        Raises:
            DeclarationError: An input or output has no schema.
        """
        for kind, every in (("inputs", self.inputs), ("outputs", self.outputs)):
            for name, each in every.items():
                if each.schema is UNSET:
                    raise self._disagreement(f"{kind}.{name}", "has no schema")
        inputs = {name: self._input(name, _blank_input(name)) for name in self.inputs}
        outputs = {name: self._output(name, _blank_output(name)) for name in self.outputs}
        return msgspec.structs.replace(description, inputs=inputs, outputs=outputs, **self._modes())

    def _read(self, file: Path) -> Written:
        plain = read_document(file)
        if not isinstance(plain, dict):
            raise DeclarationError("it is no description; write an object with title, inputs, outputs, …")
        read: Written = _convert(plain, Written, "")
        return read

    def _each(self, kind: str, plain: Mapping[str, Any] | UnsetType, of: type[T]) -> dict[str, T]:
        try:
            return {name: _convert(value, of, f"{kind}.{name}") for name, value in (plain or {}).items()}
        except DeclarationError as error:
            raise DeclarationError(f"{self.name}: {error}") from None

    def _modes(self) -> dict[str, Any]:
        told = {
            "job_control_options": self.written.job_control_options,
            "output_transmission": self.written.output_transmission,
            "links": self.written.links,
        }
        return {name: value for name, value in told.items() if value is not UNSET}

    def _check_names(
        self, kind: str, written: Mapping[str, Any], known: Mapping[str, Any], what: str
    ) -> None:
        for name in written:
            if name not in known:
                has = ", ".join(known) or "none"
                raise self._disagreement(f"{kind}.{name}", f"is no {what}; there is {has}")
        if getattr(self.written, kind) is UNSET:
            return
        for name in known:
            if name not in written:
                raise self._disagreement(kind, f"lacks {name!r}", name)

    def _input(self, name: str, known: InputDescription) -> InputDescription:
        written = self.inputs.get(name)
        if written is None:
            return known
        self._check_occurs(name, known, written)
        return msgspec.structs.replace(
            known, **self._texts("inputs", name, known.schema, written), **_occurs(written)
        )

    def _output(self, name: str, known: OutputDescription) -> OutputDescription:
        written = self.outputs.get(name)
        if written is None:
            return known
        return msgspec.structs.replace(known, **self._texts("outputs", name, known.schema, written))

    def _texts(
        self, kind: str, name: str, schema: dict[str, Any], written: WrittenInput | WrittenOutput
    ) -> dict[str, Any]:
        told: dict[str, Any] = {
            member: getattr(written, member) for member in ("title", "description", "keywords", "metadata")
        }
        if written.schema is not UNSET:
            try:
                told["schema"] = schema_in_both(narrowed(schema, numeric_bounds(written.schema)))
                _check_default(told["schema"])
            except Disagreement as error:
                raise self._disagreement(f"{kind}.{name}.schema{error.at}", str(error), name) from None
        return {member: value for member, value in told.items() if value is not UNSET}

    def _check_occurs(self, name: str, known: InputDescription, written: WrittenInput) -> None:
        at, least, most = f"inputs.{name}", written.min_occurs, written.max_occurs
        if isinstance(most, str) and most != "unbounded":
            raise self._disagreement(f"{at}.maxOccurs", "is a number or 'unbounded'", name)
        if self._is_class:
            return
        if least is not UNSET and (least == 0) != (known.min_occurs == 0):
            has = "optional" if known.min_occurs == 0 else "required"
            raise self._disagreement(f"{at}.minOccurs", f"is {least}, and the input is {has} there", name)
        if least is not UNSET and known.max_occurs == 1 and least > 1:
            raise self._disagreement(
                f"{at}.minOccurs", f"is {least}; write Annotated[list[...], fp.Input(occurs=...)]", name
            )
        if least is not UNSET and least < known.min_occurs:
            raise self._disagreement(f"{at}.minOccurs", f"is {least}, and {known.min_occurs} there", name)
        if most is not UNSET and _as_number(most) > _as_number(known.max_occurs):
            raise self._disagreement(
                f"{at}.maxOccurs",
                f"is {most}, and {known.max_occurs} there; write Annotated[list[...], fp.Input(occurs=...)]",
                name,
            )

    @property
    def _is_class(self) -> bool:
        return not inspect.isfunction(inspect.unwrap(self._described))

    def _disagreement(self, at: str, text: str, argument: str = "") -> DeclarationError:
        where = f"argument {argument!r}, " if argument and at.startswith("inputs") else ""
        return DeclarationError(f"{self.name}, {at}: {text} ({where}{_place(self._described)})")


def description_file(described: Any, declaration: Declaration) -> DescriptionFile | None:
    """Read the file that a declaration names as its description; None: it names none.

    Raises:
        DeclarationError: It cannot be read, or makes no sense.
    """
    name = declaration.get("description")
    if not is_file_name(name):
        return None
    return DescriptionFile(described, str(name).strip())


def _beside(described: Any, name: str) -> Path:
    """Return the path of a file beside the module, inside its package."""
    module = sys.modules.get(described.__module__)
    source = getattr(module, "__file__", None)
    if not source:
        raise DeclarationError("where the code stands is not known, so there is no beside")
    folder = Path(source).parent
    above = (
        described.__module__.split(".")[1:]
        if hasattr(module, "__path__")
        else described.__module__.split(".")[2:]
    )
    root = folder.joinpath(*[".."] * len(above))
    path = os.path.normpath(folder / name)
    if Path(name).is_absolute() or not _is_inside(path, os.path.normpath(root)):
        raise DeclarationError(
            "it is outside of the package; put it beside the code, so that it is installed"
        )
    return Path(path)


def _is_inside(path: str, root: str) -> bool:
    return os.path.commonpath([path, root]) == root


def _place(described: Callable[..., Any]) -> str:
    """Tell where a function or a class stands, as `plugin.py:12`."""
    source = getattr(sys.modules.get(described.__module__), "__file__", None) or described.__module__
    return place_of(described) or f"class {described.__qualname__} in {Path(source).name}"


def _convert(plain: Any, kind: Any, at: str) -> Any:
    try:
        return msgspec.convert(plain, kind)
    except msgspec.ValidationError as error:
        text, _, inner = str(error).partition(" - at `$")
        where = (at + inner.rstrip("`")).strip(".")
        known = ", ".join(kind.__struct_encode_fields__)
        hint = f"; known are {known}" if "unknown field" in text else ""
        hint = "; put it in quotes" if text.startswith("Expected `str`, got") else hint
        raise DeclarationError(f"{where}: {text}{hint}" if where else f"{text}{hint}") from None


def _check_default(schema: dict[str, Any]) -> None:
    """Raise Disagreement where the default of the code is none of the values that the file leaves."""
    default = schema.get("default")
    if "default" in schema and "enum" in schema and default not in schema["enum"]:
        raise Disagreement(".enum", f"lacks the default {default!r}")
    if isinstance(default, int | float) and not isinstance(default, bool):
        low, high = schema.get("minimum", default), schema.get("maximum", default)
        if not low <= default <= high:
            raise Disagreement("", f"leaves out the default {default!r}")


def _occurs(written: WrittenInput) -> dict[str, Any]:
    told = {"min_occurs": written.min_occurs, "max_occurs": written.max_occurs}
    return {name: value for name, value in told.items() if value is not UNSET}


def _as_number(occurs: int | str) -> float:
    return float("inf") if isinstance(occurs, str) else occurs


def _blank_input(name: str) -> InputDescription:
    return InputDescription(title=title_of(name), description=described_text(name, "", ""), schema={})


def _blank_output(name: str) -> OutputDescription:
    return OutputDescription(title=title_of(name), description=described_text(name, "", ""), schema={})
