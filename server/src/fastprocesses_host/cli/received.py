"""Results as servers give them, in whatever shape, as one table: output name → value."""

import base64
import binascii
import io
import re
from collections.abc import Mapping, Sequence
from email.message import Message
from email.parser import BytesHeaderParser
from itertools import pairwise
from typing import IO, Any, Final
from urllib.parse import urljoin

import msgspec
from msgspec import Struct

from fastprocesses_host.cli.caller import Answer, Caller, copy
from fastprocesses_host.cli.told import CallError
from fastprocesses_host.exits import Exit

_QUALIFIED: Final = {"value", "mediaType", "encoding", "schema", "format"}
_LINKED: Final = {"href", "rel", "type", "title", "hreflang", "length"}
_JSON_TYPE: Final = re.compile(r"application/(.*\+)?json")
_ONLY: Final = "result"
"""The name of a value that has none."""


class Value(Struct, kw_only=True):
    """One output: JSON, text or bytes, or a link to it."""

    media_type: str = ""
    content: bytes = b""
    is_json: bool = False
    """The content is JSON text, not bytes of another kind."""
    answer: Answer | None = None
    """Where the content is instead when the server sent it alone."""
    href: str = ""
    """Where the content lies instead when the server sent a link."""

    def write(self, target: IO[bytes]) -> None:
        """Write the content; a JSON string as its bare text."""
        if self.answer is not None and not self.is_text:
            copy(self.answer.body, target)
        else:
            target.write(self.bare())

    def bare(self) -> bytes:
        """Give the content; of a JSON string its text."""
        content = self.answer.read() if self.answer is not None else self.content
        return msgspec.json.decode(content, type=str).encode() if self.is_text else content

    @property
    def is_text(self) -> bool:
        """Whether it is a JSON string."""
        if not self.is_json:
            return False
        if self.answer is None:
            return self.content.lstrip()[:1] == b'"'
        self.answer.body.seek(0)
        return self.answer.body.read(16).lstrip()[:1] == b'"'

    def document(self) -> Any:
        """Give what stands for the value in a JSON document: itself, text, or a qualified value."""
        if self.href:
            return {"href": self.href} | ({"type": self.media_type} if self.media_type else {})
        content = self.answer.read() if self.answer is not None else self.content
        if self.is_json:
            return msgspec.Raw(content)
        if self.media_type.startswith("text/"):
            return content.decode("utf-8", "replace")
        return {
            "value": base64.b64encode(content).decode(),
            "encoding": "base64",
            "mediaType": self.media_type or "application/octet-stream",
        }

    def fetched(self, caller: Caller) -> "Value":
        """Give the value a link leads to; itself if it is none."""
        if not self.href:
            return self
        answer = caller.fetch(self.href)
        media_type = answer.media_type or self.media_type
        return Value(media_type=media_type, answer=answer, is_json=_is_json(media_type))

    def close(self) -> None:
        """Let go of the content that the server sent alone."""
        if self.answer is not None:
            self.answer.close()


def read_results(
    answer: Answer, description: Mapping[str, Any], wanted: Sequence[str] = ()
) -> dict[str, Value]:
    """Give the outputs in an answer.

    The shapes: a results document (results.yaml), one value alone (raw), several in multipart (RFC 2046), links
    in header fields without a body, and, of servers that follow nobody, a list of `{"id", "value"}` under
    `outputs`.

    Args:
        answer: Of an execution or of `/jobs/{id}/results`.
        description: The process description; empty when it is not known.
        wanted: The outputs that were asked for; empty: all of the description.

    Raises:
        CallError: the answer cannot be read.
    """
    outputs = description.get("outputs")
    described = outputs if isinstance(outputs, Mapping) else {}
    names = list(wanted or described)
    if answer.media_type.startswith("multipart/"):
        return _of_parts(answer, names, described)
    if not answer.body.seek(0, 2):
        return _of_links(answer, names)
    if _is_json(answer.media_type) and (members := _members(answer, names)) is not None:
        return {name: _member(raw, described.get(name), answer.url) for name, raw in members.items()}
    name = names[0] if len(names) == 1 else _ONLY
    return {name: Value(media_type=answer.media_type, answer=answer, is_json=_is_json(answer.media_type))}


