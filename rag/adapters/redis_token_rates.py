"""Tokens in sliding windows, counted in Redis: one script over all windows of a call."""

import logging
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import redis.asyncio
from redis.exceptions import RedisError

from rag.gateway.token_rates import LocalTokenRates, TokenRate, TokenRates, too_many
from rag.storage.moments import now

SILENCE_S = 2.0

log = logging.getLogger(__name__)

_TAKE = """
-- KEYS: for each window its calls by time, and their tokens with the total
-- ARGV: call, now (ms), tokens, then for each window its length (ms) and how many it takes
local now, tokens = tonumber(ARGV[2]), tonumber(ARGV[3])
for i = 1, #KEYS, 2 do
  local window, most = tonumber(ARGV[3 + i]), tonumber(ARGV[4 + i])
  for _, old in ipairs(redis.call('ZRANGEBYSCORE', KEYS[i], '-inf', now - window)) do
    redis.call('HINCRBY', KEYS[i + 1], 'total', -tonumber(redis.call('HGET', KEYS[i + 1], old)))
    redis.call('HDEL', KEYS[i + 1], old)
    redis.call('ZREM', KEYS[i], old)
  end
  local total = tonumber(redis.call('HGET', KEYS[i + 1], 'total') or '0')
  if total + tokens > most then
    local calls = redis.call('ZRANGE', KEYS[i], 0, -1, 'WITHSCORES')
    for j = 1, #calls, 2 do
      total = total - redis.call('HGET', KEYS[i + 1], calls[j])
      if total + tokens <= most then
        return {(i - 1) / 2, string.format('%.0f', calls[j + 1] + window - now)}
      end
    end
    return {(i - 1) / 2, '-1'}
  end
end
for i = 1, #KEYS, 2 do
  redis.call('ZADD', KEYS[i], now, ARGV[1])
  redis.call('HSET', KEYS[i + 1], ARGV[1], tokens)
  redis.call('HINCRBY', KEYS[i + 1], 'total', tokens)
  redis.call('PEXPIRE', KEYS[i], ARGV[3 + i])
  redis.call('PEXPIRE', KEYS[i + 1], ARGV[3 + i])
end
return {}
"""

_CORRECT = """
-- KEYS: as above. ARGV: call, tokens
for i = 1, #KEYS, 2 do
  local taken = redis.call('HGET', KEYS[i + 1], ARGV[1])
  if taken then
    redis.call('HSET', KEYS[i + 1], ARGV[1], ARGV[2])
    redis.call('HINCRBY', KEYS[i + 1], 'total', string.format('%.0f', ARGV[2] - taken))
  end
end
"""


@dataclass(frozen=True, slots=True)
class RedisTokenRates:
    """Satisfies `TokenRates`. Made by `open_redis_token_rates`.

    While Redis does not answer, each process counts for itself, and says so in the log.
    """

    client: Any
    local: TokenRates
    clock: Callable[[], datetime] = now

    async def take(self, call: str, rates: Sequence[TokenRate], tokens: int) -> None:
        for rate in rates:
            if tokens > rate.tokens:
                raise too_many(rate, None)
        arguments = [call, int(self.clock().timestamp() * 1_000), tokens]
        for rate in rates:
            arguments += [int(rate.window.total_seconds() * 1_000), rate.tokens]
        try:
            told = await self.client.register_script(_TAKE)(keys=_keys(rates), args=arguments)
        except (RedisError, OSError) as error:
            _say(error)
            await self.local.take(call, rates, tokens)
            return
        if told:
            place, milliseconds = int(told[0]), int(told[1])
            raise too_many(rates[place], max(1.0, milliseconds / 1_000))

    async def correct(self, call: str, rates: Sequence[TokenRate], tokens: int) -> None:
        await self.local.correct(call, rates, tokens)
        try:
            script = self.client.register_script(_CORRECT)
            await script(keys=_keys(rates), args=[call, tokens])
        except (RedisError, OSError) as error:
            _say(error)


@asynccontextmanager
async def open_redis_token_rates(
    url: str, *, clock: Callable[[], datetime] = now
) -> AsyncGenerator[RedisTokenRates]:
    """Connects when it is first used."""
    client: Any = redis.asyncio.from_url(  # pyright: ignore[reportUnknownMemberType]
        url, socket_timeout=SILENCE_S, socket_connect_timeout=SILENCE_S
    )
    try:
        yield RedisTokenRates(client, LocalTokenRates(clock), clock)
    finally:
        await client.aclose()


def _keys(rates: Sequence[TokenRate]) -> list[str]:
    names = [f"rag:rates:{{{rate.tenant}}}:{rate.name}" for rate in rates]
    return [key for name in names for key in (f"{name}:calls", f"{name}:tokens")]


def _say(error: Exception) -> None:
    log.warning("token rates are counted per process", extra={"cause": type(error).__name__})
