"""Half-written uploads in S3: listed and aborted, which the library for object stores cannot.

Requests are signed as AWS Signature Version 4 says ("Authenticating Requests: Using Query Parameters").
"""

import hashlib
import hmac
import http.client
import os
import ssl
import xml.etree.ElementTree as ET
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from urllib.parse import parse_qsl, quote, unquote, urlsplit

from msgspec import Struct

from fastprocesses_host.store.values import NAME, ValuesAway

_SECRET_NAMES = ("secret_access_key", "aws_secret_access_key")
_CARRIED = ("X-Amz-Algorithm", "X-Amz-Credential", "X-Amz-SignedHeaders", "X-Amz-Security-Token")
_LIFE_SECONDS = 300
_MOST_BYTES = 16 * 1024 * 1024
_MOST_PAGES = 1000


class _Upload(Struct, frozen=True):
    key: str
    id: str
    began_seconds: float


def abort_uploads(
    signed_url: str, options: Mapping[str, str], oldest_seconds: float, timeout_seconds: float
) -> None:
    """Abort the uploads of values that began before a time.

    Args:
        signed_url: Of the object `-` below the prefix of the values; it tells where the bucket is, and who asks.
        options: With the secret that belongs to it, unless the environment has it. Where neither has, nothing is done.
        oldest_seconds: Since the epoch; younger ones may be under way.
        timeout_seconds: Of each request.

    Raises:
        ValuesAway: The object store does not answer, or refuses.
    """
    secret = next(filter(None, map(options.get, _SECRET_NAMES)), os.environ.get("AWS_SECRET_ACCESS_KEY", ""))
    if not secret:
        return
    bucket = _Bucket(signed_url, secret, options, timeout_seconds)
    for upload in bucket.uploads():
        is_ours = NAME.fullmatch(upload.key.removeprefix(bucket.prefix))
        if upload.key.startswith(bucket.prefix) and is_ours and upload.began_seconds < oldest_seconds:
            bucket.abort(upload)


class _Bucket:
    def __init__(
        self, signed_url: str, secret: str, options: Mapping[str, str], timeout_seconds: float
    ) -> None:
        self._url = urlsplit(signed_url)
        self._carried = {name: text for name, text in parse_qsl(self._url.query) if name in _CARRIED}
        self._secret = secret
        self._timeout_seconds = timeout_seconds
        path = unquote(self._url.path).removeprefix("/")
        is_in_path = "virtual_hosted_style_request" not in {
            name.removeprefix("aws_") for name, text in options.items() if text.lower() == "true"
        }
        self._bucket = f"/{path.partition('/')[0]}" if is_in_path else ""
        self.prefix = (path.partition("/")[2] if is_in_path else path).removesuffix("-")
        """What the keys of all values begin with."""
        self._context = _context(options) if self._url.scheme == "https" else None

    def uploads(self) -> Iterator[_Upload]:
        """Give the uploads that have not ended, page by page."""
        marker: dict[str, str] = {}
        for _ in range(_MOST_PAGES):
            page = _without_namespaces(self._ask("GET", "", {"uploads": "", "prefix": self.prefix, **marker}))
            for found in page.iter("Upload"):
                began = datetime.fromisoformat(found.findtext("Initiated", ""))
                yield _Upload(
                    found.findtext("Key", ""),
                    found.findtext("UploadId", ""),
                    (began if began.tzinfo else began.replace(tzinfo=UTC)).timestamp(),
                )
            if page.findtext("IsTruncated", "false") != "true":
                return
            marker = {
                "key-marker": page.findtext("NextKeyMarker", ""),
                "upload-id-marker": page.findtext("NextUploadIdMarker", ""),
            }

    def abort(self, upload: _Upload) -> None:
        """Abort one; what is not there any more is no error."""
        self._ask("DELETE", upload.key, {"uploadId": upload.id})

    def _ask(self, method: str, key: str, query: Mapping[str, str]) -> bytes:
        path = f"{self._bucket}/{key}" if key or not self._bucket else self._bucket
        target = self._signed(method, quote(path, safe="/~"), query)
        connection: http.client.HTTPConnection
        if self._context is not None:
            connection = http.client.HTTPSConnection(
                self._url.netloc, timeout=self._timeout_seconds, context=self._context
            )
        else:
            connection = http.client.HTTPConnection(self._url.netloc, timeout=self._timeout_seconds)
        try:
            connection.request(method, target)
            answer = connection.getresponse()
            body = answer.read(_MOST_BYTES)
        except (OSError, http.client.HTTPException) as error:
            raise ValuesAway(f"Half-written uploads cannot be listed or aborted: {error!r}") from error
        finally:
            connection.close()
        if answer.status >= 300 and not (method == "DELETE" and answer.status == 404):
            raise ValuesAway(f"Half-written uploads cannot be listed or aborted: status {answer.status}.")
        return body

    def _signed(self, method: str, path: str, query: Mapping[str, str]) -> str:
        """Give the target of a request with the query parameters that sign it."""
        now = datetime.now(UTC)
        parameters = {
            **query,
            **self._carried,
            "X-Amz-Date": now.strftime("%Y%m%dT%H%M%SZ"),
            "X-Amz-Expires": str(_LIFE_SECONDS),
        }
        scope = self._carried["X-Amz-Credential"].split("/", 1)[1]  # date/region/service/aws4_request
        text = "&".join(f"{_encoded(name)}={_encoded(parameters[name])}" for name in sorted(parameters))
        request = "\n".join((method, path, text, f"host:{self._url.netloc}\n", "host", "UNSIGNED-PAYLOAD"))
        hashed = hashlib.sha256(request.encode()).hexdigest()
        to_sign = "\n".join(("AWS4-HMAC-SHA256", parameters["X-Amz-Date"], scope, hashed))
        key = b"AWS4" + self._secret.encode()
        for part in scope.split("/"):
            key = hmac.digest(key, part.encode(), "sha256")
        return f"{path}?{text}&X-Amz-Signature={hmac.digest(key, to_sign.encode(), 'sha256').hex()}"


def _encoded(text: str) -> str:
    return quote(text, safe="-_.~")


def _context(options: Mapping[str, str]) -> ssl.SSLContext:
    context = ssl.create_default_context()
    if certificate := options.get("root_certificate"):
        context.load_verify_locations(cafile=certificate)
    if options.get("allow_invalid_certificates", "").lower() == "true":
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


def _without_namespaces(body: bytes) -> ET.Element:
    try:
        root = ET.fromstring(body)  # noqa: S314 - see above
    except ET.ParseError as error:
        raise ValuesAway("Half-written uploads cannot be listed: the object store answers no XML.") from error
    for element in root.iter():
        element.tag = element.tag.rpartition("}")[2]
    return root
