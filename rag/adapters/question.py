"""A question as what is asked for: its terms, names, codes and numbers, and the kind of answer."""

import re
from dataclasses import dataclass
from typing import Literal

from rag.terms import (
    Date,
    codes_of,
    content_words,
    dates_of,
    is_german,
    names_of,
    numbers_of,
    stem,
    words_of,
)

Wants = Literal["reason", "number", "time", "name", "anything"]

_WANTS: tuple[tuple[Wants, re.Pattern[str]], ...] = (
    (
        "reason",
        re.compile(
            r"^\W*(?:why|warum|wieso|weshalb)\b|\bwhat (?:caused|is the (?:reason|cause))\b",
            re.IGNORECASE,
        ),
    ),
    (
        "number",
        re.compile(
            r"\bhow (?:many|much|long|old|far|tall|big|large|high|often|wide|deep|heavy|fast|late|soon)\b"
            r"|\bwie (?:viele?n?|hoch|lange|groß|oft|weit|schwer|tief|breit|schnell)\b"
            r"|\bwhat (?:percentage|share|amount|price|fee|rate|number|temperature|pressure|torque|limit)\b"
            r"|\bwh(?:at|ich)\b.{0,30}\b(?:number|extension|phone line)\b",
            re.IGNORECASE,
        ),
    ),
    (
        "time",
        re.compile(
            r"\bwhen\b|\b(?:what|which) (?:day|date|year|month|time|week)\b|\bwann\b"
            r"|\b(?:bis|seit|ab) wann\b|\bwelche[nmrs]? (?:tag|datum|jahr|monat|uhrzeit|woche)\w*\b",
            re.IGNORECASE,
        ),
    ),
    ("name", re.compile(r"\bwho(?:m|se)?\b|\bwer\b|\bwem\b|\bwen\b|\bwessen\b", re.IGNORECASE)),
)
_BECAUSE = re.compile(
    r"\b(?:because|since|reasons?|due to|caused?|owing|therefore|weil|wegen|grund|gründe|daher|deshalb)\b",
    re.IGNORECASE,
)
_CLOCK = re.compile(
    r"\b\d{1,2}[:.]\d\d\b|\b\d{1,2} ?(?:am|pm|uhr|o'clock)\b|\b(?:19|20)\d\d\b", re.IGNORECASE
)
_DAYS = frozenset(
    "monday tuesday wednesday thursday friday saturday sunday montag dienstag mittwoch donnerstag freitag samstag"
    " sonntag daily weekly monthly quarter täglich wöchentlich monatlich quartal".split()
)


_ASKS = (
    "how|when|which|what|who|whom|whose|where|why"
    "|wie|wann|welche[nmrs]?|was|wer|wem|wen|wo|warum|wieso|weshalb"
)
_SECOND_QUESTION = re.compile(
    rf",?\s+(?:and|und)\s+(?=(?:(?:for|on|at|to|from|in|under|by|since|until|with|für|an|bei|bis|ab|seit|unter|mit)\s+)?(?:{_ASKS})\b)",
    re.IGNORECASE,
)


def questions_in(question: str) -> tuple[str, ...]:
    """`How long is it held, and at which pressure?` as its two questions; most hold just one."""
    parts = tuple(part.strip() for part in _SECOND_QUESTION.split(question))
    asking = all(re.search(rf"\b(?:{_ASKS})\b", part, re.IGNORECASE) for part in parts)
    return parts if asking and all(len(content_words(part)) > 1 for part in parts) else (question,)


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A question as the features compare it."""

    text: str
    terms: frozenset[str]
    names: frozenset[str]
    codes: frozenset[str]
    numbers: frozenset[frozenset[str]]
    dates: frozenset[Date]
    wants: Wants
    german: bool


def asked_of(question: str) -> Asked:
    codes = codes_of(question)
    return Asked(
        text=question,
        terms=frozenset(content_words(question)),
        # `AP` of `AP-300` is no name.
        names=frozenset() if is_german(question) else names_of(question) - _parts_of(codes),
        codes=codes,
        numbers=numbers_of(question),
        dates=dates_of(question),
        wants=_wanted_by(question),
        german=is_german(question),
    )


def _parts_of(codes: frozenset[str]) -> frozenset[str]:
    return frozenset(stem(word) for code in codes for word in words_of(code))


def _wanted_by(question: str) -> Wants:
    for wants, says in _WANTS:
        if says.search(question):
            return wants
    return "anything"


def gives_what_is_wanted(asked: Asked, text: str) -> bool:
    """Whether `text` holds something of the kind that is asked for, and that the question lacks."""
    match asked.wants:
        case "reason":
            return _BECAUSE.search(text) is not None
        case "number":
            found = numbers_of(text) - asked.numbers
            return bool(found or dates_of(text) or codes_of(text) - asked.codes)
        case "time":
            words = {word.lower() for word in words_of(text)}
            return bool(dates_of(text) or _CLOCK.search(text) or words & _DAYS or numbers_of(text))
        case "name":
            return bool(names_of(text) - {stem(word) for word in words_of(asked.text)})
        case "anything":
            return True
