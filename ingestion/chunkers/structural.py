"""Structure first, then meaning: a document as chunks small enough to embed and to cite.

A chunk never leaves its heading and never mixes a table with text. Text that is too long for one
chunk is cut where neighbouring sentences differ most (`docs/decisions/0005-chunking.md`).
"""

import asyncio
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from itertools import groupby, pairwise
from typing import Literal

from ingestion.chunkers.breakpoints import Breakpoints, LexicalBreakpoints
from ingestion.chunkers.context import fitted_context
from ingestion.chunkers.cuts import cut_at_best_gaps
from ingestion.chunkers.measuring import CountTokens, split_to_fit
from ingestion.chunkers.tables import table_parts
from rag.protocols import Embedder
from rag.sentences import split_sentences
from rag.types import (
    SECTION_GAP,
    Chunk,
    ChunkId,
    Code,
    Document,
    DocumentRef,
    Prose,
    Section,
    Span,
    Table,
)

SPECIAL_TOKENS = 2
_HEADER_SHARE = 3
"""The header may take one part in this many of the budget."""


@dataclass(frozen=True, slots=True)
class _Placed:
    """A section and where its text begins in the document's."""

    section: Section
    start: int


@dataclass(frozen=True, slots=True)
class _Unit:
    """A sentence or a line: what is never cut while it fits a chunk."""

    span: Span
    tokens: int
    place: int
    """Which section of the run it comes from."""
    is_cut: bool
    """Whether it is only a part of a sentence, and what follows is its rest."""


@dataclass(frozen=True, slots=True)
class _Run:
    """Neighbouring text sections under one heading path, with what their chunks share."""

    document: DocumentRef
    heading_path: tuple[str, ...]
    sections: tuple[_Placed, ...]
    units: tuple[_Unit, ...]
    budget: int
    """Tokens of text a chunk, the header taken off."""
    limit: int

    @property
    def is_long(self) -> bool:
        return sum(unit.tokens for unit in self.units) > self.budget


@dataclass(frozen=True, slots=True)
class _Tabled:
    document: DocumentRef
    heading_path: tuple[str, ...]
    placed: _Placed
    table: Table
    budget: int
    limit: int


class StructuralChunker:
    """Chunks of about `target_tokens`, the contextual header included, in the embedder's tokens.

    Neighbouring chunks of one section share whole sentences of up to `overlap` of the target; with
    them, a chunk may exceed the target but never the embedder's `max_tokens`.
    """

    def __init__(
        self,
        embedder: Embedder,
        *,
        target_tokens: int = 200,
        overlap: float = 0.15,
        breakpoints: Breakpoints | None = None,
    ) -> None:
        self._count: CountTokens = embedder.count_tokens
        self._limit = embedder.max_tokens - SPECIAL_TOKENS
        self._target = min(target_tokens, self._limit)
        self._overlap = int(overlap * self._target)
        self._breakpoints = breakpoints or LexicalBreakpoints()

    @property
    def name(self) -> str:
        return (
            f"structural-2 {self._target}/{self._limit} overlap {self._overlap}"
            f" {self._breakpoints.name}"
        )

    async def chunk(self, document: Document) -> Sequence[Chunk]:
        text, parts = await asyncio.to_thread(self._measured, document)
        long = [part for part in parts if isinstance(part, _Run) and part.is_long]
        distances = await self._breakpoints.distances(
            [[text[unit.span.start : unit.span.end] for unit in run.units] for run in long]
        )
        return await asyncio.to_thread(self._chunks, document, text, parts, distances)

    def _measured(self, document: Document) -> tuple[str, list[_Run | _Tabled]]:
        text = document.text
        return text, list(self._parts(document, text))

    def _parts(self, document: Document, text: str) -> Iterator[_Run | _Tabled]:
        """The document by heading path, and there by text and table."""
        for path, under_heading in groupby(
            _placed(document), key=lambda placed: placed.section.heading_path
        ):
            ref, shown_path, header = fitted_context(
                document.ref, path, limit=self._target // _HEADER_SHARE, count=self._count
            )
            budget, limit = self._target - header, self._limit - header
            for is_table, group in groupby(
                under_heading, key=lambda placed: isinstance(placed.section.block, Table)
            ):
                sections = tuple(group)
                if is_table:
                    for placed in sections:
                        if isinstance(table := placed.section.block, Table):
                            yield _Tabled(ref, shown_path, placed, table, budget, limit)
                    continue
                units = self._units(sections, text, budget)
                if units:
                    yield _Run(ref, shown_path, sections, units, budget, limit)

    def _units(self, sections: Sequence[_Placed], text: str, budget: int) -> tuple[_Unit, ...]:
        spans = [
            (Span(placed.start + span.start, placed.start + span.end), place)
            for place, placed in enumerate(sections)
            for span in _spans(placed.section.block)
        ]
        sizes = self._count([text[span.start : span.end] for span, _ in spans])
        units: list[_Unit] = []
        for (span, place), tokens in zip(spans, sizes, strict=True):
            if tokens <= budget:
                units.append(_Unit(span, tokens, place, is_cut=False))
                continue
            pieces = split_to_fit(text, span, budget, self._count)
            units += [_Unit(piece, size, place, is_cut=True) for piece, size in pieces[:-1]]
            units += [_Unit(piece, size, place, is_cut=False) for piece, size in pieces[-1:]]
        return tuple(units)

    def _chunks(
        self,
        document: Document,
        text: str,
        parts: Sequence[_Run | _Tabled],
        distances: Sequence[Sequence[float]],
    ) -> list[Chunk]:
        found: list[Chunk] = []
        remaining = iter(distances)
        for part in parts:
            if isinstance(part, _Tabled):
                found += self._table_chunks(document, part)
            else:
                gaps = next(remaining) if part.is_long else [0.0] * (len(part.units) - 1)
                found += self._text_chunks(document, text, part, gaps)
        return _named(found)

    def _table_chunks(self, document: Document, part: _Tabled) -> Iterator[Chunk]:
        for piece in table_parts(
            part.table, budget=part.budget, limit=part.limit, count=self._count
        ):
            start = part.placed.start
            yield _chunk(
                document,
                part,
                text=piece.text,
                kind="table",
                span=Span(start + piece.span.start, start + piece.span.end),
                page=part.placed.section.page,
            )

    def _text_chunks(
        self, document: Document, text: str, run: _Run, distances: Sequence[float]
    ) -> Iterator[Chunk]:
        units = run.units
        sizes = [unit.tokens for unit in units]
        priorities = [
            _priority(text, left, right, distance)
            for (left, right), distance in zip(pairwise(units), distances, strict=True)
        ]
        for piece in cut_at_best_gaps(sizes, priorities, budget=run.budget):
            first = piece.start - self._shared(units, piece, run.limit)
            span = Span(units[first].span.start, units[piece.stop - 1].span.end)
            blocks = {
                type(run.sections[unit.place].section.block) for unit in units[first : piece.stop]
            }
            yield _chunk(
                document,
                run,
                text=text[span.start : span.end],
                kind="code" if blocks == {Code} else "prose",
                span=span,
                page=run.sections[units[piece.start].place].section.page,
            )

    def _shared(self, units: Sequence[_Unit], piece: range, limit: int) -> int:
        """How many whole sentences before `piece` its chunk repeats."""
        used = sum(unit.tokens for unit in units[piece.start : piece.stop])
        room = min(self._overlap, limit - used)
        shared = 0
        for place in range(piece.start - 1, -1, -1):
            is_fragment = units[place].is_cut or (place > 0 and units[place - 1].is_cut)
            room -= units[place].tokens
            if room < 0 or is_fragment:
                break
            shared += 1
        return shared


