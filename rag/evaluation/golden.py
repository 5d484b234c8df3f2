"""Measuring the whole platform on a golden set: questions with who asks and what should come back."""

import json
import re
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Any, cast
from urllib.parse import unquote

from rag.access import Principal, PrincipalId, TenantId
from rag.errors import ConfigurationError
from rag.evaluation.lines import lines_of
from rag.evaluation.metrics import percentiles, score_run, share
from rag.gateway.batches import all_of
from rag.types import Answer, Refusal, RetrievedChunk

EXPECTED = "a golden set is a folder with questions.jsonl and the documents/ it asks about"


@dataclass(frozen=True, slots=True, kw_only=True)
class GoldenCase:
    id: str
    question: str
    asker: str
    groups: frozenset[str]
    kind: str
    expected_documents: tuple[str, ...]
    """Paths below the corpus's `documents/`."""
    alternative_documents: tuple[str, ...]
    """Others that answer just as well: citing one is right, leaving it out too."""
    forbidden_documents: tuple[str, ...]
    answer_contains: tuple[str, ...]
    answer_excludes: tuple[str, ...]
    refuses: bool

    def principal(self, tenant: TenantId) -> Principal:
        return Principal(tenant, PrincipalId(self.asker), frozenset(map(PrincipalId, self.groups)))


@dataclass(frozen=True, slots=True, kw_only=True)
class GoldenResult:
    case: GoldenCase
    retrieved: tuple[str, ...]
    """Documents of the search's first ten hits, best first."""
    outcome: Answer | Refusal
    cited: tuple[str, ...]
    search_ms: float
    ask_ms: float

    @property
    def found(self) -> int:
        return len(set(self.case.expected_documents) & set(self.retrieved))

    @property
    def right(self) -> bool:
        """The answer says what it should and nothing it should not; a refusal where one is due."""
        if isinstance(self.outcome, Refusal):
            return self.case.refuses
        text = _folded(self.outcome.text)
        return (
            not self.case.refuses
            and all(_folded(part) in text for part in self.case.answer_contains)
            and not any(_folded(part) in text for part in self.case.answer_excludes)
        )

    @property
    def leaks(self) -> int:
        """Forbidden documents shown by search or citation."""
        shown = set(self.retrieved) | set(self.cited)
        return len(shown & set(self.case.forbidden_documents))


def read_golden(folder: Path) -> tuple[GoldenCase, ...]:
    """The cases of `folder`/questions.jsonl. Raises `ConfigurationError` naming a wrong line."""
    path = folder / "questions.jsonl"
    cases: list[GoldenCase] = []
    for number, line in enumerate(lines_of(path, expected=EXPECTED), start=1):
        try:
            cases.append(_case_of(cast("dict[str, Any]", json.loads(line))))
        except (ValueError, KeyError, TypeError) as error:
            raise ConfigurationError(f"{path}, line {number}: {error!r}") from error
    return tuple(cases)


Search = Callable[[GoldenCase], Awaitable[Sequence[RetrievedChunk]]]
Ask = Callable[[GoldenCase], Awaitable[Answer | Refusal]]


async def run_golden(
    cases: Sequence[GoldenCase],
    *,
    search: Search,
    ask: Ask,
    documents_uri: str,
    at_once: int = 1,
    tries: int = 4,
) -> list[GoldenResult]:
    """Search and ask every case, so many at once: times are those of a case alone where it is one.

    `documents_uri` is the folder that was ingested. A case whose model is busy is asked again,
    `tries` times in all. Errors: those of `search` and `ask`.
    """
    prefix = documents_uri if documents_uri.endswith("/") else documents_uri + "/"

    async def result_of(case: GoldenCase) -> GoldenResult:
        started = perf_counter()
        hits = await search(case)
        searched = perf_counter()
        outcome = await ask(case)
        asked = perf_counter()
        citations = outcome.citations if isinstance(outcome, Answer) else ()
        return GoldenResult(
            case=case,
            retrieved=_paths((hit.chunk.document.uri for hit in hits[:10]), prefix),
            outcome=outcome,
            cited=_paths((citation.chunk.document.uri for citation in citations), prefix),
            search_ms=(searched - started) * 1_000,
            ask_ms=(asked - searched) * 1_000,
        )

    work = [partial(result_of, case) for case in cases]
    return await all_of(work, at_once=at_once, tries=tries)


