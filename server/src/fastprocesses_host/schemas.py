"""JSON Schemas of inputs, compiled: what a value must be, and in words what is wrong with it."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property, lru_cache
from itertools import islice
from typing import Any

import jsonschema
import jsonschema_rs
import msgspec
import referencing
from jsonschema.exceptions import ValidationError, best_match
from msgspec import Struct

from fastprocesses_host.ogc.exceptions import InternalError

_SENTENCE = 300
"""The longest sentence about a fault, in characters."""

Keyword = Callable[[Any, Any, Any, Any], Iterator[ValidationError]]


class Fault(Struct, frozen=True):
    """One thing that is wrong with a value."""

    path: tuple[str | int, ...]
    """Where in the value."""
    detail: str


class ValueSchema:
    """A JSON Schema of Draft 2020-12. Formats are asserted; nothing is ever fetched.

    jsonschema-rs decides, jsonschema words what is wrong; and it decides where a schema has a pattern that only
    Python knows.

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

    def faults(self, value: Any, *, limit: int = 5, large: bool = False) -> list[Fault]:
        """Say in at most `limit` sentences what is wrong with a value that is not accepted.

        Args:
            value: The value.
            limit: How many faults are told.
            large: The value is so large that to find more than the first fault would take seconds.

        Raises:
            InternalError: the schema cannot be used.
        """
        found = (
            [] if large and self._fast else [_fault(error) for error in islice(self._errors(value), limit)]
        )
        if found or self._fast is None:
            return found
        try:
            self._fast.validate(value)
        except jsonschema_rs.ValidationError as error:
            found.append(Fault(tuple(error.instance_path), _cut(error.message)))
        return found

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
            raise InternalError(
                f"The schema of {self.name} cannot be used. Tell who provides the process."
            ) from error


def _compile(schema: Any) -> jsonschema_rs.Draft202012Validator | None:
    """Compile with jsonschema-rs; None where it cannot, for instance for a pattern that only Python knows."""
    try:
        return jsonschema_rs.Draft202012Validator(schema, validate_formats=True, retriever=_refuse)
    except (jsonschema_rs.ValidationError, jsonschema_rs.ReferencingError, ValueError, RecursionError):
        return None


def _refuse(uri: str) -> Any:
    raise ValueError(f"{uri} is not fetched")


@lru_cache(maxsize=1_000)
def _compiled_rule(keyword: str, rule: str | bool) -> jsonschema_rs.Draft202012Validator | None:
    return _compile({keyword: rule})


def _original(keyword: str) -> Keyword:
    rules: Mapping[str, Any] = jsonschema.Draft202012Validator.VALIDATORS
    original = rules[keyword]

    def check(validator: Any, rule: Any, instance: Any, schema: Any) -> Iterator[ValidationError]:
        yield from original(validator, rule, instance, schema) or ()

    return check


def _decided_fast(keyword: str, sentence: str) -> Keyword:
    """Give a keyword of jsonschema on which jsonschema-rs decides.

    Python's regular expressions take exponential time on values made for it, jsonschema's comparison of items
    and some of its formats quadratic time; and its formats know less.
    """
    original = _original(keyword)

    def check(validator: Any, rule: Any, instance: Any, schema: Any) -> Iterator[ValidationError]:
        fast = _compiled_rule(keyword, rule)
        if fast is None:
            yield from original(validator, rule, instance, schema)
        elif not fast.is_valid(instance):
            yield ValidationError(sentence.format(rule=rule))

    return check


def _matches(pattern: str, name: str) -> bool:
    fast = _compiled_rule("pattern", pattern)
    if fast is not None:
        return fast.is_valid(name)
    return next(_original("pattern")(jsonschema.Draft202012Validator({}), pattern, name, {}), None) is None


def _pattern_properties(validator: Any, rule: Any, instance: Any, schema: Any) -> Iterator[ValidationError]:
    if isinstance(instance, dict):
        for pattern, subschema in rule.items():
            for name, member in instance.items():
                if _matches(pattern, name):
                    yield from validator.descend(member, subschema, path=name, schema_path=pattern)


def _additional_properties(
    validator: Any, rule: Any, instance: Any, schema: Any
) -> Iterator[ValidationError]:
    if isinstance(instance, dict):
        declared, patterns = schema.get("properties", {}), schema.get("patternProperties", {})
        additional = {
            name: member
            for name, member in instance.items()
            if name not in declared and not any(_matches(pattern, name) for pattern in patterns)
        }
        yield from _original("additionalProperties")(validator, rule, additional, {})


_Thorough: Any = jsonschema.validators.extend(
    jsonschema.Draft202012Validator,
    {
        "pattern": _decided_fast("pattern", "This does not match the pattern {rule}"),
        "uniqueItems": _decided_fast("uniqueItems", "This has equal items where each may occur once"),
        "format": _decided_fast("format", "This is not of the format {rule}"),
        "patternProperties": _pattern_properties,
        "additionalProperties": _additional_properties,
    },
)


def _fault(error: ValidationError) -> Fault:
    exact = best_match([error]) or error
    if exact.validator in ("oneOf", "anyOf"):
        sentence = _alternatives_words(exact.validator_value, exact.instance) if exact.context else ""
    else:
        word = _WORDS.get(str(exact.validator))
        sentence = word(exact.validator_value, exact.instance) if word else ""
    return Fault(tuple(exact.absolute_path), _cut(sentence or exact.message))


def _type_words(rule: Any, instance: Any) -> str:
    types = [_WITH_ARTICLE.get(name, str(name)) for name in ([rule] if isinstance(rule, str) else rule)]
    return f"This must be {' or '.join(types)}, not {_kind(instance)}"


def _alternatives_words(rule: Sequence[Any], instance: Any) -> str:
    types = [branch.get("type") if isinstance(branch, Mapping) else None for branch in rule]
    if all(isinstance(name, str) for name in types) and _kind(instance) not in map(_WITH_ARTICLE.get, types):
        return _type_words(types, instance)
    return "This fits none of the alternatives of its schema"


def _enum_words(rule: Sequence[Any], instance: Any) -> str:
    return f"This must be one of {', '.join(_as_json(value) for value in rule)}"


def _not_words(rule: Any, instance: Any) -> str:
    if isinstance(rule, Mapping) and rule.keys() == {"enum"}:
        return f"This must not be {' or '.join(_as_json(value) for value in rule['enum'])}"
    return "This is a value that is ruled out"


_WORDS: Mapping[str, Callable[[Any, Any], str]] = {
    "type": _type_words,
    "enum": _enum_words,
    "not": _not_words,
}
_WITH_ARTICLE = {
    "string": "a string",
    "number": "a number",
    "integer": "an integer",
    "boolean": "true or false",
    "array": "an array",
    "object": "an object",
    "null": "null",
}


def _kind(value: Any) -> str:
    """Name the JSON type of a decoded value."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    kinds = {str: "a string", int: "a number", float: "a number", list: "an array", dict: "an object"}
    return kinds.get(type(value), "this")


def _as_json(value: Any) -> str:
    return msgspec.json.encode(value).decode()


def _cut(sentence: str) -> str:
    sentence = sentence.strip().rstrip(".")
    return f"{sentence[: _SENTENCE - 1]}…" if len(sentence) > _SENTENCE else f"{sentence}."
