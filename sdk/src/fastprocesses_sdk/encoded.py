"""Values as they leave a process, in its executor and on the way to the worker."""

from typing import Literal

from msgspec import Struct

Form = Literal["json", "text", "binary"]


class EncodedOutput(Struct, frozen=True, array_like=True):
    """One output value, ready to be stored: its bytes in `data`, or in the file `path` of the job's folder.

    An array where it is sent, to which later versions append.
    """

    form: Form
    """`json`: the bytes are a JSON document; `text`: UTF-8 text; `binary`: anything."""
    media_type: str
    data: bytes = b""
    path: str = ""
