"""How often one may call, and how much one may send."""

import logging
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

from limits import RateLimitItem, parse_many
from limits.aio.storage import MemoryStorage, RedisStorage
from limits.aio.strategies import MovingWindowRateLimiter
from limits.errors import StorageError
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.settings import Settings
from api.settings_server import RateLimitSettings
from rag.access import TenantId
from rag.errors import ConfigurationError, RateLimited
from rag.gateway.token_rates import LocalTokenRates, TokenRate, TokenRates
from rag.storage.moments import now
from rag.trail import Account

log = logging.getLogger(__name__)


class RateLimits:
    """Counts calls of a caller and of a tenant in moving windows, in Redis where there is one: in no
    window, wherever it begins, are there more than the limit.

    While Redis does not answer, each process counts for itself, and says so in the log: callers
    are then limited per process instead of not at all.
    """

    def __init__(self, settings: RateLimitSettings, *, redis_url: str | None = None) -> None:
        try:
            self._per_caller = parse_many(settings.per_caller)
            self._per_tenant = parse_many(settings.per_tenant)
            self._per_key = _rates(settings.per_key)
        except ValueError as error:
            raise ConfigurationError(f"rate_limits: {error}") from error
        self._enabled = settings.enabled
        self._local = MovingWindowRateLimiter(MemoryStorage())
        self._redis = _redis(redis_url) if redis_url else None
        self._shared = self._local if self._redis is None else MovingWindowRateLimiter(self._redis)

    async def spend(self, tenant: TenantId, caller: str, key: str | None = None) -> None:
        """Count one call of `caller`, who came with `key`. Raises `RateLimited` with the seconds
        until there is room again."""
        if not self._enabled:
            return
        for item in self._per_caller:
            await self._hit(item, "caller", tenant, caller)
        for item in self._per_key if key is not None else ():
            await self._hit(item, "key", tenant, str(key))
        for item in self._per_tenant:
            await self._hit(item, "tenant", tenant)

    async def aclose(self) -> None:
        if self._redis is not None:
            # The library closes nothing itself.
            bridge: Any = self._redis.bridge
            await bridge.get_connection().aclose()

    async def _hit(self, item: RateLimitItem, *names: str) -> None:
        try:
            await _hit(self._shared, item, *names)
        except StorageError as error:
            log.warning(
                "rate limits are counted per process", extra={"cause": type(error).__name__}
            )
            await _hit(self._local, item, *names)


async def _hit(limiter: MovingWindowRateLimiter, item: RateLimitItem, *names: str) -> None:
    if not await limiter.hit(item, *names):
        stats = await limiter.get_window_stats(item, *names)
        raise RateLimited(
            f"more than {item} for this {names[0]}",
            retry_after_s=max(1.0, stats.reset_time - time.time()),
        )


def token_rates_of(settings: RateLimitSettings) -> Callable[[Account], Sequence[TokenRate]]:
    """Whose tokens are counted for a call of an account. Raises `ConfigurationError`."""
    try:
        per_user, per_key, per_tenant = (
            _rates(text)
            for text in (
                settings.tokens_per_user,
                settings.tokens_per_key,
                settings.tokens_per_tenant,
            )
        )
    except ValueError as error:
        raise ConfigurationError(f"rate_limits: {error}") from error

    def rates_of(account: Account) -> Sequence[TokenRate]:
        whose: list[tuple[str, str | None, list[RateLimitItem]]] = [
            ("user", account.user, per_user),
            ("key", account.application, per_key),
            ("tenant", "", per_tenant),
        ]
        return [
            TokenRate(
                tenant=account.tenant,
                whose=name,
                subject=subject,
                tokens=item.amount,
                window=timedelta(seconds=item.get_expiry()),
            )
            for name, subject, items in whose
            if subject is not None
            for item in items
        ]

    return rates_of if settings.enabled else _no_rates


def _no_rates(_account: Account) -> Sequence[TokenRate]:
    return ()


def _rates(text: str) -> list[RateLimitItem]:
    return parse_many(text) if text else []


@asynccontextmanager
async def open_token_rates(settings: Settings) -> AsyncGenerator[TokenRates]:
    """What counts tokens: Redis where there is one, for all processes together."""
    if settings.redis_url is None:
        yield LocalTokenRates(now)
        return
    from rag.adapters.redis_token_rates import open_redis_token_rates  # noqa: PLC0415 - redis

    async with open_redis_token_rates(settings.redis_url.get_secret_value()) as rates:
        yield rates


def _redis(url: str) -> RedisStorage:
    return RedisStorage(f"async+{url}", wrap_exceptions=True, implementation="redispy")


class BodyLimit:
    """Refuses a body that is larger than its route allows, by the bytes that really arrive."""

    def __init__(self, app: ASGIApp, *, limit_of: Callable[[str], int]) -> None:
        self._app = app
        self._limit_of = limit_of

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        limit = self._limit_of(scope["path"])
        announced = next(
            (value for name, value in scope["headers"] if name == b"content-length"), b"0"
        )
        too_large = announced.isdigit() and int(announced) > limit
        received = 0

        async def counted() -> Message:
            nonlocal received
            if too_large:
                raise _too_large(limit)
            message = await receive()
            received += len(message.get("body", b""))
            if received > limit:
                raise _too_large(limit)
            return message

        await self._app(scope, counted, send)


def _too_large(limit: int) -> HTTPException:
    return HTTPException(413, f"the body is larger than {limit} bytes")
