"""A schema written by hand beside that of a type: what it adds is taken over, what contradicts is told."""

from collections.abc import Callable
from fractions import Fraction
from typing import Any

TYPES = ("string", "number", "integer", "boolean", "array", "object", "null")
_NOTES = ("title", "description", "examples", "example", "$comment", "deprecated", "readOnly", "writeOnly")
"""Keywords that tell something and ask for nothing."""
_LEAST = ("minimum", "minLength", "minItems", "minProperties")
_MOST = ("maximum", "maxLength", "maxItems", "maxProperties")
_BRANCHES = ("oneOf", "anyOf")
_ENCODING = ("contentMediaType", "contentEncoding")

Schema = dict[str, Any]


class Disagreement(ValueError):
    """A schema written by hand allows what the type does not, or means something else.

    Attributes:
        at: Where in the schema, as `.items.type`.
    """

    def __init__(self, at: str, text: str) -> None:
        super().__init__(text)
        self.at = at


def narrowed(derived: Schema, written: Any, at: str = "") -> Schema:
    """Return the schema of a type with what was written by hand about it.

    Args:
        derived: What the type allows; empty: anything.
        written: What was written: texts, and conditions that allow no more than the type.
        at: Where it was written.

    Raises:
        Disagreement: It allows more, or something else.
    """
    if not isinstance(written, dict):
        raise Disagreement(at, "is no schema; write an object")
    if "$ref" in written:
        raise Disagreement(f"{at}.$ref", "is not read in descriptions; write out what it stands for")
    branch = _chosen_branch(derived, written, at)
    if branch is not None:
        return branch
    merged = dict(derived)
    for word, rule in written.items():
        merged[word] = _RULES.get(word, _same)(derived, rule, f"{at}.{word}")
    return merged


def _chosen_branch(derived: Schema, written: Schema, at: str) -> Schema | None:
    """Where the type is a union, and something is asked beside its branches: take the first it is true of."""
    word = next((word for word in _BRANCHES if word in derived and "type" not in derived), None)
    if word is None or any(branches in written for branches in _BRANCHES):
        return None
    if all(keyword in (*_NOTES, "default") for keyword in written):
        return None
    notes = {name: value for name, value in derived.items() if name != word}
    for branch in derived[word]:
        try:
            return narrowed({**branch, **notes}, written, at)
        except Disagreement:
            continue
    raise Disagreement(at, "fits none of the alternatives")


def _same(derived: Schema, rule: Any, at: str) -> Any:
    word = at.rsplit(".", 1)[1]
    if word in derived and derived[word] != rule:
        raise Disagreement(at, f"is {rule!r}, and {derived[word]!r} there")
    return rule


def _type(derived: Schema, rule: Any, at: str) -> Any:
    wanted = rule if isinstance(rule, list) else [rule]
    for name in wanted:
        if name not in TYPES:
            raise Disagreement(at, f"is {name!r}, which is no type; types are {', '.join(TYPES)}")
    if "type" not in derived:
        return rule
    known = derived["type"] if isinstance(derived["type"], list) else [derived["type"]]
    for name in wanted:
        if name not in known and not (name == "integer" and "number" in known):
            raise Disagreement(at, f"is {name!r}, and {' or '.join(map(repr, known))} there")
    return rule


def _enum(derived: Schema, rule: Any, at: str) -> Any:
    values = rule if at.endswith(".enum") else [rule]
    if not isinstance(values, list) or not values:
        raise Disagreement(at, "is no list of values")
    for value in values:
        if "enum" in derived and value not in derived["enum"]:
            allowed = ", ".join(map(repr, derived["enum"]))
            raise Disagreement(at, f"has {value!r}, which is not among {allowed} there")
        if "type" in derived and not _is_of(value, derived["type"]):
            raise Disagreement(at, f"has {value!r}, which is no {derived['type']}")
    return rule


def _is_of(value: Any, types: Any) -> bool:
    names = types if isinstance(types, list) else [types]
    number = isinstance(value, int | float) and not isinstance(value, bool)
    true = {
        "string": isinstance(value, str),
        "number": number,
        "integer": number and value == int(value),
        "boolean": isinstance(value, bool),
        "array": isinstance(value, list),
        "object": isinstance(value, dict),
        "null": value is None,
    }
    return any(true.get(name, True) for name in names)


def _default(derived: Schema, rule: Any, at: str) -> Any:
    if "default" not in derived:
        raise Disagreement(at, "is a default, and there is none there; write it in the code")
    return _same(derived, rule, at)


