"""Values of a media type: binary ones as bytes, and files as paths, in JSON and outside it.

A file comes and goes in the form that its media type has: JSON as the JSON itself, text as a string, anything
else as base64.
"""

import base64
import binascii
import contextlib
import os
import re
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from pathlib import Path
from typing import Any, BinaryIO

import msgspec
from msgspec import Struct

from fastprocesses_sdk import geojson
from fastprocesses_sdk.encoded import Form
from fastprocesses_sdk.errors import DeclarationError
from fastprocesses_sdk.shapes import Shape, wire_of

BINARY: dict[str, Any] = {"type": "string", "format": "byte", "contentEncoding": "base64"}
"""Schema of binary values, as 1.0 and as 2020-12 have it (/req/ogc-process-description/input-binary)."""

_CHUNK_BYTES = 3 << 16
_JSON = re.compile(r"application/(.+\+)?json|text/json")
_TEXT = re.compile(r"text/.+|.+\+xml|application/(xml|yaml|sql|javascript)")
_SUFFIXES = {
    "application/geo+json": ".geojson",
    "application/geopackage+sqlite3": ".gpkg",
    "application/gml+xml": ".gml",
    "application/netcdf": ".nc",
    "application/vnd.apache.parquet": ".parquet",
    "application/vnd.google-earth.kml+xml": ".kml",
    "application/x-netcdf": ".nc",
    "image/jp2": ".jp2",
    "image/png": ".png",
    "image/jpeg": ".jpg",
    "image/tiff": ".tif",
    "text/csv": ".csv",
    "text/plain": ".txt",
}
_NOT_BASE64 = "Expected base64"


def form_of(media_type: str) -> Form:
    """Tell how files of a media type stand in JSON."""
    bare = media_type.split(";", 1)[0].strip().lower()
    if _JSON.fullmatch(bare):
        return "json"
    return "text" if _TEXT.fullmatch(bare) else "binary"


def suffix_of(media_type: str) -> str:
    """Give the suffix that files of a media type have, with its dot; empty: none is known."""
    bare = media_type.split(";", 1)[0].strip().lower()
    if bare in _SUFFIXES:
        return _SUFFIXES[bare]
    import mimetypes  # slow to import, and seldom needed

    return mimetypes.guess_extension(bare) or ""


# Binary values in memory


def read_base64(value: Any) -> bytes:
    """Decode base64 in the ways it is written: of either alphabet, in lines, with or without its padding."""
    if not isinstance(value, str):
        raise ValueError(_NOT_BASE64)  # noqa: TRY004 - a value from outside, no bug
    text = "".join(value.split()).translate(_STANDARD).rstrip("=")
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError):
        raise ValueError(_NOT_BASE64) from None


_STANDARD = str.maketrans("-_", "+/")


def _write_bytes(value: Any) -> bytes:
    if not isinstance(value, bytes | bytearray | memoryview):
        raise TypeError(f"Expected `bytes`, got `{type(value).__name__}`")
    return bytes(value)


BYTES = Shape(wire=wire_of("Base64", read_base64), schema=BINARY, pack=_write_bytes)


# Files


class Content(Struct, frozen=True):
    """A file inside JSON, before it is one."""

    media_type: str
    data: bytes


def file_shape(media: tuple[str, ...]) -> Shape:
    """Return the shape of a file of one of these media types, the default first.

    Raises:
        DeclarationError: There is none.
    """
    if not media:
        raise DeclarationError(
            "a file needs a media type; write fp.GeoTIFF, or Annotated[Path, fp.Media('image/png')]"
        )
    branches = [_branch(type_) for type_ in media]
    return Shape(
        wire=wire_of("File", lambda value: read_content(value, media)),
        schema=branches[0] if len(branches) == 1 else {"oneOf": branches},
        media=media,
        form=form_of(media[0]),
        is_file=True,
        unpack=lambda content: write_content(content.media_type, content.data),
        pack=lambda value: _packed_file(own_file(value), media),
    )


def _packed_file(file: Path, media: tuple[str, ...]) -> Any:
    return _json_of(file, form_of(media_type_of(file, media)))


def media_type_of(file: Path, media: tuple[str, ...]) -> str:
    """Tell which of these media types a file has, by its suffix; where that tells nothing, the first."""
    suffix = file.suffix.lower()
    return next((each for each in media if suffix_of(each) == suffix), media[0])


def _branch(media_type: str) -> dict[str, Any]:
    form = form_of(media_type)
    if form == "binary":
        return {**BINARY, "contentMediaType": media_type}
    if form == "text":
        return {"type": "string", "contentMediaType": media_type}
    kind = {"type": "object"} if media_type == geojson.MEDIA_TYPE else {}
    return {**kind, "contentMediaType": media_type}


def read_content(value: Any, media: tuple[str, ...], media_type: str = "") -> Content:
    """Read a file inside JSON: of the media type that is named, else of the first whose form it has.

    Raises:
        ValueError: It has none of the forms.
    """
    problem = ValueError("Expected the content of a file")
    for candidate in [media_type] if media_type in media else media:
        try:
            return Content(candidate, _bytes_of(value, form_of(candidate)))
        except ValueError as error:
            problem = error
    raise problem


def _bytes_of(value: Any, form: Form) -> bytes:
    if form == "json":
        return msgspec.json.encode(value)
    if form == "binary":
        return read_base64(value)
    if not isinstance(value, str):
        raise ValueError("Expected a text")  # noqa: TRY004 - a value from outside, no bug
    return value.encode()


def _json_of(file: Path, form: Form) -> Any:
    """Give what msgspec encodes to the file's content inside JSON."""
    if form == "binary":
        return file.read_bytes()
    _check_form(file, form)
    return file.read_text("utf-8") if form == "text" else msgspec.Raw(file.read_bytes())