def files_apart(values: Mapping[str, Value], description: Mapping[str, Any], base: str) -> dict[str, Value]:
    """Give each file of an output that is an array of files as a value of its own, `NAME-0`, `NAME-1`…

    Args:
        values: The outputs.
        description: The process description; empty when it is not known.
        base: Where the results came from, for links that are relative.
    """
    outputs = description.get("outputs")
    described = outputs if isinstance(outputs, Mapping) else {}
    apart: dict[str, Value] = {}
    for name, value in values.items():
        files = _files(value, described.get(name), base)
        apart |= {f"{name}-{number}": file for number, file in enumerate(files)} or {name: value}
    return apart


def _files(value: Value, description: Any, base: str) -> list[Value]:
    """Give the files that an array is of; none: it is no such array."""
    if not value.is_json:
        return []
    content = value.answer.read() if value.answer is not None else value.content
    if content.lstrip()[:1] != b"[":
        return []
    schema = description.get("schema") if isinstance(description, Mapping) else None
    items = schema.get("items") if isinstance(schema, Mapping) else None
    files = [
        _member(raw, {"schema": items}, base) for raw in msgspec.json.decode(content, type=list[msgspec.Raw])
    ]
    of_files = bool(_described_media(items)[0])
    return files if all(of_files or file.href or not file.is_json for file in files) else []


def _members(answer: Answer, names: Sequence[str]) -> dict[str, msgspec.Raw] | None:
    """Give the members of a results document; None: the JSON is a value itself.

    A document has no mark: it is an object all of whose members are outputs.
    """
    body = answer.read()
    if body.lstrip()[:1] != b"{":
        return None
    try:
        members = msgspec.json.decode(body, type=dict[str, msgspec.Raw])
    except msgspec.DecodeError as error:
        raise CallError(f"The results cannot be read: {error}", Exit.UNREACHABLE) from None
    if "outputs" not in names and set(members) - {"links"} == {"outputs"}:
        members = _listed(members["outputs"]) or members
    known = {name: raw for name, raw in members.items() if name in names}
    if known and not members.keys() - known.keys() - {"links"}:
        return known
    return members if not names and not {"type", "value", "href"} & members.keys() else None


def _listed(outputs: msgspec.Raw) -> dict[str, msgspec.Raw]:
    """Give the members of a document whose outputs are in `outputs`, as an object or a list of id and value."""
    content = bytes(outputs)
    try:
        if content.lstrip()[:1] == b"{":
            return msgspec.json.decode(content, type=dict[str, msgspec.Raw])
        items = msgspec.json.decode(content, type=list[dict[str, msgspec.Raw]])
    except msgspec.DecodeError:
        return {}
    found = {}
    for item in items:
        if "id" in item and {"value", "href"} & item.keys():
            name = msgspec.json.decode(item["id"])
            rest = {key: raw for key, raw in item.items() if key != "id"}
            found[str(name)] = rest["value"] if rest.keys() == {"value"} else _raw(rest)
    return found


def _raw(value: Any) -> msgspec.Raw:
    return msgspec.Raw(msgspec.json.encode(value))


def _member(raw: msgspec.Raw, description: Any, base: str) -> Value:
    """Give a member of a results document: itself, what a qualified value holds, or a link."""
    content = bytes(raw)
    schema = description.get("schema") if isinstance(description, Mapping) else None
    media_type, is_binary = _described_media(schema)
    if content[:1] == b"{":
        members = msgspec.json.decode(content, type=dict[str, msgspec.Raw])
        if "href" in members and not members.keys() - _LINKED:
            return _link(msgspec.json.decode(content), base)
        if (
            "value" in members
            and members.keys() & (_QUALIFIED - {"value"})
            and not members.keys() - _QUALIFIED
        ):
            return _qualified({name: bytes(each) for name, each in members.items()}, media_type)
    if content[:1] == b'"' and is_binary and (decoded := _from_base64(content)) is not None:
        return Value(media_type=media_type or "application/octet-stream", content=decoded)
    return Value(media_type=media_type or _json_media(content), content=content, is_json=True)


def _link(link: Mapping[str, Any], base: str) -> Value:
    return Value(media_type=str(link.get("type") or ""), href=urljoin(base, str(link["href"])))


def _qualified(members: Mapping[str, bytes], described: str) -> Value:
    """Read a qualified value (qualifiedValue.yaml); version 1.0 drafts have its members in `format`."""
    told = {
        name: msgspec.json.decode(raw) for name, raw in members.items() if name not in {"value", "schema"}
    }
    inner = told.get("format")
    told |= inner if isinstance(inner, dict) else {}
    media_type = str(told.get("mediaType") or described)
    content = members["value"]
    if told.get("encoding") == "base64" and (decoded := _from_base64(content)) is not None:
        return Value(media_type=media_type, content=decoded)
    return Value(media_type=media_type or _json_media(content), content=content, is_json=True)


