"""Searching processes by words (`q`), whatever their case and accents."""

import unicodedata
from collections.abc import Iterable

from fastprocesses_sdk.description import ProcessDescription

from fastprocesses_host.ogc.exceptions import InvalidQueryParameter

LONGEST_QUERY = 500
"""In characters."""


def parse_query(text: str) -> list[list[str]]:
    """Read `q`: alternatives between commas, each of words that must all occur; none: everything is found.

    Raises:
        InvalidQueryParameter: it is too long.
    """
    if len(text) > LONGEST_QUERY:
        raise InvalidQueryParameter(f"q can have at most {LONGEST_QUERY} characters, not {len(text)}.")
    alternatives = (folded(alternative).split() for alternative in text.split(","))
    return [words for words in alternatives if words]


def is_found(alternatives: Iterable[Iterable[str]], text: str) -> bool:
    """Tell whether a folded text has all words of one of the alternatives, each also as a part of a word."""
    wanted = list(alternatives)
    return not wanted or any(all(word in text for word in words) for words in wanted)


def search_text(description: ProcessDescription) -> str:
    """Give what a search for a process looks into, folded: its id and its texts in every language."""
    translations = list((description.translations or {}).values())
    told = [description.id, description.title, description.description, *description.keywords]
    for texts in translations:
        told += [texts.title, texts.description, *texts.keywords]
    return folded("\n".join(told))


def folded(text: str) -> str:
    """Write a text without what is a matter of case, accent or width."""
    decomposed = unicodedata.normalize("NFKD", text.casefold())
    return "".join(character for character in decomposed if not unicodedata.combining(character))
