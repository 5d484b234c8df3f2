import asyncio
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from rag.errors import ConfigurationError, ModelUnavailable
from rag.evaluation.golden import GoldenCase, read_golden, report_of, run_golden
from rag.types import Answer, Citation, Refusal, RefusalReason, RetrievedChunk, Span
from tests.values import hit

ANSWERABLE = {
    "id": "a",
    "question": "How much leave?",
    "as": "user:1",
    "groups": ["group:hr"],
    "kind": "single_fact",
    "expected_documents": ["leave.md"],
    "answer_contains": ["30  days"],
}
FORBIDDEN = {
    "id": "f",
    "question": "What does Ada earn?",
    "as": "user:2",
    "groups": [],
    "kind": "forbidden",
    "expected_documents": [],
    "forbidden_documents": ["pay.md"],
    "refusal": "no_evidence",
}
NO = Refusal(RefusalReason.NO_EVIDENCE, "nothing")


def golden_folder(folder: Path, *rows: object) -> Path:
    (folder / "questions.jsonl").write_text("\n".join(map(json.dumps, rows)))
    return folder


def answer(text: str, document: str) -> Answer:
    chunk = hit(text, document=document).chunk
    citation = Citation(number=1, chunk=chunk, quote=text, span=Span(0, len(text)), verified=True)
    return Answer(text=text, citations=(citation,), confidence=1.0, model="m", prompt="p")


async def report(
    folder: Path, found: Sequence[RetrievedChunk], outcomes: Mapping[str, Answer | Refusal]
) -> dict[str, object]:
    async def search(_: GoldenCase) -> Sequence[RetrievedChunk]:
        return found

    async def ask(case: GoldenCase) -> Answer | Refusal:
        return outcomes[case.id]

    results = await run_golden(
        read_golden(folder), search=search, ask=ask, documents_uri="file:///"
    )
    return report_of(results)


async def test_right_answers_and_due_refusals_score_one(tmp_path: Path) -> None:
    folder = golden_folder(tmp_path, ANSWERABLE, FORBIDDEN)
    outcomes = {"a": answer("You get 30 days.", "leave.md"), "f": NO}
    figures = await report(folder, [hit("30 days", document="leave.md")], outcomes)
    ones = ("recall@10", "answer_accuracy", "refusal_precision", "refusal_recall")
    assert [figures[name] for name in ones] == [1.0, 1.0, 1.0, 1.0]
    assert (figures["citation_precision"], figures["forbidden_leaks"]) == (1.0, 0)
    assert figures["wrong"] == []


async def test_several_cases_at_once_come_back_in_their_order(tmp_path: Path) -> None:
    folder = golden_folder(tmp_path, ANSWERABLE, FORBIDDEN)
    both_wait = asyncio.Barrier(2)

    async def search(_: GoldenCase) -> Sequence[RetrievedChunk]:
        return ()

    async def ask(_: GoldenCase) -> Answer | Refusal:
        await both_wait.wait()
        return NO

    async with asyncio.timeout(30):
        results = await run_golden(
            read_golden(folder), search=search, ask=ask, documents_uri="file:///", at_once=2
        )
    assert [result.case.id for result in results] == ["a", "f"]


async def test_a_case_whose_model_is_busy_is_asked_again(tmp_path: Path) -> None:
    asked: list[str] = []

    async def search(_: GoldenCase) -> Sequence[RetrievedChunk]:
        return ()

    async def ask(case: GoldenCase) -> Answer | Refusal:
        asked.append(case.id)
        if len(asked) == 1:
            raise ModelUnavailable("busy", retry_after_s=0)
        return NO

    folder = golden_folder(tmp_path, FORBIDDEN)
    [result] = await run_golden(
        read_golden(folder), search=search, ask=ask, documents_uri="file:///"
    )
    assert asked == ["f", "f"]
    assert result.right


