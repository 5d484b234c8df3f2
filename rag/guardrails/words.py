"""What is known of every word by itself: from the lists that were counted, and from the small sets
that were written down. Looked up once for each word of a text."""

from dataclasses import dataclass, field
from functools import cache
from typing import Final

from rag.guardrails import name_words as sets
from rag.guardrails.word_kinds import WordKind, kinds_of

_MOST_KEPT = 16_384
_ENDINGS = ("'s", "s", "es", "ed", "d", "ing", "ly", "er", "ers")
_GERMAN_ENDINGS = ("s", "es", "n", "en", "e", "er", "em")
_SHORTEST_STEM = 3
_FEWEST_PARTS = 2
_SHORT_NOUN, _LONGEST_WORD = 4, 48
_NAME_TAILS = tuple(sets.NAME_TAILS)
_ENGLISH_NAME_TAILS = tuple(sets.ENGLISH_NAME_TAILS)


class Kind(WordKind):
    """And what the small sets say of it."""

    FUNCTION: Final = 1 << 7
    """Holds a sentence together: the, of, und."""
    TITLE: Final = 1 << 8
    ALSO_NAME: Final = 1 << 9
    """An ordinary word that is a common name, too."""
    DAY: Final = 1 << 10
    MONTH: Final = 1 << 11
    MAY_BE_NO_MONTH: Final = 1 << 12
    PARTICLE: Final = 1 << 13
    LABEL: Final = 1 << 14
    WORK: Final = 1 << 15
    ALSO_TOWN: Final = 1 << 16
    PEOPLE: Final = 1 << 17
    ARTICLE: Final = 1 << 18
    FIRST_PERSON: Final = 1 << 19
    TELLS_ENGLISH: Final = 1 << 20
    TELLS_GERMAN: Final = 1 << 21
    TELLS_ROMANCE: Final = 1 << 22
    FIRM: Final = 1 << 23
    BEGINS_TOWN: Final = 1 << 24


WRITTEN_SMALL = Kind.ENGLISH | Kind.GERMAN | Kind.NOUN
"""Of words that are words."""
SURE = WRITTEN_SMALL | Kind.FUNCTION

_LISTED = (
    Kind.FUNCTION | Kind.ENGLISH | Kind.GERMAN | Kind.WORK | Kind.TITLE | Kind.DAY | Kind.MONTH
)
"""Words that are kept in memory: everybody says them."""
_LOOK_AGAIN = Kind.TITLE | Kind.ALSO_NAME | Kind.ALSO_TOWN | Kind.DAY | Kind.NAME | Kind.PEOPLE
_IN_GERMAN = Kind.GERMAN | Kind.NOUN
_PLAIN = Kind.FUNCTION | Kind.ENGLISH
_SETS = (
    (sets.FUNCTION, Kind.FUNCTION),
    (sets.TITLES, Kind.TITLE),
    (sets.ALSO_NAMES, Kind.ALSO_NAME),
    (sets.DAYS, Kind.DAY),
    (sets.MONTHS, Kind.MONTH),
    (sets.PEOPLES | sets.GERMAN_PEOPLES, Kind.PEOPLE),
    (sets.MONTHS_OR_NAMES, Kind.MAY_BE_NO_MONTH),
    (sets.PARTICLES, Kind.PARTICLE),
    (sets.LABELS, Kind.LABEL),
    (sets.WORK, Kind.WORK),
    (sets.ALSO_TOWNS, Kind.ALSO_TOWN),
    (sets.ARTICLES, Kind.ARTICLE),
    (sets.FIRST_PERSON, Kind.FIRST_PERSON),
    (sets.ENGLISH, Kind.TELLS_ENGLISH),
    (sets.GERMAN, Kind.TELLS_GERMAN),
    (sets.FIRMS, Kind.FIRM),
    (sets.FAMILIES, Kind.NAME),
    (sets.TOWN_BEGINNINGS, Kind.BEGINS_TOWN),
    (sets.ROMANCE, Kind.TELLS_ROMANCE),
)


@dataclass(frozen=True, slots=True)
class Word:
    """A word as it is written somewhere."""

    text: str
    small: str
    """In lower case."""
    kinds: int
    """Flags of `Kind`."""
    is_number: bool = False
    is_capital: bool = False
    is_upper: bool = False
    is_plain: bool = False
    """Written small, and a word that is nothing else: no need to look at it again."""


