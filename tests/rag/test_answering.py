"""The ask flow: what is released, what is cited, and what is refused."""

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, field, replace

import pytest

from rag.access import EVERYONE, NOBODY, AccessList, Principal, PrincipalId, readable_by
from rag.answering import Answerer
from rag.asking import (
    NO_EVIDENCE,
    UNGROUNDED,
    AskEvent,
    CitationMade,
    EvidenceFound,
    Finished,
    SentenceJudged,
    TextReleased,
    TextRetracted,
)
from rag.asking_protocols import Retriever
from rag.errors import ModelUnavailable
from rag.gateway.calls import ModelCall, Restarted
from rag.guardrails.policy import Rule, Stage
from rag.prompts.registry import load_prompt
from rag.protocols import Completion, IndexPoint
from rag.retrieval import HybridRetriever
from rag.testing import (
    FixedRetriever,
    HashEmbedder,
    MemoryIndex,
    MemoryPassages,
    ScriptedLanguageModel,
)
from rag.trail import Trail
from rag.types import Answer, Evidence, Refusal, RefusalReason, RetrievedChunk, Usage
from tests.asking import NoDearer, ShippedPrompts, answerer_of, asked, guardrails_of
from tests.rag.guardrails.asked import Forbids
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
    return answerer_of(
        model, retriever=retriever or FixedRetriever((SEAL, LEAVE)), embedder=HashEmbedder()
    )


async def ask(reply: str, *hits: RetrievedChunk) -> Answer | Refusal:
    retriever = FixedRetriever(hits or (SEAL, LEAVE))
    model = ScriptedLanguageModel(reply)
    return await answerer(model, retriever=retriever).ask(asked(QUESTION, ADA))


async def events_of(asking: Answerer) -> list[AskEvent]:
    return [event async for event in asking.stream(asked(QUESTION, ADA))]


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
    assert answer.prompt == load_prompt("answer", "v2").id
    assert answer.model == "scripted"
    assert answer.usage.output_tokens > 0


async def test_without_evidence_the_model_is_not_asked_and_the_question_is_refused() -> None:
    model = ScriptedLanguageModel(f"{TRUE} [1].")
    asking = answerer(model, retriever=FixedRetriever(()))
    assert await asking.ask(asked(QUESTION, ADA)) == NO_EVIDENCE
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
    answer = await answerer(model).ask(asked(QUESTION, ADA))
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
    stream = answerer(model).stream(asked(QUESTION, ADA))
    sent = [model.pieces_sent async for event in stream if isinstance(event, TextReleased)]
    assert sent[0] < sent[-1] == model.pieces_sent


async def test_closing_the_stream_stops_the_model() -> None:
    model = ScriptedLanguageModel(f"{TRUE} [1]. " * 50)
    stream = answerer(model).stream(asked(QUESTION, ADA))
    async for event in stream:
        if isinstance(event, TextReleased):
            break
    await stream.aclose()
    assert model.pieces_sent < 25


INPUT_BLOCKS = guardrails_of(Forbids("pump"), input={"words": Rule()})
OUTPUT_BLOCKS = guardrails_of(Forbids("seal"), output={"words": Rule(stage=Stage.PIECE)})
ANSWER_BLOCKS = guardrails_of(Forbids("thirty"), output={"words": Rule(stage=Stage.ANSWER)})


def refusal_of(events: Sequence[AskEvent]) -> RefusalReason:
    last = events[-1]
    assert isinstance(last, Finished) and isinstance(last.outcome, Refusal)
    return last.outcome.reason


async def test_of_a_question_that_a_guardrail_blocks_nothing_is_shown() -> None:
    model = ScriptedLanguageModel(f"{TRUE} [1].")
    events = await events_of(replace(answerer(model), guardrails=INPUT_BLOCKS))
    assert [type(event) for event in events] == [Finished]
    assert refusal_of(events) is RefusalReason.BLOCKED


