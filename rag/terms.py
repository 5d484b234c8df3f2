"""The words, numbers, dates, codes and names of a text, folded so that two texts compare.

English and German. Nothing here knows what a text means: it makes `1,250`, `1.250` and `1250`
one number, `12 March 2026` and `2026-03-12` one date, and `dispatched` and `dispatch` one word.
"""

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

_STOP = frozenset(
    "a an the this that these those it its of in on at to for from by with about as into onto over under and or but if"
    " than then so such is are was were be been being am do does did doing done have has had having will would shall"
    " should can could may might must i you he she we they me him her us them my your his our their what which who"
    " whom whose when where why how many much often long there here any some each every all both few more most other"
    " own same only just also very too per please tell give say us between through during before after within up out"
    " off again once because while until against"
    " der die das den dem des ein eine einen einem einer eines und oder aber wenn als wie so ist sind war waren sein"
    " wird werden wurde wurden hat haben hatte hatten kann können muss müssen darf dürfen soll sollen ich du er sie es"
    " wir ihr mich mir dich dir ihn ihm uns euch ihnen mein dein unser euer was wer wen wem wessen welche welcher"
    " welches welchen welchem wann wo warum wieso viel viele vielen in im an am auf aus bei beim mit nach von vom vor"
    " zu zum zur für über unter durch gegen ohne um bis seit ab je pro es gibt man sich auch nur noch schon hier dort"
    " dass ob hoch lange".split()
)
_NEGATORS = frozenset(
    "not no never none neither nor without cannot nothing nobody nicht kein keine keinen keinem keiner keines nie"
    " niemals ohne nichts niemand weder unless".split()
)
_UNITS = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen "
    "seventeen eighteen nineteen twenty"
).split()
_EINER = ("null eins zwei drei vier fünf sechs sieben acht neun zehn elf zwölf").split()
_NUMBER_WORDS = (
    {word: str(value) for value, word in enumerate(_UNITS)}
    | {word: str(value) for value, word in enumerate(_EINER)}
    | {
        "thirty": "30",
        "forty": "40",
        "fifty": "50",
        "sixty": "60",
        "ninety": "90",
        "hundred": "100",
    }
    | {"dreißig": "30", "zwanzig": "20", "hundert": "100", "twice": "2", "dozen": "12"}
)
_MONTHS = {
    name: month
    for month, names in enumerate(
        (
            "january jan januar jänner",
            "february feb februar",
            "march mar märz",
            "april apr",
            "may mai",
            "june jun juni",
            "july jul juli",
            "august aug",
            "september sep sept",
            "october oct oktober okt",
            "november nov",
            "december dec dezember dez",
        ),
        start=1,
    )
    for name in names.split()
}
_MONTH = "|".join(sorted(_MONTHS, key=len, reverse=True))
_DATE = re.compile(
    rf"""
    (?P<iso>\b(?P<y1>\d{{4}})-(?P<m1>\d\d)-(?P<d1>\d\d)\b)
    | (?P<dots>\b(?P<d2>\d{{1,2}})\.\s?(?P<m2>\d{{1,2}})\.\s?(?P<y2>\d{{4}})?(?!\d))
    | (?P<dmy>\b(?P<d3>\d{{1,2}})(?:st|nd|rd|th|\.)?\s(?P<m3>{_MONTH})\b\.?(?:,?\s(?P<y3>\d{{4}})\b)?)
    | (?P<mdy>\b(?P<m4>{_MONTH})\.?\s(?P<d4>\d{{1,2}})(?:st|nd|rd|th)?\b(?!\.\d)(?:,?\s(?P<y4>\d{{4}})\b)?)
    | (?P<my>\b(?P<m5>{_MONTH})\.?\s(?P<y5>\d{{4}})\b)
    """,
    re.IGNORECASE | re.VERBOSE,
)
_CODE = re.compile(r"(?<![\w-])(?=[\w./-]*\d)[A-Za-z0-9]+(?:[-/.][A-Za-z0-9]+)*(?![\w-])")
_NUMBER = re.compile(r"(?<![\w.,])\d+(?:[.,'\u202f\u00a0]\d+)*|(?<=[A-Za-z])\d+(?:[.,]\d+)*")
_GLUED_UNIT = re.compile(r"\d+(?:[.,:]\d+)*(?:[a-zA-Z°µ]{1,4}|[a-z]{1,3}/[a-z]{1,4})")
_WORDY = re.compile(r"\d+(?:[.,]\d+)*(?:-[a-z]{2,})+")
"""`24-hour`, `3-month`: a number and a word, not an identifier."""
_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")
_SCALES = {
    "m": 6,
    "mio": 6,
    "million": 6,
    "millionen": 6,
    "k": 3,
    "thousand": 3,
    "tausend": 3,
    "bn": 9,
    "billion": 9,
}
_SUFFIXES = tuple(
    sorted(
        (
            "ization ations ation ating ated ates ate ities ments ment ingly edly ness ings ing ions ion ies ied ers est"
            " ity ed es er ly s e y i ungen lichen liche lich isch ung heit keit ern em en n"
        ).split(),
        key=len,
        reverse=True,
    )
)
_SHORTEST_STEM = 3


