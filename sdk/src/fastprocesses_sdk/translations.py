"""Texts in several languages, checked when a process is declared."""

import re
from collections.abc import Mapping
from typing import Any

from msgspec import UNSET

from fastprocesses_sdk.description import ProcessDescription, Translation
from fastprocesses_sdk.errors import DeclarationError

_TAG = re.compile(r"[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*")


def check_translations(description: ProcessDescription) -> None:
    """Raise DeclarationError for a language tag that is none, or texts of what the process does not have."""
    translations: Mapping[str, Any] = description.translations or {}
    languages = [*([] if description.language is UNSET else [description.language]), *translations]
    for language in languages:
        if not isinstance(language, str) or not _TAG.fullmatch(language):
            raise DeclarationError(f"{language!r} is no language tag; write 'en', 'de' or 'pt-BR'")
    if len({language.lower() for language in languages}) < len(languages):
        raise DeclarationError("language= and translations= tell one language twice")
    for language, texts in translations.items():
        if not isinstance(texts, Translation):
            raise DeclarationError(f"translations= of {language!r} takes a fp.Translation, not {texts!r}")
        for kind, told, known in (
            ("input", texts.inputs, description.inputs),
            ("output", texts.outputs, description.outputs),
        ):
            for name in told:
                if name not in known:
                    has = ", ".join(known) or "none"
                    raise DeclarationError(
                        f"translations= of {language!r}: {name!r} is no {kind}; there is {has}"
                    )