def report_of(results: Sequence[GoldenResult]) -> dict[str, Any]:
    """The figures that a release is judged by.

    * nDCG@10: over the answerable cases, each expected document of relevance 1; one that is as good
      takes no rank, so that it is right to find it and right to leave it out.
    * recall@10: expected documents among those of the first ten hits, over all expected.
    * refusal precision, recall: refusals that were due over all refusals; over all that were due.
    * citation precision: cited documents that were expected (or are as good), over all cited in answers to
      answerable questions; citation recall: expected documents that were cited, over all expected.
    * forbidden leaks: forbidden documents shown by search or citation, counted.
    """
    due = [result for result in results if result.case.refuses]
    answerable = [result for result in results if not result.case.refuses]
    refused = [result for result in results if isinstance(result.outcome, Refusal)]
    answered = [result for result in answerable if isinstance(result.outcome, Answer)]
    expected = sum(len(result.case.expected_documents) for result in answerable)
    return {
        "cases": len(results),
        "ndcg@10": _ndcg(answerable),
        "recall@10": share(sum(result.found for result in answerable), expected),
        "answer_accuracy": share(sum(result.right for result in answerable), len(answerable)),
        "refusal_precision": share(sum(r.case.refuses for r in refused), len(refused)),
        "refusal_recall": share(sum(isinstance(r.outcome, Refusal) for r in due), len(due)),
        "citation_precision": share(
            sum(
                document in result.case.expected_documents + result.case.alternative_documents
                for result in answered
                for document in result.cited
            ),
            sum(len(result.cited) for result in answered),
        ),
        "citation_recall": share(
            sum(len(set(r.case.expected_documents) & set(r.cited)) for r in answered),
            sum(len(result.case.expected_documents) for result in answered),
        ),
        "forbidden_leaks": sum(result.leaks for result in results),
        "search_ms": percentiles([result.search_ms for result in results]),
        "ask_ms": percentiles([result.ask_ms for result in results]),
        "kinds": _by_kind(results),
        "wrong": [result.case.id for result in results if not result.right],
    }


def _ndcg(results: Sequence[GoldenResult]) -> float:
    judged = {r.case.id: r for r in results if r.case.expected_documents}
    if not judged:
        return 1.0  # of nothing, all is right, as with `share`
    qrels = {case: dict.fromkeys(r.case.expected_documents, 1) for case, r in judged.items()}
    run = {
        case: {document: 1.0 / rank for rank, document in enumerate(_ranked(result), start=1)}
        for case, result in judged.items()
    }
    return score_run(run, qrels)["ndcg@10"]


def _ranked(result: GoldenResult) -> list[str]:
    as_good = set(result.case.alternative_documents) - set(result.case.expected_documents)
    return [document for document in result.retrieved if document not in as_good]


def _by_kind(results: Sequence[GoldenResult]) -> dict[str, dict[str, float]]:
    kinds: defaultdict[str, list[GoldenResult]] = defaultdict(list)
    for result in results:
        kinds[result.case.kind].append(result)
    return {
        kind: {
            "cases": len(group),
            "right": share(sum(result.right for result in group), len(group)),
            "recall@10": share(
                sum(result.found for result in group),
                sum(len(result.case.expected_documents) for result in group),
            ),
        }
        for kind, group in sorted(kinds.items())
    }


def _case_of(row: dict[str, Any]) -> GoldenCase:
    refuses = "refusal" in row
    if refuses == ("answer_contains" in row):
        raise ValueError("a case has either answer_contains or refusal")
    return GoldenCase(
        id=str(row["id"]),
        question=str(row["question"]),
        asker=str(row["as"]),
        groups=frozenset(map(str, row["groups"])),
        kind=str(row["kind"]),
        expected_documents=tuple(row["expected_documents"]),
        alternative_documents=tuple(row.get("alternative_documents", ())),
        forbidden_documents=tuple(row.get("forbidden_documents", ())),
        answer_contains=tuple(row.get("answer_contains", ())),
        answer_excludes=tuple(row.get("answer_excludes", ())),
        refuses=refuses,
    )


def _paths(uris: Iterable[str], prefix: str) -> tuple[str, ...]:
    """Paths of the files that were ingested: what lies inside one (behind `!/`) counts as that."""
    files = (uri.removeprefix(prefix).partition("!/")[0] for uri in uris)
    return tuple(dict.fromkeys(map(unquote, files)))


def _folded(text: str) -> str:
    return re.sub(r"\s+", " ", text).casefold().strip()
