"""Inputs written on a command line, `name=value`, as the values that a process description asks for."""

import base64
import binascii
import difflib
import json
import math
import mimetypes
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Protocol

import msgspec
from msgspec import Struct

from fastprocesses_host.cli.told import CallError
from fastprocesses_host.exits import Exit

_ASSIGNMENT: Final = re.compile(r"(?P<name>[^=]+?)(?P<raw>:)?=(?P<value>.*)", re.DOTALL)
_FILE: Final = re.compile(r"@(?P<path>.*?)(;type=(?P<type>[^;]+/.+))?", re.DOTALL)
_HREF: Final = re.compile(r"href=(?P<href>.*?)(;type=(?P<type>[^;]+/.+))?", re.DOTALL)
_JSON_TYPE: Final = re.compile(r"application/(.*\+)?json\b")
_TEXT_TYPE: Final = re.compile(r"text/.*|.*[/+](xml|json|yaml|csv)\b.*|application/(javascript|sql)")
_INTEGER: Final = re.compile(r"[+-]?[0-9]+")
_JSON_NUMBER: Final = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?")
_MEDIA_TYPES: Final = {
    ".geojson": "application/geo+json",
    ".fgb": "application/flatgeobuf",
    ".gml": "application/gml+xml",
    ".gpkg": "application/geopackage+sqlite3",
    ".jsonl": "application/x-ndjson",
    ".kml": "application/vnd.google-earth.kml+xml",
    ".laz": "application/vnd.laszip",
    ".md": "text/markdown",
    ".nc": "application/netcdf",
    ".parquet": "application/vnd.apache.parquet",
    ".tif": "image/tiff",
    ".tiff": "image/tiff",
    ".webp": "image/webp",
    ".yaml": "application/yaml",
    ".yml": "application/yaml",
}
"""Of files of the field, which the platform's own table does not know."""
_ENDINGS: Final = {
    "application/octet-stream": ".bin",
    "application/xml": ".xml",
    "image/jpeg": ".jpg",
    "text/html": ".html",
    "text/plain": ".txt",
    "text/xml": ".xml",
}
"""Where that table knows several, and gives another one on each platform."""


_SMALLEST_UPLOADED_BYTES: Final = 1024 * 1024
_SMALLEST_UPLOADED_JSON_BYTES: Final = 32 * 1024 * 1024
"""JSON is not longer in a request than on the disk, and is checked before a job is accepted."""


class Uploads(Protocol):
    """Takes files before the request that names them."""

    @property
    def place(self) -> str:
        """Where to; empty: the server takes none."""

    def upload(self, path: Path, media_type: str) -> str:
        """Upload a file; give the URL that names it."""


class NotOfThisKind(ValueError):
    """The text is no value of this kind of schema; the message says what would be one."""


class GivenFile(Struct, frozen=True, kw_only=True):
    """A file that is an input."""

    name: str
    content: bytes
    media_type: str
    """As the caller says or the name's ending tells; empty: unknown."""


def read_assignments(
    description: Mapping[str, Any],
    assignments: Sequence[str],
    start: Mapping[str, Any] | None = None,
    uploads: "Uploads | None" = None,
) -> dict[str, Any]:
    """Give the inputs of an execute request.

    Args:
        description: The process description (process.yaml), of any server: what is missing is not minded.
        assignments: `name=text`, `name=@file`, `name=@-` (standard input), `name=href=URL`, `name:=JSON`; the
            same name again adds a value. `@@` begins a text with one `@`; `;type=` behind a file or a URL
            names its media type.
        start: Inputs that are there already; an assignment replaces the one of its name.
        uploads: Where large files go, so that the inputs only name them.

    Raises:
        CallError: an assignment cannot be read, or its value is not of the input's kind.
    """
    described = description.get("inputs")
    described = described if isinstance(described, Mapping) else {}
    texts: dict[str, list[tuple[bool, str]]] = {}
    for assignment in assignments:
        found = _ASSIGNMENT.fullmatch(assignment)
        if found is None:
            raise _usage(f"-i {assignment!r} is not of the form name=value")
        name = found["name"].strip()
        _check_name(name, described)
        texts.setdefault(name, []).append((found["raw"] is not None, found["value"]))
    given = dict(start or {})
    for name, values in texts.items():
        given[name] = _InputReader(name, described.get(name), uploads).read(values)
    return given


