"""The scripts as they are sent: the shared definitions that each needs, then its own text; made once a process."""

import functools
import hashlib
import re
from collections.abc import Iterator, Mapping
from importlib import resources

from msgspec import Struct

_SHARED = (
    "_common",
    "_queue",
    "_stored",
    "_turns",
    "_endings",
    "_entering",
    "_log",
    "_take",
    "_again",
    "_owned",
    "_removal",
    "_room",
    "_uploads",
)
"""Files of shared definitions, each behind those it needs."""
JOB_FIELDS = (
    *("id", "status", "claim", "caller", "attempt", "waiting_host", "packed_terms", "packed_details"),
    *("packed_inputs", "lane", "inputs_elsewhere", "outputs_elsewhere", "run", "has_values", "has_log"),
    *(
        "process",
        "queue",
        "listed",
        "calls",
        "ttl",
        "most_at_once",
        "is_counted",
        "keeps_inputs",
        "retryable",
    ),
    *("most_attempts", "longest_wait", "deadline", "results_ttl", "log_ttl", "shared_as", "longest_run"),
    *("is_sync", "owner", "has_inputs_at_hand", "has_more"),
)
"""Where a job of the scripts has what: they say `job.status`, and the store is sent `job[2]`, which takes it less time.

From `process` on it is the order of `Terms` in records.py.
"""
_PLACES = {name.encode(): place for place, name in enumerate(JOB_FIELDS, 1)}
_JOB_FIELD = re.compile(rb"\b(job|run|follower)\.(%s)\b" % "|".join(JOB_FIELDS).encode())
_WITH = b"-- with: "
"""Before the name of another script, in the first line, which is then a function of this one."""
_NO_CODE = re.compile(rb"'(?:[^'\\]|\\.)*'|--[^\n]*")
_NAME = re.compile(rb"(?<![.:\w])[A-Za-z_]\w*")
_NO_CODE_OR_NAME = re.compile(_NO_CODE.pattern + b"|" + _NAME.pattern)
_FUNCTION = re.compile(rb"^(?:local function (\w+) ?|(\w+) = function)\(")
_RARE = b"-- rare"
"""At the end of the first line of a function."""
_INLINE = re.compile(rb"local function \w+\(([^)]*)\)\s+return (.*?)\s+end -- inline\s*", re.DOTALL)
"""A function that gives one expression: its parameters, and that. The expression is sent in the place of each call."""
_BINDS_LESS = re.compile(rb" (?:and|or|[~=<>]=|[-+<>]) ")
_SIMPLE = re.compile(rb"[\w.\[\]]+|'[^']*'")
_NO_CODE_OR_COMMA = re.compile(_NO_CODE.pattern + rb"|[(){}\[\],]")
_FORWARD = re.compile(rb"local [\w, ]+\n\Z")
"""Names of functions that are made further down."""
_DEFINED = re.compile(rb"local function (\w+)|local ([\w, ]+?) *(?:=|$)|(\w+) = ")


class _Definition(Struct, frozen=True):
    """One definition of the shared files: its text, what it defines, and all names in it."""

    text: bytes
    defines: frozenset[bytes]
    names: frozenset[bytes]

    @property
    def function(self) -> bytes:
        """The name of the function that it is; empty: none, or one that is made further down."""
        found = _FUNCTION.match(self.text)
        return (found[1] or found[2]) if found else b""

    @property
    def is_inline(self) -> bool:
        """What it gives is sent in the place of its calls."""
        return _INLINE.fullmatch(self.text) is not None

    @property
    def is_rare(self) -> bool:
        """Most calls have no use for it."""
        return self.text.split(b"\n", 1)[0].endswith(_RARE)

    def given(self, arguments: list[bytes]) -> bytes:
        """Give the expression that a call stands for."""
        found = _INLINE.fullmatch(self.text)
        assert found is not None
        names = found[1].split(b", ")
        each = dict(
            zip(names, (a if _SIMPLE.fullmatch(a) else b"(" + a + b")" for a in arguments), strict=False)
        )
        text = _NO_CODE_OR_NAME.sub(lambda name: each.get(name[0], name[0]), found[2])
        if names[-1] == b"...":
            text = text.replace(b"...", b", ".join(arguments[len(names) - 1 :]))
        return b"(" + text + b")" if _BINDS_LESS.search(_NO_CODE.sub(b"", text)) else text

    def in_table(self, place: int) -> bytes:
        """Give the text of the function as an item of the table of all."""
        return b"F[%d] = " % place + _FUNCTION.sub(b"function(", self.text, count=1)


