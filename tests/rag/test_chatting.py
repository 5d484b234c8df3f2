"""A chat of another team's app: guarded on its way in and out, and otherwise left alone."""

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, replace

import pytest

from rag.access import PrincipalId
from rag.asking import TextReleased, TextRetracted
from rag.chatting import ChatEvent, Chatter, Said, Withheld
from rag.errors import ModelUnavailable
from rag.gateway.calls import Gateway, ModelCall, Restarted
from rag.guardrails.flow import Guardrails
from rag.guardrails.policy import Action, Rule, Stage
from rag.protocols import Completion, Message, ModelPrompt
from rag.reviews import flags_of
from rag.testing import ScriptedLanguageModel
from rag.trail import Account, RequestId, Trail, UseCase
from rag.types import Usage
from tests.asking import DirectGateway, guardrails_of
from tests.rag.guardrails.asked import Forbids
from tests.values import ACME

ACCOUNT = Account(tenant=ACME, user=PrincipalId("app:wiki"))
REPLY = "The valve opens at six bar."


def trail() -> Trail:
    return Trail(
        request=RequestId("request-1"), account=ACCOUNT, use_case=UseCase.CHAT, endpoint="/v1/chat"
    )


def call(user: str = "When does it open?", system: str = "Be brief.") -> ModelCall:
    return ModelCall(
        prompt=ModelPrompt(messages=(Message("system", system), Message("user", user))),
        account=ACCOUNT,
        request=RequestId("request-1"),
        use_case=UseCase.CHAT,
        model="scripted",
    )


def chatter(reply: str = REPLY, guardrails: Guardrails | None = None) -> Chatter:
    return Chatter(
        gateway=DirectGateway(ScriptedLanguageModel(reply)),
        guardrails=guardrails or guardrails_of(),
    )


async def events_of(chat: Chatter, asked: ModelCall | None = None) -> list[ChatEvent]:
    return [event async for event in chat.stream(asked or call(), trail())]


def released(events: Sequence[ChatEvent]) -> str:
    return "".join(event.text for event in events if isinstance(event, TextReleased))


async def test_what_the_model_says_is_streamed_and_told_whole_at_the_end() -> None:
    events = await events_of(chatter())
    assert released(events) == REPLY
    last = events[-1]
    assert isinstance(last, Said)
    assert (last.text, last.completion.finish_reason) == (REPLY, "stop")


async def test_an_answer_that_nobody_sees_before_its_end_comes_in_one_piece() -> None:
    events = [event async for event in chatter().stream(call(), trail(), in_pieces=False)]
    assert [type(event) for event in events] == [TextReleased, Said]
    assert released(events) == REPLY


async def test_a_message_that_a_guardrail_blocks_is_answered_with_nothing() -> None:
    guarded = guardrails_of(Forbids("open"), input={"words": Rule()})
    events = await events_of(chatter(guardrails=guarded))
    assert [type(event) for event in events] == [Withheld]


async def test_the_apps_own_system_message_is_no_input_to_be_checked() -> None:
    guarded = guardrails_of(Forbids("brief"), input={"words": Rule()})
    assert released(await events_of(chatter(guardrails=guarded))) == REPLY


def chat(*written: str) -> ModelCall:
    """What was written so far, the newest last, with the replies between."""
    said = [Message("user", text) for text in written]
    messages = [each for one in said for each in (one, Message("assistant", REPLY))][:-1]
    return replace(call(), prompt=ModelPrompt(messages=tuple(messages)))


async def reviews_of(chatting: Chatter, *written: str, account: Account = ACCOUNT) -> int:
    """How many reviews a request asks for."""
    about = replace(trail(), account=account)
    _ = [event async for event in chatting.stream(chat(*written), about)]
    flags = [each for each in about.verdicts if each.standing == "flagged"]
    assert len(flags) == any("swear" in each for each in written), "the trail says what it is"
    return len(flags_of(about))


def flagging() -> Chatter:
    flags = {"words": Rule(action=Action.FLAG)}
    return chatter(guardrails=guardrails_of(Forbids("swear"), input=flags))


async def test_a_message_that_was_flagged_is_looked_at_once_however_often_it_is_sent() -> None:
    chatting = flagging()
    said = ["I swear.", "When does it open?", "And how far?", "I swear again.", "Thanks."]
    asked = [await reviews_of(chatting, *said[: count + 1]) for count in range(len(said))]
    assert asked == [1, 0, 0, 1, 0]


async def test_earlier_messages_that_nobody_here_has_seen_are_looked_at() -> None:
    chatting = flagging()
    assert await reviews_of(chatting, "I swear.", "When does it open?") == 1
    assert await reviews_of(chatting, "I swear, too.", "When does it open?", "Why?") == 1
    assert await reviews_of(chatting, "I swear.", "When does it open?", "Why?") == 0
    other = replace(ACCOUNT, user=PrincipalId("user:other"))
    assert await reviews_of(chatting, "I swear.", "When?", "Why?", account=other) == 1


async def test_an_app_that_sends_the_latest_messages_alone_asks_for_no_further_review() -> None:
    chatting = flagging()
    said = ["Hello.", "I swear.", "When does it open?", "And how far?", "Thanks."]
    asked = [await reviews_of(chatting, *said[max(0, at - 3) : at]) for at in range(1, 6)]
    assert asked == [0, 1, 0, 0, 0]


async def test_a_chat_that_is_sent_twice_is_two_chats() -> None:
    chatting = flagging()
    assert await reviews_of(chatting, "I swear.") == 1
    assert await reviews_of(chatting, "I swear.") == 1


async def test_what_a_guardrail_blocks_before_anything_was_released_is_withheld() -> None:
    guarded = guardrails_of(Forbids("valve"), output={"words": Rule(stage=Stage.PIECE)})
    events = await events_of(chatter(guardrails=guarded))
    assert [type(event) for event in events] == [Withheld]


async def test_what_was_released_is_taken_back_where_the_whole_is_blocked() -> None:
    guarded = guardrails_of(Forbids("six bar"), output={"words": Rule(stage=Stage.ANSWER)})
    events = await events_of(chatter(guardrails=guarded))
    assert [type(event) for event in events][-2:] == [TextRetracted, Withheld]


@dataclass(frozen=True, slots=True)
class Pieces:
    pieces: Sequence[str | Restarted]
    error: Exception | None = None

    async def stream(
        self, call: ModelCall, trail: Trail
    ) -> AsyncGenerator[str | Restarted | Completion]:
        _ = call, trail
        for piece in self.pieces:
            yield piece
        if self.error is not None:
            raise self.error
        yield Completion(model="m", usage=Usage(), finish_reason="stop")


def over(gateway: Gateway) -> Chatter:
    return Chatter(gateway=gateway, guardrails=guardrails_of())


async def test_after_a_restart_only_what_comes_then_counts() -> None:
    pieces = Pieces(("The valve opens at ten bar or so, as ", Restarted("cut off"), REPLY))
    events = await events_of(over(pieces))
    at = next(i for i, event in enumerate(events) if isinstance(event, TextRetracted))
    last = events[-1]
    assert isinstance(last, Said)
    assert released(events[at:]) == last.text == REPLY


async def test_a_gateway_that_fails_fails_the_chat() -> None:
    with pytest.raises(ModelUnavailable):
        await events_of(over(Pieces(("The valve",), ModelUnavailable("gone"))))