def _check_name(name: str, described: Mapping[str, Any]) -> None:
    if not described or name in described:
        return
    near = difflib.get_close_matches(name, list(described), 1)
    guess = f" Did you mean {near[0]!r}?" if near else ""
    raise _usage(f"the process has no input {name!r}; its inputs are {', '.join(described)}.{guess}")


class _InputReader:
    """Reads the values given for one input."""

    def __init__(self, name: str, description: Any, uploads: "Uploads | None" = None) -> None:
        self.name = name
        self.uploads = uploads
        known = description if isinstance(description, Mapping) else {}
        self.schema: Any = known.get("schema", {})
        most = known.get("maxOccurs", 1)
        self.several = most == "unbounded" or (isinstance(most, int) and most > 1)

    def read(self, values: Sequence[tuple[bool, str]]) -> Any:
        """Give the input's value: one, or a list where several are given.

        Raises:
            CallError: a value is not of the input's kind.
        """
        try:
            if self.several:
                read = [self._one(raw, text, self.schema) for raw, text in values]
                return read if len(read) > 1 else read[0]
            items = _items_of(self.schema)
            if len(values) > 1:
                if items is None:
                    raise NotOfThisKind("takes one value")
                return [self._one(raw, text, items) for raw, text in values]
            return self._one(*values[0], self.schema)
        except NotOfThisKind as error:
            raise _usage(f"the input {self.name!r} {error}.") from None

    def _one(self, raw: bool, text: str, schema: Any) -> Any:
        if raw:
            return _json(text)
        if found := _HREF.fullmatch(text):
            return {"href": found["href"]} | ({"type": found["type"]} if found["type"] else {})
        if text.startswith("@@"):
            return value_of(text[1:], schema)
        if text.startswith("@"):
            return self._uploaded(text, schema) or file_value(_read_file(text), schema)
        return value_of(text, schema)

    def _uploaded(self, text: str, schema: Any) -> dict[str, str] | None:
        """Upload a large file; None where it is none, or the server takes no uploads."""
        found = _FILE.fullmatch(text)
        if self.uploads is None or found is None or found["path"] == "-":
            return None
        path = Path(found["path"]).expanduser()
        media_type = found["type"] or guessed_media_type(found["path"])
        smallest = _SMALLEST_UPLOADED_JSON_BYTES if _JSON_TYPE.match(media_type) else _SMALLEST_UPLOADED_BYTES
        if not path.is_file() or path.stat().st_size < smallest or not self.uploads.place:
            return None
        media_type = _media_type_of(media_type, schema)
        href = self.uploads.upload(path, media_type)
        return {"href": href} | ({"type": media_type} if media_type else {})


def _media_type_of(media_type: str, schema: Any) -> str:
    """Give what a file is to be taken for: what it is, where the schema knows that, else what the schema asks for."""
    media = [kind for kind in _alternatives(schema) if _is_encoded(kind)]
    asked = [str(kind["contentMediaType"]) for kind in media if "contentMediaType" in kind]
    if any(_same_media(each, media_type) for each in asked) or not asked:
        return media_type
    return asked[0]


def value_of(text: str, schema: Any) -> Any:
    """Give the value that a text means to a schema.

    Of several alternatives the first that the text can be is taken, free text last.

    Raises:
        NotOfThisKind: it can be none of them.
    """
    kinds = sorted(_alternatives(schema), key=_is_free_text)
    reasons = []
    for kind in kinds:
        try:
            return _typed(text, kind)
        except NotOfThisKind as error:
            reasons.append(str(error))
    raise NotOfThisKind(" or ".join(dict.fromkeys(reasons)) + f", not {text[:60]!r}")


def file_value(file: GivenFile, schema: Any) -> Any:
    """Give the value that a file means to a schema: JSON as such, text as a string, all else in base64.

    Raises:
        NotOfThisKind: it can be none of what the schema allows.
    """
    kinds = list(_alternatives(schema))
    media = [kind for kind in kinds if _is_encoded(kind)]
    kind = next((kind for kind in media if _same_media(kind.get("contentMediaType"), file.media_type)), None)
    if (
        kind is None
        and (len(media) < len(kinds) or not media)
        and (value := _embedded(file, kinds)) is not None
    ):
        return value
    if kind is None and media:
        kind = media[0]
    if kind is None:
        return _unasked(file, schema)
    return _qualified(file, kind, choice=len(kinds) > 1)


