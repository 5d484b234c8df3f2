import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from connectors.beir import BeirConnector
from rag.access import EVERYONE, TenantId, readable_by
from rag.errors import ConfigurationError, SourceGone
from rag.evaluation.beir import BeirQuery, evaluate_beir, fold_into_documents, read_beir
from rag.types import RetrievedChunk, SourceId
from tests.values import hit


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    rows = [
        {"_id": "d1", "title": "Leave", "text": "Thirty days.\u2028Not fewer."},
        {"_id": "d2", "title": "", "text": "Pay.", "metadata": {"readers": ["group:pay"]}},
    ]
    queries = [
        {"_id": "q1", "text": "how much leave"},
        {"_id": "q2", "text": "pay?", "metadata": {"as": "user:7", "groups": ["group:pay"]}},
        {"_id": "q3", "text": "nobody judged this"},
    ]
    (tmp_path / "corpus.jsonl").write_text(
        "\n".join(json.dumps(row, ensure_ascii=False) for row in rows) + "\n"
    )
    (tmp_path / "queries.jsonl").write_text("\n".join(map(json.dumps, queries)))
    (tmp_path / "qrels").mkdir()
    (tmp_path / "qrels" / "test.tsv").write_text(
        "query-id\tcorpus-id\tscore\nq1\td1\t1\nq2\td2\t1\n"
    )
    return tmp_path


def test_a_data_set_is_read_with_its_readers_and_askers(folder: Path) -> None:
    dataset = read_beir(folder)
    assert [d.access for d in dataset.documents] == [
        readable_by([EVERYONE]),
        readable_by(["group:pay"]),
    ]
    assert [query.id for query in dataset.queries] == ["q1", "q2"]
    assert dataset.queries[1].principal(TenantId("t")).groups == {"group:pay"}


def test_a_limit_keeps_the_first_queries_and_their_judgements(folder: Path) -> None:
    dataset = read_beir(folder, limit=1)
    assert list(dataset.qrels) == ["q1"]


@pytest.mark.parametrize(
    ("file", "content", "says"),
    [
        ("corpus.jsonl", "{}\n", "line 1: wants _id, text"),
        ("queries.jsonl", "not json\n", "line 1: not JSON"),
        ("qrels/test.tsv", "q1 d1 1\n", "line 1: wants query, document, score"),
    ],
)
def test_a_wrong_line_is_named(folder: Path, file: str, content: str, says: str) -> None:
    (folder / file).write_text(content)
    with pytest.raises(ConfigurationError, match=says):
        read_beir(folder)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"test\.tsv is not there: .*corpus\.jsonl"):
        read_beir(tmp_path)


async def test_an_evaluation_scores_what_the_search_found(folder: Path) -> None:
    async def search(query: BeirQuery) -> Sequence[RetrievedChunk]:
        return [] if query.id == "q2" else [found("beir:d1")]

    report = await evaluate_beir(read_beir(folder), search)
    assert report["ndcg@10"] == 0.5
    assert (report["queries"], report["documents"]) == (2, 2)


def found(uri: str) -> RetrievedChunk:
    one = hit("text")
    return replace(one, chunk=replace(one.chunk, document=replace(one.chunk.document, uri=uri)))


def test_a_document_stands_where_its_best_chunk_stood() -> None:
    folded = fold_into_documents([found("beir:b"), found("beir:a"), found("beir:b")])
    assert sorted(folded, key=lambda document: -folded[document]) == ["b", "a"]


async def test_the_connector_lists_what_it_fetches(folder: Path) -> None:
    connector = BeirConnector.over(read_beir(folder), source=SourceId("beir"))
    listed = [found async for found in connector.listing()]
    assert [found.uri for found in listed] == ["beir:d1", "beir:d2"]
    assert (await connector.fetch("beir:d1")).seen == listed[0].seen
    resource = await connector.fetch("beir:d1")
    assert (resource.title, resource.media_type) == ("Leave", "text/plain")
    with pytest.raises(SourceGone):
        await connector.fetch("beir:old")
