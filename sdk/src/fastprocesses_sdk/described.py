"""Processes described by hand: a class, or an object, with a `description` and `execute(inputs, job)`."""

import inspect
from collections.abc import Callable, Mapping
from typing import Any

import msgspec
from msgspec import UnsetType

from fastprocesses_sdk import processes
from fastprocesses_sdk.declaration import Declaration, check_id, description_of, policy_of
from fastprocesses_sdk.description import Policy, ProcessDescription
from fastprocesses_sdk.description_file import DescriptionFile, description_file, is_file_name
from fastprocesses_sdk.dialects import in_both
from fastprocesses_sdk.docstrings import texts_of
from fastprocesses_sdk.errors import DeclarationError
from fastprocesses_sdk.example import examples_of
from fastprocesses_sdk.hints import hints_of
from fastprocesses_sdk.job import Job
from fastprocesses_sdk.looping import finished
from fastprocesses_sdk.processes import Process
from fastprocesses_sdk.settings import Settings, settings_arguments
from fastprocesses_sdk.telling import Told
from fastprocesses_sdk.values import described_reader, described_writer


def is_described(candidate: Any) -> bool:
    """Whether it is a class, or an object, with a `description`, or the name of its file, and an `execute`."""
    told = getattr(candidate, "description", None)
    described = isinstance(told, ProcessDescription) or is_file_name(told)
    return described and callable(getattr(candidate, "execute", None)) and not isinstance(candidate, Process)


def described_process(
    candidate: Any, declaration: Declaration, file: DescriptionFile | None = None
) -> Process[..., Any]:
    """Make a process of a class, or an object, that is described by hand, there or in a file."""
    instance = _instance(candidate)
    told, declaration = _description(instance, declaration, file)
    _check_told(told)
    description = in_both(told)
    check_id(description.id)
    execute, settings = _execution(instance, description)
    inputs = {
        name: processes.Input(
            read=described_reader(described.schema, several=described.max_occurs != 1),
            required=described.min_occurs > 0,
        )
        for name, described in description.inputs.items()
    }
    examples = _examples(description, inputs, declaration)
    if examples:
        description = msgspec.structs.replace(description, example=examples[0])
    made: Process[..., Any] = Process(
        instance.execute,
        description=description,
        policy=_policy(instance, declaration),
        inputs=inputs,
        outputs={
            name: processes.Output(write=described_writer(media), required=False, media=media)
            for name, described in description.outputs.items()
            for media in (_media(described.schema),)
        },
        invoke=execute,
        settings=settings,
        examples=examples,
    )
    return made


def _description(
    instance: Any, declaration: Declaration, file: DescriptionFile | None
) -> tuple[ProcessDescription, Declaration]:
    """Return the description, and what is declared: in the code and, where there is one, in the file."""
    told = getattr(instance, "description", None)
    if file is not None and told is not None:
        raise DeclarationError(
            "it has a description of its own beside that in the file; take one of them away"
        )
    if is_file_name(told):
        named: Declaration = {**declaration, "description": str(told)}
        file = description_file(type(instance), named)
        assert file is not None
        declaration = file.declaration(named)
    if file is not None:
        kind = type(instance)
        return file.whole(description_of(kind.__name__, texts_of(kind).description, declaration)), declaration
    known = {name for name in declaration if name not in Policy.__struct_fields__}
    if known:
        raise DeclarationError(
            f"{', '.join(sorted(known))}: a process with a description of its own tells it there"
        )
    return instance.description, declaration


def _check_told(description: ProcessDescription) -> None:
    """Raise DeclarationError for members that are not what they must be: a Struct takes any value."""
    try:
        msgspec.json.decode(msgspec.json.encode(description), type=ProcessDescription)
    except (msgspec.ValidationError, TypeError, ValueError, RecursionError) as error:
        raise DeclarationError(f"its description cannot be told: {error}; correct it") from None


def _examples(
    description: ProcessDescription, inputs: Mapping[str, processes.Input], declaration: Declaration
) -> list[dict[str, Any]]:
    if "example" not in declaration and "examples" not in declaration:
        if isinstance(description.example, UnsetType):
            return []
        declaration = {**declaration, "example": description.example}
    return examples_of(description, inputs, declaration)


def _policy(instance: Any, declaration: Declaration) -> Policy:
    """Take the policy of the decorator, or, where it tells nothing of it, of the class."""
    policy = getattr(instance, "policy", None)
    is_declared = any(name in Policy.__struct_fields__ for name in declaration)
    return policy if isinstance(policy, Policy) and not is_declared else policy_of(declaration)


def _instance(candidate: Any) -> Any:
    if not isinstance(candidate, type):
        return candidate
    if not callable(getattr(candidate, "execute", None)):
        raise DeclarationError("it has no method execute(inputs, job)")
    try:
        return candidate()
    except TypeError as error:
        raise DeclarationError(
            f"it is made without arguments, and that fails: {error}; "
            "what it needs of the operator it takes as settings, `execute(self, inputs, job, settings: Mine)`"
        ) from error


def _execution(
    instance: Any, description: ProcessDescription
) -> tuple[Callable[[dict[str, Any], Job], Mapping[str, Any]], dict[str, type[Settings]]]:
    """Return what calls `execute`, and the arguments of it that receive settings."""
    with Told("execute()"):
        signature = inspect.signature(instance.execute)
        more = list(signature.parameters)[2:]
        settings: dict[str, type[Settings]] = {}
        if more:
            settings = settings_arguments(hints_of(instance.execute), signature)
        try:
            signature.bind({}, None, **settings)
        except TypeError as error:
            raise DeclarationError(
                f"it is called as execute(inputs, job), with settings where it asks for them: {error}"
            ) from None
        for name in settings:
            if name in description.inputs:
                raise DeclarationError(
                    f"its argument {name!r} is called as one of the inputs; choose another name"
                )

    def execute(values: dict[str, Any], job: Job) -> Mapping[str, Any]:
        given = {name: values.pop(name) for name in settings}
        return _executed(instance.execute(values, job, **given), description)

    return execute, settings


def _media(schema: dict[str, Any]) -> tuple[str, ...]:
    branches = schema.get("oneOf") or [schema]
    return tuple(branch["contentMediaType"] for branch in branches if "contentMediaType" in branch)


def _executed(returned: Any, description: ProcessDescription) -> Mapping[str, Any]:
    returned = finished(returned)
    if not isinstance(returned, Mapping):
        raise TypeError(
            f"execute() of {description.id} returned {type(returned).__name__}, not outputs by their ids."
        )
    for name in returned:
        if name not in description.outputs:
            raise TypeError(
                f"execute() of {description.id} returned {name!r}, which is not among its outputs."
            )
    return returned
