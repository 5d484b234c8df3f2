"""Tying what the model said to what it was shown: markers, sentences as they stream, citations."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise, takewhile

from rag.disagreement import Disagreement
from rag.grounding import GroundingCheck, Support
from rag.sentences import split_sentences
from rag.statements import Statement
from rag.types import Citation

_MARKER = re.compile(
    r"[ \t]*[\[【]\s*(?:\^|source\s|passage\s)?(\d{1,3}(?:\s*[,;]\s*\d{1,3})*)\s*[\]】]",
    re.IGNORECASE,
)
_LEADING = re.compile(rf"(?:{_MARKER.pattern}|[\s.,;:!?])+", re.IGNORECASE)
_OPEN_MARKER = re.compile(r"[\s.,;:!?]*[\[【][^\]】]*\Z")
_WHOLE_WORD = re.compile(r"\S+\s")
_MAY_SETTLE = re.compile(r"[\s\]】]")
_LOOK_AHEAD = 60
"""Characters after a full stop that `split_sentences` looks at, at most."""


@dataclass(frozen=True, slots=True)
class Sentence:
    """One sentence of a model, without its markers, and the evidence that they name."""

    text: str
    numbers: tuple[int, ...]


def sentence_of(written: str) -> Sentence:
    """`written` with its markers (`[2]`, `[1, 3]`) read and taken out."""
    numbers: dict[int, None] = {}
    for match in _MARKER.finditer(written):
        for number in re.findall(r"\d+", match[1]):
            numbers.setdefault(int(number))
    return Sentence(_MARKER.sub("", written).strip(), tuple(numbers))


@dataclass(slots=True)
class SentenceStream:
    """Pieces of text in, whole sentences out, each with the markers that follow it.

    However a text is cut into pieces, the sentences are those of the whole text.
    """

    _text: str = ""
    """All of it: where a line or a list began decides where a later sentence ends."""
    _given: int = 0
    """How many characters of `_text` were given out."""

    def push(self, piece: str) -> list[Sentence]:
        """The sentences that are complete now that `piece` has come.

        One is kept back until what follows it, a whole word at least, shows that it has ended.
        """
        self._text += piece
        if not _MAY_SETTLE.search(piece):
            return []
        return self._take(takewhile(self._is_settled, _starts(self._text)))

    def end(self) -> list[Sentence]:
        """What is left when the stream has ended."""
        left = self._take([*_starts(self._text), _Start(len(self._text), len(self._text))])
        self._text, self._given = "", 0
        return left

    def _take(self, starts: Iterable["_Start"]) -> list[Sentence]:
        new = [start.at for start in starts if start.at > self._given]
        places = [self._given, *new]
        self._given = places[-1]
        pieces = (self._text[start:end] for start, end in pairwise(places))
        return [sentence for piece in pieces if (sentence := sentence_of(piece)).text]

    def _is_settled(self, start: "_Start") -> bool:
        """Whether nothing that may still come moves `start`."""
        after = self._text[start.first :]
        word_is_whole = len(after) >= _LOOK_AHEAD or _WHOLE_WORD.match(after) is not None
        return word_is_whole and _OPEN_MARKER.match(self._text, start.at) is None


@dataclass(frozen=True, slots=True)
class _Start:
    """Where a sentence begins, and where it did before markers were left to the one before it."""

    first: int
    at: int


def _starts(text: str) -> list[_Start]:
    """Where the sentences of `text` begin; a marker after a full stop belongs to what it follows."""
    starts: list[_Start] = []
    for span in split_sentences(text):
        at = span.start
        leading = _LEADING.match(text, at, span.end) if starts else None
        if leading and _MARKER.search(leading[0]):
            at = leading.end()
        if at < span.end:
            starts.append(_Start(span.start, at))
    return starts


@dataclass(frozen=True, slots=True)
class Supported:
    """A sentence that may be said, and what it rests on."""

    text: str
    citation: Citation
    score: float


@dataclass(frozen=True, slots=True)
class Unsupported:
    """A sentence that may not be said, and why."""

    disagreement: Disagreement


async def verify(
    sentence: Sentence, statements: Sequence[Statement], check: GroundingCheck
) -> Supported | Unsupported:
    """Whether what the sentence cites supports it, or failing that anything that was shown.

    A marker that points at nothing is dropped. A sentence without a marker, or with a wrong one,
    is given the citation of what does support it. The quote is a span of the cited chunk's text.
    """
    cited = [each for each in statements if each.number in sentence.numbers]
    support = await check.support(sentence.text, cited)
    if support is None or support.disagreement is not None:
        elsewhere = await check.support(sentence.text, statements)
        support = elsewhere if elsewhere is not None else support
    if support is None:
        return Unsupported("words")
    if support.disagreement is not None:
        return Unsupported(support.disagreement)
    return Supported(sentence.text, _citation(support), support.score)


def _citation(support: Support) -> Citation:
    basis = support.basis
    quote = basis.chunk.text[basis.span.start : basis.span.end]
    return Citation(
        number=basis.number,
        chunk=basis.chunk,
        quote=quote,
        span=basis.span,
        verified=quote == basis.text,
    )
