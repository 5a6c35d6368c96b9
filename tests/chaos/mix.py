"""What is submitted, and how each kind may end when everything goes wrong around it."""

import random
from typing import Any

from msgspec import Struct

BY_CHAOS = frozenset({"worker-lost", "stopped", "crashed", "plugin", "timeout", "no-worker"})
"""Reasons for which any job may fail while workers, executors and the store are harmed."""


class Work(Struct, frozen=True):
    """One execution to ask for."""

    process: str
    inputs: dict[str, Any]
    may_succeed: bool = True
    retryable: bool = False
    reasons: frozenset[str] = frozenset()
    """Of its own; any job may also fail for those in `BY_CHAOS`."""


def choose(chance: random.Random, mark: str, *, waiting: bool) -> Work:
    """Choose what to execute; whoever waits for the answer wants it soon."""
    makers = [
        _quick,
        _large_input,
        _several,
        _draw,
        _steps,
        _rest,
        _doze,
        _again,
        _fork,
        _grind,
        _crash,
        _fail,
        _hoard,
    ]
    weights = [10, 3, 4, 2, 5, 4, 2, 6, 3, 1.5, 2, 2, 0.7]
    work = chance.choices(makers, weights)[0](chance, waiting)
    return Work(work.process, {"mark": mark, **work.inputs}, work.may_succeed, work.retryable, work.reasons)


def _seconds(chance: random.Random, waiting: bool) -> float:
    longest = 0.5 if waiting else chance.choice([0.3, 1.0, 3.0])
    return round(chance.uniform(0.01, longest), 3)


def _quick(chance: random.Random, waiting: bool) -> Work:
    return Work("quick", {"text": "small" * chance.randint(0, 10)})


def _large_input(chance: random.Random, waiting: bool) -> Work:
    return Work("quick", {"text": "l" * chance.choice([20_000, 150_000, 400_000])})


def _several(chance: random.Random, waiting: bool) -> Work:
    return Work("several", {})


def _draw(chance: random.Random, waiting: bool) -> Work:
    return Work("draw", {})


def _steps(chance: random.Random, waiting: bool) -> Work:
    return Work("steps", {"seconds": _seconds(chance, waiting)})


def _rest(chance: random.Random, waiting: bool) -> Work:
    return Work("rest", {"seconds": _seconds(chance, waiting)})


def _doze(chance: random.Random, waiting: bool) -> Work:
    return Work("doze", {"seconds": _seconds(chance, waiting)})


def _again(chance: random.Random, waiting: bool) -> Work:
    return Work("again", {"seconds": _seconds(chance, waiting)}, retryable=True)


def _fork(chance: random.Random, waiting: bool) -> Work:
    waits = chance.random() < 0.6
    return Work("fork", {"seconds": 1 if waits else 60, "wait": waits})


def _grind(chance: random.Random, waiting: bool) -> Work:
    return Work("grind", {"how": chance.choice(["c", "stubborn"])}, False, reasons=frozenset({"timeout"}))


def _crash(chance: random.Random, waiting: bool) -> Work:
    return Work(
        "crash", {"how": chance.choice(["segfault", "exit", "kill"])}, False, reasons=frozenset({"crashed"})
    )


def _fail(chance: random.Random, waiting: bool) -> Work:
    return Work(
        "fail", {"how": chance.choice(["bug", "declared"])}, False, reasons=frozenset({"error", "declared"})
    )


def _hoard(chance: random.Random, waiting: bool) -> Work:
    return Work("hoard", {}, False, reasons=frozenset({"memory"}))