async def test_an_answer_that_a_guardrail_blocks_is_never_streamed() -> None:
    model = ScriptedLanguageModel(f"{TRUE} [1].")
    events = await events_of(replace(answerer(model), guardrails=OUTPUT_BLOCKS))
    assert released(events) == ""
    assert refusal_of(events) is RefusalReason.BLOCKED


async def test_what_was_released_before_a_blocked_sentence_is_taken_back() -> None:
    model = ScriptedLanguageModel(f"Wear gloves [1]. {TRUE} [1]. Staff have thirty days of leave.")
    events = await events_of(replace(answerer(model), guardrails=OUTPUT_BLOCKS))
    kinds = [type(event) for event in events]
    assert kinds.index(TextReleased) < kinds.index(TextRetracted)
    assert released(events) == "Wear gloves. [1]"
    assert refusal_of(events) is RefusalReason.BLOCKED


async def test_a_check_of_the_whole_answer_takes_back_what_was_released() -> None:
    model = ScriptedLanguageModel(f"{TRUE} [1]. Staff have thirty days of leave [2].")
    events = await events_of(replace(answerer(model), guardrails=ANSWER_BLOCKS))
    assert [type(event) for event in events][-2:] == [TextRetracted, Finished]
    assert refusal_of(events) is RefusalReason.BLOCKED


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


# --- a second model, a second deployment, and what is written down --------------------------------


@dataclass(slots=True)
class Models:
    """A gateway to models of a cascade: the first says `replies[0]`, the one after it the next."""

    replies: Sequence[str | tuple[str | Restarted, ...]]
    calls: list[ModelCall] = field(default_factory=list[ModelCall])

    async def stream(
        self, call: ModelCall, trail: Trail
    ) -> AsyncGenerator[str | Restarted | Completion]:
        assert trail.request == call.request
        reply = self.replies[len(self.calls)]
        self.calls.append(call)
        for piece in (reply,) if isinstance(reply, str) else reply:
            yield piece
        number = len(self.calls)
        yield Completion(model=f"model-{number}", usage=Usage(10, 5), finish_reason="stop")

    def escalation(self, call: ModelCall, answered_by: str) -> ModelCall | None:
        if len(self.calls) == len(self.replies):
            return None
        return replace(call, tried=(*call.tried, answered_by))


def cascade(models: Models) -> Answerer:
    return answerer_of(
        gateway=models,
        routes=models,
        retriever=FixedRetriever((SEAL, LEAVE)),
        embedder=HashEmbedder(),
    )


async def test_where_a_model_invents_a_dearer_one_is_asked_with_the_stricter_prompt() -> None:
    models = Models((f"{INVENTED} [1].", f"{TRUE} [1]."))
    answer = await cascade(models).ask(asked(QUESTION, ADA))
    assert isinstance(answer, Answer)
    assert (answer.text, answer.model) == (f"{TRUE}. [1]", "model-2")
    first, second = models.calls
    assert (first.step, second.step) == ("answer", "answer-strict")
    assert second.tried == ("model-1",)
    assert second.prompt.prompt.startswith("answer-strict/")
    assert first.prompt.evidence == second.prompt.evidence


async def test_where_a_model_abstains_a_dearer_one_is_asked_the_same() -> None:
    models = Models(("NO ANSWER", f"{TRUE} [1]."))
    answer = await cascade(models).ask(asked(QUESTION, ADA))
    assert isinstance(answer, Answer)
    assert [call.step for call in models.calls] == ["answer", "answer"]


async def test_where_no_dearer_model_is_left_one_that_invents_is_asked_more_strictly_once() -> None:
    models = Models((f"{INVENTED} [1].",))
    only = replace(cascade(models), routes=NoDearer())
    models.replies = (f"{INVENTED} [1].", f"{INVENTED} [2].", "never asked")
    assert await only.ask(asked(QUESTION, ADA)) == UNGROUNDED
    assert [call.step for call in models.calls] == ["answer", "answer-strict"]


async def test_after_something_was_released_no_other_model_is_asked() -> None:
    models = Models((f"{TRUE} [1]. {INVENTED} [1].", "never asked"))
    answer = await cascade(models).ask(asked(QUESTION, ADA))
    assert isinstance(answer, Answer)
    assert len(models.calls) == 1


