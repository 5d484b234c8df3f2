"""Budgets counted in Redis: each change is one script over all counters of a call.

Redis holds live counters and no more: one that is lost begins anew with what the usage ledger
says. Keys of a tenant share a hash tag, so that a cluster keeps them in one place. Redis must not
evict them (`maxmemory-policy noeviction`).
"""

from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import redis.asyncio
from redis.asyncio.retry import Retry
from redis.backoff import ExponentialBackoff
from redis.exceptions import ConnectionError as ConnectionLost
from redis.exceptions import RedisError

from rag.access import TenantId
from rag.errors import StorageUnavailable
from rag.gateway.budgets import Amount, Limit, Reservation, Standing, Swept, over_budget
from rag.gateway.money import Micro
from rag.storage.moments import now

SpentOf = Callable[[Sequence[Limit]], Awaitable[Sequence[Amount]]]
"""What the usage ledger holds against each limit, in order."""

KEPT = timedelta(days=7)
"""How long a counter outlives its window, and a reservation its end: for whoever settles late."""
AT_ONCE = 200
TRIES = 3
"""Times that lost counters are made anew for one reservation before Redis counts as gone."""
SILENCE_S = 2.0
_FIELDS = ("spent", "spent_tokens", "held", "held_tokens")

_RESERVE = """
-- KEYS: reservation, open reservations, counters
-- ARGV: id, money, tokens, expires at (ms), counters' names, then each counter's two caps or ''
if redis.call('EXISTS', KEYS[1]) == 1 then return {'held'} end
local counts, missing = {}, {'missing'}
for i = 3, #KEYS do
  counts[i] = redis.call('HMGET', KEYS[i], 'spent', 'spent_tokens', 'held', 'held_tokens')
  if not counts[i][1] then missing[#missing + 1] = i - 3 end
end
if #missing > 1 then return missing end
local money, tokens = tonumber(ARGV[2]), tonumber(ARGV[3])
for i = 3, #KEYS do
  local cap, token_cap, c = ARGV[2 * i], ARGV[2 * i + 1], counts[i]
  if cap ~= '' and c[1] + c[3] + money > tonumber(cap) then return {'over', i - 3} end
  if token_cap ~= '' and c[2] + c[4] + tokens > tonumber(token_cap) then return {'over', i - 3} end
end
for i = 3, #KEYS do
  redis.call('HINCRBY', KEYS[i], 'held', ARGV[2])
  redis.call('HINCRBY', KEYS[i], 'held_tokens', ARGV[3])
end
redis.call('HSET', KEYS[1], 'state', 'open', 'money', ARGV[2], 'tokens', ARGV[3],
  'counters', ARGV[5])
redis.call('ZADD', KEYS[2], ARGV[4], ARGV[1])
return {'held'}
"""

_BEGIN = """
-- KEYS: counter. ARGV: money, tokens, lives for (ms)
if redis.call('EXISTS', KEYS[1]) == 0 then
  redis.call('HSET', KEYS[1], 'spent', ARGV[1], 'spent_tokens', ARGV[2],
    'held', 0, 'held_tokens', 0)
  redis.call('PEXPIRE', KEYS[1], ARGV[3])
end
"""

_SETTLE = """
-- KEYS: reservation, open reservations, counters. ARGV: id, money, tokens, kept for (ms)
local r = redis.call('HMGET', KEYS[1], 'state', 'money', 'tokens')
if r[1] == 'settled' then return {} end
local standing = {}
for i = 3, #KEYS do
  -- A lost counter is not made here: the ledger knows already what was spent.
  if redis.call('EXISTS', KEYS[i]) == 1 then
    if r[1] == 'open' then
      redis.call('HINCRBY', KEYS[i], 'held', string.format('%.0f', 0 - r[2]))
      redis.call('HINCRBY', KEYS[i], 'held_tokens', string.format('%.0f', 0 - r[3]))
    end
    redis.call('HINCRBY', KEYS[i], 'spent', ARGV[2])
    redis.call('HINCRBY', KEYS[i], 'spent_tokens', ARGV[3])
    standing[#standing + 1] = i - 3
    for _, value in ipairs(
      redis.call('HMGET', KEYS[i], 'spent', 'spent_tokens', 'held', 'held_tokens')
    ) do standing[#standing + 1] = value end
  end
end
redis.call('HSET', KEYS[1], 'state', 'settled')
redis.call('PEXPIRE', KEYS[1], ARGV[4])
redis.call('ZREM', KEYS[2], ARGV[1])
return standing
"""

_SWEEP = """
-- KEYS: open reservations. ARGV: now (ms), how many, prefix of all keys, kept for (ms)
local money, tokens, number = 0, 0, 0
for _, id in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', ARGV[1], 'LIMIT', 0, ARGV[2])) do
  local key = ARGV[3] .. 'reservation:' .. id
  local r = redis.call('HMGET', key, 'state', 'money', 'tokens', 'counters')
  redis.call('ZREM', KEYS[1], id)
  if r[1] == 'open' then
    for name in string.gmatch(r[4], '[^\\n]+') do
      local counter = ARGV[3] .. 'counter:' .. name
      if redis.call('EXISTS', counter) == 1 then
        redis.call('HINCRBY', counter, 'held', string.format('%.0f', 0 - r[2]))
        redis.call('HINCRBY', counter, 'held_tokens', string.format('%.0f', 0 - r[3]))
      end
    end
    redis.call('HSET', key, 'state', 'expired')
    redis.call('PEXPIRE', key, ARGV[4])
    money, tokens, number = money + r[2], tokens + r[3], number + 1
  end
end
return {number, string.format('%.0f', money), string.format('%.0f', tokens)}
"""


