"""Where outputs go: standard output, a file, a file each, a folder."""

import secrets
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import BinaryIO, Final

import msgspec
from msgspec import Struct, field

from fastprocesses_host.cli.assignments import ending_of
from fastprocesses_host.cli.caller import Caller
from fastprocesses_host.cli.received import Value
from fastprocesses_host.cli.tables import plain
from fastprocesses_host.cli.told import CallError, tell
from fastprocesses_host.exits import Exit

_STDOUT: Final = "-"


class Destinations(Struct, frozen=True, kw_only=True):
    """What was said about where outputs go."""

    files: dict[str, str] = field(default_factory=dict)
    """Output name → file."""
    file: str = ""
    """For the only output."""
    folder: str = ""
    """For each output a file of its name."""

    @property
    def is_stdout(self) -> bool:
        """Whether nothing is written into files."""
        return not self.files and not self.folder and self.file in {"", _STDOUT}


def read_destinations(given: Sequence[str], outputs: Sequence[str]) -> Destinations:
    """Read what `-o` says: `FILE`, `NAME=FILE`, `FOLDER/`, or `-`.

    Args:
        given: The options, in order.
        outputs: The outputs of the process; empty when they are not known.

    Raises:
        CallError: several for one place, an output that there is not, or a place that cannot be written.
    """
    files: dict[str, str] = {}
    others = []
    for text in given:
        name, equals, path = text.partition("=")
        if equals and (name in outputs or not outputs):
            files[name] = path
        elif equals and not Path(text).parent.is_dir():
            raise _usage(f"the process has no output {name!r}; its outputs are {', '.join(outputs)}.")
        else:
            others.append(text)
    if len(others) > 1 or (others and files):
        raise _usage("give -o once, or as -o NAME=FILE for each output.")
    other = others[0] if others else ""
    is_folder = other.endswith(("/", "\\")) or (other not in {"", _STDOUT} and Path(other).is_dir())
    if other not in {"", _STDOUT} and not is_folder and len(outputs) > 1:
        raise _usage(
            f"the process has several outputs ({', '.join(outputs)}): give -o NAME=FILE, or a folder: -o {other}/."
        )
    for path in [*files.values(), *([] if is_folder else [other])]:
        _check_parent(path)
    return Destinations(files=files, file="" if is_folder else other, folder=other if is_folder else "")


def save(values: Mapping[str, Value], places: Destinations, caller: Caller, *, as_json: bool = False) -> None:
    """Put the outputs where they go; links are followed, except those of several outputs for standard output.

    Raises:
        CallError: an output is not there, or cannot be written where it should.
    """
    if as_json and places.is_stdout:
        _print_json({name: value.document() for name, value in values.items()})
    elif places.is_stdout:
        _print(values, caller)
    elif places.folder:
        for name, value in values.items():
            with closing(value.fetched(caller)) as fetched:
                _write(fetched, _in_folder(Path(places.folder), name, fetched.media_type))
    elif places.files:
        for name, path in places.files.items():
            if name not in values:
                raise CallError(f"The results have no output {name!r}.", Exit.FAILED)
            with closing(values[name].fetched(caller)) as fetched:
                _write(fetched, Path(path))
    else:
        with closing(_only(values).fetched(caller)) as fetched:
            _write(fetched, Path(places.file))


def _only(values: Mapping[str, Value]) -> Value:
    if len(values) == 1:
        return next(iter(values.values()))
    raise CallError(
        f"There are {len(values)} outputs ({', '.join(values)}): give -o NAME=FILE, or a folder.", Exit.USAGE
    )


def _print(values: Mapping[str, Value], caller: Caller) -> None:
    if len(values) != 1:
        _print_json({name: value.document() for name, value in values.items()})
        return
    with closing(_only(values).fetched(caller)) as value:
        if value.is_json and not value.is_text:
            _print_json(value.document())
        elif sys.stdout.isatty():
            _print_for_reader(value)
        else:
            value.write(sys.stdout.buffer)
            sys.stdout.buffer.flush()


def _print_for_reader(value: Value) -> None:
    """Print text for a terminal; what is no text is named instead."""
    try:
        text = value.bare().decode()
    except UnicodeDecodeError:
        text = "\0"
    if "\0" in text:
        tell(f"The result is {value.media_type or 'no text'}: write it into a file with -o FILE.")
        return
    sys.stdout.write("\n".join(plain(line) if "\x1b" in line else line for line in text.splitlines()) + "\n")


def _print_json(document: object) -> None:
    sys.stdout.buffer.write(msgspec.json.format(msgspec.json.encode(document), indent=2) + b"\n")
    sys.stdout.buffer.flush()


def _write(value: Value, path: Path) -> None:
    if str(path) == _STDOUT:
        value.write(sys.stdout.buffer)
        sys.stdout.buffer.flush()
        return
    try:
        with _whole_or_not_at_all(path) as file:
            value.write(file)
    except OSError as error:
        raise _unwritable(path, error) from None
    tell(f"{path} ({value.media_type or 'no media type told'})")


@contextmanager
def _whole_or_not_at_all(path: Path) -> Iterator[BinaryIO]:
    """Open a file that gets its name once it is whole; what is no plain file, a pipe say, is written to as it is."""
    if path.exists() and not path.is_file():
        with path.open("wb") as file:
            yield file
        return
    target = path.resolve()  # of a link, where it leads
    partial = target.with_name(f".{secrets.token_hex(8)}.part")
    try:
        with partial.open("xb") as file:
            yield file
        partial.replace(target)
    except BaseException:  # interrupted, too
        partial.unlink(missing_ok=True)
        raise


def _in_folder(folder: Path, name: str, media_type: str) -> Path:
    """Give a file in the folder for an output, whose name is the server's and no path."""
    safe = "".join(letter if letter.isalnum() or letter in "-_." else "_" for letter in name).lstrip(".")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _unwritable(folder, error) from None
    ending = ending_of(media_type) if media_type else ".json"
    return folder / (safe if Path(safe).suffix == ending else (safe or "output") + ending)


def _check_parent(path: str) -> None:
    if path not in {"", _STDOUT} and not Path(path).expanduser().parent.is_dir():
        raise _usage(f"the folder of {path} does not exist.")


def _unwritable(path: Path, error: OSError) -> CallError:
    return CallError(f"{path} cannot be written: {error.strerror}.", Exit.FAILED)


def _usage(sentence: str) -> CallError:
    return CallError(sentence, Exit.USAGE)
