"""Older turns in few words: only when they no longer fit, and only what somebody said."""

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

import pytest

from rag.access import PrincipalId
from rag.conversation.turns import History, Summary, Turn
from rag.errors import Error, ModelUnavailable, OverBudget, PolicyForbids, RateLimited
from rag.gateway.calls import Lane, ModelCall, Restarted
from rag.guardrails.flow import Guardrails
from rag.guardrails.policy import Action, Rule
from rag.protocols import Completion
from rag.reviews import flags_of
from rag.summarising import LeftOut, NotDue, Summarised, Summarising
from rag.trail import Account, RequestId, Trail, UseCase
from rag.types import Usage
from tests.asking import ShippedPrompts, guardrails_of
from tests.rag.guardrails.asked import Forbids
from tests.values import ACME

GIST = "The pump AP-300 weighs 80 kg."


def words(texts: Sequence[str]) -> list[int]:
    return [len(text.split()) for text in texts]


def turn(number: int, answer: str = "The pump AP-300 weighs 80 kg and is painted blue.") -> Turn:
    question = f"What is known of pump {number}?"
    at = datetime(2026, 5, 4, tzinfo=UTC)
    return Turn(question=question, standalone=question, answer=answer, at=at)


def history(count: int, *, summary: Summary | None = None, first: int = 1) -> History:
    turns = tuple(turn(number) for number in range(first, first + count))
    return History(turns=turns, first=first, summary=summary)


@dataclass(slots=True)
class Writes:
    """A gateway to a model that says the same of every conversation."""

    text: str = GIST
    finish_reason: str = "stop"
    error: Error | None = None
    calls: list[ModelCall] = field(default_factory=list[ModelCall])

    async def stream(
        self, call: ModelCall, trail: Trail
    ) -> AsyncGenerator[str | Restarted | Completion]:
        assert trail.counts_for == call.request
        self.calls.append(call)
        if self.error is not None:
            raise self.error
        yield self.text
        yield Completion(model="cheap", usage=Usage(10, 5), finish_reason=self.finish_reason)

    @property
    def shown(self) -> str:
        return self.calls[-1].prompt.messages[-1].content


def trail_of() -> Trail:
    return Trail(
        request=RequestId("t1-summary"),
        account=Account(tenant=ACME, user=PrincipalId("user:ada")),
        use_case=UseCase.SUMMARISE,
        endpoint="summary",
    )


async def summarised(
    writes: Writes,
    conversation: History,
    *,
    trail: Trail | None = None,
    guardrails: Guardrails | None = None,
    prompts: ShippedPrompts | None = None,
    history_tokens: int = 60,
    input_tokens: int = 3_000,
) -> Summarised:
    summarising = Summarising(
        gateway=writes,
        prompts=prompts or ShippedPrompts(),
        guardrails=guardrails or guardrails_of(),
        count_tokens=words,
        history_tokens=history_tokens,
        input_tokens=input_tokens,
    )
    return await summarising.summarised(conversation, trail or trail_of())


@pytest.mark.parametrize("count", [0, 1])
async def test_a_conversation_that_is_shown_as_it_was_said_is_not_summed_up(count: int) -> None:
    writes = Writes()
    assert await summarised(writes, history(count)) == NotDue()
    assert writes.calls == []


async def test_what_no_longer_fits_is_summed_up_behind_everybody_by_the_cheapest() -> None:
    writes, trail, prompts = Writes(), trail_of(), ShippedPrompts()
    made = await summarised(writes, history(4), trail=trail, prompts=prompts)
    assert made == Summary(GIST, through=3)
    [call] = writes.calls
    assert (call.step, call.quality, call.lane) == ("summary", "fast", Lane.BATCH)
    assert call.use_case is UseCase.SUMMARISE
    assert "pump 1?" in writes.shown
    assert "pump 3?" in writes.shown
    assert "pump 4?" not in writes.shown
    assert trail.prompt.startswith("summary/")
    assert [outcome.ok for outcome in prompts.outcomes] == [True]


async def test_its_cost_is_the_costs_of_the_request_that_it_was_made_after() -> None:
    writes, trail = Writes(), replace(trail_of(), after=RequestId("t1"))
    await summarised(writes, history(4), trail=trail)
    assert writes.calls[0].request == "t1"


async def test_a_later_summary_goes_on_from_the_one_before_it() -> None:
    writes = Writes()
    before = Summary("Pump 1 was talked of.", through=2)
    assert await summarised(writes, history(3, summary=before)) == NotDue()
    made = await summarised(writes, history(6, summary=before))
    assert made == Summary(GIST, through=5)
    assert "Pump 1 was talked of." in writes.shown
    assert "pump 2?" not in writes.shown
    assert "pump 3?" in writes.shown


async def test_turns_are_counted_from_the_first_that_is_kept() -> None:
    before = Summary("Pump 1 was talked of.", through=9)
    made = await summarised(Writes(), history(6, first=21, summary=before))
    assert isinstance(made, Summary)
    assert made.through == 25


