"""An answer that was given again is now and then made anew, behind everybody who waits."""

from dataclasses import dataclass, field
from datetime import UTC, datetime

import pytest

from rag.access import Principal, PrincipalId
from rag.afterwards import recheck
from rag.asking import NO_EVIDENCE, Ask
from rag.asking_protocols import NoMemory
from rag.gateway.answer_cache.entries import CachedAnswer, KeptAnswerId
from rag.gateway.calls import Lane
from rag.gateway.money import FREE
from rag.types import Answer, Citation, Refusal, Span
from tests.asking import asked
from tests.values import ACME, hit

ADA = Principal(ACME, PrincipalId("user:ada"))


def answer_from(document: str) -> Answer:
    text = "The seal is red."
    chunk = hit(text, document=document).chunk
    citation = Citation(number=1, chunk=chunk, quote=text, span=Span(0, len(text)), verified=True)
    return Answer(text=text, citations=(citation,), confidence=1.0, model="m", prompt="p")


@dataclass(slots=True)
class Told(NoMemory):
    """Keeps what came of rechecks."""

    agreed: list[bool] = field(default_factory=list[bool])

    def rechecked(self, *, agreed: bool) -> None:
        self.agreed.append(agreed)


@pytest.mark.parametrize(
    ("anew", "agrees"),
    [(answer_from("seal"), True), (answer_from("another"), False), (NO_EVIDENCE, False)],
    ids=["the same passage", "another passage", "refused"],
)
async def test_it_agrees_where_it_rests_on_the_same_words(
    anew: Answer | Refusal, *, agrees: bool
) -> None:
    ask, memory, asks = asked("Which seal?", ADA), Told(), list[Ask]()
    kept = CachedAnswer(
        id=KeptAnswerId("k"),
        how="exact",
        answer=answer_from("seal"),
        evidence=(),
        made_at=datetime(2026, 5, 4, tzinfo=UTC),
        saved=FREE,
    )

    async def answer(again: Ask) -> Answer | Refusal:
        asks.append(again)
        return anew

    await recheck(ask, kept, memory=memory, answer=answer)
    assert memory.agreed == [agrees]
    [again] = asks
    assert (again.question, again.principal, again.lane) == ("Which seal?", ADA, Lane.BATCH)
    assert again.trail is not ask.trail
    assert again.trail.request == f"{ask.trail.request}-recheck"
