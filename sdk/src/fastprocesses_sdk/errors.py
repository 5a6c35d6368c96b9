"""What a process, a declaration or a plugin can say when something is wrong."""

from typing import cast


class ProcessError(Exception):
    """The process cannot do what it was asked, and its caller is told why.

    Raise it for everything the caller can change; any other exception is a bug of the process, of which the
    caller learns only that the process failed. Rendered as a problem document (RFC 9457). A subclass may set
    `title`, `status` and `type` once and for all, as attributes of the class.

    Args:
        detail: A sentence for the caller: what is wrong and what to change.
        title: Short name of the kind of problem, the same each time.
        status: HTTP status, 400 to 599; without it 400. 400 to 499 blame the request.
        type: URI of the kind of problem; empty for none.
        input: Id of the input at fault; empty for none.

    Raises:
        ValueError: The status is none of an error.
    """

    detail: str = ""
    title: str = ""
    status: int = 400
    type: str = ""
    input: str = ""

    def __init__(
        self,
        detail: str,
        *,
        title: str | None = None,
        status: int | None = None,
        type: str | None = None,  # noqa: A002
        input: str | None = None,  # noqa: A002
    ) -> None:
        super().__init__(detail)
        self.detail = detail
        given = {"title": title, "status": status, "type": type, "input": input}
        for name, value in given.items():
            if value is not None:
                setattr(self, name, value)
        if not is_error_status(self.status):
            raise ValueError(
                f"The status of a ProcessError is a whole number from 400 to 599, not {self.status!r}; "
                "write 4xx where the request is to blame, 5xx where it is not"
            )

    def __reduce__(self) -> tuple[object, ...]:
        """Keep class and members when pickled, so that it can cross from a process pool."""
        return _rebuild, (self.__class__, self.args, self.__dict__)


def _rebuild(
    kind: type[ProcessError], arguments: tuple[object, ...], members: dict[str, object]
) -> ProcessError:
    error = kind.__new__(kind, *arguments)  # what its own __init__ would ask for is not known
    error.__dict__.update(members)
    return error


def is_error_status(status: object) -> bool:
    """Whether it is an HTTP status of an error."""
    return isinstance(status, int) and not isinstance(status, bool) and 400 <= status <= 599


def declared_error(error: BaseException) -> ProcessError | None:
    """Return what a process has to say to its caller; None where what it raised is a bug.

    A group, as asyncio.TaskGroup raises it, says what its first member says, where all its members speak to the
    caller.
    """
    if issubclass(type(error), ProcessError):  # it may lie about its class, or raise when it is asked
        return cast("ProcessError", error)
    if not issubclass(type(error), BaseExceptionGroup):
        return None
    assert isinstance(error, BaseExceptionGroup)
    members = [declared_error(member) for member in error.exceptions]
    return members[0] if all(members) else None


def text_of(value: object) -> str:
    """Return the text of a value; where even that raises, the name of its type."""
    try:
        return str(value)
    except BaseException:  # plugins' own classes may raise anything
        return type(value).__name__


def told(error: BaseException) -> str:
    """Return kind and text of an exception, whatever it is."""
    kind, text = type(error).__name__, text_of(error)
    return f"{kind}: {text}" if text and text != kind else kind


class JobCancelled(BaseException):
    """The job was dismissed or ran out of time; let it pass.

    Not an Exception, so that `except Exception` in a process does not swallow it.
    """


class DeclarationError(TypeError):
    """A process is declared in a way that makes no sense; the sentence says where, and what to write."""


class PluginError(Exception):
    """A plugin cannot be loaded; the sentence says why and what to do."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason
