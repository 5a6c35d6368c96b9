"""What the official compliance suite for version 1.0 sends: its HTTP clients, and how it reads the echo process."""

import gzip
import http.client
import json
import re
from typing import Any
from urllib.parse import urlsplit

JSON = "application/json"
REST_ASSURED = {"Accept": "application/json, application/javascript, text/javascript, text/json"}
JERSEY = {
    "Accept": "text/html, image/gif, image/jpeg, */*; q=0.2",
    "User-Agent": "Jersey/3.1 (HttpUrlConnection 17)",
}
OLD_JDK = {"Accept": "text/html, image/gif, image/jpeg, *; q=.2, */*; q=.2"}
APACHE = {
    "Connection": "Keep-Alive",
    "User-Agent": "Apache-HttpClient/4.5.14 (Java/17)",
    "Accept-Encoding": "gzip,deflate",
}

TEXT = "teststring"
"""What is given for every plain string."""

BBOX = {"bbox": [51.9, 7, 52, 7.1], "crs": "http://www.opengis.net/def/crs/OGC/1.3/CRS84"}
WRONG_BBOX = {"crs": "urn:ogc:def:crs:EPSG:6.6:4326", "bbox": [345345345] * 4}
"""What is given for a box that is declared as a plain object."""

VALUE = {"transmissionMode": "value"}


class Answer:
    """An HTTP answer, whole."""

    def __init__(self, answer: http.client.HTTPResponse) -> None:
        self.version = answer.version
        self.status = answer.status
        self.headers = answer.headers
        body = answer.read()
        self.body = gzip.decompress(body) if self.headers["content-encoding"] == "gzip" else body

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def content_type(self) -> str:
        return self.headers["content-type"] or ""

    @property
    def media_type(self) -> str:
        return self.content_type.split(";")[0].strip()


class Suite:
    """The suite's client: a connection a request, the headers of its libraries and no others."""

    def __init__(self, iut: str, process_id: str) -> None:
        self.iut = iut
        self.process_id = process_id

    def get(self, path: str, *, accept: str | None = JSON, headers: dict[str, str] | None = None) -> Answer:
        """GET a path or, as from Location and `href`, an absolute URL."""
        wanted = {"Accept": accept} if accept else {}
        return self._ask("GET", path, wanted | APACHE | (headers or {}))

    def execute(self, body: Any, *, prefer: str = "") -> Answer:
        preferred = {"Prefer": prefer} if prefer else {}
        headers = {"Accept": JSON, **preferred, "Content-Type": "application/json; charset=UTF-8", **APACHE}
        return self._ask(
            "POST",
            f"/processes/{self.process_id}/execution",
            headers,
            json.dumps(body, separators=(",", ":")).encode(),
        )

    def process(self) -> Any:
        """The description as the suite reads it before it executes."""
        return self.get(f"/processes/{self.process_id}").json

    def _ask(self, method: str, path: str, headers: dict[str, str], body: bytes | None = None) -> Answer:
        url = path if re.match("https?:", path) else self.iut + path
        parts = urlsplit(url)
        assert parts.hostname, f"not an absolute URL: {url}"
        connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=30)
        try:
            connection.putrequest(
                method, parts.path + ("?" + parts.query if parts.query else ""), skip_accept_encoding=True
            )
            for name, value in headers.items():
                connection.putheader(name, value)
            if body is not None:
                connection.putheader("Content-Length", str(len(body)))
            connection.endheaders(body)
            return Answer(connection.getresponse())
        finally:
            connection.close()


class Echo:
    """The inputs and outputs of the process as the suite understands them, in the order of the document."""

    def __init__(self, description: dict[str, Any]) -> None:
        self.modes = set(description["jobControlOptions"])
        self.inputs = {name: Value(told["schema"]) for name, told in description["inputs"].items()}
        self.outputs = {name: Value(told["schema"]) for name, told in description["outputs"].items()}
        self.first = next(iter(self.inputs))

    @property
    def asynchronous(self) -> bool:
        return "async-execute" in self.modes

    @property
    def both(self) -> bool:
        return {"sync-execute", "async-execute"} <= self.modes

    def given(self) -> dict[str, Any]:
        """The inputs of an ordinary request: those that the suite knows a value for."""
        known = {name: value.given() for name, value in self.inputs.items()}
        found = {name: value for name, value in known.items() if value is not None}
        assert found, "no plain string input"
        return found

    def wanted(self) -> dict[str, Any]:
        """All outputs, each by value."""
        return dict.fromkeys(self.outputs, VALUE)

    def request(self, **members: Any) -> dict[str, Any]:
        return {"inputs": self.given(), "outputs": self.wanted()} | members

    def mirrored(self) -> dict[str, Any]:
        """The output whose id is the first input's."""
        return {self.first: VALUE} if self.first in self.outputs else {}


class Value:
    """What the suite finds out about an input or output from its schema."""

    def __init__(self, schema: dict[str, Any]) -> None:
        self.media_type = schema.get("contentMediaType")
        self.format = schema.get("format")
        self.items = schema.get("items", {}).get("type") if schema.get("type") == "array" else None
        self.is_box = _is_box(schema)
        alternatives = [schema] if "type" in schema else schema.get("oneOf", [])
        self.types = [(part["type"], part.get("contentMediaType")) for part in alternatives if "type" in part]
        self.is_binary = any(
            part.get("type") == "string"
            and (part.get("format") == "byte" or part.get("contentEncoding") == "binary")
            for part in alternatives
        )
        if self.items:
            self.types = [(self.items, None), ("array", None)]

    def given(self) -> Any:
        """What the suite gives for it, None for nothing."""
        value = None
        for name, media_type in self.types:
            if name == "string" and self.format is None and media_type is None:
                value = TEXT
            elif self.is_box:
                value = WRONG_BBOX
            elif name == "object":
                value = {"value": TEXT}
        return value

    @property
    def array(self) -> list[Any] | None:
        """What the suite gives for an array, None for what is none."""
        if not self.items:
            return None
        return {"integer": [1, 2, 3], "string": ["test1", "test2", "test3"]}.get(self.items, [])


def _is_box(schema: dict[str, Any]) -> bool:
    """Whether the suite takes it for a bounding box: by its format in `allOf`, or by a property of the name."""
    if schema.get("type") == "object":
        return "bbox" in schema.get("properties", {})
    if "type" in schema or "oneOf" in schema or "allOf" not in schema:
        return False
    for part in schema["allOf"]:
        assert "format" in part, "the suite stops at a part without a format before it finds ogc-bbox"
        if part["format"] == "ogc-bbox":
            return True
    return False
