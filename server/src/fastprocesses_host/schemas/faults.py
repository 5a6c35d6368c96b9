"""What is wrong with a value, in words: the schema is followed down to the rules that are broken."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import chain, islice
from typing import Any

import msgspec
from msgspec import Struct

from fastprocesses_host.ogc.exceptions import InternalError
from fastprocesses_host.schemas.validators import ValueSchema

_SENTENCE = 300
"""The longest sentence about a fault, in characters."""
_STRUCTURE = frozenset({"allOf", "anyOf", "oneOf", "properties", "patternProperties", "additionalProperties"}) | {
    "prefixItems", "items", "contains", "minContains", "maxContains", "if", "then", "else", "dependentSchemas",
    "unevaluatedItems", "unevaluatedProperties", "$ref", "$dynamicRef", "$defs", "$id", "$schema", "$anchor",
    "$dynamicAnchor", "$vocabulary", "$comment",
}  # fmt: skip
"""Keywords that do not judge a value by themselves."""

Path = tuple[str | int, ...]
Schema = Mapping[str, Any]


class Fault(Struct, frozen=True):
    """One thing that is wrong with a value."""

    path: Path
    """Where in the value."""
    detail: str


def faults_of(schema: ValueSchema, value: Any, *, limit: int = 5) -> list[Fault]:
    """Say in at most `limit` sentences what is wrong with a value; none: nothing.

    Of alternatives the one that was most likely meant is explained. The time grows no faster than the value,
    whatever is wrong with it: no validator is asked to list all that it finds.

    Raises:
        InternalError: the schema cannot be used.
    """
    if schema.accepts(value):
        return []
    definitions = schema.schema.get("$defs", {}) if isinstance(schema.schema, Mapping) else {}
    return list(islice(_Explanation(definitions).faults(schema.schema, value, ()), limit))


class _Explanation:
    """Follows one schema; `definitions` are what its references may point to."""

    def __init__(self, definitions: Schema) -> None:
        self.definitions = definitions
        self.parts: dict[int, ValueSchema] = {}
        self.patterns: dict[str, ValueSchema] = {}

    def faults(self, schema: Any, value: Any, path: Path) -> Iterator[Fault]:
        """Tell what is wrong with a value its schema does not accept; something always is."""
        schema = self.resolved(schema)
        is_told = False
        if isinstance(schema, Mapping):
            for fault in chain(
                self.own(schema, value, path),
                self.alternatives(schema, value, path),
                self.members(schema, value, path),
                self.items(schema, value, path),
            ):
                is_told = True
                yield fault
        if not is_told:
            yield Fault(
                path, "This may not be given." if schema is False else "This does not fit its schema."
            )

    def own(self, schema: Schema, value: Any, path: Path) -> Iterator[Fault]:
        """Tell of the rules about the value itself."""
        for keyword, rule in schema.items():
            if keyword not in _STRUCTURE and self.rejects({keyword: rule}, value):
                word = _WORDS.get(keyword)
                sentence = word(rule, value) if word else self.compiled({keyword: rule}).complaint(value)
                yield Fault(path, _cut(sentence))

    def alternatives(self, schema: Schema, value: Any, path: Path) -> Iterator[Fault]:
        for part in schema.get("allOf", ()):
            if self.rejects(part, value):
                yield from self.faults(part, value, path)
        for keyword in ("anyOf", "oneOf"):
            if keyword in schema and self.rejects({keyword: schema[keyword]}, value):
                yield from self.alternative(list(map(self.resolved, schema[keyword])), value, path)

    def alternative(self, branches: list[Any], value: Any, path: Path) -> Iterator[Fault]:
        """Tell why none of some alternatives fits."""
        of_kind = [branch for branch in branches if not self.is_other_kind(branch, value)]
        meant = [branch for branch in of_kind if not self.is_tagged_otherwise(branch, value)]
        if len(meant) == 1:
            yield from self.faults(meant[0], value, path)
            return
        tags = [_tags(branch) for branch in of_kind]
        common = (
            set.intersection(*map(set, tags)) if tags and isinstance(value, dict) and not meant else set()
        )
        told = sorted(common & value.keys()) if common else []
        if told:
            options = [option for tag in tags for option in tag[told[0]]]
            yield Fault((*path, told[0]), _cut(_enum_words(options, None)))
        elif not of_kind and all(isinstance(branch, Mapping) and "type" in branch for branch in branches):
            yield Fault(path, _cut(_type_words(_types(branches), value)))
        elif len(meant) > 1 and any(not self.rejects(branch, value) for branch in meant):
            yield Fault(path, "This fits more than one of the alternatives of its schema.")
        else:
            yield Fault(path, "This fits none of the alternatives of its schema.")

    def members(self, schema: Schema, value: Any, path: Path) -> Iterator[Fault]:
        if not isinstance(value, dict):
            return
        declared, patterns = schema.get("properties", {}), schema.get("patternProperties", {})
        additional = schema.get("additionalProperties", True)
        for name, member in value.items():
            parts = [declared[name]] if name in declared else []
            parts += [part for pattern, part in patterns.items() if self.matches(pattern, name)]
            for part in parts or [additional]:
                if part is False:
                    yield Fault((*path, name), _cut(f"There is no such member.{_known(declared)}"))
                elif self.refuses(self.part(part), member):
                    yield from self.faults(part, member, (*path, name))

    def items(self, schema: Schema, value: Any, path: Path) -> Iterator[Fault]:
        if not isinstance(value, list):
            return
        leading = schema.get("prefixItems", ())
        rest = schema.get("items", True)
        for place, item in enumerate(value):
            part = leading[place] if place < len(leading) else rest
            if self.refuses(self.part(part), item):
                yield from self.faults(part, item, (*path, place))

    def is_other_kind(self, branch: Any, value: Any) -> bool:
        """Tell whether a value is of another kind altogether than an alternative wants."""
        if not isinstance(branch, Mapping):
            return branch is False
        kind = {keyword: branch[keyword] for keyword in ("type", "not", "enum", "const") if keyword in branch}
        return self.rejects(kind, value)

    def is_tagged_otherwise(self, branch: Any, value: Any) -> bool:
        """Tell whether a member that names a kind names another one than an alternative wants."""
        if not isinstance(value, dict):
            return False
        return any(name in value and value[name] not in options for name, options in _tags(branch).items())

    def matches(self, pattern: str, name: str) -> bool:
        if pattern not in self.patterns:
            self.patterns[pattern] = ValueSchema({"pattern": pattern})
        return not self.refuses(self.patterns[pattern], name)

    def part(self, schema: Any) -> ValueSchema:
        """Compile a part of the schema that is looked at again and again."""
        if id(schema) not in self.parts:
            self.parts[id(schema)] = self.compiled(schema)
        return self.parts[id(schema)]

    def rejects(self, schema: Any, value: Any) -> bool:
        return self.refuses(self.compiled(schema), value)

    def refuses(self, schema: ValueSchema, value: Any) -> bool:
        """Ask a part of the schema; one that cannot be used by itself refuses nothing."""
        try:
            return not schema.accepts(value)
        except InternalError:
            return False

    def compiled(self, schema: Any) -> ValueSchema:
        if self.definitions and isinstance(schema, Mapping):
            return ValueSchema({**schema, "$defs": self.definitions})
        return ValueSchema(schema)

    def resolved(self, schema: Any) -> Any:
        """Follow a reference to a definition, as often as there is one."""
        for _ in range(10):
            told = schema.get("$ref") if isinstance(schema, Mapping) else None
            match = _DEFINITION.fullmatch(told) if isinstance(told, str) else None
            if match is None or match[1] not in self.definitions:
                break
            schema = self.definitions[match[1]]
        return schema


_DEFINITION = re.compile(r"#/\$defs/([\w-]+)")


def _tags(branch: Any) -> dict[str, Sequence[Any]]:
    """Give the members of an alternative that may only have certain values."""
    properties = branch.get("properties", {}) if isinstance(branch, Mapping) else {}
    return {
        name: part["enum"] if "enum" in part else [part["const"]]
        for name, part in properties.items()
        if isinstance(part, Mapping) and ("enum" in part or "const" in part)
    }


def _types(branches: Iterable[Schema]) -> list[str]:
    told = [branch["type"] for branch in branches]
    return [name for names in told for name in ([names] if isinstance(names, str) else names)]


def _known(names: Iterable[str]) -> str:
    told = ", ".join(names)
    return f" Known: {told}" if told else ""


def _type_words(rule: Any, value: Any) -> str:
    names = {rule} if isinstance(rule, str) else set(rule)
    types = [words for name, words in _WITH_ARTICLE.items() if name in names]
    return f"This must be {' or '.join(types)}, not {_kind(value)}"


def _enum_words(rule: Sequence[Any], value: Any) -> str:
    return f"This must be one of {', '.join(dict.fromkeys(map(_as_json, rule)))}"


def _const_words(rule: Any, value: Any) -> str:
    return f"This must be {_as_json(rule)}"


def _not_words(rule: Any, value: Any) -> str:
    if isinstance(rule, Mapping) and rule.keys() == {"enum"}:
        return f"This must not be {' or '.join(map(_as_json, rule['enum']))}"
    return "This is a value that is ruled out"


def _required_words(rule: Sequence[str], value: Any) -> str:
    names = [name for name in rule if name not in value]
    return f"Its {'members' if len(names) > 1 else 'member'} {', '.join(names)} must be given"


def _format_words(rule: str, value: Any) -> str:
    if rule == "byte":
        return "This is not base64. Send binary values as base64 strings"
    return f'This is not a "{rule}"'


def _unique_words(rule: Any, value: Any) -> str:
    return "This has equal items where each may occur once"


_WORDS: Mapping[str, Callable[[Any, Any], str]] = {
    "type": _type_words,
    "enum": _enum_words,
    "const": _const_words,
    "not": _not_words,
    "format": _format_words,
    "required": _required_words,
    "uniqueItems": _unique_words,
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
