"""What a process, a declaration or a plugin can say when something is wrong."""


class ProcessError(Exception):
    """The process cannot do what it was asked, and its caller is told why.

    Raise it for everything the caller can change; any other exception is a bug of the process, of which the
    caller learns only that the process failed. Rendered as a problem document (RFC 9457).

    Args:
        detail: A sentence for the caller: what is wrong and what to change.
        title: Short name of the kind of problem, the same each time.
        status: HTTP status, 400 to 599. 400 to 499 blame the request.
        type: URI of the kind of problem; empty for none.
        input: Id of the input at fault; empty for none.
    """

    def __init__(
        self,
        detail: str,
        *,
        title: str = "",
        status: int = 400,
        type: str = "",  # noqa: A002
        input: str = "",  # noqa: A002
    ) -> None:
        if not 400 <= status <= 599:
            raise ValueError(f"The status of a ProcessError lies between 400 and 599, not {status}.")
        super().__init__(detail)
        self.detail = detail
        self.title = title
        self.status = status
        self.type = type
        self.input = input

    def __reduce__(self) -> tuple[object, ...]:
        """Keep every member when pickled, so that it can cross from a process pool."""
        return _rebuild, (self.detail, self.title, self.status, self.type, self.input)


def _rebuild(detail: str, title: str, status: int, type_: str, input_: str) -> ProcessError:
    return ProcessError(detail, title=title, status=status, type=type_, input=input_)


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
