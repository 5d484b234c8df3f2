"""Tying what the model said to what it was shown: markers, sentences as they stream, citations."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from rag.grounding import Disagreement, GroundingCheck, Support
from rag.sentences import split_sentences
from rag.statements import Statement
from rag.types import Citation

_MARKER = re.compile(
    r"[ \t]*[\[【]\s*(?:\^|source\s|passage\s)?(\d{1,3}(?:\s*[,;]\s*\d{1,3})*)\s*[\]】]",
    re.IGNORECASE,
)
_LEADING = re.compile(rf"(?:{_MARKER.pattern}|[\s.,;:!?])+", re.IGNORECASE)
_MAY_END = re.compile(r"[\s.!?…。！？]")


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
    """Pieces of text in, whole sentences out, each with the markers that follow it."""

    _waiting: str = ""

    def push(self, piece: str) -> list[Sentence]:
        """The sentences that are complete now that `piece` has come.

        The last one is kept back until more follows: a marker, or the rest of a number, may.
        """
        self._waiting += piece
        if not _MAY_END.search(piece):
            return []
        *complete, self._waiting = self._pieces() or [self._waiting]
        return _sentences(complete)

    def end(self) -> list[Sentence]:
        """What is left when the stream has ended."""
        left, self._waiting = self._pieces(), ""
        return _sentences(left)

    def _pieces(self) -> list[str]:
        """The text cut into sentences; a marker after a full stop belongs to what it follows."""
        text = self._waiting
        starts: list[int] = []
        for span in split_sentences(text):
            start = span.start
            leading = _LEADING.match(text, start, span.end) if starts else None
            if leading and _MARKER.search(leading[0]):
                start = leading.end()
            if start < span.end:
                starts.append(start)
        return [text[start:end] for start, end in pairwise([*starts, len(text)])]


def _sentences(pieces: Sequence[str]) -> list[Sentence]:
    return [sentence for piece in pieces if (sentence := sentence_of(piece)).text]


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
