"""The gateway that refuses those who have called for too many tokens."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from datetime import UTC, datetime, timedelta

import pytest

from api.limits import RateLimits, token_rates_of
from api.settings_server import RateLimitSettings
from rag.access import PrincipalId
from rag.errors import ConfigurationError, RateLimited
from rag.gateway.calls import ModelCall, Restarted
from rag.gateway.token_rates import LocalTokenRates, RateLimitedGateway, TokenRate
from rag.protocols import Completion, Message, ModelPrompt
from rag.trail import Account, Attempt, RequestId, Trail, UseCase
from rag.types import Usage
from tests.budgets import ACME, ANNA
from tests.clock import Clock

ACCOUNT = Account(tenant=ACME, user=ANNA, application="k1")
CALL = ModelCall(
    prompt=ModelPrompt(messages=(Message("user", "What is new?"),), max_output_tokens=93),
    account=ACCOUNT,
    request=RequestId("r"),
    use_case=UseCase.CHAT,
)
"""100 tokens at most."""


class Brief:
    """Each of its calls takes ten tokens."""

    async def stream(
        self, call: ModelCall, trail: Trail
    ) -> AsyncGenerator[str | Restarted | Completion]:
        _ = call
        used = Usage(7, 3)
        try:
            yield "Nothing."
            yield Completion(model="m", usage=used, finish_reason="stop")
        finally:
            trail.attempts.append(
                Attempt(
                    model="m", deployment="m", step="answer", outcome="ok", usage=used,
                    estimated=False, cost=trail.cost, started_at=datetime(2026, 11, 21, tzinfo=UTC),
                    first_token_ms=1.0, total_ms=1.0,
                )
            )  # fmt: skip


def limited(clock: Clock, **settings: str) -> RateLimitedGateway:
    rates_of = token_rates_of(RateLimitSettings(**settings))  # pyright: ignore[reportArgumentType]
    return RateLimitedGateway(Brief(), rates=LocalTokenRates(clock), rates_of=rates_of)


async def ask(gateway: RateLimitedGateway) -> Trail:
    trail = Trail(request=CALL.request, account=ACCOUNT, use_case=UseCase.CHAT, endpoint="/v1/chat")
    async with aclosing(gateway.stream(CALL, trail)) as pieces:
        async for _ in pieces:
            pass
    return trail


async def test_calls_count_by_what_they_took_once_that_is_known() -> None:
    clock = Clock()
    gateway = limited(clock, tokens_per_user="150/minute")
    for _ in range(6):
        trail = await ask(gateway)
        assert len(trail.attempts) == 1
    with pytest.raises(RateLimited) as caught:
        await ask(gateway)
    assert caught.value.retry_after_s == 60
    clock.advance(minutes=1)
    await ask(gateway)


async def test_calls_at_once_count_by_what_they_may_take() -> None:
    gateway = limited(Clock(), tokens_per_tenant="250/minute")
    ended = await asyncio.gather(*(ask(gateway) for _ in range(5)), return_exceptions=True)
    assert sum(isinstance(each, RateLimited) for each in ended) == 3


async def test_whoever_goes_away_gives_the_rest_back() -> None:
    gateway = limited(Clock(), tokens_per_key="110/minute")
    trail = Trail(request=CALL.request, account=ACCOUNT, use_case=UseCase.CHAT, endpoint="e")
    stream = gateway.stream(CALL, trail)
    await anext(stream)
    await stream.aclose()
    await ask(gateway)
    assert len(trail.attempts) == 1


def test_a_call_counts_for_its_user_its_key_and_its_tenant() -> None:
    rates_of = token_rates_of(
        RateLimitSettings(
            tokens_per_user="10/second;500/hour",
            tokens_per_key="7/minute",
            tokens_per_tenant="9/day",
        )
    )

    def told(rates: Sequence[TokenRate]) -> list[tuple[str, str, int, timedelta]]:
        return [(rate.whose, rate.subject, rate.tokens, rate.window) for rate in rates]

    assert told(rates_of(ACCOUNT)) == [
        ("user", ANNA, 10, timedelta(seconds=1)),
        ("user", ANNA, 500, timedelta(hours=1)),
        ("key", "k1", 7, timedelta(minutes=1)),
        ("tenant", "", 9, timedelta(days=1)),
    ]
    person = Account(tenant=ACME, user=PrincipalId("user:1"))
    assert [rate.whose for rate in rates_of(person)] == ["user", "user", "tenant"]
    assert token_rates_of(RateLimitSettings(enabled=False, tokens_per_user="1/day"))(person) == ()


def test_a_rate_that_nobody_understands_stops_the_start() -> None:
    with pytest.raises(ConfigurationError):
        token_rates_of(RateLimitSettings(tokens_per_user="plenty"))


async def test_requests_of_one_key_count_together_whoever_it_speaks_for() -> None:
    limits = RateLimits(RateLimitSettings(per_key="3/minute"))
    for user in ("user:1", "user:2", "user:3"):
        await limits.spend(ACME, user, key="k1")
    with pytest.raises(RateLimited, match="key"):
        await limits.spend(ACME, "user:4", key="k1")
    await limits.spend(ACME, "user:4", key="k2")
    await limits.spend(ACME, "user:4")
