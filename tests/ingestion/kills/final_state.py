"""All that a later reader, sync or ingest could tell two runs apart by."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import qdrant_edge as qdrant
from qdrant_client import AsyncQdrantClient
from sqlalchemy import ColumnElement, select

from rag.storage.database import Database
from rag.storage.documents.records import DocumentState
from rag.storage.generations.records import GenerationId
from rag.storage.jobs.records import JobState
from rag.storage.records import Digest
from rag.storage.tables import (
    ChunkRow,
    DocumentRow,
    GenerationRow,
    GroupEdgeRow,
    JobRow,
    ProfileRow,
    RenditionRow,
    SimilarityBandRow,
    TokenVectorsRow,
    ValidationRow,
)

Point = tuple[str, Any, Any]
"""Its id, payload and vectors."""
Points = Mapping[GenerationId, Sequence[Point]]
"""Of each generation that has an index."""

_IN_TIME = {"fence", "acl_as_of", "updated_at", "indexed_at", "release"}
"""When and after how many attempts: this may differ."""
_OF_READING = {"room", "access_fingerprint"}
"""Of what lies in a container these say how the container was when it was read last. One that is
unchanged need not be read again, and is after a kill."""
_OF_DELETED = ("id", "tenant", "source", "uri", "state", "settled", "original", "version")
_IN_TIME_OF_GENERATIONS = {"created_at", "serving_since"}
_OVER = [JobState.DONE.value, JobState.FAILED.value, JobState.DEAD.value]


async def final_state(
    database: Database, originals: Sequence[Digest], points: Points
) -> dict[str, list[Any]]:
    documents = await _rows(database, DocumentRow)
    return {
        "documents": _in_order([_lasting(row) for row in documents]),
        "released": sorted(row["id"] for row in documents if row["release"]),
        "generations": [
            {name: row[name] for name in row.keys() - _IN_TIME_OF_GENERATIONS}
            for row in await _rows(database, GenerationRow)
        ],
        "renditions": await _rows(database, RenditionRow),
        "chunks": await _rows(database, ChunkRow),
        "token vectors": await _rows(database, TokenVectorsRow),
        "verdicts": await _last_verdicts(database),
        "profiles": await _rows(database, ProfileRow),
        "similarity bands": await _rows(database, SimilarityBandRow),
        "groups": await _rows(database, GroupEdgeRow),
        "indexes": sorted(points),
        # No search reads a point's version. It is the one that the chunk was first indexed with:
        # another where a generation was filled before a change instead of after it.
        "points": [
            [generation, name, {**payload, "version": None}, vectors]
            for generation in sorted(points)
            for name, payload, vectors in sorted(points[generation], key=lambda point: point[0])
        ],
        "originals": sorted(originals),
        "jobs not over": await _rows(database, JobRow, JobRow.state.not_in(_OVER)),
    }


def digest_of(state: Mapping[str, Any]) -> str:
    return hashlib.sha256(plain(state).encode()).hexdigest()


def plain(state: Mapping[str, Any]) -> str:
    return json.dumps(state, sort_keys=True, default=str)


def differences(one: Mapping[str, Any], other: Mapping[str, Any]) -> list[str]:
    """What only one of the two holds, part by part."""
    found: list[str] = []
    for part in one:
        here, there = (
            {json.dumps(row, sort_keys=True) for row in run[part]} for run in (one, other)
        )
        found += [f"{part}, only in the first: {row}" for row in sorted(here - there)]
        found += [f"{part}, only in the second: {row}" for row in sorted(there - here)]
        if len(one[part]) != len(other[part]):
            found.append(f"{part}: {len(one[part])} against {len(other[part])}")
    return found


def lost_and_doubled(state: Mapping[str, Any]) -> tuple[int, int]:
    """Chunks of shown documents that their generation's index lacks; and points that are no such
    chunk, or show one a second time."""
    chunks = {(row["generation"], row["id"]) for row in state["chunks"]}
    indexed = [(generation, payload["chunk"]) for generation, _, payload, _ in state["points"]]
    places = {(row["generation"], row["document"], row["ordinal"]) for row in state["chunks"]}
    lost = len(chunks - set(indexed))
    doubled = len(indexed) - len(chunks & set(indexed)) + len(state["chunks"]) - len(places)
    return lost, doubled


def points_of_edge(path: Path) -> list[Point]:
    """Of an index that nobody has open."""
    engine = qdrant.EdgeShard.load(str(path / "shard"))
    records, _ = engine.scroll(
        qdrant.ScrollRequest(limit=100_000, with_payload=True, with_vector=True)
    )
    engine.close()
    return [(str(one.id), one.payload, _plain_vectors(one.vector)) for one in records]


async def points_of_client(client: AsyncQdrantClient, collection: str) -> list[Point]:
    records, _ = await client.scroll(
        collection, limit=100_000, with_payload=True, with_vectors=True
    )
    return [(str(one.id), one.payload, _plain_vectors(one.vector)) for one in records]


def _plain_vectors(vectors: Any) -> dict[str, Any]:
    def plain_one(vector: Any) -> Any:
        if hasattr(vector, "indices"):
            terms = zip(vector.indices, vector.values, strict=True)
            return sorted([index, round(value, 5)] for index, value in terms)
        return [round(float(number), 5) for number in vector]

    return {name: plain_one(vector) for name, vector in vectors.items()}


def _lasting(document: Mapping[str, Any]) -> dict[str, Any]:
    if document["state"] == DocumentState.DELETED.value:
        return {name: document[name] for name in _OF_DELETED}
    without = _IN_TIME | _OF_READING if document["parent"] else _IN_TIME
    return {name: value for name, value in document.items() if name not in without}


def _in_order(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return sorted(rows, key=lambda row: json.dumps(row, sort_keys=True))


async def _rows(
    database: Database, table: Any, *which: ColumnElement[bool]
) -> list[dict[str, Any]]:
    names: list[str] = table.__table__.columns.keys()
    rows = await database.rows(select(*(getattr(table, name) for name in names)).where(*which))
    return _in_order(
        [{name: _text(value) for name, value in zip(names, row, strict=True)} for row in rows]
    )


async def _last_verdicts(database: Database) -> list[dict[str, Any]]:
    """Of the newest version of each document that is there."""
    there = select(DocumentRow.id).where(DocumentRow.state != DocumentState.DELETED.value)
    rows = await _rows(database, ValidationRow, ValidationRow.document.in_(there))
    newest: dict[str, dict[str, Any]] = {}
    for row in sorted(rows, key=lambda row: row["fence"]):
        newest[row["document"]] = {
            name: value for name, value in row.items() if name not in {"fence", "recorded_at"}
        }
    return [newest[document] for document in sorted(newest)]


def _text(value: object) -> object:
    match value:
        case bytes():
            return value.hex()
        case datetime():
            return value.isoformat()
        case _:
            return value
