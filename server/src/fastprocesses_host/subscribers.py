"""Whether a subscriber may be called at all, said before its job is accepted."""

from ipaddress import ip_address
from urllib.parse import urlsplit

from fastprocesses_host.guarded.errors import Refused
from fastprocesses_host.ogc.exceptions import InvalidParameterValue
from fastprocesses_host.ogc.subscribers import Subscriber
from fastprocesses_host.outbound import OutboundRules


def check_subscriber(subscriber: Subscriber, rules: OutboundRules) -> None:
    """See whether the rules let the addresses of a subscriber be called; what they resolve to is seen when they are.

    Raises:
        InvalidParameterValue: one may not; all of them are named.
    """
    objections = {name: _objection(uri, rules) for name, uri in subscriber.members.items()}
    errors = [
        {"pointer": f"/subscriber/{name}", "detail": f"{name} cannot be called. {objection}"}
        for name, objection in objections.items()
        if objection
    ]
    if errors:
        raise InvalidParameterValue(
            f"The execute request cannot be used: {errors[0]['detail']}", errors=errors
        )


def _objection(uri: str, rules: OutboundRules) -> str:
    from fastprocesses_host.guarded import GuardedClient  # only hosts with subscribers need what it imports

    try:
        GuardedClient(rules).check(uri)
    except Refused as refused:
        return str(refused)
    host = urlsplit(uri).hostname or ""
    try:
        address = ip_address(host)
    except ValueError:  # a name
        return ""
    return "" if rules.allows_address(host, address) else "Its address is not public."
