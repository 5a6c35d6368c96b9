"""JSON Schemas of inputs, compiled: what a value must be."""

import re
from collections.abc import Mapping
from functools import cached_property
from typing import Any, Protocol

import jsonschema_rs
from msgspec import Raw

from fastprocesses_host.ogc.exceptions import InternalError


class _Validator(Protocol):
    def is_valid(self, instance: Any) -> bool: ...


class ValueSchema:
    """A JSON Schema of Draft 2020-12. Formats are asserted; nothing is ever fetched.

    jsonschema-rs decides. Only where it cannot, for a pattern that Python alone knows, jsonschema does.

    Args:
        schema: The schema.
        name: Whose it is, for the sentence when the schema itself cannot be used.
    """

    def __init__(self, schema: Mapping[str, Any] | bool, name: str = "this value") -> None:
        self.schema = schema
        self.name = name

    def accepts(self, value: Any) -> bool:
        """Tell whether a decoded JSON value fits.

        Raises:
            InternalError: the schema cannot be used.
        """
        if self._fast is not None:
            return self._fast.is_valid(value)
        try:
            return self._thorough.is_valid(value)
        except RecursionError:  # nested too deep to be checked against its schema
            return False
        except Exception as error:
            detail = f"The schema of {self.name} cannot be used. Tell who provides the process."
            raise InternalError(detail) from error

    def complaint(self, value: Any) -> str:
        """Give the first sentence of a validator about a value, in which it is called `This`; empty: none.

        Made for schemas of one keyword: with alternatives it takes long.
        """
        if self._fast is None:
            return "" if self.accepts(value) else f"{MASK} does not fit {_keywords(self.schema)}"
        try:
            self._fast.validate(value)
        except jsonschema_rs.ValidationError as error:
            return error.message
        return ""

    @cached_property
    def _fast(self) -> jsonschema_rs.Draft202012Validator | None:
        return compile_fast(self.schema)

    @cached_property
    def _thorough(self) -> _Validator:
        from fastprocesses_host.schemas.thorough import thorough  # rarely needed, and slow to import

        return thorough(self.schema)


def _keywords(schema: Mapping[str, Any] | bool) -> str:
    return (
        ", ".join(f"{word} {rule}" for word, rule in schema.items())
        if isinstance(schema, Mapping)
        else "anything"
    )


def compile_fast(schema: Any) -> jsonschema_rs.Draft202012Validator | None:
    """Compile with jsonschema-rs; None where it cannot. Formats are asserted, nothing is fetched."""
    try:
        return jsonschema_rs.Draft202012Validator(
            schema, validate_formats=True, formats={"byte": is_base64}, retriever=_refuse, mask=MASK
        )
    except (jsonschema_rs.ValidationError, jsonschema_rs.ReferencingError, ValueError, RecursionError):
        return None


def is_base64(text: str) -> bool:
    """Tell whether a text is base64, of either alphabet, in lines or not (the format `byte` of OpenAPI)."""
    joined = "".join(text.split())
    return _BASE64.fullmatch(joined) is not None and len(joined.rstrip("=")) % 4 != 1


def is_certainly_base64(document: bytes | Raw) -> bool:
    """Tell whether a JSON document is a string in base64, in one line and without escapes; nothing is copied whole."""
    text = memoryview(document)
    if len(text) < 2 or text[0] != _QUOTE or text[-1] != _QUOTE:
        return False
    padding = len(bytes(text[-3:-1])) - len(bytes(text[-3:-1]).rstrip(b"="))
    text = text[1 : len(text) - 1 - padding]
    pieces = (text[start : start + _PIECE_BYTES] for start in range(0, len(text), _PIECE_BYTES))
    return len(text) % 4 != 1 and not any(bytes(piece).translate(None, _ALPHABET) for piece in pieces)


def is_of_base64_alphabet(text: bytes) -> bool:
    """Tell whether a text has no other bytes than base64 has, of either alphabet, with its padding."""
    return not text.translate(None, _ALPHABET_AND_PADDING)


_QUOTE = ord('"')
_ALPHABET = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/-_"
_ALPHABET_AND_PADDING = _ALPHABET + b"="
_PIECE_BYTES = 1024 * 1024
_BASE64 = re.compile(r"[A-Za-z0-9+/_-]*={0,2}")

MASK = "This"
"""Stands in sentences for the value, which may be long."""


def _refuse(uri: str) -> Any:
    raise ValueError(f"{uri} is not fetched")
