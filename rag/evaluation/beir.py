"""Measuring retrieval on a data set in BEIR's layout: corpus.jsonl, queries.jsonl, qrels/test.tsv."""

import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any, cast

from rag.access import EVERYONE, AccessList, Principal, PrincipalId, TenantId, readable_by
from rag.errors import ConfigurationError
from rag.evaluation.lines import lines_of
from rag.evaluation.metrics import Qrels, percentiles, score_run
from rag.types import RetrievedChunk

URI_PREFIX = "beir:"
EXPECTED = (
    "a data set in BEIR's layout is a folder with corpus.jsonl, queries.jsonl and qrels/test.tsv"
)


@dataclass(frozen=True, slots=True)
class BeirDocument:
    id: str
    title: str
    text: str
    access: AccessList

    @property
    def uri(self) -> str:
        return URI_PREFIX + self.id


@dataclass(frozen=True, slots=True)
class BeirQuery:
    id: str
    text: str
    asker: str
    """The principal id that asks: `metadata.as`, or one that holds nothing but `everyone`."""
    groups: frozenset[str]

    def principal(self, tenant: TenantId) -> Principal:
        return Principal(tenant, PrincipalId(self.asker), frozenset(map(PrincipalId, self.groups)))


@dataclass(frozen=True, slots=True)
class BeirDataset:
    documents: tuple[BeirDocument, ...]
    queries: tuple[BeirQuery, ...]
    """Those that `qrels` judges."""
    qrels: Qrels


def read_beir(folder: Path, *, limit: int | None = None) -> BeirDataset:
    """The data set in `folder`; with `limit`, its first `limit` judged queries.

    Raises `ConfigurationError` naming the file and line that is not as BEIR has it.
    """
    qrels = _read_qrels(folder / "qrels" / "test.tsv")
    documents = tuple(
        BeirDocument(
            id=str(row["_id"]),
            title=str(row.get("title") or row["_id"]),
            text=str(row["text"]),
            access=readable_by(_strings(row, "readers") or [EVERYONE]),
        )
        for row in _read_jsonl(folder / "corpus.jsonl", "_id", "text")
    )
    queries = tuple(
        BeirQuery(
            id=str(row["_id"]),
            text=str(row["text"]),
            asker=str(_metadata(row).get("as") or "user:evaluation"),
            groups=frozenset(_strings(row, "groups")),
        )
        for row in _read_jsonl(folder / "queries.jsonl", "_id", "text")
        if str(row["_id"]) in qrels
    )[:limit]
    judged = {query.id: qrels[query.id] for query in queries}
    if not queries:
        raise ConfigurationError(f"{folder} has no query that qrels/test.tsv judges")
    return BeirDataset(documents, queries, judged)


Search = Callable[[BeirQuery], Awaitable[Sequence[RetrievedChunk]]]


async def evaluate_beir(dataset: BeirDataset, search: Search) -> dict[str, Any]:
    """nDCG@10 and its like, with search latency in milliseconds. Queries run one at a time."""
    run: dict[str, dict[str, float]] = {}
    search_ms: list[float] = []
    for query in dataset.queries:
        start = perf_counter()
        hits = await search(query)
        search_ms.append((perf_counter() - start) * 1_000)
        run[query.id] = fold_into_documents(hits)
    return {
        **score_run(run, dataset.qrels),
        "queries": len(dataset.queries),
        "documents": len(dataset.documents),
        "search_ms": percentiles(search_ms),
    }


def fold_into_documents(hits: Sequence[RetrievedChunk]) -> dict[str, float]:
    """Document id to a falling score, in the order of each document's best chunk.

    The order is what is measured: a rerank stopped by its budget has scores of two stages.
    """
    order = dict.fromkeys(hit.chunk.document.uri.removeprefix(URI_PREFIX) for hit in hits)
    return {document: 1.0 / rank for rank, document in enumerate(order, start=1)}


def _read_jsonl(path: Path, *required: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for number, line in enumerate(lines_of(path, expected=EXPECTED), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError as error:
            raise ConfigurationError(f"{path}, line {number}: not JSON") from error
        if not isinstance(row, dict) or any(field not in row for field in required):
            raise ConfigurationError(f"{path}, line {number}: wants {', '.join(required)}")
        rows.append(cast("dict[str, Any]", row))
    return rows


def _read_qrels(path: Path) -> dict[str, dict[str, int]]:
    qrels: dict[str, dict[str, int]] = {}
    for number, line in enumerate(lines_of(path, expected=EXPECTED), start=1):
        cells = line.split("\t")
        if number == 1 and cells[-1].strip() == "score":
            continue
        try:
            query, document, relevance = cells[0], cells[1], int(cells[2])
        except (IndexError, ValueError) as error:
            raise ConfigurationError(
                f"{path}, line {number}: wants query, document, score with tabs between"
            ) from error
        qrels.setdefault(query, {})[document] = relevance
    return qrels


def _metadata(row: Mapping[str, Any]) -> Mapping[str, Any]:
    metadata = row.get("metadata")
    return cast("Mapping[str, Any]", metadata) if isinstance(metadata, dict) else {}


def _strings(row: Mapping[str, Any], field: str) -> list[str]:
    values = _metadata(row).get(field, [])
    return [str(value) for value in cast("list[Any]", values)] if isinstance(values, list) else []
