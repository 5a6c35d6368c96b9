"""The address the service is reached under: taken before anything starts, told to the user, judged."""

import errno
import ipaddress
import socket

from fastprocesses_host.exits import Exit, StartError
from fastprocesses_host.settings import Settings

BACKLOG = 1024


def listen(settings: Settings) -> socket.socket:
    """Take the port before anything is started; each host child in its turn inherits the socket.

    Raises:
        StartError: it is in use, or the address is not one of this machine's.
    """
    address = f"{settings.host}:{settings.port}"
    try:
        family, *_, place = socket.getaddrinfo(settings.host, settings.port, type=socket.SOCK_STREAM)[0]
        return socket.create_server((str(place[0]), settings.port), family=family, backlog=BACKLOG)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise StartError(
                f"{address} is in use by another program. Stop that one, or choose another port with --port "
                "(0 takes any free one).",
                Exit.IN_USE,
            ) from None
        raise StartError(f"{address} cannot be listened on: {error.strerror}.", Exit.SETTINGS) from None


def url_of(settings: Settings) -> str:
    """Give the URL to tell the user."""
    if settings.public_url:
        return settings.public_url
    if listens_everywhere(settings):
        return f"http://{socket.gethostname()}:{settings.port}/ (every address of this machine)"
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    return f"http://{host}:{settings.port}/"


def local_url_of(settings: Settings) -> str:
    """Give the URL under which programs of this machine reach the service."""
    host = "127.0.0.1" if listens_everywhere(settings) else settings.host
    return f"http://{f'[{host}]' if ':' in host else host}:{settings.port}"


def listens_everywhere(settings: Settings) -> bool:
    """Whether every address of the machine is listened on."""
    return settings.host in {"0.0.0.0", "::", ""}  # noqa: S104 - compared, not listened on


def is_open(settings: Settings) -> bool:
    """Whether other machines can reach the service."""
    try:
        return not ipaddress.ip_address(settings.host).is_loopback
    except ValueError:
        return settings.host != "localhost"