@dataclass(slots=True)
class Lexicon:
    """Remembers words that are in a list, and none that is not: nobody's name stays in it."""

    known: dict[str, Word] = field(default_factory=dict[str, Word], repr=False)

    def word(self, text: str) -> Word:
        found = self.known.get(text)
        if found is not None:
            return found
        small = text.lower().replace("’", "'")
        kinds = kinds_of(small) | _listed().get(small, 0)
        if not kinds & (SURE | Kind.NAME):
            kinds |= _of_a_form(small)
        is_capital = text[0].isupper()
        word = Word(
            text,
            small,
            kinds,
            is_capital=is_capital,
            is_upper=is_capital and text.isupper(),
            is_plain=not is_capital and bool(kinds & _PLAIN) and not kinds & _LOOK_AGAIN,
        )
        if kinds & _LISTED and len(self.known) < _MOST_KEPT:
            self.known[text] = word
        return word


def number(text: str) -> Word:
    return Word(text, text, 0, is_number=True)


@cache
def lexicon() -> Lexicon:
    """The one of this process."""
    return Lexicon()


def is_common(word: str) -> bool:
    """Whether `word`, in lower case, is a word that is written small and nobody's name."""
    return bool(kinds_of(word) & (Kind.ENGLISH | Kind.GERMAN))


@cache
def _listed() -> dict[str, int]:
    found: dict[str, int] = {}
    for words, kind in _SETS:
        for word in words:
            found[word] = found.get(word, 0) | kind
    return found


def _of_a_form(small: str) -> int:
    """What `small`, which is in no list, is by the word it is a form of, or by its parts."""
    if not small.isalpha():
        return _english_form(small) if small.endswith("'s") else _of_parts(small)
    return _english_form(small) or _german_form(small)


def _english_form(small: str) -> int:
    for ending in _ENDINGS:
        stem = small.removesuffix(ending)
        if len(stem) < _SHORTEST_STEM or stem == small:
            continue
        stems = [stem]
        if ending[0] in "ei":
            stems.append(stem + "e")
        if len(stem) > _SHORTEST_STEM and stem[-1] == stem[-2]:
            stems.append(stem[:-1])
        if any(kinds_of(each) & (Kind.ENGLISH | Kind.NAME) == Kind.ENGLISH for each in stems):
            return Kind.ENGLISH
    return 0


def _german_form(small: str) -> int:
    for ending in _GERMAN_ENDINGS:
        if small.endswith(ending) and len(small) - len(ending) > _SHORTEST_STEM:
            stem = small[: -len(ending)]
            kinds = kinds_of(stem) | _listed().get(stem, 0)
            if kinds & _IN_GERMAN and not kinds & Kind.NAME:
                return kinds & _IN_GERMAN
    return 0


def _of_parts(small: str) -> int:
    """Of words with hyphens: words, where all of them are; names, where any may be one."""
    parts = [part for part in small.replace("/", "-").split("-") if part and not part.isdigit()]
    kinds = [kinds_of(part) | _listed().get(part, 0) for part in parts]
    if len(parts) < _FEWEST_PARTS or not all(each & SURE for each in kinds):
        return 0
    everything = 0
    for each in kinds:
        everything |= each
    return Kind.ENGLISH | everything & (Kind.NOUN | Kind.NAME)


def is_compound(small: str) -> bool:
    """Whether a German noun of four letters or more ends `small`, and neither a name nor a town does."""
    if not small.isalpha() or small.endswith(_NAME_TAILS) or len(small) > _LONGEST_WORD:
        return False
    for at in range(3, len(small) - 3):
        kinds = kinds_of(small[at:])
        is_noun = kinds & Kind.NOUN or small[at:] in sets.GERMAN_NOUNS
        is_sure = len(small) - at > _SHORT_NOUN and not kinds & Kind.NAME
        if is_noun and (is_sure or _may_begin(small[:at])):
            return True
    return False


def _may_begin(part: str) -> bool:
    """Whether a German compound may begin so: `Gehör`, `Arbeits`."""
    return len(part) > _SHORTEST_STEM and any(
        kinds_of(stem) & (Kind.NOUN | Kind.GERMAN | Kind.ENGLISH)
        for stem in (part, part.removesuffix("s"), part.removesuffix("en"), part + "e")
        if len(stem) > _SHORTEST_STEM
    )


def is_english_compound(small: str) -> bool:
    """Whether `small` is two English words of four letters or more, and nobody's name: pipework."""
    is_word = len(small) <= _LONGEST_WORD and not small.endswith(_ENGLISH_NAME_TAILS)
    return is_word and any(
        kinds_of(small[:at]) & kinds_of(small[at:]) & Kind.ENGLISH
        for at in range(4, len(small) - 3)
    )
