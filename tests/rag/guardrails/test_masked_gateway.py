"""Models outside are sent no personal data, and readers get none of its placeholders."""

from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import dataclass, replace

import pytest

from rag.errors import ModelUnavailable, PolicyForbids
from rag.gateway.calls import ModelCall, Restarted
from rag.guardrails.hits import Hit
from rag.guardrails.masked_gateway import MaskedGateway, MaskingRule
from rag.guardrails.pii import Depth
from rag.guardrails.placeholders import any_placeholder
from rag.protocols import Completion
from rag.trail import Trail
from tests.gateways import Received as Said
from tests.gateways import a_trail, receive, received, scripted_chain
from tests.rag.guardrails.maskers import Echo, a_masker, calling, everything_sent, masked
from tests.scripted_upstream import Says

VALUES = ("Anna Berg", "anna.berg@example.com", "+49 30 1234567", "DE89 3704 0044 0532 0130 00")
TEXT = f"Tell {VALUES[0]} ({VALUES[1]}, {VALUES[2]}) to pay {VALUES[3]} today."


@pytest.mark.parametrize("size", [1, 2, 5, 1_000])
async def test_the_model_sees_no_value_and_the_reader_sees_all_of_them(size: int) -> None:
    echo = Echo(size=size)
    said = await received(masked(echo), calling(TEXT))
    assert said.text == TEXT
    for value in VALUES:
        assert value not in everything_sent(echo.sent)
    assert not any_placeholder().search(said.text)


async def test_nothing_raw_goes_over_the_wire() -> None:
    async with scripted_chain([Says("Done.")]) as (chain, [upstream]):
        gateway = MaskedGateway(
            inner=chain.gateway, masker=a_masker(), rule_for=lambda _call: MaskingRule(mask=True)
        )
        said = await received(gateway, calling(TEXT))
    assert said.text == "Done." and upstream.calls == 1
    for value in VALUES:
        assert value not in str(upstream.asked)


def spaced(text: str) -> str:
    return text.replace("<", "< ").replace(">", " >")


def bare(text: str) -> str:
    return text.replace("<", "").replace(">", "")


def repeating(text: str) -> str:
    return text + text[:40]


def inventing(text: str) -> str:
    return text + " <person-bcdfghjkm> <phone-9>"


def breaking_off(text: str) -> str:
    begun = text.find("<")
    return text + text[begun : begun + 12]


@pytest.mark.parametrize("altered", [str.upper, spaced, bare, repeating, inventing, breaking_off])
async def test_a_model_that_changes_or_makes_up_placeholders_tells_a_reader_none(
    altered: Callable[[str], str],
) -> None:
    echo = Echo(says=altered)
    said = await received(masked(echo), calling(TEXT))
    assert VALUES[0].lower() in said.text.lower()
    assert not any_placeholder().search(said.text)
    for placeholder in any_placeholder().findall(everything_sent(echo.sent)):
        assert placeholder.lower() not in said.text.lower()


async def test_a_restart_makes_void_what_was_held_back() -> None:
    for after in range(12):
        echo = Echo(size=4, restart_after=after)
        said = await received(masked(echo), calling(TEXT))
        assert said.text == TEXT and said.restarts == ["the line was cut"]


async def test_the_verdict_says_what_was_masked_and_repeats_nothing() -> None:
    trail = a_trail()
    await received(masked(Echo()), calling(TEXT), trail)
    [verdict] = trail.verdicts
    assert (verdict.check, verdict.standing, verdict.policy) == ("masking", "masked", "v1")
    assert {"email", "phone", "iban"} <= set(verdict.kinds)
    assert not any(value in repr(trail) for value in VALUES)


async def test_what_holds_nothing_passes_as_it_is() -> None:
    trail, echo = a_trail(), Echo()
    call = calling("what is the limit for hotels?")
    said = await received(masked(echo), call, trail)
    assert said.text == "what is the limit for hotels?" == everything_sent(echo.sent)
    assert [verdict.standing for verdict in trail.verdicts] == ["passed"]


@pytest.mark.parametrize(("text", "personal"), [(TEXT, True), ("what is the limit?", False)])
async def test_without_masking_the_router_is_told_of_personal_data(
    text: str, *, personal: bool
) -> None:
    trail, echo = a_trail(), Echo()
    said = await received(masked(echo, mask=False), calling(text), trail)
    assert said.text == text == everything_sent(echo.sent)
    assert [call.personal_data for call in echo.sent] == [personal]
    [verdict] = trail.verdicts
    assert (verdict.standing, bool(verdict.kinds)) == ("passed", personal)


async def test_what_was_masked_is_no_personal_data_any_more() -> None:
    echo = Echo()
    await received(masked(echo), replace(calling(TEXT), personal_data=True))
    assert [call.personal_data for call in echo.sent] == [False]


@dataclass(frozen=True, slots=True)
class Failing:
    """A name finder that fails, and says what it was looking for."""

    error: type[Exception]

    async def find(self, text: str) -> Sequence[Hit]:
        raise self.error(f"cannot look through {text}")


@pytest.mark.parametrize("error", [ModelUnavailable, ValueError, MemoryError])
async def test_what_cannot_be_looked_through_is_never_sent(error: type[Exception]) -> None:
    trail, echo, said = a_trail(), Echo(), Said()
    gateway = masked(echo, depth=Depth.THOROUGH, names=Failing(error))
    with pytest.raises(PolicyForbids) as raised:
        await receive(gateway, said, calling(TEXT), trail)
    assert echo.sent == [] and said.pieces == []
    assert [verdict.standing for verdict in trail.verdicts] == ["blocked"]
    assert "Anna" not in str(raised.value) + repr(trail.verdicts)
    assert raised.value.__cause__ is None and raised.value.__suppress_context__


async def test_thorough_masking_without_a_name_finder_sends_nothing() -> None:
    echo = Echo()
    with pytest.raises(PolicyForbids):
        await received(masked(echo, depth=Depth.THOROUGH), calling(TEXT))
    assert echo.sent == []


@dataclass(slots=True)
class Breaking:
    """A gateway that fails in the middle of a word."""

    closed: bool = False

    async def stream(
        self, call: ModelCall, trail: Trail
    ) -> AsyncGenerator[str | Restarted | Completion]:
        del trail
        try:
            yield call.prompt.messages[-1].content[:9]
            raise ModelUnavailable("gone")
        finally:
            self.closed = True


async def test_an_error_of_the_model_is_passed_on_and_half_a_placeholder_is_not() -> None:
    breaking, said = Breaking(), Said()
    gateway = MaskedGateway(
        inner=breaking, masker=a_masker(), rule_for=lambda _call: MaskingRule(mask=True)
    )
    with pytest.raises(ModelUnavailable):
        await receive(gateway, said, calling("Tell a@b.de"))
    assert said.text == "Tell " and breaking.closed


async def test_whoever_stops_listening_stops_the_model() -> None:
    breaking = Breaking()
    gateway = MaskedGateway(
        inner=breaking, masker=a_masker(), rule_for=lambda _call: MaskingRule(mask=True)
    )
    stream = gateway.stream(calling("Tell a@b.de"), a_trail())
    assert await anext(stream) == "Tell "
    await stream.aclose()
    assert breaking.closed
