"""Cuts placed by the embeddings of sentences: measured beside the shipped way, and not taken (see
docs/decisions/0005-chunking.md)."""

from collections.abc import Sequence
from itertools import islice

import numpy as np

from ingestion.chunkers.breakpoints import sides_of_gaps
from rag.protocols import Embedder
from rag.types import Vector


class EmbeddedBreakpoints:
    """By the cosine of the sentences' embeddings, averaged over each side of the gap."""

    def __init__(self, embedder: Embedder) -> None:
        self._embedder = embedder

    @property
    def name(self) -> str:
        return f"embedded by {self._embedder.name}"

    async def distances(self, passages: Sequence[Sequence[str]]) -> list[list[float]]:
        flat = [sentence for sentences in passages for sentence in sentences]
        embeddings = await self._embedder.embed_documents(flat)
        remaining = iter([embedding.vector for embedding in embeddings])
        found: list[list[float]] = []
        for sentences in passages:
            own = list(islice(remaining, len(sentences)))
            found.append(
                [
                    1 - _cosine(np.sum(left, axis=0), np.sum(right, axis=0))
                    for left, right in sides_of_gaps(own)
                ]
            )
        return found


def _cosine(left: Vector, right: Vector) -> float:
    return float(left @ right / (np.linalg.norm(left) * np.linalg.norm(right)))
