"""What is told of a feature that cannot be computed with."""

import contextlib
from collections.abc import Iterator

import fastprocesses_sdk as fp
import shapely


class UnusableGeometryError(ValueError):
    """The geometry cannot be computed with; the sentence says why and what to change."""


@contextlib.contextmanager
def telling_of(index: int, feature: fp.Feature, name: str = "features") -> Iterator[None]:
    """Name the feature whose geometry cannot be computed with.

    Args:
        index: Of the feature in its collection, counted from 0.
        feature: The one worked on.
        name: Id of the input it came in.

    Raises:
        ProcessError: For every UnusableGeometryError, and for what GEOS refuses.
    """
    try:
        yield
    except UnusableGeometryError as error:
        raise _problem(index, feature, name, str(error)) from error
    except shapely.GEOSException as error:
        sentence = (
            f"its geometry cannot be computed with ({str(error).strip()}); the process repair may mend it"
        )
        raise _problem(index, feature, name, sentence) from error


def _problem(index: int, feature: fp.Feature, name: str, sentence: str) -> fp.ProcessError:
    return fp.ProcessError(
        f"{named(index, feature)} of {name}: {sentence}.", title="Unusable geometry", input=name
    )


def named(index: int, feature: fp.Feature) -> str:
    """Return how a feature is called in a sentence."""
    return f"Feature {index}" if feature.id is None else f"Feature {index} (id {feature.id!r})"
