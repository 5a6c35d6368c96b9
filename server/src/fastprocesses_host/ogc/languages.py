"""Texts in the language a client likes best (RFC 9110 section 12.5.4, RFC 4647)."""

from collections.abc import Iterable, Mapping, Sequence
from typing import TypeVar

from fastprocesses_sdk.description import (
    InputDescription,
    OutputDescription,
    ProcessDescription,
    TranslatedText,
    Translation,
)
from msgspec import UNSET
from msgspec.structs import replace

from fastprocesses_host.ogc.negotiation import weighted

ASSUMED = "en"
"""The language of texts of which it is not told."""

_Described = TypeVar("_Described", InputDescription, OutputDescription)


def languages_of(description: ProcessDescription) -> tuple[str, ...]:
    """List the languages of a process, its own first; none where it has no choice to offer."""
    if not description.translations:
        return ()
    return (description.language or ASSUMED, *description.translations)


def all_languages(descriptions: Iterable[ProcessDescription]) -> tuple[str, ...]:
    """List the languages of all processes that have several."""
    return tuple(dict.fromkeys(tag for description in descriptions for tag in languages_of(description)))


def rank_languages(accept_language: str, offered: Sequence[str]) -> tuple[str, ...]:
    """Order languages as a client likes them; those it does not name, or refuses, are left out.

    A range fits languages that are more exact, `de` fits `de-CH`; one that fits nothing is shortened until it
    does, `de-AT` to `de` (RFC 4647 section 3.4). `*` fits what is left.

    Args:
        accept_language: The header.
        offered: Language tags; of equals the first goes before.
    """
    asked = weighted(accept_language)
    refused = {tag for tag, quality in asked if quality <= 0}
    left = [tag for tag in offered if tag.lower() not in refused]
    ranked: list[str] = []
    for wanted, quality in sorted(asked, key=lambda one: -one[1]):
        if quality > 0:
            ranked += [tag for tag in _fitting(wanted, left) if tag not in ranked]
    return tuple(ranked)


def choose_language(ranked: Sequence[str], offered: Sequence[str]) -> str:
    """Choose of the languages of a process the one that is ranked first, else its own; empty: it has no choice."""
    return next((tag for tag in ranked if tag in offered), offered[0] if offered else "")


def in_language(description: ProcessDescription, language: str) -> ProcessDescription:
    """Give a description with its texts in one of its languages, and nothing of the others."""
    translation = (description.translations or {}).get(language)
    plain = replace(description, language=UNSET, translations=UNSET)
    return plain if translation is None else _translated(plain, translation)


def _translated(description: ProcessDescription, texts: Translation) -> ProcessDescription:
    return replace(
        description,
        title=texts.title or description.title,
        description=texts.description or description.description,
        keywords=texts.keywords or description.keywords,
        inputs=_each(description.inputs, texts.inputs),
        outputs=_each(description.outputs, texts.outputs),
    )


def _each(described: Mapping[str, _Described], texts: Mapping[str, TranslatedText]) -> dict[str, _Described]:
    return {
        name: replace(
            known,
            title=texts[name].title or known.title,
            description=texts[name].description or known.description,
        )
        if name in texts
        else known
        for name, known in described.items()
    }


def _fitting(wanted: str, offered: Sequence[str]) -> list[str]:
    if wanted == "*":
        return list(offered)
    while wanted:
        found = [tag for tag in offered if f"{tag.lower()}-".startswith(f"{wanted}-")]
        if found:
            return found
        wanted = wanted.rpartition("-")[0]
    return []
