"""The quantities of a text: numbers with their units, rates, clock times and ordinals.

English and German. `two weeks` and `14 days` are the same quantity, `24.6 million` and `24.6
billion` are not, and neither are `26 days` and `26 weeks`.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

from rag.terms import readings, spans_of_codes, spans_of_dates
from rag.units import MONEY, SYMBOLS, Unit, unit_of

CLOCK, ORDINAL = "clock", "ordinal"


@dataclass(frozen=True, slots=True)
class Quantity:
    """A number and what it counts."""

    values: frozenset[str]
    """What the digits may stand for; more than one where a comma may be a point."""
    unit: Unit | None
    zeros: int
    """Powers of ten that a word such as `million` adds; 0 where none was said."""
    start: int
    """Where it stands in the text, in characters; its end is exclusive."""
    end: int

    def is_as_much_as(self, other: "Quantity") -> bool:
        """Whether both may be the same number, whatever they count."""
        mine, theirs = self.amounts, other.amounts
        if self.zeros and other.zeros:
            return not {v * 10**self.zeros for v in mine}.isdisjoint(
                v * 10**other.zeros for v in theirs
            )
        return not (mine | {v * 10**self.zeros for v in mine}).isdisjoint(
            theirs | {v * 10**other.zeros for v in theirs}
        )

    def equals(self, other: "Quantity") -> bool:
        """Whether both are so much of one dimension: `1 day` and `24 hours` are."""
        if self.unit is None or other.unit is None or self.unit.dimension != other.unit.dimension:
            return False
        if self.unit == other.unit:
            return self.is_as_much_as(other)
        if self.values == other.values and self.zeros == other.zeros:
            return False  # however the digits are read
        mine = {value * 10**self.zeros * self.unit.factor for value in self.amounts}
        return not mine.isdisjoint(
            value * 10**other.zeros * other.unit.factor for value in other.amounts
        )

    @property
    def amounts(self) -> frozenset[Fraction]:
        """`values` as they count before a unit or a scale does."""
        return frozenset(map(Fraction, self.values))


_ZEROS = {
    "k": 3,
    "thousand": 3,
    "tausend": 3,
    "tsd": 3,
    "m": 6,
    "mio": 6,
    "mn": 6,
    "million": 6,
    "millionen": 6,
    "bn": 9,
    "billion": 9,
    "mrd": 9,
    "milliarde": 9,
    "milliarden": 9,
    "trillion": 12,
}
_ONES = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen"
    " seventeen eighteen nineteen"
).split()
_TENS = "twenty thirty forty fifty sixty seventy eighty ninety".split()
_EINER = (
    "null eins zwei drei vier fünf sechs sieben acht neun zehn elf zwölf dreizehn vierzehn fünfzehn sechzehn"
    " siebzehn achtzehn neunzehn"
).split()
_ZEHNER = "zwanzig dreißig vierzig fünfzig sechzig siebzig achtzig neunzig".split()
_ORDINALS = (
    ("first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth").split(),
    ("erst zweit dritt viert fünft sechst siebt acht neunt zehnt elft zwölft").split(),
)


def _number_words() -> dict[str, int]:
    words = {word: value for value, word in enumerate(_ONES)}
    words |= {word: value for value, word in enumerate(_EINER)}
    for tens, names in ((_TENS, _ONES), (_ZEHNER, _EINER)):
        for at, name in enumerate(tens, start=2):
            words[name] = at * 10
            for one in range(1, 10):
                if tens is _TENS:
                    words[f"{name}-{names[one]}"] = words[f"{name} {names[one]}"] = at * 10 + one
                else:
                    words[
                        f"{names[one].removesuffix('s') if one == 1 else names[one]}und{name}"
                    ] = at * 10 + one
    return words | {"hundred": 100, "hundert": 100, "dozen": 12, "dutzend": 12, "twice": 2}


_WORDS = _number_words()
_ORDINAL_WORDS = {word: value for value, word in enumerate(_ORDINALS[0], start=1)} | {
    stem + ending: value
    for value, stem in enumerate(_ORDINALS[1], start=1)
    for ending in ("e", "er", "en", "es", "em")
}
NUMBER_WORDS = {word: str(value) for word, value in _WORDS.items()}
_DIGITS = r"\d+(?:[.,'\u202f\u00a0]\d+)*"
_FOUND = re.compile(
    rf"""
    (?P<clock>(?<![\d.,:])(?P<h>[01]?\d|2[0-4]):(?P<m>[0-5]\d)(?![\d:])(?:\s?(?P<ap>[ap])\.?m\b\.?)?)
    | (?P<meridiem>(?<![\d.,:])(?P<h2>\d{{1,2}})(?:\.(?P<m2>[0-5]\d))?\s?(?:(?P<ap2>[ap])\.?m\b\.?|Uhr\b))
    | (?P<ordinal>(?<![\w.,])\d+(?:st|nd|rd|th)\b|\b(?:{"|".join(_ORDINAL_WORDS)})\b)
    | (?P<number>(?<![\w.,]){_DIGITS}|(?<=[£€$¥₹]){_DIGITS}|(?<=[A-Za-z]){_DIGITS})
    | (?P<word>\b(?:{"|".join(sorted(_WORDS, key=len, reverse=True))})\b)
    """,
    re.IGNORECASE | re.VERBOSE,
)
_BEFORE = re.compile(r"(?P<unit>US\$|[£€$¥₹]|\b(?:GBP|EUR|USD|CHF|JPY|INR))[\s\u00a0\u202f]?[-−]?$")
_RANGE = re.compile(r"\s?(?:to|and|or|bis|und|oder|-|–|—|/|,)\s?", re.IGNORECASE)
_SCALE = re.compile(
    rf"[\s\u00a0\u202f-]?({'|'.join(sorted(_ZEROS, key=len, reverse=True))})\b\.?", re.IGNORECASE
)
_BETWEEN = tuple(
    re.compile(rf"[\s\u00a0\u202f-]?(?:[a-zäöüß]+[\s-]){{{words}}}") for words in (0, 1, 2)
)
"""What may stand between a number and its unit: up to two words, as in `15 working days`."""
_NAMED = re.compile(
    rf"percentage points?|per cent\b|per mille\b|[u1]/min\b|{SYMBOLS}|[^\W\d_]+", re.IGNORECASE
)
_REACH = 60
_BARE_M = re.compile(r"[\s\u00a0\u202f]?m\b")
_FUNCTION_WORDS = frozenset(
    "a an the of to in on at for from by with or and per each every is are was were be if as than more less der die"
    " das den dem des ein eine und oder mit von vor nach pro je bis im am zu zum zur".split()
)


def quantities_of(text: str) -> tuple[Quantity, ...]:
    """Each number of `text` in order. Digits inside dates and codes are not numbers."""
    return tuple(_with_units_of_ranges(list(_quantities(text)), text))


def _quantities(text: str) -> Iterator[Quantity]:
    taken = [*spans_of_dates(text), *spans_of_codes(text)]
    for match in _FOUND.finditer(text):
        if any(start < match.end() and match.start() < end for start, end in taken):
            continue
        yield _quantity(match, text)


def _quantity(match: re.Match[str], text: str) -> Quantity:
    start, end = match.span()
    if match["clock"] or match["meridiem"]:
        hour = int(match["h"] or match["h2"])
        minutes = hour % 24 * 60 + int(match["m"] or match["m2"] or 0)
        half = (match["ap"] or match["ap2"] or "").lower()
        return Quantity(_times(minutes, half, match[0]), Unit(CLOCK), 0, start, end)
    if match["ordinal"]:
        word = match[0].lower()
        value = _ORDINAL_WORDS.get(word) or int(re.sub(r"\D", "", word))
        return Quantity(frozenset({str(value)}), Unit(ORDINAL), 0, start, end)
    values = (
        frozenset({str(_WORDS[match[0].lower()])}) if match["word"] else readings(match["number"])
    )
    unit, zeros = _unit_after(text, end)
    if before := _BEFORE.search(text, max(0, start - 6), start):
        unit = unit_of(before["unit"])
    if _BARE_M.match(text, end) and (unit is None or unit.dimension not in MONEY):
        # `£24.6m` are millions; `10 m` are metres, and of `10m` nobody can tell.
        zeros = 0
        unit = unit_of("metre") if text[end].isspace() else unit
    return Quantity(values, unit, zeros, start, end)


def _times(minutes: int, half: str, written: str) -> frozenset[str]:
    noon = 12 * 60
    if half:
        return frozenset({str(minutes % noon + (noon if half == "p" else 0))})
    if written.startswith("0") or minutes >= noon or "hr" in written:
        return frozenset({str(minutes)})
    return frozenset({str(minutes), str(minutes + noon)})


def _unit_after(text: str, end: int) -> tuple[Unit | None, int]:
    """The unit of a number that ends at `end`, and the zeros that a word after it adds."""
    tail = text[end : end + _REACH]
    scale = _SCALE.match(tail)
    zeros = _ZEROS[scale[1].lower()] if scale else 0
    tail = tail[scale.end() :] if scale else tail
    for words, between in enumerate(_BETWEEN):
        gap = between.match(tail)
        if gap is None or not _FUNCTION_WORDS.isdisjoint(gap[0].replace("-", " ").split()):
            break
        named = _NAMED.match(tail, gap.end())
        if named is None:
            break
        unit = unit_of(named[0])
        # A single letter is a unit right after the digits only.
        if unit is not None and (words == 0 or len(named[0]) > 2):
            return unit, zeros
    return None, zeros


def _with_units_of_ranges(found: Sequence[Quantity], text: str) -> list[Quantity]:
    """In `5 to 10 years` the 5 are years too."""
    filled = list(found)
    for at in range(len(found) - 2, -1, -1):
        one, other = filled[at], filled[at + 1]
        joined = _RANGE.fullmatch(text, one.end, other.start)
        if one.unit is None and joined and other.unit is not None and other.unit.dimension != CLOCK:
            filled[at] = replace(one, unit=other.unit, zeros=one.zeros or other.zeros)
    return filled