def _placed(document: Document) -> Iterator[_Placed]:
    start = 0
    for section in document.sections:
        yield _Placed(section, start)
        start += len(section.text) + len(SECTION_GAP)


def _spans(block: Prose | Code | Table) -> list[Span]:
    if isinstance(block, Prose):
        return split_sentences(block.text)
    spans: list[Span] = []
    at = 0
    for line in block.text.split("\n"):
        if line.strip():
            spans.append(Span(at, at + len(line.rstrip())))
        at += len(line) + 1
    return spans


def _priority(text: str, left: _Unit, right: _Unit, distance: float) -> tuple[float, str]:
    """How good it is to cut between two units; ties fall to a hash of their words."""
    between = text[left.span.end : right.span.start]
    bonus = 0.0
    if left.is_cut:
        bonus = -1.0
    elif left.place != right.place or "\n\n" in between:
        bonus = 0.4
    elif "\n" in between:
        bonus = 0.1
    if text[left.span.end - 1] == ":":
        bonus -= 0.6
    around = f"{text[left.span.start : left.span.end]}\n{text[right.span.start : right.span.end]}"
    return round(distance + bonus, 2), sha256(around.encode("utf-8", "replace")).hexdigest()


def _chunk(
    document: Document,
    part: _Run | _Tabled,
    *,
    text: str,
    kind: Literal["prose", "code", "table"],
    span: Span,
    page: int | None,
) -> Chunk:
    return Chunk(
        id=ChunkId(""),
        document=part.document,
        version=document.version,
        ordinal=0,
        text=text,
        heading_path=part.heading_path,
        kind=kind,
        span=span,
        page=page,
    )


def _named(chunks: Sequence[Chunk]) -> list[Chunk]:
    """`chunks` with their places and their ids, which come from what is embedded alone."""
    seen: Counter[str] = Counter()
    named: list[Chunk] = []
    for ordinal, chunk in enumerate(chunks):
        embedded = chunk.embedded_text
        seen[embedded] += 1
        key = f"{chunk.document.id}\0{embedded}\0{seen[embedded]}"
        digest = sha256(key.encode("utf-8", "replace")).hexdigest()[:32]
        named.append(replace(chunk, id=ChunkId(digest), ordinal=ordinal))
    return named