@dataclass(frozen=True, slots=True)
class Date:
    """A date of which the year or the day may be unsaid."""

    year: int | None
    month: int
    day: int | None

    def agrees_with(self, other: "Date") -> bool:
        """Whether nothing that both say differs, and what this one says the other says too."""
        return (
            self.month == other.month
            and (self.day is None or self.day == other.day)
            and (self.year is None or other.year is None or self.year == other.year)
        )


@lru_cache(maxsize=65_536)
def stem(word: str) -> str:
    """`word` in lower case without diacritics and its commonest endings, English or German.

    Shorter than a linguist's stem on purpose: it is compared within a few passages, where a word
    that is missed costs more than two words taken for one.
    """
    folded = fold(word)
    if not folded.isalpha():
        return folded
    for shortest in (3, 4, 4):
        suffix = next((s for s in _SUFFIXES if folded.endswith(s)), None)
        if suffix is None or len(folded) - len(suffix) < shortest:
            break
        folded = folded[: -len(suffix)]
    # `stopped` and `stop`
    if len(folded) > _SHORTEST_STEM and folded[-1] == folded[-2] and folded[-1] not in "aeiouls":
        return folded[:-1]
    return folded


def fold(text: str) -> str:
    """`text` in lower case without diacritics; `ß` is `ss`."""
    if text.isascii():
        return text.lower()
    decomposed = unicodedata.normalize("NFKD", text.casefold())
    return "".join(character for character in decomposed if not unicodedata.combining(character))


def is_stop_word(word: str) -> bool:
    """Whether `word` carries no meaning of its own."""
    return word.lower() in _STOP


def words_of(text: str) -> list[str]:
    """Every word as written, in order."""
    return _WORD.findall(text)


def content_words(text: str) -> list[str]:
    """The stems of the words that carry meaning, with repeats; a code or a number is one word."""
    rest = text
    found: list[str] = []
    for code, match in reversed(list(_codes(text))):
        found.append(code.lower())
        rest = rest[: match.start()] + " " * len(match[0]) + rest[match.end() :]
    found.extend(_plain_number(match[0]) for match in _NUMBER.finditer(rest))
    rest = _NUMBER.sub(" ", rest)
    found.extend(
        stem(word)
        for word in words_of(rest)
        if word.lower() not in _STOP and not (len(word) == 1 and word.isalpha())
    )
    return found


def _plain_number(written: str) -> str:
    return min(_readings(written, ""), key=lambda value: (len(value), value))


def codes_of(text: str) -> frozenset[str]:
    """Identifiers: what mixes letters and digits, or joins digits by hyphens (`PO-2025-0117`)."""
    return frozenset(code for code, _ in _codes(text))


def _codes(text: str) -> Iterator[tuple[str, re.Match[str]]]:
    for match in _CODE.finditer(text):
        code = match[0].upper()
        if _GLUED_UNIT.fullmatch(match[0]) or _DATE.fullmatch(match[0]):
            continue
        if _WORDY.fullmatch(match[0]):
            continue
        letters = any(character.isalpha() for character in code)
        if letters or ("-" in code and any(len(part) > 4 for part in code.split("-"))):
            yield code, match


def spans_of_codes(text: str) -> list[tuple[int, int]]:
    """Where the codes of `text` stand."""
    return [match.span() for _, match in _codes(text)]


