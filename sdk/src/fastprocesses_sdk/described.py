"""Processes described by hand: a class, or an object, with a `description` and `execute(inputs, job)`."""

from collections.abc import Mapping
from typing import Any

from fastprocesses_sdk import processes
from fastprocesses_sdk.declaration import Declaration, check_id, policy_of
from fastprocesses_sdk.description import Policy, ProcessDescription
from fastprocesses_sdk.errors import DeclarationError
from fastprocesses_sdk.processes import Process, finished
from fastprocesses_sdk.values import described_writer, reader_of


def is_described(candidate: Any) -> bool:
    """Whether it is a class, or an object, with a `description` and a method `execute`."""
    described = isinstance(getattr(candidate, "description", None), ProcessDescription)
    return described and callable(getattr(candidate, "execute", None)) and not isinstance(candidate, Process)


def described_process(candidate: Any, declaration: Declaration) -> Process[..., Any]:
    """Make a process of a class, or an object, that is described by hand."""
    instance = candidate() if isinstance(candidate, type) else candidate
    known = {name for name in declaration if name not in Policy.__struct_fields__}
    if known:
        raise DeclarationError(
            f"{', '.join(sorted(known))}: a process with a description of its own tells it there"
        )
    description: ProcessDescription = instance.description
    check_id(description.id)
    inputs = {
        name: processes.Input(read=reader_of(Any), required=described.min_occurs > 0)
        for name, described in description.inputs.items()
    }
    outputs = {
        name: processes.Output(write=described_writer(media), required=False, media=media)
        for name, described in description.outputs.items()
        for media in (_media(described.schema),)
    }
    policy = getattr(instance, "policy", None)
    made: Process[..., Any] = Process(
        instance.execute,
        description=description,
        policy=policy if isinstance(policy, Policy) and not declaration else policy_of(declaration),
        inputs=inputs,
        outputs=outputs,
        invoke=lambda values, job: _executed(instance.execute(values, job), description),
    )
    return made


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
