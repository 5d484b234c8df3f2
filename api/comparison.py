"""Asking golden cases of two generations of the index, as those whom the cases name."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from api.generations import OpenGeneration
from api.platform import Platform
from api.settings_search import GateSettings
from api.trails import evaluated
from rag.access import Principal, TenantId, scope_of
from rag.asking_protocols import NoMemory
from rag.evaluation.gate import Thresholds, Verdict, figures_of, judge
from rag.evaluation.golden import GoldenCase, GoldenResult, report_of, run_golden
from rag.storage.access.expansion import Expansions
from rag.types import Answer, Query, Refusal, RetrievedChunk


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """The figures of both (`report_of`), and what they say. No text of a document or an answer."""

    serving: dict[str, Any]
    new: dict[str, Any]
    verdict: Verdict


def thresholds_of(settings: GateSettings) -> Thresholds:
    return Thresholds(**settings.model_dump())


async def compare_generations(
    platform: Platform,
    serving: OpenGeneration,
    new: OpenGeneration,
    cases: Sequence[GoldenCase],
    *,
    tenant: TenantId,
    documents_uri: str,
) -> Compared:
    """Ask every case of both, in turns, so that whatever else goes on slows both alike.

    Each who asks has the groups that the ledger gives them, besides those of the case.
    """
    expansions = Expansions(platform.groups)
    results: dict[int, list[GoldenResult]] = {serving.id: [], new.id: []}
    for number, case in enumerate(cases):
        asker = (await expansions.of(case.principal(tenant))).principal
        both = (serving, new) if number % 2 == 0 else (new, serving)
        if number == 0:
            for generation in both:  # what a first question loads is no latency of the index
                await _asked(platform, generation, case, asker, documents_uri)
        for generation in both:
            result = await _asked(platform, generation, case, asker, documents_uri)
            results[generation.id].append(result)
    of_serving, of_new = report_of(results[serving.id]), report_of(results[new.id])
    verdict = judge(
        figures_of(of_serving), figures_of(of_new), thresholds_of(platform.settings.gate)
    )
    return Compared(serving=of_serving, new=of_new, verdict=verdict)


async def _asked(
    platform: Platform,
    generation: OpenGeneration,
    case: GoldenCase,
    asker: Principal,
    documents_uri: str,
) -> GoldenResult:
    answerer = replace(platform.answerer, retriever=generation.retriever, memory=NoMemory())

    async def search(case: GoldenCase) -> Sequence[RetrievedChunk]:
        query = Query(text=case.question, scope=scope_of(asker))
        return (await generation.retriever.retrieve(query)).hits

    async def ask(case: GoldenCase) -> Answer | Refusal:
        return await answerer.ask(evaluated(case.question, asker))

    [result] = await run_golden([case], search=search, ask=ask, documents_uri=documents_uri)
    return result
