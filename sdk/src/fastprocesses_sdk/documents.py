"""JSON and YAML files → plain values, within bounds: no bomb, no surprise of YAML 1.1, no name told twice."""

import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any, ClassVar

from fastprocesses_sdk.errors import DeclarationError

MOST_BYTES = 1 << 20
_MOST_VALUES = 50_000
_DEEPEST = 64

_YAML_SCALARS = {
    "bool": (r"true|True|TRUE|false|False|FALSE", "tTfF"),
    "int": (r"[-+]?(?:0|[1-9][0-9]*)", "-+0123456789"),
    "float": (
        r"[-+]?(?:\.[0-9]+|(?:0|[1-9][0-9]*)(?:\.[0-9]*)?(?:[eE][-+]?[0-9]+)?)|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)",
        "-+.0123456789",
    ),
    "null": (r"~|null|Null|NULL|", "~nN\0"),
}
"""What is no text in YAML 1.2: `no` is one, and so is a date."""


def read_document(file: Path) -> Any:
    """Read a file of JSON, or, if its name ends so, of YAML.

    Raises:
        DeclarationError: There is none, or it is too large, or not what it should be; the sentence does not name
            the file.
    """
    text = _text(file)
    value = _of_yaml(text) if file.suffix in (".yaml", ".yml") else _of_json(text)
    return _Copy().of(value, "", 0)


def _text(file: Path) -> str:
    try:
        if not file.is_file():
            raise DeclarationError("there is no such file; is it part of the package, in its wheel too?")
        with file.open("rb") as opened:
            data = opened.read(MOST_BYTES + 1)
    except (OSError, ValueError) as error:
        raise DeclarationError(f"it cannot be read: {getattr(error, 'strerror', None) or error}") from None
    if len(data) > MOST_BYTES:
        raise DeclarationError(f"it has more than the {MOST_BYTES} bytes that a description may have")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DeclarationError(f"it is not UTF-8 (byte {error.start}); save it as UTF-8") from None


def _of_json(text: str) -> Any:
    try:
        return json.loads(text, object_pairs_hook=_object, parse_constant=_no_constant)
    except RecursionError:
        raise _too_deep() from None
    except ValueError as error:
        raise DeclarationError(f"it is no JSON: {error}") from None


def _object(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    members: dict[str, Any] = {}
    for name, value in pairs:
        if name in members:
            raise DeclarationError(f"{name!r} stands twice in one object")
        members[name] = value
    return members


def _no_constant(name: str) -> None:
    raise DeclarationError(f"{name} is no JSON")


def _of_yaml(text: str) -> Any:
    try:
        import yaml
    except ImportError:
        raise DeclarationError(
            "it is YAML; install fastprocesses-sdk[yaml] to read it, or write it in JSON"
        ) from None
    loader = _yaml_loader()
    try:
        _check_depth(yaml.parse(text, Loader=loader))
        return yaml.load(text, Loader=loader)  # noqa: S506 - a loader made of the safe one
    except RecursionError:
        raise _too_deep() from None
    except yaml.MarkedYAMLError as error:
        where = f" (line {error.problem_mark.line + 1})" if error.problem_mark else ""
        raise DeclarationError(f"it is no YAML: {error.problem}{where}") from None
    except (yaml.YAMLError, ValueError) as error:
        raise DeclarationError(f"it is no YAML: {' '.join(str(error).split())}") from None


def _check_depth(events: Iterable[Any]) -> None:
    """Look at the depth before anything is built: the library would build it by recursion, in C."""
    from yaml import events as kinds

    depth = 0
    for event in events:
        if isinstance(event, kinds.CollectionStartEvent):
            depth += 1
            if depth > _DEEPEST:
                raise _too_deep()
        elif isinstance(event, kinds.CollectionEndEvent):
            depth -= 1


def _yaml_loader() -> Any:
    """Make a safe loader with the scalars of YAML 1.2, without merge keys, that refuses names told twice."""
    import yaml

    safe: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

    class Loader(safe):  # type: ignore[misc]
        yaml_implicit_resolvers: ClassVar[dict[str, Any]] = {}

        def construct_mapping(self, node: Any, deep: bool = False) -> dict[str, Any]:
            pairs = []
            for key_node, value_node in node.value:
                if not isinstance(key_node, yaml.ScalarNode):
                    raise DeclarationError(f"a name in line {key_node.start_mark.line + 1} is no text")
                pairs.append((key_node.value, self.construct_object(value_node, deep=True)))
            return _object(pairs)

    for tag, (pattern, first) in _YAML_SCALARS.items():
        Loader.add_implicit_resolver(f"tag:yaml.org,2002:{tag}", re.compile(f"^(?:{pattern})$"), list(first))
    Loader.add_constructor(
        "tag:yaml.org,2002:map", lambda loader, node: loader.construct_mapping(node, deep=True)
    )
    return Loader


class _Copy:
    """Copies a value, whatever its parts share written out, as far as the bounds go."""

    def __init__(self) -> None:
        self._values = 0

    def of(self, value: Any, at: str, depth: int) -> Any:
        self._values += 1
        if self._values > _MOST_VALUES:
            raise DeclarationError(
                f"it has more than the {_MOST_VALUES} values that a description may have, aliases written out"
            )
        if depth > _DEEPEST:
            raise _too_deep()
        if isinstance(value, dict):
            return {
                name: self.of(inner, f"{at}.{name}" if at else name, depth + 1)
                for name, inner in value.items()
            }
        if isinstance(value, list):
            return [self.of(inner, f"{at}[{number}]", depth + 1) for number, inner in enumerate(value)]
        if value is None or isinstance(value, str | bool | int) or _is_finite(value):
            return value
        raise DeclarationError(f"{at}: {value!r} is no value of JSON; put it in quotes if it is a text")


def _is_finite(value: Any) -> bool:
    return isinstance(value, float) and value - value == 0


def _too_deep() -> DeclarationError:
    return DeclarationError(f"it is nested more than {_DEEPEST} deep")