@dataclass(frozen=True, slots=True)
class RedisBudgets:
    """Satisfies `Budgets`. Made by `open_redis_budgets`."""

    client: Any
    spent_of: SpentOf
    clock: Callable[[], datetime] = now

    async def reserve(self, reservation: Reservation) -> None:
        keys = _keys_of(reservation)
        caps = [
            "" if cap is None else str(cap)
            for limit in reservation.limits
            for cap in (limit.money, limit.tokens)
        ]
        arguments = [
            reservation.id,
            reservation.amount.money,
            reservation.amount.tokens,
            _milliseconds(reservation.expires_at),
            "\n".join(limit.counter for limit in reservation.limits),
            *caps,
        ]
        for _ in range(TRIES):
            told, *places = await self._run(_RESERVE, keys, arguments)
            named = [reservation.limits[int(place)] for place in places]
            if told == b"held":
                return
            if told == b"over":
                raise over_budget(named[0], self.clock())
            await self._begin(named)
        raise StorageUnavailable("Redis does not keep what is counted in it")

    async def settle(self, reservation: Reservation, actual: Amount) -> Sequence[Standing]:
        arguments = [reservation.id, actual.money, actual.tokens, _milliseconds_of(KEPT)]
        told = await self._run(_SETTLE, _keys_of(reservation), arguments)
        return [
            _standing(reservation.limits[int(told[start])], told[start + 1 : start + 5])
            for start in range(0, len(told), 5)
        ]

    async def sweep(self, tenant: TenantId) -> Swept:
        swept = Swept()
        prefix = _prefix(tenant)
        while True:
            number, money, tokens = await self._run(
                _SWEEP,
                [f"{prefix}open"],
                [_milliseconds(self.clock()), AT_ONCE, prefix, _milliseconds_of(KEPT)],
            )
            swept += Swept(int(number), Amount(Micro(int(money)), int(tokens)))
            if int(number) < AT_ONCE:
                return swept

    async def standing(self, limits: Sequence[Limit]) -> Sequence[Standing]:
        with _translated():
            pipeline = self.client.pipeline(transaction=False)
            for limit in limits:
                pipeline.hmget(_counter_key(limit), _FIELDS)
            counted = await pipeline.execute()
        # What nobody has counted yet is what the ledger says.
        missing = [
            limit for limit, counts in zip(limits, counted, strict=True) if counts[0] is None
        ]
        said = dict(zip(missing, await self.spent_of(missing), strict=True))
        return [
            Standing(limit, said[limit]) if limit in said else _standing(limit, counts)
            for limit, counts in zip(limits, counted, strict=True)
        ]

    async def _begin(self, limits: Sequence[Limit]) -> None:
        for limit, spent in zip(limits, await self.spent_of(limits), strict=True):
            lives = max(limit.ends - self.clock(), timedelta()) + KEPT
            arguments = [spent.money, spent.tokens, _milliseconds_of(lives)]
            await self._run(_BEGIN, [_counter_key(limit)], arguments)

    async def _run(self, script: str, keys: Sequence[str], arguments: Sequence[Any]) -> list[Any]:
        with _translated():
            return await self.client.register_script(script)(keys=keys, args=arguments)


@asynccontextmanager
async def open_redis_budgets(
    url: str, spent_of: SpentOf, *, clock: Callable[[], datetime] = now
) -> AsyncGenerator[RedisBudgets]:
    """Connects when it is first used."""
    client: Any = redis.asyncio.from_url(  # pyright: ignore[reportUnknownMemberType]
        url,
        socket_timeout=SILENCE_S,
        socket_connect_timeout=SILENCE_S,
        # Every script may run twice: what it does is remembered under the reservation's id.
        retry=Retry(ExponentialBackoff(cap=0.2, base=0.01), 2),
        retry_on_error=[ConnectionLost],
    )
    try:
        yield RedisBudgets(client, spent_of, clock)
    finally:
        await client.aclose()


class _translated:  # noqa: N801 - reads as a word in a `with`
    """A library's errors stop here."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, RedisError | OSError):
            raise StorageUnavailable(
                f"Redis, which counts budgets, does not answer ({type(error).__name__})"
            ) from error


def _prefix(tenant: TenantId) -> str:
    return f"rag:budgets:{{{tenant}}}:"


def _counter_key(limit: Limit) -> str:
    return f"{_prefix(limit.tenant)}counter:{limit.counter}"


def _keys_of(reservation: Reservation) -> list[str]:
    prefix = _prefix(reservation.tenant)
    counters = map(_counter_key, reservation.limits)
    return [f"{prefix}reservation:{reservation.id}", f"{prefix}open", *counters]


def _standing(limit: Limit, counts: Sequence[bytes]) -> Standing:
    spent, spent_tokens, held, held_tokens = map(int, counts)
    return Standing(limit, Amount(Micro(spent), spent_tokens), Amount(Micro(held), held_tokens))


def _milliseconds(moment: datetime) -> int:
    return int(moment.timestamp() * 1_000)


def _milliseconds_of(duration: timedelta) -> int:
    return int(duration.total_seconds() * 1_000)
