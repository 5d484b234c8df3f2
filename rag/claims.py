"""What a text claims, in the form in which the grounding check compares two texts."""

import re
from dataclasses import dataclass
from functools import cached_property, lru_cache

from rag.clauses import borders_of
from rag.polarity import Polarity, polarity_of
from rag.quantities import NUMBER_WORDS, Quantity, quantities_of
from rag.terms import (
    Date,
    codes_of,
    content_words,
    dates_of,
    fold,
    is_stop_word,
    readings,
    spans_of_dates,
    stem,
)
from rag.units import Unit, rates_of, units_of

_TOKEN = re.compile(r"\d+(?:[.,'\u202f\u00a0]\d+)*|[^\W\d_]+(?:['’][^\W_]+)*|[£€$%]|°[CF]")
_ATTRIBUTION = re.compile(
    r"^\s*(?:(?:according to|as stated in|as per|per) (?:the|this|our) [a-z ]{3,40}|laut (?:der|dem|dieser|diesem) [\w ]{3,40}),\s+",
    re.IGNORECASE,
)
"""`According to the policy,`: what is said of the source, not of the world."""
_JOINT = re.compile(r"\s*[,;:)]")
"""How a part of a sentence begins that is not its first."""
_POSSESSIVE = re.compile(r"\s?['’]s?\b(?=\s|$|[.,;:)])")
_PART = 5
"""Letters from which a name may be a part of a longer word, or be written in two."""


@dataclass(frozen=True, slots=True)
class Word:
    """A word of a text as it is compared."""

    text: str
    stem: str
    is_name: bool
    """Capitalised, and not because a sentence begins with it."""
    may_be_name: bool
    """Capitalised at all."""
    start: int
    """Where it stands in the text, in characters."""
    carries: bool
    """Whether it means something by itself, as `pump` does and `the` does not."""
    part: int
    """Which part of the sentence it stands in, from 0."""


@dataclass(frozen=True)
class Claim:
    """What a text says, each part of it read when it is first asked for: few are of most texts."""

    written: str

    @cached_property
    def text(self) -> str:
        """Without what only says where it comes from."""
        return _POSSESSIVE.sub("", _ATTRIBUTION.sub("", self.written))

    @cached_property
    def words(self) -> frozenset[str]:
        """Stems of the words that carry meaning; numbers and codes are such words."""
        return frozenset(content_words(self.text))

    @cached_property
    def sequence(self) -> tuple[Word, ...]:
        """Every word, in order."""
        return _sequence(self.text)

    @cached_property
    def stems(self) -> frozenset[str]:
        return frozenset(word.stem for word in self.sequence)

    @cached_property
    def known(self) -> frozenset[str]:
        """All that it uses, whether it carries meaning or not."""
        return self.words | self.stems

    @cached_property
    def joined(self) -> str:
        """The letters and digits of the text without what stands between them."""
        return re.sub(r"[^a-z0-9]", "", fold(self.text))

    @cached_property
    def quantities(self) -> tuple[Quantity, ...]:
        return quantities_of(self.text)

    @cached_property
    def dates(self) -> tuple[tuple[int, Date], ...]:
        """Each with the place where it stands."""
        return tuple(
            (start, date)
            for start, end in spans_of_dates(self.text)
            for date in dates_of(self.text[start:end])
        )

    @cached_property
    def codes(self) -> frozenset[str]:
        return codes_of(self.written)

    @cached_property
    def units(self) -> frozenset[Unit]:
        return units_of(self.written)

    @cached_property
    def rates(self) -> frozenset[Unit]:
        return rates_of(self.written)

    @cached_property
    def polarity(self) -> Polarity:
        return polarity_of(self.text)

    def says_name(self, name: str) -> bool:
        """Whether the text uses the word `name`, perhaps as a part of another or in two."""
        return name in self.stems or (len(name) >= _PART and name in self.joined)


@lru_cache(maxsize=2_048)
def claim_of(text: str) -> Claim:
    return Claim(text)


def _sequence(text: str) -> tuple[Word, ...]:
    found: list[Word] = []
    borders = borders_of(text)
    goes_on = _JOINT.match(text) is not None
    for at, match in enumerate(_TOKEN.finditer(text), start=goes_on):
        word = match[0]
        capital = word[0].isupper() and len(word) > 1 and not is_stop_word(word)
        found.append(
            Word(
                word,
                _stem(word),
                capital and (at > 0 or word.isupper()),
                word[0].isupper() and (at > 0 or capital),
                match.start(),
                not is_stop_word(word) and (len(word) > 1 or word.isdigit()),
                borders.part_at(match.start()),
            )
        )
    return tuple(found)


def _stem(word: str) -> str:
    """As `rag.terms.stem`, with one form for each number."""
    if word[0].isdigit():
        return max(readings(word), key=lambda value: (len(value), value))
    return NUMBER_WORDS.get(word.lower()) or stem(word)
