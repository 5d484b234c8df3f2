"""Whether two texts say a thing or its opposite: denials with what they deny, antonyms, bounds.

English and German. Lists of words, not a parser: a denial reaches the two words of meaning that
follow it (in German, also the one before), and only what both texts speak of is compared.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from rag.terms import content_words, fold, stem, words_of

_DENIALS = frozenset(
    "not no never none neither nor without cannot nothing nobody nowhere hardly barely rarely seldom unless except"
    " nicht kein keine keinen keinem keiner keines nie niemals ohne nichts niemand weder kaum selten außer".split()
)
_NO_DENIAL = re.compile(
    r"\bnot only\b(?=.+\bbut\b)|\bnicht nur\b|\bno\.?\s?(?=\d)|\bnr\.?\s?(?=\d)|\bnot until\b|\bwhether or not\b|\bno one but\b",
    re.IGNORECASE,
)
_AT_MOST = (
    r"at (?:the )?(?:very )?most|no (?:more|later|longer|greater|higher) than"
    r"|not (?:to )?(?:(?:more|later|longer) than|exceed\w*)"
    r"|(?:must|may|shall|can|do|does|should) not exceed|a maximum of|maximum|maximal|höchstens"
    r"|bis zu|nicht mehr als|up to|within|less than|fewer than|below|under|weniger als"
    r"|unter(?= \d)|unterhalb"
)
_AT_LEAST = (
    r"at (?:the )?(?:very )?least|no (?:less|fewer|sooner|earlier|lower) than"
    r"|not (?:(?:less|fewer) than|(?:under|below)(?= [\d£€$]))|a minimum of|minimum|minimal|mindestens|wenigstens"
    r"|nicht weniger als|more than|above|over(?= [\d£€$])|exceed\w*|mehr als|über(?= \d)|oberhalb"
)
_BOUND = re.compile(
    rf"(?P<most>(?<!\w)(?:{_AT_MOST})(?!\w))|(?P<least>(?<!\w)(?:{_AT_LEAST})(?!\w))",
    re.IGNORECASE,
)
_OPPOSITES = (
    "allowed permitted permissible|forbidden prohibited banned",
    "before prior preceding|after following",
    "included includes include including inclusive|excluded excludes exclude excluding exclusive",
    "higher greater larger bigger longer|lower smaller shorter",
    "more|less fewer",
    "most|least fewest",
    "increase increased increases rise rose risen grew grow grown|decrease decreased decreases fall fell fallen shrank",
    "open opened opens|closed closes shut",
    "accepted accepts accept approved approves approve|rejected rejects reject refused refuses refuse denied",
    "first|last",
    "early earlier earliest|late later latest",
    "enable enabled enables|disable disabled disables",
    "required mandatory compulsory obligatory|optional voluntary",
    "internal|external",
    "start starts started begin begins began|end ends ended finish finishes finished",
    "true|false",
    "safe|dangerous unsafe",
    "wet|dry",
    "hot|cold",
    "public|private confidential",
    "paid|unpaid",
    "success succeeded succeeds successful|failure failed fails unsuccessful",
    "won wins win|lost loses lose",
    "buy buys bought|sell sells sold",
    "many|few",
    "working business|calendar",
    "northern north|southern south",
    "eastern east|western west",
    "left|right",
    "inside|outside",
    "upper top|bottom",
    "positive|negative",
    "gross|net",
    "temporary|permanent",
    "remove removed removes|add added adds install installed",
    "import imports imported|export exports exported",
    "erlaubt gestattet zulässig|verboten untersagt unzulässig",
    "vor vorher|nach nachher",
    "über oberhalb|unter unterhalb",
    "mehr|weniger",
    "höher größer länger|niedriger kleiner kürzer",
    "steigen steigt stieg gestiegen|sinken sinkt sank gesunken",
    "geöffnet offen öffnet|geschlossen schließt",
    "inklusive einschließlich|exklusive ausschließlich",
    "angenommen genehmigt|abgelehnt",
    "früher|später",
    "erste ersten erster|letzte letzten letzter",
    "pflicht vorgeschrieben|freiwillig",
    "intern|extern",
    "beginnt beginn|endet ende",
)
_AFFIXES = ("un", "in", "im", "ir", "il", "dis", "non", "mis", "nicht")
_SHORTEST_ROOT = 4
_REACH = 2
_REACH_CHARACTERS = 60


def _sides() -> dict[str, frozenset[tuple[int, int]]]:
    found: dict[str, set[tuple[int, int]]] = {}
    for at, pair in enumerate(_OPPOSITES):
        for side, words in enumerate(pair.split("|")):
            for word in words.split():
                found.setdefault(word, set()).add((at, side))
    return {word: frozenset(places) for word, places in found.items()}


_SIDES = _sides()


@dataclass(frozen=True, slots=True)
class Reach:
    """A word that denies or bounds, and the stems of what it speaks of."""

    kind: str
    """`not`, `most` or `least`."""
    of: frozenset[str]


@dataclass(frozen=True, slots=True)
class Polarity:
    """Which way round a text says what it says."""

    denials: tuple[Reach, ...]
    bounds: tuple[Reach, ...]
    sides: Mapping[tuple[int, int], int]
    """How often it says which side of which pair of opposites."""
    stems: frozenset[str]

    def contradicts(self, shown: "Polarity", beside: Iterable["Polarity"] = ()) -> bool:
        """Whether this text denies what `shown` says, or says what `shown` denies.

        What is denied in one that stands `beside` it may be denied here too.
        """
        if any(map(shown.bounds_otherwise, self.bounds)):
            return True
        mine, theirs = _unmatched(self.denials, shown.denials)
        if mine:
            denied = [other.of for one in beside for other in one.denials]
            mine = [each for each in mine if not any(each.of <= other for other in denied)]
        theirs = [each for each in theirs if each.of and each.of <= self.stems]
        return (len(mine) + len(theirs) + self._turned(shown)) % 2 == 1

    def bounds_otherwise(self, bound: Reach) -> bool:
        """Whether this text sets the opposite bound on what `bound` does, and not the same."""
        closeness = [len(each.of & bound.of) for each in self.bounds]
        closest = max(closeness, default=0)
        same = [each.kind for each, c in zip(self.bounds, closeness, strict=True) if c == closest]
        return closest > 0 and bound.kind not in same

    def _turned(self, shown: "Polarity") -> int:
        """How many words of this text are the opposite of one of `shown`'s."""
        turned = sum(
            often > shown.sides.get((pair, side), 0)
            and shown.sides.get((pair, 1 - side), 0) > self.sides.get((pair, 1 - side), 0)
            for (pair, side), often in self.sides.items()
        )
        return turned + _affixed(self.stems, shown.stems) + _affixed(shown.stems, self.stems)


