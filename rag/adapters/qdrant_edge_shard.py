"""A Qdrant Edge shard on disk: opening it, and the calls into its engine. Every call blocks.

The messages that the owning process exchanges with whoever started it stand here too.
"""

import fcntl
import json
import pickle
import shutil
import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any, Literal

import qdrant_edge as qdrant

from rag.adapters.bm25 import sparse_document, sparse_query
from rag.adapters.qdrant_payload import (
    DENSE,
    KEYWORDS,
    MOST_RANGE_INDEXES,
    SCHEMA,
    SPARSE,
    TENANT,
    Condition,
    Match,
    Payload,
    Range,
    Where,
    chunk_of,
    range_paths,
    ranked,
)
from rag.errors import ConfigurationError
from rag.types import ChunkId, IndexHit, Vector

LENGTH_BYTES = 8
_LOCK_WAIT_S = 2.0
_PAGE = 1_000
_MOST_CHUNKS_KNOWN = 200_000
"""Some 50 MB."""


@dataclass(frozen=True, slots=True)
class EdgePoint:
    """A chunk on its way into the shard. Its terms are counted here, off the caller's loop."""

    id: str
    text: str
    vector: Vector
    payload: Payload


@dataclass(frozen=True, slots=True)
class Done:
    result: object


@dataclass(frozen=True, slots=True)
class Failed:
    kind: Literal["configuration", "full", "unavailable"]
    message: str


def frame(message: object) -> bytes:
    body = pickle.dumps(message, protocol=pickle.HIGHEST_PROTOCOL)
    return len(body).to_bytes(LENGTH_BYTES, "little") + body