async def test_of_what_is_too_much_to_be_shown_sentences_are_chosen() -> None:
    writes = Writes()
    await summarised(writes, history(40), input_tokens=60)
    assert len(writes.shown.split()) < 200


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        (f"{GIST} It costs 4,711 euros.", GIST),
        (f"{GIST} The AP-999 is green.", GIST),
        (f"{GIST} Mr Brown bought it from Kessler in Munich.", GIST),
        (f"{GIST} Kessler delivers it.", GIST),
        (f"{GIST} Frau Kessler liefert die Pumpe aus.", GIST),
        (f"{GIST} Nothing else was said.", f"{GIST} Nothing else was said."),
        (f"{GIST} Die Pumpe ist blau.", f"{GIST} Die Pumpe ist blau."),
        ("It costs 4,711 euros.", None),
        ("", None),
    ],
    ids=[
        "a number",
        "a code",
        "names",
        "a name at the beginning",
        "a German name",
        "a word that only begins a sentence",
        "a German noun",
        "nothing else",
        "nothing",
    ],
)
async def test_what_nobody_said_is_left_out(said: str, kept: str | None) -> None:
    made = await summarised(Writes(said), history(4))
    expected = LeftOut("nothing_left") if kept is None else Summary(kept, through=3)
    assert made == expected


async def test_a_name_that_somebody_said_is_kept_however_it_is_inflected() -> None:
    said = History(
        turns=(
            turn(1, "Anna Kessler of KSB in Munich sells the pump."),
            *(turn(n) for n in (2, 3, 4)),
        )
    )
    text = "Kessler's pump comes from KSB in Munich."
    assert await summarised(Writes(text), said) == Summary(text, through=3)


async def test_of_a_summary_that_was_cut_off_the_last_sentence_goes() -> None:
    writes = Writes(f"{GIST} It is painted", finish_reason="length")
    assert await summarised(writes, history(4)) == Summary(GIST, through=3)


async def test_it_never_takes_more_room_than_there_is_beside_the_turns() -> None:
    sentence = "The pump is painted blue and nothing else is known of it."
    made = await summarised(Writes(" ".join([sentence] * 9)), history(4))
    assert isinstance(made, Summary)
    assert made.text == " ".join([sentence] * 2)


@pytest.mark.parametrize(
    ("error", "why"),
    [
        (OverBudget("spent"), "over_budget"),
        (RateLimited("slow down"), "rate_limited"),
        (PolicyForbids("no"), "forbidden"),
        (ModelUnavailable("down"), "no_model"),
    ],
    ids=["budget", "rate", "policy", "down"],
)
async def test_where_none_can_be_had_it_is_said_why(error: Error, why: str) -> None:
    prompts = ShippedPrompts()
    made = await summarised(Writes(error=error), history(4), prompts=prompts)
    assert isinstance(made, LeftOut)
    assert made.why == why
    assert [outcome.ok for outcome in prompts.outcomes] == [False]


async def test_turns_that_a_guardrail_blocks_now_are_shown_to_no_model() -> None:
    guardrails = guardrails_of(Forbids("pump 2?"), input={"words": Rule()})
    writes, trail = Writes(), trail_of()
    made = await summarised(writes, history(4), trail=trail, guardrails=guardrails)
    assert made == LeftOut("blocked")
    assert writes.calls == []
    assert [verdict.standing for verdict in trail.verdicts] == ["blocked"]


@pytest.mark.parametrize("direction", ["output", "evidence"])
async def test_a_summary_is_guarded_as_an_answer_and_as_a_passage(direction: str) -> None:
    rules = {"words": Rule()}
    guardrails = (
        guardrails_of(Forbids("weighs"), output=rules)
        if direction == "output"
        else guardrails_of(Forbids("weighs"), evidence=rules)
    )
    trail = trail_of()
    made = await summarised(Writes(), history(4), trail=trail, guardrails=guardrails)
    assert made == LeftOut("blocked")
    assert [verdict.direction for verdict in trail.verdicts] == [direction]


async def test_turns_that_were_flagged_when_they_were_said_are_not_looked_at_again() -> None:
    rules = {"words": Rule(action=Action.FLAG)}
    guardrails = guardrails_of(Forbids("pump"), input=rules, output=rules)
    trail = trail_of()
    await summarised(Writes(), history(4), trail=trail, guardrails=guardrails)
    assert [each.standing for each in trail.verdicts] == ["flagged", "flagged"]
    assert [flag.direction for flag in flags_of(trail)] == ["output"], "the summary is new"


async def test_what_a_guardrail_masks_in_it_is_not_kept() -> None:
    guardrails = guardrails_of(Forbids("80 kg"), output={"words": Rule(action=Action.MASK)})
    made = await summarised(Writes(), history(4), guardrails=guardrails)
    assert made == Summary("The pump AP-300 weighs [removed].", through=3)