def spans_of_dates(text: str) -> list[tuple[int, int]]:
    """Where the dates of `text` stand."""
    return [match.span() for match in _DATE.finditer(text)]


def dates_of(text: str) -> frozenset[Date]:
    found: set[Date] = set()
    for match in _DATE.finditer(text):
        groups = {key: value for key, value in match.groupdict().items() if value is not None}
        year = next(
            (int(groups[key]) for key in ("y1", "y2", "y3", "y4", "y5") if key in groups), None
        )
        day = next((int(groups[key]) for key in ("d1", "d2", "d3", "d4") if key in groups), None)
        month = next(groups[key] for key in ("m1", "m2", "m3", "m4", "m5") if key in groups)
        found.add(Date(year, _MONTHS.get(month.lower(), 0) or int(month), day))
    return frozenset(found)


def numbers_of(text: str) -> frozenset[frozenset[str]]:
    """Each number as the set of values that it may stand for.

    `1,250` and `1250` share a value; so do `3.412` and `3,412`, of which no one can tell whether
    they are three or three thousand. Digits inside dates and codes are not numbers.
    """
    bare = _DATE.sub(" ", text)
    for _, match in reversed(list(_codes(bare))):
        bare = bare[: match.start()] + " " * len(match[0]) + bare[match.end() :]
    found: set[frozenset[str]] = set()
    for match in _NUMBER.finditer(bare):
        tail = re.match(r"\s?([A-Za-z]+)", bare[match.end() :])
        found.add(_readings(match[0], tail[1].lower() if tail else ""))
    found |= {
        frozenset({_NUMBER_WORDS[word.lower()]})
        for word in words_of(bare)
        if word.lower() in _NUMBER_WORDS
    }
    return frozenset(found)


def _readings(written: str, unit: str) -> frozenset[str]:
    digits = written.lstrip("+-")
    parts = re.split(r"[.,'\u202f\u00a0]", digits)
    values: set[str] = set()
    if len(parts) == 1:
        values.add(_plain(digits))
    else:
        if all(len(part) == 3 for part in parts[1:]):
            values.add(_plain("".join(parts)))
        if len(parts) == 2 or len(parts[-1]) != 3:
            values.add(_plain("".join(parts[:-1]) + "." + parts[-1]))
    if unit in _SCALES:
        values |= {_scaled(value, _SCALES[unit]) for value in values}
    return frozenset(values)


def readings(written: str) -> frozenset[str]:
    """The values that a number's digits, points and commas may stand for."""
    return _readings(written, "")


def _plain(value: str) -> str:
    whole, _, fraction = value.partition(".")
    fraction = fraction.rstrip("0")
    return (whole.lstrip("0") or "0") + ("." + fraction if fraction else "")


def _scaled(value: str, zeros: int) -> str:
    whole, _, fraction = value.partition(".")
    return _plain(whole + fraction.ljust(zeros, "0")[:zeros]) if len(fraction) <= zeros else value


def names_of(text: str) -> frozenset[str]:
    """The stems of capitalised words that do not stand first in `text`, and of all-capital words."""
    found: set[str] = set()
    for at, word in enumerate(words_of(text)):
        if not word[0].isupper() or word.lower() in _STOP or len(word) < 2:
            continue
        if at or (word.isupper() and len(word) > 1):
            found.add(stem(word))
    return frozenset(found)


def negations_of(text: str) -> int:
    """How many words of `text` turn its meaning round."""
    words = [word.lower() for word in words_of(text)]
    return sum(word in _NEGATORS or word.endswith(("n't", "n’t")) for word in words)


def is_german(text: str) -> bool:
    """Whether German's commonest words, or its letters, outweigh English ones."""
    words = [word.lower() for word in words_of(text)]
    german = sum(word in _GERMAN for word in words) + sum(
        any(c in "äöüß" for c in w) for w in words
    )
    english = sum(word in _ENGLISH for word in words)
    return german > english


_GERMAN = frozenset(
    "der die das den dem des ein eine einen einem und oder ist sind wird werden für von mit auf bei nach zu zum zur"
    " wie was wer wann wo welche welcher welches nicht kein keine im am vom hat haben über unter viel viele".split()
)
_ENGLISH = frozenset(
    "the a an and or is are was were will of for from with on by after to how what who when where which not no in at"
    " has have does do over under many much".split()
)
