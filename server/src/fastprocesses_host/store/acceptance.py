"""Accepting jobs that are alike: what such commands have in common is put into bytes once."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Generic, TypeVar

from msgspec import Struct
from msgspec.structs import replace

from fastprocesses_host.store.ids import ID_LENGTH
from fastprocesses_host.store.operations import Accepted, Argument, Operation, QueueLimits, accept
from fastprocesses_host.store.records import (
    NewJob,
    StoredInput,
    are_details,
    encode_inputs,
    encode_number,
    inputs_field,
)

T = TypeVar("T")


class Packed(Struct, Generic[T], frozen=True):
    """One call of one script, as an `Operation` is, whose arguments are bytes of the store's protocol already."""

    operation: Operation[T]
    """Its script, and how its answer is read; its arguments are others."""
    arguments: bytes
    count: int
    """How many arguments they are."""

    @property
    def script(self) -> str:
        """The name of its script."""
        return self.operation.script

    def parse(self, answer: Any) -> T:
        """Read its answer."""
        return self.operation.parse(answer)


class Acceptance:
    """How jobs are accepted that differ only in id, caller, deadline and inputs, these being in their records.

    The bytes are those of `operations.accept`.

    Args:
        job: One of them.
        limits: How many may wait.
        has_deadline: Each of them has one.
    """

    def __init__(self, job: NewJob, limits: QueueLimits, *, has_deadline: bool) -> None:
        deadline_ms = _ANY_MS if has_deadline else None
        marked = replace(job, id=_ANY_ID, caller=_ANY_CALLER, deadline_ms=deadline_ms)
        self._operation = accept(marked, _ANY_INPUTS, limits=limits)
        _, *arguments = self._operation.arguments
        self._count = len(arguments) + 1
        self._has_deadline = has_deadline
        self._in_details = are_details(marked, _ANY_INPUTS)
        self._have_field = self._in_details or inputs_field(marked, _ANY_INPUTS) is not None
        if not self._have_field:
            return
        at = _DETAILS_AT if self._in_details else len(arguments) - 1
        field: Any = arguments[at]
        before, after = field.split(encode_inputs(_ANY_INPUTS))
        self._before_inputs = before
        self._around_bytes = len(before) + len(after)
        packed = list(map(_packed, arguments))
        self._until_deadline, self._until_inputs = b"\r\n" + b"".join(packed[:at]), b""
        if has_deadline:
            self._until_deadline, self._until_inputs = self._until_deadline.split(encode_number(_ANY_MS))
        self._after_inputs = b"".join([after, b"\r\n", *packed[at + 1 :]])
        caller = _packed(_ANY_CALLER)
        if self._in_details:
            self._after_inputs, self._after_caller = self._after_inputs.split(caller)
        elif has_deadline:
            self._until_inputs, self._after_caller = self._until_inputs.split(caller)
        else:
            self._until_deadline, self._after_caller = self._until_deadline.split(caller)

    def of(self, job: NewJob, inputs: Mapping[str, StoredInput]) -> Packed[Accepted] | None:
        """Give the operation that accepts a job; None where its bytes are not like those of others.

        Args:
            job: One of those that are alike.
            inputs: Its inputs, all of them here and not in the value store.
        """
        if not self._have_field:
            return None
        if not self._in_details:
            field = inputs_field(job, inputs)
        else:
            field = encode_inputs(inputs) if are_details(job, inputs) else None
        if field is None:
            return None
        deadline = b""
        if self._has_deadline:
            deadline = encode_number(job.deadline_ms or 0)
            if len(deadline) != _NUMBER_BYTES:
                return None
        pieces = [_ID_BEGIN, job.id.encode(), self._until_deadline, deadline, self._until_inputs]
        length, caller = b"$%d\r\n" % (len(field) + self._around_bytes), _packed_caller(job.caller)
        if self._in_details:
            pieces += (length, self._before_inputs, field, self._after_inputs, caller, self._after_caller)
        else:
            pieces += (caller, self._after_caller, length, field, self._after_inputs)
        return Packed(self._operation, b"".join(pieces), self._count)


_ANY_ID = "?" * ID_LENGTH
_ANY_CALLER = "\0any caller"
_ANY_MS = 0xFEDC_BA98_7654_3210
_ANY_INPUTS = {"\0any inputs": StoredInput(b"\0any inputs")}
_NUMBER_BYTES = len(encode_number(_ANY_MS))
"""Of every time but those of the first fifty days of 1970."""
_DETAILS_AT = 2
"""Among the arguments behind the id."""
_ID_BEGIN = b"$%d\r\n" % ID_LENGTH


@lru_cache(maxsize=1024)
def _packed_caller(caller: str) -> bytes:
    return _packed(caller)


def _packed(argument: Argument) -> bytes:
    """Give an argument as the store's protocol has it."""
    data = argument if isinstance(argument, bytes) else str(argument).encode()
    return b"$%d\r\n%b\r\n" % (len(data), data)