class Shard:
    """Calls into the engine. Each blocks; `EdgeShard` errors come out as they are."""

    def __init__(self, engine: qdrant.EdgeShard) -> None:
        self._engine = engine
        schema = engine.info().payload_schema
        self._indexed = set(schema)
        self._unused = {key for key in KEYWORDS if not schema[key].points}
        """Keyword fields that no point has: no condition on them can hold."""
        self._chunks: dict[object, ChunkId] = {}
        """By point: which chunk it is never changes, and reading it from the payload of each hit
        took as long as a search of few vectors."""
        self.unflushed = 0
        self.unoptimised = 0
        """Points written since the last optimising that this process did."""

    def upsert(self, points: Sequence[EdgePoint]) -> None:
        self._note([point.payload for point in points])
        self._write(qdrant.UpdateOperation.upsert_points([_point(point) for point in points]))
        self.unflushed += len(points)
        self.unoptimised += len(points)

    def describe(self, which: Where, payload: Payload) -> None:
        self._note([payload])
        self._write(qdrant.UpdateOperation.set_payload_by_filter(_filter(which), dict(payload)))

    def delete(self, ids: Sequence[str]) -> None:
        self._write(qdrant.UpdateOperation.delete_points(list(ids)))

    def delete_where(self, which: Where) -> None:
        self._write(qdrant.UpdateOperation.delete_points_by_filter(_filter(which)))

    def chunk_ids(self, which: Where) -> set[ChunkId]:
        found: set[ChunkId] = set()
        offset: qdrant.PointId | None = None
        while True:
            request = qdrant.ScrollRequest(
                offset=offset, limit=_PAGE, filter=_filter(which), with_payload=["chunk"]
            )
            records, offset = self._engine.scroll(request)
            found.update(chunk_of(record.payload) for record in records)
            if offset is None:
                return found

    def count(self, which: Where) -> int:
        return self._engine.count(qdrant.CountRequest(exact=True, filter=_filter(which)))

    def dense(self, vector: Vector, which: Where, limit: int) -> list[IndexHit]:
        query = qdrant.Query.Nearest(vector.tolist(), using=DENSE)
        # Of the best 50 among random directions, the hardest to tell apart, .999 are found so.
        rescored = qdrant.QuantizationSearchParams(rescore=True, oversampling=2.0)
        return self._best(query, which, limit, qdrant.SearchParams(quantization=rescored))

    def sparse(self, text: str, which: Where, corpus: Where, limit: int) -> list[IndexHit]:
        numbers, weights = sparse_query(text)
        if not len(numbers):
            return []
        terms = qdrant.SparseVector(numbers.tolist(), weights.tolist())
        idf = qdrant.IdfParams(corpus=self._filter(corpus))
        query = qdrant.Query.Nearest(terms, using=SPARSE)
        return self._best(query, which, limit, qdrant.SearchParams(idf=idf))

    def optimise(self) -> None:
        """Merge what was written, drop what was deleted, and quantise what is left."""
        while self._engine.optimize():
            pass
        self.unoptimised = 0

    def flush(self) -> None:
        self._engine.flush()
        self.unflushed = 0

    def close(self) -> None:
        self.flush()
        self._engine.close()

    def _note(self, payloads: Sequence[Payload]) -> None:
        """Before `payloads` are written: what a filter must know of them."""
        for payload in payloads:
            self._unused -= {key for key in self._unused if payload.get(key)}
        paths = set[str]().union(*map(range_paths, payloads))
        for path in sorted(paths - self._indexed):
            if len(self._indexed) < len(KEYWORDS) + MOST_RANGE_INDEXES:
                create = qdrant.UpdateOperation.create_field_index
                self._write(create(path, qdrant.FloatIndexParams()))
                self._indexed.add(path)

    def _write(self, operation: qdrant.UpdateOperation) -> None:
        self._engine.update(operation)
        self.unflushed += 1

    def _filter(self, which: Where) -> qdrant.Filter:
        """Without the branches that no point can be in: checking each point for them takes time."""
        possible = tuple(one for one in which.should if self._is_possible(one))
        return _filter(replace(which, should=possible or which.should))

    def _is_possible(self, condition: Condition) -> bool:
        match condition:
            case Match(key):
                return key not in self._unused
            case Range():
                return True
            case Where(must=must):
                return all(map(self._is_possible, must))

    def _best(
        self, query: qdrant.Query, which: Where, limit: int, params: qdrant.SearchParams
    ) -> list[IndexHit]:
        asked = limit + 1
        wanted = self._filter(which)
        while True:
            request = qdrant.QueryRequest(
                limit=asked,
                query=query,
                filter=wanted,
                params=params,
            )
            found = self._hits(self._engine.query(request))
            if (best := ranked(found, asked=asked, limit=limit)) is not None:
                return best
            asked *= 4

    def _hits(self, points: Sequence[qdrant.ScoredPoint]) -> list[IndexHit]:
        unknown = [point.id for point in points if point.id not in self._chunks]
        if len(self._chunks) + len(unknown) > _MOST_CHUNKS_KNOWN:
            self._chunks.clear()
            unknown = [point.id for point in points]
        for record in self._engine.retrieve(unknown, ["chunk"], False):
            self._chunks[record.id] = chunk_of(record.payload)
        return [IndexHit(self._chunks[point.id], point.score) for point in points]


def _point(point: EdgePoint) -> qdrant.Point:
    numbers, weights = sparse_document(point.text)
    vectors: dict[str, Any] = {
        DENSE: point.vector.tolist(),
        SPARSE: qdrant.SparseVector(numbers.tolist(), weights.tolist()),
    }
    return qdrant.Point(point.id, vectors, dict(point.payload))


def _filter(which: Where) -> qdrant.Filter:
    return qdrant.Filter(
        must=[_condition(one) for one in which.must] or None,
        should=[_condition(one) for one in which.should] or None,
        must_not=[_condition(one) for one in which.must_not] or None,
    )


def _condition(condition: Condition) -> qdrant.FieldCondition | qdrant.Filter:
    match condition:
        case Match(key, (only,)):
            return qdrant.FieldCondition(key, match=qdrant.MatchValue(only))
        case Match(key, values):
            return qdrant.FieldCondition(key, match=qdrant.MatchAny(list(values)))
        case Range(key=key, gte=gte, gt=gt, lte=lte, lt=lt):
            within = qdrant.RangeFloat(gte=gte, gt=gt, lte=lte, lt=lt)
            return qdrant.FieldCondition(key, range=within)
        case Where():
            return _filter(condition)