async def test_a_restarted_deployment_begins_the_answer_anew() -> None:
    broken = (f"{TRUE} [1]. Staff have", Restarted("cut off"), f"{TRUE} [1].")
    events = await events_of(cascade(Models((broken,))))
    retracted = [type(event) for event in events].index(TextRetracted)
    last = events[-1]
    assert isinstance(last, Finished) and isinstance(last.outcome, Answer)
    assert released(events[retracted:]) == last.outcome.text == f"{TRUE}. [1]"
    assert len(last.outcome.citations) == 1


async def test_the_trail_tells_what_was_sent_and_shown_and_by_which_prompt() -> None:
    ask = asked(QUESTION, ADA)
    prompts = ShippedPrompts()
    asking = answerer_of(
        ScriptedLanguageModel(f"{TRUE} [1]."),
        retriever=FixedRetriever((SEAL, LEAVE)),
        embedder=HashEmbedder(),
        prompts=prompts,
    )
    await asking.ask(ask)
    chunks = {SEAL.chunk.id, LEAVE.chunk.id}
    assert {sent.chunk for sent in ask.trail.sent} == chunks
    assert {sent.chunk for sent in ask.trail.shown} == chunks
    assert ask.trail.prompt == load_prompt("answer", "v2").id
    assert [(outcome.ok, outcome.grounded) for outcome in prompts.outcomes] == [(True, True)]


async def test_a_model_that_fails_is_told_to_whoever_chose_its_prompt() -> None:
    prompts = ShippedPrompts()
    asking = answerer_of(
        ScriptedLanguageModel("", error=ModelUnavailable("it is down")),
        retriever=FixedRetriever((SEAL,)),
        embedder=HashEmbedder(),
        prompts=prompts,
    )
    with pytest.raises(ModelUnavailable):
        await asking.ask(asked(QUESTION, ADA))
    assert [outcome.ok for outcome in prompts.outcomes] == [False]


async def test_an_asker_who_goes_away_says_nothing_of_the_prompt() -> None:
    prompts = ShippedPrompts()
    asking = answerer_of(
        ScriptedLanguageModel(f"{TRUE} [1]. " * 20),
        retriever=FixedRetriever((SEAL,)),
        embedder=HashEmbedder(),
        prompts=prompts,
    )
    stream = asking.stream(asked(QUESTION, ADA))
    async for event in stream:
        if isinstance(event, TextReleased):
            break
    await stream.aclose()
    assert prompts.outcomes == []


async def test_a_model_that_reads_is_shown_what_bears_on_the_question_and_checked_against_all() -> (
    None
):
    filler = "The hall was painted by two men from the north. " * 60
    long = hit(f"{filler}The pump seal is replaced every 12 months. {filler}", document="long")
    model = ScriptedLanguageModel(
        f"{TRUE} [1]. The hall was painted by two men from the north [1]."
    )
    whole = answerer(model, retriever=FixedRetriever((long,)))
    answer = await replace(whole, shortens=True).ask(asked(QUESTION, ADA))
    assert isinstance(answer, Answer)
    assert answer.text.startswith(f"{TRUE}. [1] The hall")
    assert answer == replace(await whole.ask(asked(QUESTION, ADA)), usage=answer.usage)
    short, full = ("".join(each.content for each in prompt.messages) for prompt in model.prompts)
    assert TRUE in short
    assert len(short) < 0.8 * len(full)
    assert model.prompts[0].evidence == model.prompts[1].evidence


async def test_an_answer_is_surer_where_both_searches_found_what_it_rests_on() -> None:
    both = replace(SEAL, ranks=replace(SEAL.ranks, dense=1, sparse=1))
    one = replace(SEAL, ranks=replace(SEAL.ranks, dense=1, sparse=None))
    surer, less = await ask(f"{TRUE} [1].", both), await ask(f"{TRUE} [1].", one)
    assert isinstance(surer, Answer) and isinstance(less, Answer)
    assert 0 < less.confidence < surer.confidence <= 1