@functools.cache
def script_text(name: str) -> bytes:
    """Give the text of one script as it is sent, in a shape that takes the store less time.

    Jobs are arrays. And the shared functions are items of one table: each call makes them anew, and a function takes
    half as long to make that finds all others in one place. Those that most calls have no use for are made together,
    when the first one of them is called. Those that give one expression are not made at all.
    """
    needed, own = _parts(name)
    inline = {each.function: each for each in needed if each.is_inline}
    shared = [each for each in needed if not each.is_inline]
    values = [each.text for each in shared if not each.function and not _FORWARD.match(each.text)]
    functions = dict(enumerate((each for each in shared if each.function), 1))
    called = {
        each.function: (b"R(%d)" if each.is_rare else b"F[%d]") % place for place, each in functions.items()
    }
    usual = [each.in_table(place) for place, each in functions.items() if not each.is_rare]
    rare = [each.in_table(place) for place, each in functions.items() if each.is_rare]
    if rare:
        first = min(place for place, each in functions.items() if each.is_rare)
        rare = [
            b"local function R(place)\nif not F[%d] then\n" % first,
            *rare,
            b"end\nreturn F[place]\nend\n",
        ]
    table = [b"local F = {%s}\n" % b",".join([b"nil"] * len(functions))] if functions else []
    text = _inlined(b"".join((*table, *values, *rare, *usual, own)), inline)
    return _JOB_FIELD.sub(
        _place_of_field, _NO_CODE_OR_NAME.sub(lambda found: called.get(found[0], found[0]), text)
    )


@functools.cache
def script_source(name: str) -> bytes:
    """Give the text of one script as it is written: no more of the shared definitions than it needs."""
    shared, own = _parts(name)
    return b"".join(each.text for each in shared) + own


def _parts(name: str) -> "tuple[list[_Definition], bytes]":
    own = _with_others(_file(name))
    needed = _names_in(own)
    while more := {name for each in _definitions() if each.defines & needed for name in each.names} - needed:
        needed |= more
    return [each for each in _definitions() if each.defines & needed], own


def _inlined(text: bytes, inline: Mapping[bytes, _Definition]) -> bytes:
    """Give a text with what such functions give in the place of their calls."""
    pieces, position = list[bytes](), 0
    for found in _NO_CODE_OR_NAME.finditer(text):
        if found[0] in inline and found.start() >= position:
            arguments, end = _arguments(text, found.end() + 1)
            pieces += [text[position : found.start()], _inlined(inline[found[0]].given(arguments), inline)]
            position = end
    return b"".join((*pieces, text[position:]))


def _arguments(text: bytes, start: int) -> tuple[list[bytes], int]:
    """Give the arguments of the call whose bracket opens before `start`, and where the call ends."""
    arguments, depth, position = list[bytes](), 0, start
    for found in _NO_CODE_OR_COMMA.finditer(text, start):
        if found[0] in (b"(", b"{", b"["):
            depth += 1
        elif depth and found[0] in (b")", b"}", b"]"):
            depth -= 1
        elif not depth and found[0] in (b",", b")"):
            arguments.append(text[position : found.start()].strip())
            position = found.end()
            if found[0] == b")":
                return arguments, position
    raise AssertionError(text[start:])


def _place_of_field(found: re.Match[bytes]) -> bytes:
    return found[1] + b"[%d]" % _PLACES[found[2]]


@functools.cache
def script_sha(name: str) -> str:
    """Give the digest that the store knows a script by."""
    return hashlib.sha1(script_text(name), usedforsecurity=False).hexdigest()


@functools.cache
def _definitions() -> tuple[_Definition, ...]:
    return tuple(
        _Definition(text, frozenset(_defined_by(text)), frozenset(_names_in(text)))
        for part in _SHARED
        for text in _split(_file(part))
    )


def _split(text: bytes) -> Iterator[bytes]:
    """Split a shared file: a definition goes from the left margin to the next one there, but for its last line."""
    lines: list[bytes] = []
    for line in text.splitlines(keepends=True):
        if re.match(rb"\w(?!nd\b)", line) and lines:
            yield b"".join(lines)
            lines = []
        if line.strip() and not line.lstrip().startswith(b"--"):
            lines.append(line)
    yield b"".join(lines)


def _defined_by(text: bytes) -> Iterator[bytes]:
    found = _DEFINED.match(text.split(b"\n", 1)[0])
    if found is None:
        raise AssertionError(text)
    for names in found.groups():
        yield from (name.strip() for name in (names or b"").split(b",") if name)


def _names_in(text: bytes) -> set[bytes]:
    return set(_NAME.findall(_NO_CODE.sub(b"", text)))


def _with_others(text: bytes) -> bytes:
    first = text.split(b"\n", 1)[0]
    others = first.removeprefix(_WITH).split() if first.startswith(_WITH) else []
    return (
        b"".join(b"local function " + name + b"()\n" + _file(name.decode()) + b"\nend\n" for name in others)
        + text
    )


def _file(name: str) -> bytes:
    return (resources.files("fastprocesses_host.store") / "scripts" / f"{name}.lua").read_bytes()
