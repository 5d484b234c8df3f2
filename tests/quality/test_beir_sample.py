"""A small data set in BEIR's layout, made of the sample company's text files, end to end."""

import json
from pathlib import Path

from api.evaluation import evaluate_beir_folder
from api.settings import Settings
from rag.evaluation.golden import read_golden
from rag.types import Mode

CORPUS = Path(__file__).parents[2] / "corpora" / "aldermoor"
TEXT = {".md", ".txt"}


def beir_folder(folder: Path) -> Path:
    """Every Markdown and text file as a document; the questions that one of them answers."""
    documents = {
        path.relative_to(CORPUS / "documents").as_posix(): path.read_text()
        for path in sorted((CORPUS / "documents").rglob("*"))
        if path.suffix in TEXT
    }
    cases = [
        case
        for case in read_golden(CORPUS)
        if len(case.expected_documents) == 1
        and case.expected_documents[0] in documents
        and case.kind in {"single_fact", "superseded", "exact_identifier"}
    ]
    (folder / "qrels").mkdir(parents=True)
    (folder / "corpus.jsonl").write_text(
        "\n".join(
            json.dumps({"_id": name, "title": Path(name).stem, "text": text})
            for name, text in documents.items()
        )
    )
    (folder / "queries.jsonl").write_text(
        "\n".join(json.dumps({"_id": case.id, "text": case.question}) for case in cases)
    )
    (folder / "qrels" / "test.tsv").write_text(
        "query-id\tcorpus-id\tscore\n"
        + "".join(f"{case.id}\t{case.expected_documents[0]}\t1\n" for case in cases)
    )
    return folder


def untold(_doing: str, _done: int, _of: int) -> None:
    """Nobody watches."""


async def test_a_beir_data_set_is_ingested_searched_and_scored(tmp_path: Path) -> None:
    folder = beir_folder(tmp_path / "sample")
    report = await evaluate_beir_folder(
        Settings(), folder, mode=Mode.HYBRID, rerank=True, limit=None, progress=untold
    )
    assert report["failed"] == 0
    assert report["documents"] >= 40
    assert report["queries"] >= 15
    assert report["ndcg@10"] >= 0.85
    assert report["recall@10"] >= 0.95
