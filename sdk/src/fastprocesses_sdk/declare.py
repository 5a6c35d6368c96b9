"""`@process`: a typed function, or a class with a description, becomes a process."""

import inspect
from collections.abc import Callable, Mapping
from typing import Any, ParamSpec, TypeVar, Unpack, get_origin, overload

import msgspec

from fastprocesses_sdk.arguments import Argument, check_parameter, is_job, read_argument
from fastprocesses_sdk.callables import check_callable
from fastprocesses_sdk.declaration import Declaration, check_declaration, description_of, policy_of
from fastprocesses_sdk.described import described_process, is_described
from fastprocesses_sdk.description_file import DescriptionFile, description_file
from fastprocesses_sdk.docstrings import texts_of
from fastprocesses_sdk.errors import DeclarationError
from fastprocesses_sdk.example import examples_of
from fastprocesses_sdk.hints import hints_of, split
from fastprocesses_sdk.job import Job
from fastprocesses_sdk.looping import finished
from fastprocesses_sdk.processes import Process
from fastprocesses_sdk.returns import Parted, read_return
from fastprocesses_sdk.settings import Settings, settings_type
from fastprocesses_sdk.telling import Told, place_of
from fastprocesses_sdk.translations import check_translations

P = ParamSpec("P")
R = TypeVar("R")


@overload
def process(function: Callable[P, R], /) -> Process[P, R]: ...


@overload
def process(**declaration: Unpack[Declaration]) -> Callable[[Callable[P, R]], Process[P, R]]: ...


def process(function: Any = None, /, **declaration: Unpack[Declaration]) -> Any:
    """Declare a function, or a class with `description` and `execute(inputs, job)`, to be a process.

    The arguments of the function are the inputs, their annotations the schemas; what it returns is the output
    `result`, or, where it returns a subclass of `Outputs`, each field is an output. Texts come from the
    docstring. An argument annotated `Job` is no input: it receives the job.

    Raises:
        DeclarationError: The declaration makes no sense; the sentence names the function and the argument.
    """
    if function is not None:
        return declare(function, declaration)
    return lambda function: declare(function, declaration)


def declare(function: Any, declaration: Declaration) -> Process[..., Any]:
    """Make a process of a function or a class; what `@process` does."""
    name = getattr(function, "__qualname__", type(function).__name__)
    with Told(f"{name}()", place_of(function)):
        check_declaration(declaration)
        if isinstance(function, Process):
            raise DeclarationError(
                "it is a process already; @process stands once, above all other decorators"
            )
        file = description_file(function, declaration)
        if file is not None:
            declaration = file.declaration(declaration)
        if is_described(function) or (file is not None and isinstance(function, type)):
            return _checked(described_process(function, declaration, file))
        if not callable(function) or isinstance(function, type):
            raise DeclarationError(
                "@process stands above a function, or a class with `description`, a ProcessDescription, "
                "and a method execute(inputs, job)"
            )
        return _checked(function_process(function, declaration, file))


def _checked(made: Process[..., Any]) -> Process[..., Any]:
    check_translations(made.description)
    return made


def function_process(
    function: Callable[..., Any], declaration: Declaration, file: DescriptionFile | None = None
) -> Process[..., Any]:
    """Make a process of a typed function."""
    check_callable(function)
    hints = hints_of(function)
    texts = texts_of(function)
    arguments: dict[str, Argument] = {}
    settings: dict[str, type[Settings]] = {}
    job_argument = ""
    for name, parameter in inspect.signature(function).parameters.items():
        with Told(f"argument {name!r}"):
            check_parameter(parameter, hints)
            if is_job(hints[name]):
                if job_argument:
                    raise DeclarationError(
                        f"the job is handed over once, and {job_argument!r} has it already"
                    )
                job_argument = name
                continue
            if kind := settings_type(hints[name]):
                settings[name] = kind
                continue
            try:
                arguments[name] = read_argument(parameter, hints[name], texts.arguments.get(name, ""))
            except RecursionError:
                raise DeclarationError("its type contains itself, and descriptions cannot say that") from None
    returns = hints.get("return", inspect.Signature.empty)
    with Told("its return value"):
        outputs, described_outputs, unpack = read_return(returns, texts)
    inputs = {name: argument.plan for name, argument in arguments.items()}
    description = description_of(function.__name__, texts.description, declaration)
    description = msgspec.structs.replace(
        description,
        inputs={name: argument.described for name, argument in arguments.items()},
        outputs=described_outputs,
    )
    if file is not None:
        description = file.refined(description)
    examples = examples_of(description, inputs, declaration)
    if examples:
        description = msgspec.structs.replace(description, example=examples[0])
    return Process(
        function,
        description=description,
        policy=policy_of(declaration),
        inputs=inputs,
        outputs=outputs,
        invoke=_invocation(function, job_argument, unpack, _plain_type(returns)),
        settings=settings,
        examples=examples,
    )


def _plain_type(annotation: Any) -> Any:
    """Give the type of what is returned where such a value cannot be awaited; else None, which is no type."""
    base, _ = split(annotation)
    kind = get_origin(base) or base
    return kind if isinstance(kind, type) and not hasattr(kind, "__await__") else None


def _invocation(
    function: Callable[..., Any], job_argument: str, parted: Parted, plain: Any
) -> Callable[[dict[str, Any], Job], Mapping[str, Any]]:
    def invoke(values: dict[str, Any], job: Job) -> Mapping[str, Any]:
        if job_argument:
            values[job_argument] = job
        returned = function(**values)
        return parted(returned if type(returned) is plain else finished(returned))

    return invoke
