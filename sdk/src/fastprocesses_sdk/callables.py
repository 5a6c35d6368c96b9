"""Which callables can be declared to be processes."""

import functools
import inspect
from collections.abc import Callable
from typing import Any

from fastprocesses_sdk.errors import DeclarationError


def check_callable(function: Callable[..., Any]) -> None:
    """Raise DeclarationError unless it is a function, or a bound method, whose annotations can be read."""
    if isinstance(function, functools.partial | functools.partialmethod):
        raise DeclarationError(
            "a partial has no annotations of its own; write a function that calls what it stands for"
        )
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        raise DeclarationError("it yields; a process returns its outputs, and tells progress through a Job")
    if not inspect.isroutine(function) and not hasattr(function, "__wrapped__"):
        raise DeclarationError(
            "it is an object that can be called; write a function that calls it, "
            "or a class with `description` and `execute(inputs, job)`"
        )
    if inspect.isbuiltin(function) or not hasattr(inspect.unwrap(function), "__code__"):
        raise DeclarationError("it is not written in Python; write a typed function that calls it")
    if function.__name__ == "<lambda>":
        raise DeclarationError("a lambda has neither name nor types; write it with def")
    _check_method(function)


def _check_method(function: Callable[..., Any]) -> None:
    if isinstance(function, classmethod):
        raise DeclarationError("a classmethod cannot be a process; @process stands above functions")
    names = list(inspect.signature(function).parameters)
    first = names[0] if names else ""
    if first in ("self", "cls") and first not in getattr(function, "__annotations__", {}):
        raise DeclarationError(
            "it is a method, and there is no object to call it on; @process stands above functions of a module, "
            "or above a class with `description` and `execute(inputs, job)`"
        )