def _bound(wider: Callable[[float, float], bool]) -> Callable[[Schema, Any, str], Any]:
    def check(derived: Schema, rule: Any, at: str) -> Any:
        if isinstance(rule, bool) or not isinstance(rule, int | float):
            raise Disagreement(at, "is no number")
        word = at.rsplit(".", 1)[1].replace("exclusiveM", "m")
        if word in derived and wider(rule, derived[word]):
            raise Disagreement(at, f"is {rule!r}, and {derived[word]!r} there, which allows less")
        return rule

    return check


def _multiple(derived: Schema, rule: Any, at: str) -> Any:
    if isinstance(rule, bool) or not isinstance(rule, int | float) or rule <= 0:
        raise Disagreement(at, "is no number above 0")
    step = derived.get("multipleOf")
    if step is not None and (Fraction(str(rule)) / Fraction(str(step))).denominator != 1:
        raise Disagreement(at, f"is {rule!r}, which is no multiple of the {step!r} there")
    return rule


def _encoding(derived: Schema, rule: Any, at: str) -> Any:
    word = at.rsplit(".", 1)[1]
    if word not in derived and derived:
        raise Disagreement(
            at, "is told only here; write the type as Annotated[..., fp.Media(...)] in the code"
        )
    return _same(derived, rule, at)


def _items(derived: Schema, rule: Any, at: str) -> Any:
    return narrowed(derived.get("items", {}), rule, at)


def _properties(derived: Schema, rule: Any, at: str) -> Any:
    if not isinstance(rule, dict):
        raise Disagreement(at, "is no object of schemas")
    known, others = derived.get("properties", {}), derived.get("additionalProperties", {})
    merged = dict(known)
    for name, schema in rule.items():
        if name not in known and (others is False or (known and "additionalProperties" not in derived)):
            raise Disagreement(f"{at}.{name}", f"is unknown there; known are {', '.join(known)}")
        merged[name] = narrowed(
            known.get(name, others if isinstance(others, dict) else {}), schema, f"{at}.{name}"
        )
    return merged


def _required(derived: Schema, rule: Any, at: str) -> Any:
    if not isinstance(rule, list) or not all(isinstance(name, str) for name in rule):
        raise Disagreement(at, "is no list of names")
    return list(dict.fromkeys([*derived.get("required", ()), *rule]))


def _additional(derived: Schema, rule: Any, at: str) -> Any:
    known = derived.get("additionalProperties", True)
    if known is False and rule is not False:
        raise Disagreement(at, "allows more properties, and there are none there")
    if isinstance(known, dict):
        return rule if rule is False else narrowed(known, {} if rule is True else rule, at)
    return rule


def _several(derived: Schema, rule: Any, at: str) -> Any:
    if not isinstance(rule, list) or not rule:
        raise Disagreement(at, "is no list of schemas")
    word = at.rsplit(".", 1)[1]
    if word not in _BRANCHES or word not in derived:
        base = {name: value for name, value in derived.items() if name in ("type", "enum")}
        for number, branch in enumerate(rule):
            narrowed(base, branch, f"{at}[{number}]")
        return [*derived.get(word, ()), *rule]
    return [_one_of(derived[word], branch, f"{at}[{number}]") for number, branch in enumerate(rule)]


def _one_of(branches: list[Schema], written: Any, at: str) -> Schema:
    for branch in branches:
        try:
            return narrowed(branch, written, at)
        except Disagreement as error:
            last = error
    if len(branches) == 1:
        raise last
    raise Disagreement(at, "fits none of the alternatives there")


def _note(_derived: Schema, rule: Any, at: str) -> Any:
    if at.endswith((".title", ".description")) and not isinstance(rule, str):
        raise Disagreement(at, "is no text")
    return rule


_RULES: dict[str, Callable[[Schema, Any, str], Any]] = {
    **dict.fromkeys(_NOTES, _note),
    **dict.fromkeys(_LEAST, _bound(lambda written, there: written < there)),
    **dict.fromkeys(_MOST, _bound(lambda written, there: written > there)),
    "exclusiveMinimum": _bound(lambda written, there: written < there),
    "exclusiveMaximum": _bound(lambda written, there: written > there),
    **dict.fromkeys(_ENCODING, _encoding),
    "type": _type,
    "enum": _enum,
    "const": _enum,
    "default": _default,
    "multipleOf": _multiple,
    "items": _items,
    "properties": _properties,
    "required": _required,
    "additionalProperties": _additional,
    "oneOf": _several,
    "anyOf": _several,
    "allOf": _several,
}
