"""The ask flow: what is released, what is cited, and what is refused."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import pytest

from rag.access import EVERYONE, NOBODY, AccessList, Principal, PrincipalId, readable_by
from rag.answering import (
    NO_EVIDENCE,
    UNGROUNDED,
    Answerer,
    AskEvent,
    CitationMade,
    EvidenceFound,
    Finished,
    Retriever,
    SentenceJudged,
    TextReleased,
)
from rag.grounding import GroundingCheck
from rag.prompts.registry import load_prompt
from rag.protocols import IndexPoint
from rag.retrieval import HybridRetriever
from rag.testing import (
    BlocksWord,
    FixedRetriever,
    HashEmbedder,
    MemoryIndex,
    MemoryPassages,
    ScriptedLanguageModel,
)
from rag.types import Answer, Evidence, Refusal, RefusalReason, RetrievedChunk
from tests.values import ACME, hit

ADA = Principal(ACME, PrincipalId("user:ada"))
SEAL = hit("Wear gloves. The pump seal is replaced every 12 months.", document="seal")
LEAVE = hit("Staff have thirty days of leave.", document="leave")
QUESTION = "How often is the pump seal replaced?"
TRUE = "The pump seal is replaced every 12 months"
INVENTED = "The warranty covers all spare parts"


@dataclass(frozen=True, slots=True)
class NothingIsRelevant:
    async def may_answer(self, question: str, evidence: Sequence[Evidence]) -> bool:
        assert question and evidence
        return False


def answerer(model: ScriptedLanguageModel, *, retriever: Retriever | None = None) -> Answerer:
    embedder = HashEmbedder()
    return Answerer(
        retriever=retriever or FixedRetriever((SEAL, LEAVE)),
        language_model=model,
        grounding=GroundingCheck(embedder=embedder),
        prompt=load_prompt("answer", "v1"),
        count_tokens=embedder.count_tokens,
    )


async def ask(reply: str, *hits: RetrievedChunk) -> Answer | Refusal:
    retriever = FixedRetriever(hits or (SEAL, LEAVE))
    model = ScriptedLanguageModel(reply)
    return await answerer(model, retriever=retriever).ask(QUESTION, ADA)


async def events_of(asking: Answerer) -> list[AskEvent]:
    return [event async for event in asking.stream(QUESTION, ADA)]


def released(events: Sequence[AskEvent]) -> str:
    return "".join(event.text for event in events if isinstance(event, TextReleased))


async def test_a_supported_sentence_is_answered_with_a_verified_citation() -> None:
    answer = await ask(f"{TRUE} [1].")
    assert isinstance(answer, Answer)
    assert answer.text == f"{TRUE}. [1]"
    (citation,) = answer.citations
    assert (citation.number, citation.chunk, citation.quote) == (1, SEAL.chunk, f"{TRUE}.")
    assert SEAL.chunk.text[citation.span.start : citation.span.end] == citation.quote
    assert citation.verified
    assert answer.prompt == load_prompt("answer", "v1").id
    assert answer.model == "scripted"
    assert answer.usage.output_tokens > 0


async def test_without_evidence_the_model_is_not_asked_and_the_question_is_refused() -> None:
    model = ScriptedLanguageModel(f"{TRUE} [1].")
    asking = answerer(model, retriever=FixedRetriever(()))
    assert await asking.ask(QUESTION, ADA) == NO_EVIDENCE
    assert model.prompts == []


async def test_where_nothing_found_is_relevant_the_model_is_not_asked() -> None:
    model = ScriptedLanguageModel(f"{TRUE} [1].")
    asking = replace(answerer(model), relevance=NothingIsRelevant())
    assert await events_of(asking) == [Finished(NO_EVIDENCE)]
    assert model.prompts == []


async def test_a_model_that_only_invents_is_refused() -> None:
    assert await ask(f"{INVENTED} [1]. Nobody may open the roof [2].") == UNGROUNDED


@pytest.mark.parametrize(
    "reply",
    [
        f"{INVENTED} [2]. {TRUE} [1].",
        f"{TRUE} [1]. {INVENTED} [1].",
        f"{TRUE}. [1] {INVENTED}. [1]",
        f"{TRUE} [1]. The pump seal is replaced every 18 months [1].",
        f"{TRUE} [1]. The pump seal is never replaced every 12 months [1].",
    ],
)
async def test_an_unsupported_sentence_goes_and_the_supported_one_stays(reply: str) -> None:
    answer = await ask(reply)
    assert isinstance(answer, Answer)
    assert answer.text == f"{TRUE}. [1]"


@pytest.mark.parametrize("marker", ["", " [7]", " [2]"])
async def test_a_marker_that_is_missing_or_points_nowhere_is_put_right(marker: str) -> None:
    answer = await ask(f"{TRUE}{marker}.")
    assert isinstance(answer, Answer)
    assert answer.text == f"{TRUE}. [1]"
    assert [citation.number for citation in answer.citations] == [1]


async def test_an_invented_sentence_is_not_saved_by_a_marker_that_points_nowhere() -> None:
    assert await ask(f"{INVENTED} [7].") == UNGROUNDED


@pytest.mark.parametrize("reply", ["NO ANSWER", "no answer.", "**NO ANSWER**", "", " \n"])
async def test_a_model_that_abstains_gives_the_refusal_of_no_evidence(reply: str) -> None:
    assert await ask(reply) == NO_EVIDENCE


async def test_two_sentences_of_one_source_make_one_citation_each_of_what_it_quotes() -> None:
    answer = await ask(f"{TRUE} [1]. Staff have thirty days of leave [2]. {TRUE} [1].")
    assert isinstance(answer, Answer)
    assert [citation.number for citation in answer.citations] == [1, 2]


async def test_half_a_sentence_at_the_token_limit_is_not_said() -> None:
    model = ScriptedLanguageModel(f"{TRUE} [1]. Staff have thirty", finish_reason="length")
    answer = await answerer(model).ask(QUESTION, ADA)
    assert isinstance(answer, Answer)
    assert answer.text == f"{TRUE}. [1]"


async def test_nothing_is_streamed_that_is_not_in_the_answer() -> None:
    reply = f"{INVENTED} [1]. {TRUE} [1]. {INVENTED} [2]. Staff have thirty days of leave [2]."
    events = await events_of(answerer(ScriptedLanguageModel(reply)))
    last = events[-1]
    assert isinstance(last, Finished) and isinstance(last.outcome, Answer)
    assert released(events) == last.outcome.text
    assert last.outcome.text == f"{TRUE}. [1] Staff have thirty days of leave. [2]"
    made = tuple(event.citation for event in events if isinstance(event, CitationMade))
    assert made == last.outcome.citations


async def test_every_text_comes_after_the_evidence_and_right_after_its_verdict() -> None:
    reply = f"{INVENTED} [1]. {TRUE} [1]."
    events = await events_of(answerer(ScriptedLanguageModel(reply)))
    assert [type(event) for event in events] == [
        EvidenceFound,
        SentenceJudged,
        SentenceJudged,
        TextReleased,
        CitationMade,
        Finished,
    ]
    judged = [event for event in events if isinstance(event, SentenceJudged)]
    assert [(each.sentence, each.verdict) for each in judged] == [
        (1, "unsupported"),
        (2, "supported"),
    ]


async def test_a_sentence_is_released_before_the_model_has_finished() -> None:
    model = ScriptedLanguageModel(f"{TRUE} [1]. Staff have thirty days of leave [2].")
    stream = answerer(model).stream(QUESTION, ADA)
    sent = [model.pieces_sent async for event in stream if isinstance(event, TextReleased)]
    assert sent[0] < sent[-1] == model.pieces_sent


async def test_closing_the_stream_stops_the_model() -> None:
    model = ScriptedLanguageModel(f"{TRUE} [1]. " * 50)
    stream = answerer(model).stream(QUESTION, ADA)
    async for event in stream:
        if isinstance(event, TextReleased):
            break
    await stream.aclose()
    assert model.pieces_sent < 25


async def test_a_question_that_a_guardrail_blocks_reaches_neither_search_nor_model() -> None:
    model = ScriptedLanguageModel(f"{TRUE} [1].")
    asking = replace(answerer(model), input_guardrails=(BlocksWord("pump"),))
    assert await events_of(asking) == [
        Finished(Refusal(RefusalReason.BLOCKED, "This cannot be answered."))
    ]
    assert model.prompts == []


async def test_an_answer_that_a_guardrail_blocks_is_never_streamed() -> None:
    model = ScriptedLanguageModel(f"{TRUE} [1].")
    events = await events_of(replace(answerer(model), output_guardrails=(BlocksWord("seal"),)))
    assert released(events) == ""
    assert events[-1] == Finished(Refusal(RefusalReason.BLOCKED, "This cannot be answered."))


async def test_what_comes_after_a_blocked_sentence_is_not_said() -> None:
    model = ScriptedLanguageModel(f"Wear gloves [1]. {TRUE} [1]. Staff have thirty days of leave.")
    events = await events_of(replace(answerer(model), output_guardrails=(BlocksWord("seal"),)))
    last = events[-1]
    assert isinstance(last, Finished) and isinstance(last.outcome, Answer)
    assert released(events) == last.outcome.text == "Wear gloves. [1]"


async def refused(found: RetrievedChunk | None, access: AccessList) -> list[AskEvent]:
    """What Ada sees where `found`, or nothing, is in the index under `access`."""
    embedder, index, passages = HashEmbedder(), MemoryIndex(), MemoryPassages()
    if found is not None:
        (embedding,) = await embedder.embed_documents([found.chunk.embedded_text])
        point = IndexPoint(found.chunk, access, found.metadata, embedding.vector)
        await index.upsert([point])
        passages.entries[found.chunk.id] = (found, access)
    retriever = HybridRetriever(index=index, embedder=embedder, passages=passages, reranker=None)
    return await events_of(answerer(ScriptedLanguageModel(f"{TRUE} [1]."), retriever=retriever))


@pytest.mark.parametrize(
    "access", [NOBODY, readable_by(["user:bob"]), readable_by([EVERYONE], denied=["user:ada"])]
)
async def test_what_is_forbidden_is_refused_exactly_like_what_does_not_exist(
    access: AccessList,
) -> None:
    assert await refused(SEAL, access) == await refused(None, access) == [Finished(NO_EVIDENCE)]


async def test_what_may_be_read_is_answered_by_the_same_flow() -> None:
    last = (await refused(SEAL, readable_by([EVERYONE])))[-1]
    assert isinstance(last, Finished) and isinstance(last.outcome, Answer)
