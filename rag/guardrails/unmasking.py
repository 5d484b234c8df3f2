"""Putting masked values back into a stream of text, wherever the stream was cut.

A model repeats placeholders in another case, with spaces or without brackets, and makes some up.
What stands for a value becomes the value; what looks like a placeholder and stands for none never
reaches a reader.
"""

import json
import re
from collections.abc import Iterator

from rag.guardrails.placeholders import LONGEST, UNKNOWN, Placeholders
from rag.guardrails.vault import Vault

_BARELY_BEGUN = re.compile(
    r"(?:<|&(?:lt?)?|&lt;)?[ ]{0,2}[a-z]*[ ]{0,2}|[a-z]+[ ]{0,2}\\?\W?[ ]{0,2}[a-z]{0,3}",
    re.IGNORECASE,
)
"""A beginning that is as likely text as a placeholder: nothing of the request's own is in it."""


class Unmasking:
    """What is fed piece by piece comes out the same, however it was cut into pieces.

    Only what may be the beginning of a placeholder is held back.
    """

    __slots__ = ("_as_json", "_held", "_placeholders", "_vault")

    def __init__(self, placeholders: Placeholders, vault: Vault, *, as_json: bool = False) -> None:
        """`as_json`: the text is JSON, and a value is written as part of a string in it."""
        self._placeholders = placeholders
        self._vault = vault
        self._as_json = as_json
        self._held = ""

    def feed(self, piece: str) -> str:
        """What can be released now that `piece` has come."""
        text = self._held + piece
        safe = self._begun_at(text)
        out: list[str] = []
        at = 0
        for match in self._placeholders.found.finditer(text):
            if match.end() > safe:
                safe = min(safe, match.start())
                break
            out += (text[at : match.start()], self._value(match))
            at = match.end()
        out.append(text[at:safe])
        self._held = text[safe:]
        return "".join(out)

    def flush(self) -> str:
        """The rest, when nothing more comes. Half a placeholder is none, and is left out."""
        text, self._held = self._held, ""
        return "".join(self._last(text))

    def reset(self) -> None:
        """Forget what was held back: the text begins anew."""
        self._held = ""

    def _begun_at(self, text: str) -> int:
        """From where on `text` may be the beginning of a placeholder; its length where nowhere."""
        begun = self._placeholders.begun
        for start in range(max(0, len(text) - LONGEST), len(text)):
            if begun.fullmatch(text, start):
                return start
        return len(text)

    def _last(self, text: str) -> Iterator[str]:
        at = 0
        for match in self._placeholders.found.finditer(text):
            yield text[at : match.start()]
            yield self._value(match)
            at = match.end()
        rest = text[at:]
        for start in range(len(rest)):
            if self._placeholders.begun.fullmatch(rest, start):
                yield rest[:start]
                if _BARELY_BEGUN.fullmatch(rest, start):
                    yield rest[start:]
                return
        yield rest

    def _value(self, match: re.Match[str]) -> str:
        code = self._placeholders.code_of(match)
        value = self._vault.value_of(code) if code else None
        if value is None:
            return UNKNOWN
        return json.dumps(value, ensure_ascii=False)[1:-1] if self._as_json else value
