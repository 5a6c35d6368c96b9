"""Settings of a plugin: what its author asks of the operator, as a typed Struct."""

import inspect
from collections.abc import Mapping
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, dataclass_transform

import msgspec
from msgspec import Struct

from fastprocesses_sdk.errors import DeclarationError
from fastprocesses_sdk.hints import split, without_none

if TYPE_CHECKING:
    from msgspec import StructMeta
else:
    StructMeta = type(Struct)  # it has no public name in older versions

HIDDEN = "***"


class Secret:
    """A text that shows itself nowhere: every form of it but `reveal()` is `***`.

    It is not a `str`, so that it cannot be sent as one by mistake. Encoded by msgspec or json it is an error.
    Pickled it leaves its text behind: reveal it before it is handed to another process.

    Args:
        value: What is to stay hidden.
    """

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        if not isinstance(value, str):
            raise TypeError(f"a secret is a text, not {type(value).__name__}")
        self._value: str | None = value

    def reveal(self) -> str:
        """Return the text, for the one call that needs it.

        Raises:
            ValueError: This is what is left of a secret that was pickled.
        """
        if self._value is None:
            raise ValueError("The secret was pickled, and its text left behind; reveal it before.")
        return self._value

    def __repr__(self) -> str:
        return f"Secret('{HIDDEN}')"

    def __str__(self) -> str:
        return HIDDEN

    def __format__(self, _specification: str) -> str:
        return HIDDEN

    def __bool__(self) -> bool:
        return bool(self._value)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret) or self._value is None or other._value is None:
            return self is other
        import hmac  # slow to import, and seldom needed

        return hmac.compare_digest(
            self._value.encode("utf-8", "replace"), other._value.encode("utf-8", "replace")
        )

    def __hash__(self) -> int:
        return hash((Secret, self._value))

    def __copy__(self) -> "Secret":
        return self

    def __deepcopy__(self, _memo: object) -> "Secret":
        return self

    def __reduce__(self) -> tuple[object, ...]:
        return _left_behind, ()


def _left_behind() -> Secret:
    secret = Secret("")
    secret._value = None
    return secret


@dataclass_transform(kw_only_default=True, frozen_default=True, field_specifiers=(msgspec.field,))
class _SettingsType(StructMeta):
    """Makes every subclass frozen and keyword-only, which Struct does not hand down."""

    def __new__(cls, name: str, bases: tuple[type, ...], members: dict[str, Any], **options: Any) -> Any:
        return super().__new__(cls, name, bases, members, **{"frozen": True, "kw_only": True, **options})


class Settings(Struct, metaclass=_SettingsType):
    """Base of what a plugin wants to be told by the operator; the fields of the subclass are the settings.

    A field without a default must be set. A process, or an `@fp.on_start` function, receives the settings by
    an argument that is annotated with the subclass.

    ```python
    class Tiles(fp.Settings):
        url: str
        token: fp.Secret
        size: int = 256
    ```

    Filled from the table `[plugins.<name of the entry point>]` of the service's settings file, or from
    `FASTPROCESSES_PLUGINS__<NAME>__<FIELD>` in its environment, which goes before the file.
    """


def settings_type(annotation: Any) -> type[Settings] | None:
    """Return the type of settings that an annotation stands for; None where it stands for something else.

    Raises:
        DeclarationError: It is a type of settings that cannot be filled.
    """
    base, _ = split(without_none(annotation)[0])
    if not isinstance(base, type) or not issubclass(base, Settings):
        return None
    if base is Settings:
        raise DeclarationError(
            "fp.Settings itself has no settings; write a subclass, `class Mine(fp.Settings): url: str`"
        )
    for field in fields_of(base):
        _check_type(base, field.name, field.type)
    return base


def settings_arguments(hints: Mapping[str, Any], signature: inspect.Signature) -> dict[str, type[Settings]]:
    """Return the arguments that receive settings, by name; raises DeclarationError as `settings_type` does."""
    found = {name: settings_type(hints[name]) for name in signature.parameters if name in hints}
    return {name: kind for name, kind in found.items() if kind is not None}


def fields_of(kind: type[Settings]) -> tuple[msgspec.structs.FieldInfo, ...]:
    """Return the settings of a type; raises DeclarationError where its annotations cannot be read."""
    try:
        return msgspec.structs.fields(kind)
    except (NameError, TypeError) as error:
        raise DeclarationError(f"the annotations of {kind.__name__} cannot be read: {error}") from None


def read_value(kind: Any, value: Any, *, strict: bool = False) -> Any:
    """Convert what an operator gave, a text or a value of TOML, to the type of a setting.

    Args:
        kind: The type.
        value: What was given.
        strict: Whether a text stands for itself only, for no number or date.

    Raises:
        msgspec.ValidationError, ValueError: It is none.
    """
    return msgspec.convert(value, kind, strict=strict, dec_hook=_read_custom)


def _read_custom(kind: Any, value: Any) -> Any:
    if kind is Secret:
        return value if isinstance(value, Secret) else Secret(value)
    if isinstance(kind, type) and issubclass(kind, PurePath):
        return kind(value)
    raise TypeError(f"a setting cannot be a {getattr(kind, '__name__', kind)}")


def _check_type(kind: type[Settings], name: str, annotation: Any) -> None:
    try:
        _check_known(msgspec.inspect.type_info(annotation))
    except TypeError as error:
        raise DeclarationError(
            f"field {name!r} of {kind.__name__} cannot be a setting: {error}; settings are texts, numbers, "
            "booleans, fp.Secret, Path, dates, enumerations, and lists and dicts of them"
        ) from None


def _check_known(info: msgspec.inspect.Type) -> None:
    """Raise TypeError where a type, or one inside it, is none that can be read."""
    if isinstance(info, msgspec.inspect.CustomType):
        if info.cls is not Secret and not issubclass(info.cls, PurePath):
            raise TypeError(f"{info.cls.__name__} is not known")
        return
    for inner in ("item_type", "key_type", "value_type", "type"):
        if isinstance(held := getattr(info, inner, None), msgspec.inspect.Type):
            _check_known(held)
    for several in ("types", "item_types"):
        for held in getattr(info, several, ()):
            _check_known(held)
