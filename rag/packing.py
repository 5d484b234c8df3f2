"""From retrieved chunks to the numbered evidence that a model is shown.

Neighbouring chunks of one document become one passage, near-copies are shown once, what a newer
document replaced is left out, and the whole fits a budget of tokens.
"""

import re
from collections.abc import Callable, Sequence

from rag.types import DocumentId, Evidence, RetrievedChunk

SAME_TEXT = 0.8
"""The share of common word triples from which two passages count as copies of each other."""

CountTokens = Callable[[Sequence[str]], list[int]]


def pack_evidence(
    hits: Sequence[RetrievedChunk],
    *,
    count_tokens: CountTokens,
    budget_tokens: int,
    passages: int = 8,
) -> tuple[Evidence, ...]:
    """At most `passages` numbered passages, best first, of at most `budget_tokens` in all.

    The first passage always stands, so that a small budget is no silence.
    """
    kept = _without_copies(_without_superseded(hits))
    merged = _merge_neighbours(kept)
    costs = count_tokens([merged_text(parts) for _, parts in merged])

    evidence: list[Evidence] = []
    spent = 0
    for (best, parts), cost in zip(merged, costs, strict=True):
        if len(evidence) == passages:
            break
        if evidence and spent + cost > budget_tokens:
            continue
        spent += cost
        evidence.append(
            Evidence(
                number=len(evidence) + 1, hit=best, text=merged_text(parts), parts=tuple(parts)
            )
        )
    return tuple(evidence)


def _without_superseded(hits: Sequence[RetrievedChunk]) -> list[RetrievedChunk]:
    """`hits` less the documents whose replacement was found too."""
    found: set[DocumentId] = {hit.chunk.document.id for hit in hits}
    return [hit for hit in hits if hit.superseded_by not in found]


def _without_copies(hits: Sequence[RetrievedChunk]) -> list[RetrievedChunk]:
    """`hits` less those that say what a better one says. Other numbers make another passage."""
    kept: list[RetrievedChunk] = []
    prints: list[tuple[frozenset[str], frozenset[str]]] = []
    for hit in hits:
        shingles, numbers = _shingles(hit.chunk.text), _numbers(hit.chunk.text)
        if any(numbers == n and _overlap(shingles, s) >= SAME_TEXT for s, n in prints):
            continue
        kept.append(hit)
        prints.append((shingles, numbers))
    return kept


def _merge_neighbours(
    hits: Sequence[RetrievedChunk],
) -> list[tuple[RetrievedChunk, list[RetrievedChunk]]]:
    """Each best hit with the hits that stand beside it under the same heading, in document order."""
    left = {(hit.chunk.document.id, hit.chunk.ordinal): hit for hit in hits}
    merged: list[tuple[RetrievedChunk, list[RetrievedChunk]]] = []
    for hit in hits:
        if left.pop((hit.chunk.document.id, hit.chunk.ordinal), None) is None:
            continue
        parts = [hit]
        if hit.chunk.kind != "table":
            for step in (-1, 1):
                ordinal = hit.chunk.ordinal + step
                beside = left.get((hit.chunk.document.id, ordinal))
                if beside is not None and _same_place(hit, beside):
                    del left[(hit.chunk.document.id, ordinal)]
                    parts.append(beside)
        merged.append((hit, sorted(parts, key=lambda part: part.chunk.ordinal)))
    return merged


def _same_place(one: RetrievedChunk, other: RetrievedChunk) -> bool:
    return (
        one.chunk.heading_path == other.chunk.heading_path
        and one.chunk.version == other.chunk.version
        and other.chunk.kind != "table"
    )


def merged_text(parts: Sequence[RetrievedChunk]) -> str:
    """The parts' texts, with what two neighbours share by overlap written once."""
    text = parts[0].chunk.text
    end = parts[0].chunk.span.end
    for part in parts[1:]:
        chunk = part.chunk
        shared = max(0, end - chunk.span.start)
        if shared and text.endswith(chunk.text[:shared]):
            text += chunk.text[shared:]
        else:
            text += "\n\n" + chunk.text
        end = chunk.span.end
    return text


def _shingles(text: str) -> frozenset[str]:
    words = re.findall(r"\w+", text.casefold())
    return frozenset(" ".join(words[at : at + 3]) for at in range(max(1, len(words) - 2)))


def _numbers(text: str) -> frozenset[str]:
    return frozenset(re.findall(r"\d[\d.,]*", text))


def _overlap(one: frozenset[str], other: frozenset[str]) -> float:
    union = len(one | other)
    return len(one & other) / union if union else 1.0