async def test_a_forbidden_document_that_is_cited_or_found_is_a_leak(tmp_path: Path) -> None:
    folder = golden_folder(tmp_path, FORBIDDEN)
    by_citation = await report(folder, [], {"f": answer("Ada earns much.", "pay.md")})
    by_search = await report(folder, [hit("pay", document="pay.md")], {"f": NO})
    assert (by_citation["forbidden_leaks"], by_search["forbidden_leaks"]) == (1, 1)
    assert by_citation["refusal_recall"] == 0.0


async def test_a_refusal_of_an_answerable_question_costs_precision(tmp_path: Path) -> None:
    folder = golden_folder(tmp_path, ANSWERABLE, FORBIDDEN)
    figures = await report(folder, [], {"a": NO, "f": NO})
    assert (figures["refusal_precision"], figures["refusal_recall"]) == (0.5, 1.0)
    assert figures["wrong"] == ["a"]


async def test_a_citation_of_another_document_is_wrong_unless_it_is_as_good(tmp_path: Path) -> None:
    outcome = {"a": answer("You get 30 days.", "twin.md")}
    strict = await report(golden_folder(tmp_path, ANSWERABLE), [], outcome)
    row = {**ANSWERABLE, "alternative_documents": ["twin.md"]}
    lenient = await report(golden_folder(tmp_path, row), [], outcome)
    assert (strict["citation_precision"], lenient["citation_precision"]) == (0.0, 1.0)


async def test_ndcg_counts_where_the_expected_stands_and_passes_over_what_is_as_good(
    tmp_path: Path,
) -> None:
    row = {**ANSWERABLE, "alternative_documents": ["twin.md"]}
    folder = golden_folder(tmp_path, row, FORBIDDEN)
    no = {"a": NO, "f": NO}
    leave = hit("30 days", document="leave.md")
    other = hit("x", document="other.md")
    twin = hit("30 days", document="twin.md")
    first = await report(folder, [leave, other], no)
    behind_its_twin = await report(folder, [twin, leave], no)
    second = await report(folder, [other, leave], no)
    missed = await report(folder, [other], no)
    nothing = await report(folder, [], no)
    assert (first["ndcg@10"], behind_its_twin["ndcg@10"]) == (1.0, 1.0)
    assert second["ndcg@10"] == pytest.approx(0.6309, abs=1e-4)
    assert (missed["ndcg@10"], nothing["ndcg@10"]) == (0.0, 0.0)


async def test_where_nothing_is_to_be_found_ndcg_is_right(tmp_path: Path) -> None:
    figures = await report(golden_folder(tmp_path, FORBIDDEN), [], {"f": NO})
    assert figures["ndcg@10"] == 1.0


@pytest.mark.parametrize("row", [{}, {**ANSWERABLE, "refusal": "no_evidence"}, [], "x"])
def test_a_wrong_case_is_named_by_its_line(tmp_path: Path, row: object) -> None:
    with pytest.raises(ConfigurationError, match="line 2"):
        read_golden(golden_folder(tmp_path, ANSWERABLE, row))


def test_a_file_that_is_no_text_is_not_said_to_be_missing(tmp_path: Path) -> None:
    (tmp_path / "questions.jsonl").write_bytes(b"\xff\xfe{}")
    with pytest.raises(ConfigurationError, match=r"questions\.jsonl is not UTF-8 text$"):
        read_golden(tmp_path)
    (tmp_path / "questions.jsonl").unlink()
    (tmp_path / "questions.jsonl").mkdir()
    with pytest.raises(ConfigurationError, match=r"questions\.jsonl cannot be read: "):
        read_golden(tmp_path)


def test_a_question_may_hold_a_line_separator_of_its_own(tmp_path: Path) -> None:
    row = json.dumps({**ANSWERABLE, "question": "How\u2028much?"}, ensure_ascii=False)
    (tmp_path / "questions.jsonl").write_text(row + "\n")
    [case] = read_golden(tmp_path)
    assert case.question == "How\u2028much?"


def test_a_folder_without_questions_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"questions\.jsonl is not there: .*documents/"):
        read_golden(tmp_path)