# --- opening -----------------------------------------------------------------------------------


@contextmanager
def open_shard(path: Path, *, dimensions: int) -> Generator[Shard]:
    """The shard at `path`, made where there is none. Errors: `ConfigurationError`."""
    path.mkdir(parents=True, exist_ok=True)
    with (path / "lock").open("w") as lock:
        _claim(lock, path)
        shard = Shard(_engine_at(path, dimensions=dimensions))
        try:
            yield shard
        finally:
            shard.close()


def _claim(lock: IO[str], path: Path) -> None:
    """A process that was just killed may need a moment to let go."""
    deadline = time.monotonic() + _LOCK_WAIT_S
    while True:
        try:
            return fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            if time.monotonic() > deadline:
                raise ConfigurationError(
                    f"another process has the index at {path} open: stop it, or let both use a "
                    "Qdrant server (RAG_QDRANT_URL)"
                ) from error
            time.sleep(0.05)


def _engine_at(path: Path, *, dimensions: int) -> qdrant.EdgeShard:
    """What stands in `path` without a description was never finished, so nothing is lost by it."""
    description, shard = path / "index.json", path / "shard"
    wanted = {"schema": SCHEMA, "dimensions": dimensions}
    if description.exists():
        _check(json.loads(description.read_text()), wanted, path)
        return qdrant.EdgeShard.load(str(shard))
    shutil.rmtree(shard, ignore_errors=True)
    shard.mkdir()
    engine = _new_engine(shard, dimensions=dimensions)
    unfinished = path / "index.json.new"
    unfinished.write_text(json.dumps(wanted))
    unfinished.replace(description)
    return engine


def _check(found: dict[str, int], wanted: dict[str, int], path: Path) -> None:
    if found["schema"] != wanted["schema"]:
        raise ConfigurationError(
            f"the index at {path} was written as schema {found['schema']} and this version reads "
            f"{wanted['schema']}: move the directory away and run `rag reindex --all`"
        )
    if found["dimensions"] != wanted["dimensions"]:
        raise ConfigurationError(
            f"the index at {path} holds vectors of {found['dimensions']} dimensions and the "
            f"embedder gives {wanted['dimensions']}: use the embedder it was made with, or move "
            "the directory away and run `rag reindex --all`"
        )


def _new_engine(shard: Path, *, dimensions: int) -> qdrant.EdgeShard:
    config = qdrant.EdgeConfig(
        # A byte a dimension is scanned and the best are scored again exactly: 5 instead of 14 ms at
        # 100,000 chunks. What was not optimised yet is scored exactly from the start.
        vectors={
            DENSE: qdrant.EdgeVectorParams(
                dimensions,
                qdrant.Distance.Cosine,
                quantization_config=qdrant.ScalarQuantizationConfig(
                    qdrant.ScalarType.Int8, quantile=0.99, always_ram=True
                ),
            )
        },
        sparse_vectors={SPARSE: qdrant.EdgeSparseVectorParams(modifier=qdrant.Modifier.Idf)},
        # Searches are exact, so a graph (145 s of building at 100,000 chunks) would serve nobody;
        # without one, optimising only merges what was written and drops what was deleted.
        hnsw_config=qdrant.HnswIndexConfig(m=0, ef_construct=4, full_scan_threshold=10),
        optimizers=qdrant.EdgeOptimizersConfig(default_segment_number=2),
        wal_enabled=True,
    )
    engine = qdrant.EdgeShard.create(str(shard), config)
    create = qdrant.UpdateOperation.create_field_index
    for key in KEYWORDS:
        engine.update(create(key, qdrant.KeywordIndexParams(is_tenant=key == TENANT)))
    engine.flush()
    return engine
