"""The HTTP application over a platform."""

from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial

import httpx
from fastapi import FastAPI
from opentelemetry.trace import TracerProvider

from api.auditing_requests import AuditAdministration
from api.auth import Authenticator
from api.deps import Running, declared_routes
from api.errors import Problem, add_error_handlers
from api.limits import BodyLimit, RateLimits
from api.logs import RequestLog
from api.metrics import Metrics
from api.oidc import KeySet, OidcTokens
from api.platform import Platform
from api.routers import (
    access,
    answers,
    audit,
    budgets,
    cache,
    chat,
    connectors,
    conversations,
    documents,
    feedback,
    generations,
    groups,
    health,
    jobs,
    keys,
    prompts,
    quarantine,
    reindex,
    reviews,
    routing,
    search,
    usage,
)
from api.settings import Settings
from api.settings_base import MIB
from api.tracing import telemetry_of
from rag.access import TenantId
from rag.storage.access.expansion import Expansions

GOLDEN_CASES_BYTES = 8 * MIB
"""What thousands of questions take, with what should come back."""

ROUTERS = (
    search.router,
    answers.router,
    chat.router,
    conversations.router,
    documents.router,
    feedback.router,
    connectors.router,
    jobs.router,
    quarantine.router,
    reindex.router,
    generations.router,
    keys.router,
    prompts.router,
    access.router,
    groups.router,
    routing.router,
    audit.router,
    reviews.router,
    budgets.router,
    usage.router,
    cache.router,
    health.router,
)


def create_app(
    platform: AbstractAsyncContextManager[Platform],
    *,
    settings: Settings,
    tracer_provider: TracerProvider | None = None,
) -> FastAPI:
    """The app that opens `platform` when it starts and closes it when it ends.

    `tracer_provider`: who collects spans; None leaves it to the process or its environment.

    Raises `ConfigurationError` where a route does not say who may call it.
    """
    metrics = Metrics()
    rate_limits = RateLimits(
        settings.rate_limits,
        redis_url=settings.redis_url.get_secret_value() if settings.redis_url else None,
    )

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncGenerator[None]:
        async with platform as opened, _open_authenticator(settings, opened) as authenticator:
            app.state.running = Running(
                platform=opened,
                authenticator=authenticator,
                rate_limits=rate_limits,
                metrics=metrics,
            )
            try:
                yield
            finally:
                await rate_limits.aclose()

    app = FastAPI(
        title="Enterprise RAG",
        summary="Answers from a company's own documents: permitted, cited, checked, current.",
        version="1",
        lifespan=lifespan,
        telemetry=telemetry_of(tracer_provider),
        # The pages of both load scripts from elsewhere; the description itself is a route of ours.
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
    )
    for router in ROUTERS:
        # As they are: to include a router makes all of its routes anew, for a prefix or a dependency
        # that ours are not given, and is most of what an app costs.
        app.router.routes.extend(router.routes)
    add_error_handlers(app)
    # The last one added is the outermost.
    app.add_middleware(BodyLimit, limit_of=_body_limit(settings))
    app.add_middleware(AuditAdministration)
    app.add_middleware(RequestLog, metrics=metrics)
    _describe_problems(app)
    declared_routes(app)
    return app


@asynccontextmanager
async def _open_authenticator(
    settings: Settings, platform: Platform
) -> AsyncGenerator[Authenticator]:
    build = partial(
        Authenticator,
        keys=platform.keys,
        expansions=Expansions(platform.groups),
        oidc_settings=settings.oidc,
        oidc_tenant=TenantId(settings.oidc.tenant or settings.tenant),
    )
    if settings.oidc.issuer is None:
        # Without a client of HTTP, which loads every certificate authority there is.
        yield build(oidc=None)
        return
    async with httpx.AsyncClient() as http:
        yield build(oidc=OidcTokens(settings.oidc, KeySet(settings.oidc, http)))


def _body_limit(settings: Settings) -> Callable[[str], int]:
    # base64, the longest way to write a document's bytes, takes 4 characters for 3 of them.
    upload = settings.ingestion.max_bytes * 4 // 3 + settings.server.upload_overhead_bytes

    def limit_of(path: str) -> int:
        if path == "/v1/documents":
            return upload
        if path.startswith("/v1/admin/generations/"):
            return max(GOLDEN_CASES_BYTES, settings.server.max_request_bytes)
        return settings.server.max_request_bytes

    return limit_of


def _describe_problems(app: FastAPI) -> None:
    """Put the one error shape into the OpenAPI description that routes refer to."""
    generate = app.openapi

    def openapi() -> dict[str, object]:
        description = generate()
        schemas = description.setdefault("components", {}).setdefault("schemas", {})
        schemas.setdefault("Problem", Problem.model_json_schema())
        return description

    app.openapi = openapi
