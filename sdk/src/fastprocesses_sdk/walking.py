"""Schemas, walked through: what holds schemas, and what only looks like it."""

from collections.abc import Callable
from typing import Any

_ONE = ("not", "items", "additionalProperties", "if", "then", "else", "contains", "propertyNames")
_SEVERAL = ("allOf", "anyOf", "oneOf", "prefixItems")
_NAMED = ("properties", "patternProperties", "$defs", "definitions", "dependentSchemas")


def rewritten(schema: Any, change: Callable[[dict[str, Any]], dict[str, Any]]) -> Any:
    """Return a schema in which it and every schema inside it were changed, the innermost first.

    What stands in `default`, `enum` or `example` is a value, and a property may have any name: both stay.
    """
    if not isinstance(schema, dict):
        return schema
    return change({word: _rewritten_rule(word, rule, change) for word, rule in schema.items()})


def _rewritten_rule(word: str, rule: Any, change: Callable[[dict[str, Any]], dict[str, Any]]) -> Any:
    if word in _SEVERAL and isinstance(rule, list):
        return [rewritten(each, change) for each in rule]
    if word in _NAMED and isinstance(rule, dict):
        return {name: rewritten(each, change) for name, each in rule.items()}
    return rewritten(rule, change) if word in _ONE else rule
