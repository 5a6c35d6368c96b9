"""JSON Schemas of inputs, compiled: what a value must be."""

from collections.abc import Callable, Iterator, Mapping
from functools import cached_property, lru_cache
from typing import Any

import jsonschema
import jsonschema_rs
import referencing
from jsonschema.exceptions import ValidationError

from fastprocesses_host.ogc.exceptions import InternalError

Keyword = Callable[[Any, Any, Any, Any], Iterator[ValidationError]]


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
        return next(self._errors(value), None) is None

    def complaint(self, value: Any) -> str:
        """Give the first sentence of a validator about a value, in which it is called `This`; empty: none.

        Made for schemas of one keyword: with alternatives it takes long.
        """
        if self._fast is None:
            return "" if self.accepts(value) else f"{_MASK} does not fit {_keywords(self.schema)}"
        try:
            self._fast.validate(value)
        except jsonschema_rs.ValidationError as error:
            return error.message
        return ""

    @cached_property
    def _fast(self) -> jsonschema_rs.Draft202012Validator | None:
        return _compile(self.schema)

    @cached_property
    def _thorough(self) -> Any:
        checker = jsonschema.Draft202012Validator.FORMAT_CHECKER
        return _Thorough(self.schema, registry=referencing.Registry(), format_checker=checker)

    def _errors(self, value: Any) -> Iterator[ValidationError]:
        try:
            yield from self._thorough.iter_errors(value)
        except RecursionError:
            yield ValidationError("This is nested too deep to be checked against its schema")
        except Exception as error:
            detail = f"The schema of {self.name} cannot be used. Tell who provides the process."
            raise InternalError(detail) from error


def _keywords(schema: Mapping[str, Any] | bool) -> str:
    return (
        ", ".join(f"{word} {rule}" for word, rule in schema.items())
        if isinstance(schema, Mapping)
        else "anything"
    )


def _compile(schema: Any) -> jsonschema_rs.Draft202012Validator | None:
    """Compile with jsonschema-rs; None where it cannot."""
    try:
        return jsonschema_rs.Draft202012Validator(
            schema, validate_formats=True, retriever=_refuse, mask=_MASK
        )
    except (jsonschema_rs.ValidationError, jsonschema_rs.ReferencingError, ValueError, RecursionError):
        return None


_MASK = "This"
"""Stands in sentences for the value, which may be long."""


def _refuse(uri: str) -> Any:
    raise ValueError(f"{uri} is not fetched")


@lru_cache(maxsize=1_000)
def _compiled_rule(keyword: str, rule: str | bool) -> jsonschema_rs.Draft202012Validator | None:
    return _compile({keyword: rule})


def _decided_fast(keyword: str) -> Keyword:
    """Give a keyword of jsonschema on which jsonschema-rs decides wherever it can.

    Python's regular expressions take exponential time on values made for it, jsonschema's comparison of items
    and some of its formats quadratic time; and its formats know less.
    """
    rules: Mapping[str, Any] = jsonschema.Draft202012Validator.VALIDATORS
    original = rules[keyword]

    def check(validator: Any, rule: Any, instance: Any, schema: Any) -> Iterator[ValidationError]:
        fast = _compiled_rule(keyword, rule)
        if fast is None:
            yield from original(validator, rule, instance, schema) or ()
        elif not fast.is_valid(instance):
            yield ValidationError(f"{_MASK} does not fit {keyword}")

    return check


_extend: Callable[..., Any] = jsonschema.validators.extend
_Thorough = _extend(
    jsonschema.Draft202012Validator,
    {keyword: _decided_fast(keyword) for keyword in ("pattern", "uniqueItems", "format")},
)