def _embedded(file: GivenFile, kinds: Sequence[Mapping[str, Any]]) -> Any:
    """Give the JSON in a file whose input is no text: as it is written, no number touched; None: it is none."""
    said = bool(_JSON_TYPE.match(file.media_type))
    if not said and all(kind.get("type") == "string" for kind in kinds):
        return None
    try:
        msgspec.json.decode(file.content)
    except msgspec.DecodeError as error:
        if said:
            raise NotOfThisKind(f"is given {file.name}, which is not JSON: {error}") from None
        return None
    return msgspec.Raw(file.content)


def _unasked(file: GivenFile, schema: Any) -> Any:
    """Give a file's value where the schema speaks of no media type."""
    try:
        text = file.content.decode()
    except UnicodeDecodeError:
        return _base64(file.content, file.media_type or "application/octet-stream")
    try:
        return value_of(text, schema)
    except NotOfThisKind:
        return value_of(text.strip(), schema)


def _qualified(file: GivenFile, kind: Mapping[str, Any], *, choice: bool) -> Any:
    media_type = str(kind.get("contentMediaType") or file.media_type or "application/octet-stream")
    if file.media_type and _same_media(media_type, file.media_type):
        media_type = file.media_type if len(file.media_type) > len(media_type) else media_type
    if _is_binary(kind) or not _TEXT_TYPE.match(media_type):
        return _base64(file.content, media_type)
    try:
        text = file.content.decode()
    except UnicodeDecodeError:
        return _base64(file.content, media_type)
    return {"value": text, "mediaType": media_type} if choice else text


def _base64(content: bytes, media_type: str) -> dict[str, str]:
    """Give a qualified value (qualifiedInputValue.yaml)."""
    return {"value": base64.b64encode(content).decode(), "encoding": "base64", "mediaType": media_type}


def _read_file(text: str) -> GivenFile:
    found = _FILE.fullmatch(text)
    assert found is not None, "every text after @ is a path"
    path, said = found["path"], found["type"] or ""
    if path == "-":
        return GivenFile(name="standard input", content=sys.stdin.buffer.read(), media_type=said)
    try:
        content = Path(path).expanduser().read_bytes()
    except OSError as error:
        raise _usage(f"the file {path} cannot be read: {error.strerror}") from None
    return GivenFile(name=path, content=content, media_type=said or guessed_media_type(path))


def guessed_media_type(path: str) -> str:
    """Give the media type that a file's name tells; empty: none."""
    ending = Path(path).suffix.lower()
    return _MEDIA_TYPES.get(ending) or mimetypes.guess_type(path)[0] or ""


def ending_of(media_type: str) -> str:
    """Give the ending of a file's name for a media type, with its dot."""
    bare = media_type.partition(";")[0].strip().lower()
    for ending, known in _MEDIA_TYPES.items():
        if known == bare:
            return ending
    return _ENDINGS.get(bare) or mimetypes.guess_extension(bare) or ".bin"


def _alternatives(schema: Any, depth: int = 0) -> Iterator[Mapping[str, Any]]:
    """Give the kinds of value a schema allows, `oneOf`, `anyOf`, `allOf` and lists of types resolved."""
    if not isinstance(schema, Mapping) or depth > 8:
        yield {}
        return
    outer = {name: value for name, value in schema.items() if name not in {"oneOf", "anyOf", "allOf"}}
    choices = [part for word in ("oneOf", "anyOf") for part in _list(schema.get(word))]
    parts = _list(schema.get("allOf"))
    if choices:
        for choice in choices:
            for kind in _alternatives(choice, depth + 1):
                yield {**outer, **kind}
    elif parts:
        merged = dict(outer)
        for part in parts:
            for kind in _alternatives(part, depth + 1):
                merged |= kind
        yield merged
    elif isinstance(schema.get("type"), list):
        for name in schema["type"]:
            yield {**outer, "type": name}
    else:
        yield outer


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _items_of(schema: Any) -> Any:
    """Give the schema of an array's items; None: the schema allows no array."""
    for kind in _alternatives(schema):
        if kind.get("type") == "array":
            return kind.get("items", {})
    return None


def _typed(text: str, kind: Mapping[str, Any]) -> Any:
    if "const" in kind or "enum" in kind:
        return _one_of(text, _list(kind.get("enum")) or [kind.get("const")])
    if _is_bbox(kind):
        return _bbox(text)
    reader = _READERS.get(str(kind.get("type")))
    return reader(text, kind) if reader else _guessed(text)