# The job's folder


folder_of_files: ContextVar[Callable[[], Path]] = ContextVar("folder")
"""What gives the folder in which the files of inputs are kept, and in which files may be outputs."""


@contextlib.contextmanager
def files_in(folder: Callable[[], Path]) -> Iterator[None]:
    """Keep the files of inputs in this folder, and let outputs be files in it, in a `with` block."""
    token = folder_of_files.set(folder)
    try:
        yield
    finally:
        folder_of_files.reset(token)


def new_file(suffix: str) -> Path:
    """Name a file in the job's folder that is not there yet."""
    folder = folder_of_files.get()() / ".files"
    folder.mkdir(exist_ok=True)
    return folder / f"{os.urandom(6).hex()}{suffix}"


def write_content(media_type: str, data: bytes) -> Path:
    """Make a file in the job's folder."""
    file = new_file(suffix_of(media_type))
    file.write_bytes(data)
    return file


def own_file(value: Any) -> Path:
    """Return the file that an output names; a relative path begins in the job's folder.

    Raises:
        TypeError: It is no path.
        ValueError: It is no file in the job's folder.
    """
    if not isinstance(value, os.PathLike):
        raise TypeError(f"Expected `Path`, got `{type(value).__name__}`")
    folder = folder_of_files.get()().resolve()
    file = Path(os.path.realpath(folder / os.fsdecode(value)))
    if not file.is_relative_to(folder):
        raise ValueError(f"The file {value} does not lie in job.workdir; write it there")
    if file.is_dir():
        raise ValueError(f"{value} is a folder; an output is one file, for instance a zip archive of it")
    if not file.is_file():
        raise ValueError(f"{value} is no plain file" if file.exists() else f"There is no file {value}")
    try:
        str(file).encode()
    except UnicodeEncodeError:
        raise ValueError(f"The name of the file {value!r} is no text; choose another") from None
    return file


def check_file(file: Path, media_type: str) -> Form:
    """Return the form of an output file, whose content must have it.

    Raises:
        ValueError: It has not.
    """
    form = form_of(media_type)
    _check_form(file, form)
    return form


def _check_form(file: Path, form: Form) -> None:
    if form == "json":
        try:
            msgspec.json.decode(file.read_bytes(), type=msgspec.Raw)
        except msgspec.DecodeError as error:
            raise ValueError(f"The file {file.name} is not JSON: {error}") from None
    elif form == "text":
        try:
            with file.open(encoding="utf-8", newline="") as text:
                while text.read(_CHUNK_BYTES):
                    pass
        except UnicodeDecodeError as error:
            raise ValueError(f"The file {file.name} is not text in UTF-8: {error.reason}") from None


# Large files, which are never held whole


def take_file(document: Path, media: tuple[str, ...], media_type: str) -> Path:
    """Make a file in the job's folder of a JSON document that lies in a file.

    Raises:
        msgspec.DecodeError, ValueError: The document is no such file.
    """
    chosen = media_type if media_type in media else media[0]
    if form_of(chosen) == "json":
        file = new_file(suffix_of(chosen))
        import shutil  # slow to import, and seldom needed

        shutil.copyfile(document, file)
        return file
    if form_of(chosen) == "binary":
        file = new_file(suffix_of(chosen))
        if _decode_base64(document, file):
            return file
    content = read_content(msgspec.json.decode(document.read_bytes()), media, media_type)
    return write_content(content.media_type, content.data)


def own_copy(content: Path, media: tuple[str, ...], media_type: str) -> Path:
    """Make a file in the job's folder of one that has its content; on the same disk nothing is copied."""
    file = new_file(suffix_of(media_type if media_type in media else media[0]))
    try:
        os.link(content, file)
    except OSError:  # another disk, or one that has no links
        import shutil

        shutil.copyfile(content, file)
    return file


def _decode_base64(document: Path, target: Path) -> bool:
    """Decode a JSON string of base64 piece by piece; False where it is written in some rare way."""
    left, has_ended = b"", False
    with document.open("rb") as source, target.open("wb") as file:
        while piece := source.read(_CHUNK_BYTES):
            text = left + piece.translate(_STANDARD_BYTES, b' \t\r\n"')
            if b"\\" in text or has_ended or b"=" in text[:-2]:
                return False
            has_ended = text.endswith(b"=")
            whole = len(text) - len(text) % 4
            left = text[whole:]
            if not _write_decoded(file, text[:whole]):
                return False
        text = left.rstrip(b"=")
        return len(text) % 4 != 1 and _write_decoded(file, text + b"=" * (-len(text) % 4))


_STANDARD_BYTES = bytes.maketrans(b"-_", b"+/")


def _write_decoded(file: BinaryIO, text: bytes) -> bool:
    try:
        file.write(base64.b64decode(text, validate=True))
    except binascii.Error:
        return False
    return True


def write_array(files: list[Path], media: tuple[str, ...]) -> Path:
    """Write a file in the job's folder that holds the content of files as a JSON array."""
    target = new_file(".json")
    with target.open("wb") as array:
        array.write(b"[")
        for place, file in enumerate(files):
            array.write(b"," if place else b"")
            if form_of(media_type_of(file, media)) == "binary":
                _encode_base64(file, array)
            else:
                array.write(msgspec.json.encode(_packed_file(file, media)))
        array.write(b"]")
    return target


def _encode_base64(file: Path, target: BinaryIO) -> None:
    target.write(b'"')
    with file.open("rb") as source:
        while piece := source.read(_CHUNK_BYTES):
            target.write(base64.b64encode(piece))
    target.write(b'"')
