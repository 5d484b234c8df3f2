"""Where a text says that what follows is somebody's name."""

import re
from collections.abc import Iterator, Sequence

from rag.guardrails import name_words as sets
from rag.guardrails.name_tokens import WORD, Token
from rag.guardrails.words import SURE, Kind, lexicon

_INTRODUCED = re.compile(
    r"\b(?:name(?: is|'s|\?|:)|names? him|named (?:him|her)|calls? me|call him|call her|is called|was called|heiße|heißt"
    r"|mein name ist)[\s\"']{1,4}",
    re.IGNORECASE,
)
_INTRODUCING = ("ame", "AME", "all", "ALL", "hei", "HEI")
"""What a text must hold for the pattern to run, which takes long."""
_MOST_WORDS = 3
_VAN = re.compile(r"\b[Vv]an (?:de[rn]?|het) [^\W\d_][\w'-]+")


def introduced_in(text: str) -> Iterator[int]:
    """Where words begin that the text calls somebody's name."""
    if not any(map(text.__contains__, _INTRODUCING)):
        return
    for found in _INTRODUCED.finditer(text):
        at = found.end()
        for _ in range(_MOST_WORDS):
            word = WORD.match(text, at)
            if word is None or lexicon().word(word[0]).kinds & Kind.FUNCTION:
                break
            yield word.start()
            at = word.end()
            at += text[at : at + 1] == "."
            at += text[at : at + 1] == " "


def is_presented(text: str, tokens: Sequence[Token], at: int) -> bool:
    """`it's will`, `ich bin rose`: somebody says who is speaking, or to whom. Such words stand before
    other things as well: it only counts of what may be a name."""
    token = tokens[at]
    if not at or token.gap.strip(", \n"):
        return False
    before = tokens[at - 1].word.small
    is_said = before in sets.PRESENTED_BY or (
        at > 1 and (tokens[at - 2].word.small, before) in sets.PRESENTED_BY_TWO
    )
    ends = text[token.end : token.end + 1] in {"", ",", ".", "\n", "!"}
    return is_said and (ends or not token.word.kinds & SURE)


def family_names_in(text: str) -> Iterator[tuple[int, int]]:
    """Where family names stand that begin with Dutch particles, which German has as articles."""
    if "an de" in text or "an het" in text:
        yield from (found.span() for found in _VAN.finditer(text))
