"""Validation by jsonschema, for schemas that jsonschema-rs cannot compile whole."""

from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from typing import Any

import jsonschema
import jsonschema_rs
import referencing
from jsonschema.exceptions import ValidationError

from fastprocesses_host.schemas.validators import MASK, compile_fast

Keyword = Callable[[Any, Any, Any, Any], Iterator[ValidationError]]


def thorough(schema: Mapping[str, Any] | bool) -> jsonschema.protocols.Validator:
    """Give a validator of Draft 2020-12 for a schema; it fetches nothing."""
    validator: jsonschema.protocols.Validator = _Thorough(schema, registry=referencing.Registry())
    return validator


@lru_cache(maxsize=1_000)
def _compiled_rule(keyword: str, rule: str | bool) -> jsonschema_rs.Draft202012Validator | None:
    return compile_fast({keyword: rule})


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
            yield ValidationError(f"{MASK} does not fit {keyword}")

    return check


_extend: Callable[..., Any] = jsonschema.validators.extend
_Thorough = _extend(
    jsonschema.Draft202012Validator,
    {keyword: _decided_fast(keyword) for keyword in ("pattern", "uniqueItems", "format")},
)
