"""What stands for a masked value in a prompt: `<person-kdwqfxmtb>`.

ASCII, so that every tokenizer and model repeats it; in angle brackets, which models know as
stand-ins; a kind, so that the sentence still makes sense; then nine consonants: four that a masker
has drawn and five of the value, drawn for each request. Without vowels they are no word, and without digits no check of numbers
and no reader of a masked prompt can take a part of one for a value.
"""

import re
import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from rag.errors import PolicyForbids

_LETTERS = "bcdfghjkmnpqrstvwxz"
_ANY = f"[{_LETTERS}]"
NONCE_LENGTH, CODE_LENGTH = 4, 5
_MOST_DRAWN = 64
"""Nonces that are tried: 130,000 letters in the right order hold every one, and were made to."""

_STANDS_FOR = {
    "address": "address postcode place",
    "age": "age",
    "card": "credit_card",
    "date": "date birth_date",
    "account": "iban bank_account wallet",
    "email": "email",
    "id": "national_id passport driver_licence licence_plate",
    "link": "url ip mac",
    "name": "name",
    "number": "number",
    "organisation": "organisation",
    "person": "person",
    "phone": "phone",
    "title": "title",
}
KINDS = (*_STANDS_FOR, "group", "secret")
_KIND_OF = {found: kind for kind, kinds in _STANDS_FOR.items() for found in kinds.split()}
"""`group` is a nationality, a religion or a party. Whatever is not here is a secret."""

UNKNOWN = "[removed]"
"""What a reader sees in the place of a placeholder that stands for nothing."""


def kind_shown(kind: str) -> str:
    """The kind of a finding, as a placeholder names it."""
    return kind if kind == "group" else _KIND_OF.get(kind, "secret")


def any_placeholder() -> re.Pattern[str]:
    """What anybody could take for a placeholder, of whatever request."""
    return re.compile(_BRACKETED, re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Placeholders:
    """Placeholders that begin alike. What they stand for is in a request's vault; none of them occurs
    in the texts that they were drawn for."""

    nonce: str
    found: re.Pattern[str] = field(repr=False)
    """A placeholder as a model may repeat it; group `code` is what names the value, gaps and all."""
    begun: re.Pattern[str] = field(repr=False)
    """What may become one, or become a longer one, when more text comes."""

    def draw(self, kind: str) -> tuple[str, str]:
        """A new code, and the placeholder with it."""
        code = _letters(CODE_LENGTH)
        return code, f"<{kind_shown(kind)}-{self.nonce}{code}>"

    def code_of(self, match: re.Match[str]) -> str:
        """The code that a match of `found` names; empty where it can be none of this request's."""
        letters = "".join(filter(str.isalpha, match["bare"] or match["body"] or "")).lower()
        whole = NONCE_LENGTH + CODE_LENGTH
        is_ours = len(letters) == whole and letters.startswith(self.nonce)
        return letters[NONCE_LENGTH:] if is_ours else ""


def placeholders_for(texts: Iterable[str], usual: Placeholders | None = None) -> Placeholders:
    """Placeholders with a nonce that no text holds, so nobody can have forged one of them: `usual`
    if it will do. Others take 30 ms to make. Raises `PolicyForbids` where the texts hold them all."""
    everything = "\n".join(texts).lower()
    if usual is not None and usual.nonce not in everything:
        return usual
    for _ in range(_MOST_DRAWN):
        if (nonce := _letters(NONCE_LENGTH)) not in everything:
            break
    else:
        raise PolicyForbids("no placeholder could be told from what this says")
    bare = rf"{nonce}(?:[ -]?{_ANY}{{5}}|{_ANY}{{0,4}})"
    found = (
        rf"(?:{_OPEN}[ ]{{0,2}})?(?:(?:{_WORDS}){_SEPARATOR})?(?P<bare>{bare})(?:{_CLOSE})?"
        rf"|{_BRACKETED}"
    )
    return Placeholders(
        nonce=nonce,
        found=re.compile(found, re.IGNORECASE),
        begun=re.compile(_begun(nonce), re.IGNORECASE),
    )


def _letters(number: int) -> str:
    """One call of the system for all of them: a prompt has hundreds of codes."""
    return "".join(_LETTERS[byte % len(_LETTERS)] for byte in secrets.token_bytes(number))


# --- the form, whole and begun --------------------------------------------------------------------

_WORDS = "|".join(sorted(KINDS, key=len, reverse=True))
_OPEN = r"(?:<|&lt;)"
_CLOSE = r"[ ]{0,2}(?:/?>|&gt;)"
_SEPARATOR = r"[ ]{0,2}\\?[-_:\u2010-\u2015 ][ ]{0,2}"
_BODY = r"(?:[bcdfghj-np-tv-z0-9][ -]?){1,12}"
_BRACKETED = rf"{_OPEN}[ ]{{0,2}}(?:{_WORDS}){_SEPARATOR}(?P<body>{_BODY}){_CLOSE}"
LONGEST = 96
"""Characters that any of these can have."""


def _beginnings(words: Sequence[str]) -> str:
    starts = {word[:length] for word in words for length in range(1, len(word))}
    return "|".join(sorted(starts, key=len, reverse=True))


def _begun(nonce: str) -> str:
    """A regular expression for every text that more text could make a match of, or a longer one."""
    letters = "(?:".join(nonce) + ")?" * (len(nonce) - 1)
    code = rf"(?:[ -]?{_ANY}{{0,5}})"
    opened = (rf"{_OPEN}[ ]{{0,2}}", "&(?:lt?)?")
    kind = (rf"(?:{_WORDS})", _beginnings(KINDS))
    gap = (_SEPARATOR, r"[ ]{0,2}\\?")
    closed = (_CLOSE, r"[ ]{0,2}(?:/|&(?:gt?)?)?")
    ours = (rf"{nonce}{code}", letters)
    body = (_BODY, r"(?!)")
    paths = (
        [opened, kind, gap, ours, closed],
        [opened, ours, closed],
        [kind, gap, ours, closed],
        [ours, closed],
        [opened, kind, gap, body, closed],
    )
    return "|".join(_prefixes(path) for path in paths)


def _prefixes(parts: Sequence[tuple[str, str]]) -> str:
    """Every text that breaks off within `parts`, or after one of them but the last."""
    *earlier, (_, last) = parts
    pattern = f"(?:{last})"
    for whole, begun in reversed(earlier):
        pattern = f"(?:{whole}(?:{pattern})?|{begun})"
    return pattern
