"""Circuit breakers shared by all processes over Redis: the same rules as the local one, in Lua.

Each operation is one script, so no two processes ever decide from the same state. While Redis does
not answer, each process decides for itself, and says so in the log.
"""

import asyncio
import logging
import time
import uuid
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

from redis.asyncio import Redis
from redis.exceptions import RedisError

from rag.gateway.breaker import BreakerPolicy, Circuit, LocalBreaker, NotNow, Permit

log = logging.getLogger(__name__)
T = TypeVar("T")

_AGAIN_S = 2.0
"""How long Redis is left alone after it did not answer: no call waits for it meanwhile."""

_COMMON = """
local key = KEYS[1]
local now = tonumber(ARGV[1])
if not now then
  local t = redis.call('TIME')
  now = tonumber(t[1]) + tonumber(t[2]) / 1000000
end
local function get(name) return tonumber(redis.call('HGET', key, name)) end
local function set(name, value) redis.call('HSET', key, name, string.format('%.6f', value)) end
local function forget(pattern)
  local fields = redis.call('HKEYS', key)
  for _, name in ipairs(fields) do
    if string.find(name, pattern) then redis.call('HDEL', key, name) end
  end
end
local function keep(seconds)
  -- For so long at least: a cooldown may be longer than all that is counted.
  if redis.call('TTL', key) < seconds then redis.call('EXPIRE', key, math.ceil(seconds)) end
end
local function open(open_s)
  redis.call('HINCRBY', key, 'opening', 1)
  set('open_until', now + open_s)
  redis.call('HDEL', key, 'successes')
  forget('^[cfp]:')
end
"""

_ADMIT = (
    _COMMON
    + """
local probes, lease_s, name = tonumber(ARGV[2]), tonumber(ARGV[3]), ARGV[4]
local cool = get('cool_until') or 0
if now < cool then return {'not_now', tostring(cool - now)} end
local open_until = get('open_until')
if not open_until then return {'call', tostring(get('opening') or 0)} end
if now < open_until then return {'not_now', tostring(open_until - now)} end
local running, first = 0, nil
local fields = redis.call('HGETALL', key)
for i = 1, #fields, 2 do
  if string.sub(fields[i], 1, 2) == 'p:' then
    local ends = tonumber(fields[i + 1])
    if now < ends then
      running = running + 1
      if not first or ends < first then first = ends end
    else
      redis.call('HDEL', key, fields[i])
    end
  end
end
if running >= probes then
  return {'not_now', tostring(math.min(first - now, tonumber(ARGV[5])))}
end
set('p:' .. name, now + lease_s)
return {'probe', tostring(get('opening') or 0)}
"""
)

_REPORT = (
    _COMMON
    + """
local ok, probe, opening = ARGV[2] == '1', ARGV[3], tonumber(ARGV[4])
local window_s, slices = tonumber(ARGV[5]), tonumber(ARGV[6])
local share, minimum = tonumber(ARGV[7]), tonumber(ARGV[8])
local open_s, probes = tonumber(ARGV[9]), tonumber(ARGV[10])
-- A circuit that nobody has asked for in so long is forgotten.
keep(math.max(window_s, open_s) * 100)
if probe ~= '' then
  if redis.call('HDEL', key, 'p:' .. probe) == 0 then return 0 end
  if opening ~= (get('opening') or 0) then return 0 end
  if not ok then open(open_s) return 1 end
  if redis.call('HINCRBY', key, 'successes', 1) >= probes then
    redis.call('HDEL', key, 'open_until', 'successes')
    forget('^[cfp]:')
  end
  return 1
end
if get('open_until') or opening ~= (get('opening') or 0) then return 0 end
local this = math.floor(now / (window_s / slices))
if redis.call('HINCRBY', key, string.format('c:%d', this), 1) == 1 then
  local fields = redis.call('HKEYS', key)
  for _, name in ipairs(fields) do
    if string.find(name, '^[cf]:') and tonumber(string.sub(name, 3)) <= this - slices then
      redis.call('HDEL', key, name)
    end
  end
end
if ok then return 1 end
redis.call('HINCRBY', key, string.format('f:%d', this), 1)
local calls, failures = 0, 0
local fields = redis.call('HGETALL', key)
for i = 1, #fields, 2 do
  local kind = string.sub(fields[i], 1, 2)
  if kind == 'c:' then calls = calls + tonumber(fields[i + 1]) end
  if kind == 'f:' then failures = failures + tonumber(fields[i + 1]) end
end
if calls >= minimum and failures >= share * calls then open(open_s) end
return 1
"""
)

_RELEASE = "redis.call('HDEL', KEYS[1], 'p:' .. ARGV[1])"

_COOL_DOWN = (
    _COMMON
    + """
local untill = now + tonumber(ARGV[2])
if untill > (get('cool_until') or 0) then set('cool_until', untill) end
keep(tonumber(ARGV[2]) + 3600)
"""
)

_CIRCUIT = (
    _COMMON
    + """
local open_until = get('open_until')
if not open_until then return 'closed' end
if now < open_until then return 'open' end
return 'half_open'
"""
)


