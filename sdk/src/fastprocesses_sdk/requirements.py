"""Which versions of the SDK a plugin was made for, as its distribution tells it."""

from collections.abc import Iterable

from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

SDK = "fastprocesses-sdk"
_NOT_BELOW = (">=", ">", "==", "===", "~=")


def sdk_conflict(distribution: str, required: Iterable[str], installed: str) -> str:
    """Tell why a distribution does not go with an SDK, and what to install instead; empty: it does.

    Args:
        distribution: Name of the plugin's distribution.
        required: What it needs, as its metadata tells it.
        installed: Version of the SDK.
    """
    wanted = _wanted(required)
    if wanted.contains(installed, prereleases=True):
        return ""
    needs = f"it needs {SDK}{wanted}, and {installed} is installed"
    if _is_too_old(wanted, Version(installed)):
        return f"{needs}, which is too old; run pip install --upgrade '{SDK}{wanted}'"
    return (
        f"{needs}, which is too new; look for a newer {distribution} (pip install --upgrade {distribution}), "
        f"or install '{SDK}{wanted}'"
    )


def _wanted(required: Iterable[str]) -> SpecifierSet:
    wanted = SpecifierSet()
    for line in required:
        try:
            requirement = Requirement(line)
        except InvalidRequirement:
            continue
        applies = requirement.marker is None or requirement.marker.evaluate({"extra": ""})
        if applies and canonicalize_name(requirement.name) == SDK:
            wanted &= requirement.specifier
    return wanted


def _is_too_old(wanted: SpecifierSet, installed: Version) -> bool:
    """Whether a version lies below one of the bounds that it does not keep."""
    return any(
        each.operator in _NOT_BELOW and installed < Version(each.version.removesuffix(".*"))
        for each in wanted
        if not each.contains(str(installed), prereleases=True)
    )
