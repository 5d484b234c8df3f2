"""Kept answers as rows, and back."""

import hashlib
from dataclasses import astuple
from typing import Any

import numpy as np

from rag.access import PrincipalId, TenantId
from rag.gateway.answer_cache.entries import (
    EvidenceMark,
    KeptAnswer,
    KeptAnswerId,
    KeptCitation,
    KeptPassage,
)
from rag.gateway.answer_cache.questions import normalised
from rag.gateway.money import Micro
from rag.types import ChunkId, DocumentId, Span, VersionId


def digest_of(normalised: str) -> str:
    return hashlib.sha256(normalised.encode("utf-8", "surrogatepass")).hexdigest()


def values_of(kept: KeptAnswer) -> dict[str, Any]:
    return {
        "id": kept.id,
        "tenant": kept.tenant,
        "partition": kept.partition,
        "question_digest": digest_of(kept.normalised),
        "generation": kept.generation,
        "prompt": kept.prompt,
        "question": kept.question,
        "vector": kept.vector.astype("<f4").tobytes(),
        "text": kept.text,
        "told": {
            "model": kept.model,
            "confidence": kept.confidence,
            "passages": [[each.number, each.best, list(each.parts)] for each in kept.passages],
            "citations": [
                [each.number, each.chunk, each.span.start, each.span.end] for each in kept.citations
            ],
            "marks": [list(astuple(mark)) for mark in kept.marks],
        },
        "cost": kept.cost,
        "asker": kept.asker,
        "shareable": kept.shareable,
        "made_at": kept.made_at,
        "kept_at": kept.kept_at,
        "expires_at": kept.expires_at,
        "used_at": kept.used_at,
    }


def answer_of(row: Any) -> KeptAnswer:
    told: dict[str, Any] = row.told
    return KeptAnswer(
        id=KeptAnswerId(row.id),
        tenant=TenantId(row.tenant),
        partition=row.partition,
        generation=row.generation,
        prompt=row.prompt,
        question=row.question,
        normalised=normalised(row.question),
        vector=np.frombuffer(row.vector, "<f4"),
        text=row.text,
        confidence=told["confidence"],
        model=told["model"],
        cost=Micro(row.cost),
        passages=tuple(
            KeptPassage(number, ChunkId(best), tuple(map(ChunkId, parts)))
            for number, best, parts in told["passages"]
        ),
        citations=tuple(
            KeptCitation(number, ChunkId(chunk), Span(start, end))
            for number, chunk, start, end in told["citations"]
        ),
        marks=tuple(
            EvidenceMark(
                ChunkId(chunk),
                DocumentId(document),
                VersionId(version),
                described,
                None if superseded_by is None else DocumentId(superseded_by),
            )
            for chunk, document, version, described, superseded_by in told["marks"]
        ),
        asker=PrincipalId(row.asker),
        shareable=row.shareable,
        made_at=row.made_at,
        expires_at=row.expires_at,
        kept_at=row.kept_at,
        used_at=row.used_at,
    )