class RedisBreaker:
    def __init__(
        self,
        redis: Redis,
        policy: BreakerPolicy | None = None,
        *,
        prefix: str = "rag:breaker:",
        now: Callable[[], float] | None = None,
    ) -> None:
        """`now`: seconds that all processes agree on; None takes the clock of Redis itself. It owns
        `redis` and closes it."""
        self._redis = redis
        self._policy = policy or BreakerPolicy()
        self._prefix = prefix
        self._now = now
        self._alone = LocalBreaker(self._policy, now=now or time.monotonic)
        self._alone_until = 0.0
        self._running: set[asyncio.Task[Any]] = set()
        self._admit: Any = redis.register_script(_ADMIT)
        self._report: Any = redis.register_script(_REPORT)
        self._release: Any = redis.register_script(_RELEASE)
        self._cool_down: Any = redis.register_script(_COOL_DOWN)
        self._circuit: Any = redis.register_script(_CIRCUIT)

    async def admit(self, deployment: str) -> Permit | NotNow:
        asking = self._begin(self._asked(deployment))
        try:
            return await asyncio.shield(asking)
        except asyncio.CancelledError:
            # Whether it is a probe is not known yet: whoever asked is gone, so it is given back.
            self._begin(self._given_back(asking))
            raise

    async def _asked(self, deployment: str) -> Permit | NotNow:
        policy, probe = self._policy, uuid.uuid4().hex

        async def shared() -> Permit | NotNow:
            arguments = (
                *(self._clock(), policy.probes, policy.probe_lease_s, probe),
                policy.open_s,
            )
            [kind, *rest] = await self._admit(keys=[self._key(deployment)], args=arguments)
            match _text(kind):
                case "call":
                    return Permit(deployment, opening=int(float(_text(rest[0]))))
                case "probe":
                    return Permit(deployment, probe, int(float(_text(rest[0]))))
                case _:
                    return NotNow(float(_text(rest[0])))

        return await self._or_alone(shared, lambda: self._alone.admit(deployment))

    async def _given_back(self, asking: "asyncio.Task[Permit | NotNow]") -> None:
        if isinstance(given := await asking, Permit):
            await self.release(given)

    async def report(self, permit: Permit, *, ok: bool) -> None:
        policy = self._policy
        arguments = (
            *(self._clock(), int(ok), permit.probe, permit.opening, policy.window_s),
            *(policy.slices, policy.failure_share, policy.minimum_calls, policy.open_s),
            policy.probes,
        )
        telling = self._or_alone(
            lambda: self._report(keys=[self._key(permit.deployment)], args=arguments),
            lambda: self._alone.report(permit, ok=ok),
        )
        # A probe is given back also where whoever made it is cancelled meanwhile.
        await (asyncio.shield(self._begin(telling)) if permit.probe else telling)

    async def release(self, permit: Permit) -> None:
        if permit.probe:
            releasing = self._or_alone(
                lambda: self._release(keys=[self._key(permit.deployment)], args=(permit.probe,)),
                lambda: self._alone.release(permit),
            )
            await asyncio.shield(self._begin(releasing))

    async def cool_down(self, deployment: str, *, seconds: float) -> None:
        await self._or_alone(
            lambda: self._cool_down(keys=[self._key(deployment)], args=(self._clock(), seconds)),
            lambda: self._alone.cool_down(deployment, seconds=seconds),
        )

    async def circuit(self, deployment: str) -> Circuit:
        async def shared() -> Circuit:
            found = await self._circuit(keys=[self._key(deployment)], args=(self._clock(),))
            return Circuit(_text(found))

        return await self._or_alone(shared, lambda: self._alone.circuit(deployment))

    async def aclose(self) -> None:
        while self._running:
            await asyncio.wait(self._running)
        await self._redis.aclose()

    def _begin(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """A task that goes on where whoever waits for it is cancelled."""
        task = asyncio.create_task(work)
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return task

    def _key(self, deployment: str) -> str:
        return f"{self._prefix}{deployment}"

    def _clock(self) -> float | str:
        return "" if self._now is None else self._now()

    async def _or_alone(
        self, shared: Callable[[], Awaitable[T]], alone: Callable[[], Awaitable[T]]
    ) -> T:
        if time.monotonic() < self._alone_until:
            return await alone()
        try:
            return await shared()
        except (RedisError, OSError, TimeoutError) as error:
            log.warning(
                "Redis does not answer (%s): circuit breakers count for this process alone",
                type(error).__name__,
            )
            self._alone_until = time.monotonic() + _AGAIN_S
            return await alone()


def _text(value: bytes | str) -> str:
    return value.decode() if isinstance(value, bytes) else value


def open_redis_breaker(url: str, policy: BreakerPolicy | None = None) -> RedisBreaker:
    """Errors are none: Redis is first asked when a call is made, and waited for only shortly."""
    redis = Redis.from_url(url, socket_timeout=0.25, socket_connect_timeout=0.25)  # pyright: ignore[reportUnknownMemberType]
    return RedisBreaker(redis, policy)
