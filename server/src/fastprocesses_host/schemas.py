"""JSON Schemas of inputs, compiled: what a value must be, and in words what is wrong with it."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cached_property, lru_cache
from itertools import islice
from typing import Any

import jsonschema
import jsonschema_rs
import msgspec
import referencing
from jsonschema.exceptions import ValidationError
from msgspec import Struct

from fastprocesses_host.ogc.exceptions import InternalError

_SENTENCE = 300
"""The longest sentence about a fault, in characters."""

Path = tuple[str | int, ...]
Keyword = Callable[[Any, Any, Any, Any], Iterator[ValidationError]]


class Fault(Struct, frozen=True):
    """One thing that is wrong with a value."""

    path: Path
    """Where in the value."""
    detail: str


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

    def faults(self, value: Any, *, limit: int = 5, large: bool = False) -> list[Fault]:
        """Say in at most `limit` sentences what is wrong with a value; none: nothing.

        Args:
            value: The value.
            limit: How many faults are told.
            large: The value is so large that to find more than the first fault would take seconds.

        Raises:
            InternalError: the schema cannot be used.
        """
        if self._fast is None:
            findings = (_thorough_finding(error) for error in self._errors(value))
        elif large:
            findings = (_fast_finding(error, value) for error in _first_error(self._fast, value))
        else:
            findings = (_fast_finding(error, value) for error in self._fast.iter_errors(value))
        return [_fault(finding) for finding in islice(findings, limit)]

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


# The two validators


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


def _first_error(
    fast: jsonschema_rs.Draft202012Validator, value: Any
) -> Iterator[jsonschema_rs.ValidationError]:
    try:
        fast.validate(value)
    except jsonschema_rs.ValidationError as error:
        yield error


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


_Thorough: Any = jsonschema.validators.extend(
    jsonschema.Draft202012Validator,
    {keyword: _decided_fast(keyword) for keyword in ("pattern", "uniqueItems", "format")},
)


# What they find, in words


class _Finding(Struct, frozen=True):
    """A rule that a value breaks, whichever validator found it."""

    path: Path
    keyword: str
    rule: Any
    value: Any
    message: str
    branches: tuple[tuple["_Finding", ...], ...] = ()
    """Of alternatives that all failed, what was found in each."""

    def is_mismatch(self, path: Path) -> bool:
        """Whether this tells that the value at `path` was meant for another alternative."""
        return self.keyword in ("enum", "const", "falseSchema") or (
            self.keyword == "type" and self.path == path
        )


def _fast_finding(error: jsonschema_rs.ValidationError, root: Any) -> _Finding:
    path = tuple(error.instance_path)
    return _Finding(
        path=path,
        keyword=error.kind.name,
        rule=error.kind.value if error.kind.name in _WORDS else None,
        value=_at(root, path),
        message=error.message,
        branches=tuple(
            tuple(_fast_finding(inner, root) for inner in branch)
            for branch in getattr(error.kind, "context", ())
            if branch
        ),
    )


def _thorough_finding(error: ValidationError) -> _Finding:
    grouped: dict[Any, list[_Finding]] = {}
    for inner in error.context or ():
        grouped.setdefault(inner.relative_schema_path[0], []).append(_thorough_finding(inner))
    rule: Any = error.validator_value
    return _Finding(
        path=tuple(error.absolute_path),
        keyword=str(error.validator),
        rule=rule,
        value=error.instance,
        message=error.message,
        branches=tuple(map(tuple, grouped.values())),
    )


def _at(value: Any, path: Path) -> Any:
    for step in path:
        value = value[step]
    return value


def _fault(finding: _Finding) -> Fault:
    """Word a finding; of alternatives the one that was most likely meant."""
    while finding.branches:
        meant = [branch for branch in finding.branches if not _is_ruled_out(branch, finding.path)]
        if len(meant) != 1:
            return _alternatives_fault(finding)
        finding = meant[0][0]
    word = _WORDS.get(finding.keyword)
    sentence = word(finding.rule, finding.value) if word else ""
    return Fault(finding.path, _cut(sentence or finding.message))


def _is_ruled_out(branch: Iterable[_Finding], path: Path) -> bool:
    return any(finding.is_mismatch(path) for finding in branch)


def _alternatives_fault(finding: _Finding) -> Fault:
    """Word that no alternative fits: by the member that tells them apart, else by their types."""
    own = [branch for branch in finding.branches if not _has_other_type(branch, finding.path)]
    tags = [{each.path: each.rule for each in branch if each.keyword == "enum"} for branch in own]
    common = set.intersection(*(set(tag) for tag in tags)) if tags else set()
    if common:
        path = min(common, key=len)
        return Fault(path, _cut(_enum_words([option for tag in tags for option in tag[path]], None)))
    types = [each.rule for branch in finding.branches for each in branch if each.keyword == "type"]
    if not own and len(types) == len(finding.branches):
        names = [name for told in types for name in ([told] if isinstance(told, str) else told)]
        return Fault(finding.path, _cut(_type_words(names, finding.value)))
    return Fault(finding.path, "This fits none of the alternatives of its schema.")


def _has_other_type(branch: Iterable[_Finding], path: Path) -> bool:
    return any(finding.keyword == "type" and finding.path == path for finding in branch)


def _type_words(rule: Any, value: Any) -> str:
    names = dict.fromkeys([rule] if isinstance(rule, str) else rule)
    types = [_WITH_ARTICLE.get(name, str(name)) for name in names]
    return f"This must be {' or '.join(types)}, not {_kind(value)}"


def _enum_words(rule: Sequence[Any], value: Any) -> str:
    return f"This must be one of {', '.join(dict.fromkeys(map(_as_json, rule)))}"


def _not_words(rule: Any, value: Any) -> str:
    if isinstance(rule, Mapping) and rule.keys() == {"enum"}:
        return f"This must not be {' or '.join(map(_as_json, rule['enum']))}"
    return "This is a value that is ruled out"


def _required_words(rule: Any, value: Any) -> str:
    names = [rule] if isinstance(rule, str) else [name for name in rule if name not in value]
    return f"Its {'members' if len(names) > 1 else 'member'} {', '.join(names)} must be given"


def _false_words(rule: Any, value: Any) -> str:
    return "Nothing may be given here, or no more than is known"


_WORDS: Mapping[str, Callable[[Any, Any], str]] = {
    "type": _type_words,
    "enum": _enum_words,
    "not": _not_words,
    "required": _required_words,
    "falseSchema": _false_words,
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
    return f"{sentence[: _SENTENCE - 1]}…" if len(sentence) >= _SENTENCE else f"{sentence}."
