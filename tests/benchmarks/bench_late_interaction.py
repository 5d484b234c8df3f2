"""Late interaction on SciFact: nDCG@10 by dimensions of the token vectors, depth and weight.

    python tests/benchmarks/bench_late_interaction.py [--documents N] --out FILE

One vector a document (title and abstract, cut at 256 tokens), exact dense search and BM25 with our
own terms, fused by min-max sum over the best 50 of each. It needs 1 GB of memory for 384
dimensions, and about five minutes of two cores.
"""

import argparse
import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import ir_measures
import numpy as np
from ir_measures import nDCG
from numpy.typing import NDArray
from public_data import SCIFACT, is_here
from rank_bm25 import BM25Okapi
from reporting import report

from rag.adapters.bm25 import terms
from rag.adapters.late_interaction import max_sim, min_max
from rag.adapters.minilm import PROJECTION, default_model_dir
from rag.adapters.onnx_embedder import load_onnx_embedder
from rag.types import Embedding, TokenVectors

POOL = 50
DIMENSIONS = (64, 128, 384)
DEPTHS = (20, 50)
WEIGHTS = (0.25, 0.33, 0.4, 0.5, 0.6, 0.75, 1.0)

Scores = NDArray[np.float64]
Run = dict[str, dict[str, float]]


@dataclass(frozen=True, slots=True)
class Fused:
    places: list[int]
    scores: Scores


def read(folder: Path, limit: int | None) -> tuple[dict[str, str], dict[str, str], Run]:
    """Documents, the test queries, and the qrels."""
    documents = {
        row["_id"]: f"{row['title']}\n{row['text']}" for row in _lines(folder / "corpus.jsonl")
    }
    if limit is not None:
        documents = dict(list(documents.items())[:limit])
    qrels: Run = {}
    for line in (folder / "qrels" / "test.tsv").read_text("utf-8").splitlines()[1:]:
        query, document, grade = line.split("\t")
        if document in documents:
            qrels.setdefault(query, {})[document] = int(grade)
    queries = {row["_id"]: row["text"] for row in _lines(folder / "queries.jsonl")}
    return documents, {query: queries[query] for query in qrels}, qrels


def _lines(path: Path) -> list[dict[str, str]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def fuse(rankings: Sequence[Scores]) -> Fused:
    total: dict[int, float] = {}
    for scores in rankings:
        top = [int(at) for at in np.argsort(-scores, kind="stable")[:POOL] if scores[at] != 0]
        for at, share in zip(top, min_max(scores[top]).tolist() if top else [], strict=True):
            total[at] = total.get(at, 0.0) + share
    places = sorted(total, key=lambda at: (-total[at], at))
    return Fused(places, np.array([total[at] for at in places]))


def projected(tokens: TokenVectors, columns: NDArray[np.float32] | None) -> TokenVectors:
    if columns is None:
        return tokens
    states = tokens.astype(np.float32) @ columns
    unit = states / np.linalg.norm(states, axis=1, keepdims=True)
    return np.rint(unit * 127).astype(np.int8)


def measured(qrels: Mapping[str, Mapping[str, float]], run: Run) -> float:
    found = cast("Any", ir_measures).calc_aggregate([nDCG @ 10], dict(qrels), run)
    return round(float(found[nDCG @ 10]), 4)


async def embedded(texts: Sequence[str]) -> list[Embedding]:
    embedder = load_onnx_embedder(default_model_dir(), token_dimensions=384)
    try:
        return await embedder.embed_documents(texts)
    finally:
        await embedder.aclose()


def measure(folder: Path, limit: int | None) -> dict[str, Any]:
    documents, queries, qrels = read(folder, limit)
    ids = list(documents)
    passages = asyncio.run(embedded(list(documents.values())))
    asked = asyncio.run(embedded(list(queries.values())))
    vectors = np.stack([passage.vector for passage in passages]).astype(np.float64)
    dense: list[Scores] = [vectors @ one.vector for one in asked]
    okapi: Any = BM25Okapi([terms(text) for text in documents.values()], k1=1.2)
    sparse = [cast("Scores", okapi.get_scores(terms(text))) for text in queries.values()]
    fused = [fuse(pair) for pair in zip(dense, sparse, strict=True)]

    def run_of(rankings: Sequence[Fused]) -> Run:
        return {
            query: {
                ids[at]: score for at, score in zip(one.places, one.scores.tolist(), strict=True)
            }
            for query, one in zip(queries, rankings, strict=True)
        }

    result: dict[str, Any] = {
        "documents": len(ids),
        "queries": len(queries),
        "dense": measured(qrels, run_of([fuse([scores]) for scores in dense])),
        "bm25": measured(qrels, run_of([fuse([scores]) for scores in sparse])),
        "min-max sum": measured(qrels, run_of(fused)),
    }
    columns = np.load(PROJECTION).astype(np.float32)
    for dimensions in DIMENSIONS:
        kept = None if dimensions == columns.shape[0] else columns[:, :dimensions]
        similar = [
            _similar(projected(_tokens(one), kept), own, passages, kept)
            for one, own in zip(asked, fused, strict=True)
        ]
        result[f"token vectors of {dimensions}"] = {
            f"best {depth}": {
                f"weight {weight}": measured(
                    qrels,
                    run_of(
                        [
                            _reranked(*pair, depth, weight)
                            for pair in zip(fused, similar, strict=True)
                        ]
                    ),
                )
                for weight in WEIGHTS
            }
            for depth in DEPTHS
        }
    return result


def _tokens(embedding: Embedding) -> TokenVectors:
    if embedding.tokens is None:
        raise ValueError("the embedder gave no token vectors")
    return embedding.tokens


def _similar(
    query: TokenVectors,
    fused: Fused,
    passages: Sequence[Embedding],
    columns: NDArray[np.float32] | None,
) -> Scores:
    states = query.astype(np.float32)
    return np.array(
        [
            max_sim(states, projected(_tokens(passages[at]), columns))
            for at in fused.places[: max(DEPTHS)]
        ]
    )


def _reranked(fused: Fused, similar: Scores, depth: int, weight: float) -> Fused:
    """As `LateInteractionReranker` orders the best `depth`; the rest follow."""
    depth = min(depth, len(fused.places))
    mixed = weight * min_max(similar[:depth]) + (1 - weight) * min_max(fused.scores[:depth])
    order: list[int] = np.argsort(-mixed, kind="stable").tolist()
    places = [fused.places[at] for at in order] + fused.places[depth:]
    return Fused(places, -np.arange(len(places), dtype=np.float64))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scifact", type=Path, default=SCIFACT)
    parser.add_argument("--documents", type=int)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    if is_here(options.scifact):
        report(measure(options.scifact, options.documents), options.out)


if __name__ == "__main__":
    main()
