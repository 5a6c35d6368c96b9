"""What the operator set for plugins → their settings, or sentences that say what to set and where."""

import contextlib
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, TypeVar

import msgspec
from msgspec import Struct, field

from fastprocesses_sdk.errors import PluginError
from fastprocesses_sdk.hints import is_union, split
from fastprocesses_sdk.settings import HIDDEN, Secret, Settings, fields_of, read_value

S = TypeVar("S", bound=Settings)

ENVIRONMENT_PREFIX = "FASTPROCESSES_PLUGINS__"
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_MOST_FAULTS = 5
_SHORTEST_HIDDEN = 3


class _Hidden(Struct, frozen=True, kw_only=True):
    """Holds values that no log and no traceback shows."""

    def __repr__(self) -> str:
        return f"{type(self).__name__}({HIDDEN})"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        return [("hidden", HIDDEN)]


class GivenSettings(_Hidden, frozen=True, kw_only=True):
    """What the operator set for one plugin."""

    plugin: str
    """Name of its entry point."""
    table: dict[str, Any] = field(default_factory=dict)
    """`[plugins.<name>]` of the settings file."""
    texts: dict[str, str] = field(default_factory=dict)
    """The environment variables of the plugin by what follows its name in theirs."""


class OperatorSettings(_Hidden, frozen=True, kw_only=True):
    """What the operator set for all plugins."""

    tables: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Tables of the settings file by name of the entry point."""
    texts: dict[str, str] = field(default_factory=dict)
    """Environment variables by what follows `FASTPROCESSES_PLUGINS__`."""

    @classmethod
    def from_environ(
        cls, environ: Mapping[str, str], tables: Mapping[str, dict[str, Any]] | None = None
    ) -> "OperatorSettings":
        """Gather the variables that set something of a plugin."""
        length = len(ENVIRONMENT_PREFIX)
        texts = {name[length:]: text for name, text in environ.items() if name.startswith(ENVIRONMENT_PREFIX)}
        return cls(tables=dict(tables or {}), texts=texts)

    def of(self, plugin: str) -> GivenSettings:
        """Return what is set for one plugin."""
        start = f"{_in_environment(plugin)}__"
        texts = {name[len(start) :]: text for name, text in self.texts.items() if name.startswith(start)}
        return GivenSettings(plugin=plugin, table=self.tables.get(plugin, {}), texts=texts)

    def strangers(self, plugins: Iterable[str]) -> list[str]:
        """Return the tables and variables that belong to none of these plugins."""
        known = set(plugins)
        starts = tuple(f"{_in_environment(plugin)}__" for plugin in known)
        tables = [_table_of(name) for name in self.tables if name not in known]
        return tables + [ENVIRONMENT_PREFIX + name for name in self.texts if not name.startswith(starts)]


class PluginSettings:
    """The settings of one plugin, made on demand of what the operator set."""

    __slots__ = ("_given", "_made")

    def __init__(self, given: GivenSettings) -> None:
        self._given = given
        self._made: dict[type[Settings], Settings] = {}

    def of(self, kind: type[S]) -> S:
        """Return the settings of this type.

        Raises:
            PluginError: Some are missing or wrong; the reason says which, and where to set them.
        """
        made = self._made.get(kind)
        if made is None:
            made = self._made[kind] = _made(kind, self._given)
        assert isinstance(made, kind)
        return made

    def check(self, kinds: Iterable[type[Settings]]) -> None:
        """Make the settings of all types that a plugin has.

        Raises:
            PluginError: Some are missing, wrong, or of none of these types.
        """
        wanted = list(dict.fromkeys(kinds))
        known = {each.name for kind in wanted for each in fields_of(kind)}
        faults = [
            *dict.fromkeys(fault for kind in wanted for fault in _read(kind, self._given)[1]),
            *_unknown(known, self._given),
        ]
        if faults:
            raise PluginError(_sentence(faults))
        for kind in wanted:
            self.of(kind)


NO_SETTINGS = PluginSettings(GivenSettings(plugin=""))
"""Of a process that runs where no operator set anything."""


def given_by(plugin: str, settings: Settings | Mapping[str, Any] | None) -> GivenSettings:
    """Return these settings as if an operator had set them, secrets revealed."""
    table = msgspec.to_builtins(settings or {}, enc_hook=_revealed)
    return GivenSettings(plugin=plugin, table=table)


def _revealed(value: Any) -> Any:
    return value.reveal() if isinstance(value, Secret) else str(value)


def _made(kind: type[S], given: GivenSettings) -> S:
    values, faults = _read(kind, given)
    if not faults:
        try:
            return kind(**values)
        except Exception as error:
            faults = [f"its settings were refused: {_without_values(str(error), given)}; {_places(given)}"]
    raise PluginError(_sentence(faults))


def _read(kind: type[Settings], given: GivenSettings) -> tuple[dict[str, Any], list[str]]:
    """Read what is set of a type; return the values by field, and a sentence for each that cannot be used."""
    values: dict[str, Any] = {}
    faults = []
    texts = {name.upper(): text for name, text in given.texts.items()}
    for each in fields_of(kind):
        ways = _ways(given.plugin, each.name)
        try:
            if each.name.upper() in texts:
                values[each.name] = _of_text(each.type, texts[each.name.upper()])
            elif each.name in given.table:
                values[each.name] = read_value(each.type, given.table[each.name])
            elif each.required:
                faults.append(f"its setting {each.name!r} is missing; set {ways}")
        except (msgspec.ValidationError, ValueError, TypeError, RecursionError) as error:
            faults.append(
                f"its setting {each.name!r} cannot be used: {_without_values(_told(error), given)}; correct {ways}"
            )
    return values, faults


def _of_text(kind: Any, text: str) -> Any:
    """Read a variable: the text itself where that is a value of the type, JSON otherwise.

    Of a union that takes texts and others, `int | str`, a number, a list and the like are what they look like.
    """
    plain = _plain(text)
    if is_union(split(kind)[0]) and not isinstance(plain, str | None):
        with contextlib.suppress(msgspec.ValidationError, ValueError, TypeError):
            return read_value(kind, plain, strict=True)
    try:
        return read_value(kind, text)
    except (msgspec.ValidationError, ValueError, TypeError):
        if isinstance(plain, str):
            raise
    return read_value(kind, plain)


def _plain(text: str) -> Any:
    """Return what a text is as JSON; where it is none, the text."""
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError):
        return text


def _unknown(known: set[str], given: GivenSettings) -> list[str]:
    upper = {name.upper() for name in known}
    strange = [f"{name!r} in {_table_of(given.plugin)}" for name in given.table if name not in known]
    strange += [_variable(given.plugin, name) for name in given.texts if name.upper() not in upper]
    knows = f"it knows {', '.join(sorted(known))}" if known else "it has no settings"
    return [f"there is no setting {each}; {knows}" for each in strange]


def _sentence(faults: list[str]) -> str:
    more = len(faults) - _MOST_FAULTS
    return "; ".join([*faults[:_MOST_FAULTS], *([f"and {more} more"] if more > 0 else [])])


def _told(error: BaseException) -> str:
    text = " ".join(str(error).split())
    return "it is none of the values allowed" if text.startswith("Invalid enum value") else text


def _without_values(text: str, given: GivenSettings) -> str:
    """Take out of a sentence what the operator set: it may be secret."""
    for value in sorted({*_texts_in(given.table), *given.texts.values()}, key=len, reverse=True):
        if len(value) >= _SHORTEST_HIDDEN:
            text = text.replace(value, HIDDEN)
    return text


def _texts_in(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for inner in value.values():
            yield from _texts_in(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _texts_in(inner)


def _ways(plugin: str, name: str) -> str:
    return (
        f"{name} in {_table_of(plugin)} of the settings file, or {_variable(plugin, name)} in the environment"
    )


def _places(given: GivenSettings) -> str:
    return (
        f"correct {_table_of(given.plugin)} in the settings file, "
        f"or {_variable(given.plugin, '...')} in the environment"
    )


def _table_of(plugin: str) -> str:
    return f"[plugins.{plugin}]" if _BARE_KEY.fullmatch(plugin) else f'[plugins."{plugin}"]'


def _variable(plugin: str, name: str) -> str:
    return f"{ENVIRONMENT_PREFIX}{_in_environment(plugin)}__{name.upper()}"


def _in_environment(plugin: str) -> str:
    return re.sub(r"[^A-Za-z0-9]", "_", plugin).upper()