def _from_base64(content: bytes) -> bytes | None:
    try:
        return base64.b64decode(msgspec.json.decode(content, type=str), validate=True)
    except (binascii.Error, ValueError, msgspec.DecodeError):
        return None


def _described_media(schema: Any) -> tuple[str, bool]:
    """Give an output's media type, and whether its value is bytes in base64."""
    for kind in [schema, *(schema.get("oneOf") or [])] if isinstance(schema, Mapping) else []:
        if isinstance(kind, Mapping) and isinstance(kind.get("contentMediaType"), str):
            encoded = kind.get("contentEncoding") in {"base64", "binary"} or kind.get("format") == "byte"
            return kind["contentMediaType"], encoded
    return "", False


def _json_media(content: bytes) -> str:
    if content[:1] == b'"':
        return "text/plain"
    geojson = re.match(rb'\{\s*"type"\s*:\s*"(FeatureCollection|Feature)"', content)
    return "application/geo+json" if geojson else "application/json"


def _of_links(answer: Answer, names: Sequence[str]) -> dict[str, Value]:
    """Give the outputs of an answer without a body, one a Link header field, named by its relation."""
    found: dict[str, Value] = {}
    rest = []
    for link in answer.links:
        name = next((link[key] for key in ("rel", "title", "anchor") if link.get(key, "") in names), "")
        if name:
            found.setdefault(name, _link(link, answer.url))
        elif link.get("rel", "") in {"item", "related", "results", "alternate", ""}:
            rest.append(link)
    missing = [name for name in names if name not in found]
    for name, link in zip(missing, rest, strict=False):
        found[name] = _link(link, answer.url)
    return found


def _of_parts(answer: Answer, names: Sequence[str], described: Mapping[str, Any]) -> dict[str, Value]:
    """Give the outputs of a multipart answer, each named by its Content-ID, else by its place."""
    header = Message()
    header["Content-Type"] = answer.headers["content-type"]
    boundary = header.get_param("boundary")
    if not isinstance(boundary, str):
        raise CallError("The results cannot be read: multipart without a boundary.", Exit.UNREACHABLE)
    found: dict[str, Value] = {}
    for number, (headers, content) in enumerate(_parts(answer.read(), boundary.encode())):
        name = _part_name(headers, names, number)
        location = headers.get("Content-Location")
        if location and not content.strip():
            found[name] = _link({"href": location, "type": headers.get("Content-Type")}, answer.url)
            continue
        media_type = headers.get_content_type() if "Content-Type" in headers else ""
        media_type = media_type or _described_media((described.get(name) or {}).get("schema"))[0]
        found[name] = Value(media_type=media_type, content=content, is_json=_is_json(media_type))
    return found


def _parts(body: bytes, boundary: bytes) -> list[tuple[Message, bytes]]:
    """Cut a multipart body (RFC 2046 section 5.1.1), whose bytes may be any; bare newlines are borne too."""
    delimiter = re.compile(rb"(?:^|\r\n|\n)--" + re.escape(boundary) + rb"(--)?[ \t]*(?:\r\n|\n|$)")
    marks = list(delimiter.finditer(body))
    parts = []
    for mark, following in pairwise(marks):
        if mark[1]:
            break
        # A delimiter takes the newline before it; what is between two is a part.
        part = body[mark.end() : following.start()]
        head, blank, content = _split_head(part)
        headers = BytesHeaderParser().parse(io.BytesIO(head + blank))
        if headers.get("Content-Transfer-Encoding", "").lower() == "base64":
            content = base64.b64decode(content)
        parts.append((headers, content))
    return parts


def _split_head(part: bytes) -> tuple[bytes, bytes, bytes]:
    if found := re.match(rb"\r?\n", part):
        return b"", b"\r\n", part[found.end() :]
    found = re.search(rb"\r?\n\r?\n", part)
    return (part[: found.start()], b"\r\n\r\n", part[found.end() :]) if found else (part, b"\r\n\r\n", b"")


def _part_name(headers: Message, names: Sequence[str], number: int) -> str:
    told = headers.get("Content-ID", "").strip().strip("<>")
    for candidate in (told, told.partition("@")[0], headers.get_param("name", None, "Content-Disposition")):
        if isinstance(candidate, str) and candidate in names:
            return candidate
    return told or (names[number] if number < len(names) else f"{_ONLY}{number}")


def _is_json(media_type: str) -> bool:
    return bool(_JSON_TYPE.fullmatch(media_type))
