"""Values as they come into a process and leave it, in its executor and on the way from and to the worker."""

from pathlib import Path
from typing import Literal

import msgspec
from msgspec import Struct

Form = Literal["json", "text", "binary"]


class EncodedInput(Struct, frozen=True, array_like=True):
    """One input value: a JSON document in `data`, or in the file `path`.

    Of another form than `json` it is the content itself, which stands in JSON as a string, binary one in base64.
    """

    data: bytes = b""
    media_type: str = ""
    """As the caller named it; empty: not named."""
    path: str = ""
    form: Form = "json"

    @property
    def is_checked(self) -> bool:
        """Whether the document is known to fit the schema of the input."""
        return False

    def content(self) -> bytes:
        """Return the document, wherever it lies."""
        content = Path(self.path).read_bytes() if self.path else self.data
        if self.form == "json":
            return content
        return msgspec.json.encode(content if self.form == "binary" else content.decode())


class EncodedOutput(Struct, frozen=True, array_like=True):
    """One output value, ready to be stored: its bytes in `data`, or in the file `path` of the job's folder.

    An array where it is sent, to which later versions append.
    """

    form: Form
    """`json`: the bytes are a JSON document; `text`: UTF-8 text; `binary`: anything."""
    media_type: str
    data: bytes = b""
    path: str = ""