def _one_of(text: str, values: Sequence[Any]) -> Any:
    for value in values:
        if text == value or (not isinstance(value, str) and text == json.dumps(value)):
            return value
    raise NotOfThisKind("expects one of " + ", ".join(map(str, values)))


def _integer(text: str, kind: Mapping[str, Any]) -> Any:
    if _INTEGER.fullmatch(text.strip()):
        return _number(text, kind)
    raise NotOfThisKind("expects a whole number")


def _number(text: str, _: Mapping[str, Any]) -> Any:
    """Give a number, one in JSON exactly as it was written, however many digits it has."""
    number = text.strip().removeprefix("+")
    if _JSON_NUMBER.fullmatch(number):
        return msgspec.Raw(number.encode())
    try:
        value = float(number)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise NotOfThisKind("expects a number")
    return value


def _boolean(text: str, _: Mapping[str, Any]) -> bool:
    if (word := text.strip().lower()) in {"true", "false"}:
        return word == "true"
    raise NotOfThisKind("expects true or false")


def _null(text: str, _: Mapping[str, Any]) -> None:
    if text.strip() != "null":
        raise NotOfThisKind("expects null")


def _array(text: str, kind: Mapping[str, Any]) -> Any:
    if text.lstrip().startswith("["):
        return _json(text)
    items = kind.get("items", {})
    if "," in text and not any(_is_free_text(each) for each in _alternatives(items)):
        return [value_of(part, items) for part in text.split(",")]
    return [value_of(text, items)]


def _object(text: str, kind: Mapping[str, Any]) -> Any:
    if text.lstrip().startswith("{"):
        return _json(text)
    raise NotOfThisKind("expects a JSON object {…} or a file of one, @file")


def _string(text: str, kind: Mapping[str, Any]) -> Any:
    if _is_binary(kind) and not _is_base64(text):
        raise NotOfThisKind("expects a file, @file, or base64")
    return text


_READERS: Final = {
    "integer": _integer,
    "number": _number,
    "boolean": _boolean,
    "null": _null,
    "array": _array,
    "object": _object,
    "string": _string,
}


def _guessed(text: str) -> Any:
    """Give the value of a text of which the description says nothing: JSON where it is, else the text."""
    try:
        return _json(text)
    except NotOfThisKind:
        return text


def _json(text: str) -> msgspec.Raw:
    try:
        msgspec.json.decode(text)
    except msgspec.DecodeError as error:
        raise NotOfThisKind(f"is not valid JSON ({error})") from None
    return msgspec.Raw(text.encode())


def _bbox(text: str) -> Any:
    """Give the bounding box (bbox.yaml) of `west,south,east,north`, behind which its CRS may stand."""
    if text.lstrip().startswith(("{", "[")):
        return _json(text)
    numbers, crs = text.split(","), ""
    if len(numbers) in {5, 7}:
        crs = numbers.pop().strip()
    try:
        bbox = [float(number) for number in numbers]
    except ValueError:
        bbox = []
    if len(bbox) not in {4, 6}:
        raise NotOfThisKind("expects a bounding box west,south,east,north")
    return {"bbox": bbox} | ({"crs": crs} if crs else {})


def _is_bbox(kind: Mapping[str, Any]) -> bool:
    return kind.get("format") == "ogc-bbox" or {"bbox", "crs"} <= set(kind.get("properties") or ())


def _is_binary(kind: Mapping[str, Any]) -> bool:
    return kind.get("contentEncoding") in {"base64", "binary"} or kind.get("format") in {"byte", "binary"}


def _is_encoded(kind: Mapping[str, Any]) -> bool:
    """Whether a value is a text that holds a document of a media type; JSON of a media type is itself."""
    if "contentMediaType" not in kind:
        return _is_binary(kind)
    is_json = bool(_JSON_TYPE.match(str(kind["contentMediaType"])))
    return bool(kind.get("type", "object" if is_json else "string") == "string")


def _is_base64(text: str) -> bool:
    try:
        base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return False
    return True


def _is_free_text(kind: Mapping[str, Any]) -> bool:
    return kind.get("type") in {"string", None} and not {"enum", "const"} & kind.keys()


def _same_media(one: Any, other: str) -> bool:
    bare = str(one or "").partition(";")[0].strip().lower()
    return bool(bare) and bare == other.partition(";")[0].strip().lower()


def _usage(sentence: str) -> CallError:
    return CallError(sentence, Exit.USAGE)
