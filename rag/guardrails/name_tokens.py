"""A text as words and numbers, each with what stands before it, and the languages it may be in."""

import re
from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import NamedTuple

from rag.guardrails.words import Kind, Word, lexicon, number

_NUMBER = r"\d(?:[.,:/-]?\d)*(?:[^\W\d_]{1,2}\d*)?(?!\w)|\d+"
_WORD = r"[^\W\d_](?:[.’'&-]?[\w∆])*(?:\.(?=[A-Z]\.))?"
WORD = re.compile(_WORD)
_GAP_AND_TOKEN = re.compile(rf"([\W_]*)(?:({_WORD})|({_NUMBER}))")
"""Every letter and every digit is of a token, so matches follow one another without a space between."""
_FOREIGN = re.compile(
    r"[\u0370-\u1dff\u3040-\ud7ff\uf900-\ufaff][\u0370-\u1dff\u3040-\ud7ff\uf900-\ufaff·]*"
)
"""A run of letters that are not Latin, with the signs that belong to them."""
_CITATION = re.compile(r"\[\d{1,3}\]")
_OPENS = frozenset("\"'“”„«»([{<>*-–—•#|?!¿¡…")
_ENDS = frozenset(".!?:;")


class Token(NamedTuple):
    """A tuple, because a text has hundreds of them and a dataclass takes five times as long."""

    start: int
    end: int
    word: Word
    opens: bool
    """Whether a sentence or a line begins with it."""
    line: int
    gap: str
    """What stands between it and the token before."""

    @property
    def answers(self) -> bool:
        """Whether it stands after a colon of its line: `Nationality: Polish`."""
        return ":" in self.gap and "\n" not in self.gap


@dataclass(frozen=True, slots=True)
class Reading:
    """The words and numbers of a text in order; numbers of citations (`[2]`) are none of them."""

    tokens: Sequence[Token]
    numbers: Sequence[int]
    """Places of those that are numbers."""
    small: AbstractSet[str]
    """Words that are written small somewhere."""
    kinds: int
    """Flags of all words together: what none of them is need not be looked for."""
    english: bool
    """Whether it may be English, of which we know the words: in another language, that a word is
    unknown says nothing."""
    german: bool
    """Whether it is German, where nouns are capitalised."""


def reading_of(text: str) -> Reading:
    known, look_up = lexicon().known, lexicon().word
    has_citations = "[" in text
    tokens: list[Token] = []
    numbers: list[int] = []
    small: set[str] = set()
    append, add_small = tokens.append, small.add
    at = line = everything = 0
    previous: Word | None = None
    for between, written, digits in _GAP_AND_TOKEN.findall(text):
        start = at + len(between)
        if written:
            at = start + len(written)
            word = known.get(written) or look_up(written)
            everything |= word.kinds
            if not word.is_capital:
                add_small(word.small)
        else:
            at = start + len(digits)
            if has_citations and _CITATION.match(text, start - 1):
                continue
            word = number(digits)
            numbers.append(len(tokens))
        opens, gap = False, " "
        if between != " ":
            gap = text[tokens[-1].end : start] if tokens else between
            opens = not tokens or _opens(gap, previous)
            if "\n" in gap:
                line += gap.count("\n")
        append(Token(start, at, word, opens, line, gap))
        previous = word
    english, german = _languages(tokens) if everything & _TELLS else (True, False)
    return Reading(tokens, numbers, small, everything, english, german)


def _opens(gap: str, previous: Word | None) -> bool:
    if "\n" in gap:
        return True
    bare = gap.strip(" \t")
    if not bare:
        return False
    if bare == "." and previous is not None:
        is_initial = previous.is_capital and len(previous.text) == 1
        if is_initial or previous.kinds & Kind.TITLE:
            return False
    return not _ENDS.isdisjoint(bare) or _OPENS.issuperset(bare)


_TELLS = Kind.TELLS_ENGLISH | Kind.TELLS_GERMAN | Kind.TELLS_ROMANCE
_SHORT_TEXT = 12
"""Words. In so few, `de la Cruz` and `van der Meer` tell nothing of the language they stand in."""


def _languages(tokens: Sequence[Token]) -> tuple[bool, bool]:
    """Whether they may be English, and whether they are German: by the small words among them."""
    english = german = romance = before = 0
    is_short = len(tokens) < _SHORT_TEXT
    for token in tokens:
        kinds = token.word.kinds
        if kinds & _TELLS:
            english += bool(kinds & Kind.TELLS_ENGLISH)
            german += bool(kinds & Kind.TELLS_GERMAN) and not kinds & before & Kind.PARTICLE
            romance += bool(kinds & Kind.TELLS_ROMANCE) and not (is_short and kinds & Kind.PARTICLE)
        before = kinds
    is_foreign = max(german, romance) > max(1, english)
    return not is_foreign, german > max(english, romance)


def foreign_in(text: str) -> Iterator[tuple[int, int]]:
    """Where letters of another script stand in a text whose letters are Latin for the most part."""
    if text.isascii():
        return
    places = [found.span() for found in _FOREIGN.finditer(text)]
    if sum(end - start for start, end in places) * 2 < sum(map(str.isalpha, text)):
        yield from places
