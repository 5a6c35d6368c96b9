"""Regular expressions as JSON Schema means them (ECMA-262), and the same for Python."""

import re

from fastprocesses_sdk.errors import DeclarationError

_PYTHON_ALONE = re.compile(r"\(\?[PaiLmsux(#>-]|\\[AZ]|[*+?}]\+")
"""What other languages do not read: named groups of Python, flags, `\\A`, `\\Z`, atomic and possessive groups."""
_SPACE = r"\t\n\v\f\r \u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000\ufeff"
_LINE_ENDS = r"\n\r\u2028\u2029"
_CLASSES = {
    "d": "[0-9]", "D": "[^0-9]", "w": "[A-Za-z0-9_]", "W": "[^A-Za-z0-9_]", "s": f"[{_SPACE}]", "S": f"[^{_SPACE}]",
}  # fmt: skip
_IN_CLASS = {"d": "0-9", "w": "A-Za-z0-9_", "s": _SPACE}


def as_python(pattern: str) -> str:
    """Return what Python finds in a text wherever ECMA-262 finds the pattern, and nowhere else.

    Raises:
        DeclarationError: It is no regular expression, or one that only Python reads.
    """
    if not isinstance(pattern, str):
        raise DeclarationError(f"pattern= takes a regular expression, not {pattern!r}")
    if found := _PYTHON_ALONE.search(_without_escapes(pattern)):
        raise DeclarationError(
            f"pattern={pattern!r}: {found.group()!r} is read by Python alone, and clients use other languages; "
            "write it without"
        )
    translated = _translated(pattern)
    try:
        re.compile(pattern)
        re.compile(translated)
    except (re.error, OverflowError) as error:
        raise DeclarationError(f"pattern={pattern!r} is not a regular expression: {error}") from None
    return translated


def _without_escapes(pattern: str) -> str:
    r"""Leave out what is escaped, but for `\A` and `\Z`, and what stands in classes."""
    text = re.sub(r"\\[^AZ]", "", pattern, flags=re.DOTALL)
    return re.sub(r"\[[^\]]*\]", "", text)


def _translated(pattern: str) -> str:
    parts: list[str] = []
    is_class = False
    place = 0
    while place < len(pattern):
        letter = pattern[place : place + 2] if pattern[place] == "\\" else pattern[place]
        place += len(letter)
        parts.append(_in_class(letter) if is_class else _outside(letter))
        if not is_class and letter == "[":
            is_class = True
        elif letter == "]":
            is_class = False
    return "".join(parts)


def _outside(letter: str) -> str:
    if letter == "$":
        return r"\Z"
    if letter == ".":
        return f"[^{_LINE_ENDS}]"
    return _CLASSES.get(letter[1:], letter) if letter.startswith("\\") else letter


def _in_class(letter: str) -> str:
    if letter == "[":
        return r"\["
    return _IN_CLASS.get(letter[1:], letter) if letter.startswith("\\") else letter