def _unmatched(mine: Sequence[Reach], theirs: Sequence[Reach]) -> tuple[list[Reach], list[Reach]]:
    """What of either is denied without a counterpart in the other."""
    left, alone = list(theirs), list[Reach]()
    for each in mine:
        closest = max(left, key=lambda other: len(other.of & each.of), default=None)
        if closest is not None and (closest.of & each.of or not (closest.of and each.of)):
            left.remove(closest)
        else:
            alone.append(each)
    return alone, left


def polarity_of(text: str) -> Polarity:
    """How `text` says what it says. It is stemmed as `rag.terms` stems."""
    plain = _NO_DENIAL.sub(" ", text)
    words = words_of(_BOUND.sub(" ", plain))
    return Polarity(
        tuple(_denials(words)),
        tuple(
            Reach(str(match.lastgroup), frozenset(_next(plain[match.end() :])))
            for match in _BOUND.finditer(plain)
        ),
        Counter(place for word in words for place in _SIDES.get(word.lower(), ())),
        frozenset(map(stem, words_of(text))),
    )


def _denials(words: Sequence[str]) -> Iterator[Reach]:
    for at, word in enumerate(words):
        low = word.lower()
        if low in _DENIALS or low.endswith(("n't", "n’t")):
            after = _next(" ".join(words[at + 1 :]))
            yield Reach("not", frozenset(after or _meant(" ".join(words[:at]))[-1:]))


def _next(text: str) -> list[str]:
    return _meant(text[:_REACH_CHARACTERS])[:_REACH]


def _meant(text: str) -> list[str]:
    """The stems of the words of meaning, in order; numbers among them."""
    return [term for word in words_of(text) for term in content_words(word)]


def _affixed(one: frozenset[str], other: frozenset[str]) -> int:
    """Stems of `one` that are those of `other` with a prefix that turns them round."""
    return sum(
        word.startswith(affix)
        and len(word) - len(affix) >= _SHORTEST_ROOT
        and word[len(affix) :] in other
        and word not in other
        and word[len(affix) :] not in one
        for word in one
        for affix in map(fold, _AFFIXES)
    )
