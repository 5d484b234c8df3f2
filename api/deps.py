"""What routes may ask for, and the declaration of who may call each of them."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any, cast

from fastapi import Depends, FastAPI, Header, Request
from fastapi.dependencies.models import Dependant
from fastapi.routing import iter_route_contexts
from fastapi.security import HTTPBearer
from fastapi.security.http import HTTPAuthorizationCredentials

from api.auth import Authenticator, Caller
from api.client import Client
from api.limits import RateLimits
from api.metrics import Metrics
from api.permissions import Permission
from api.platform import Platform
from rag.access import AccessScope, scope_of
from rag.errors import ConfigurationError, Forbidden


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """What the app holds between its start and its end."""

    platform: Platform
    authenticator: Authenticator
    rate_limits: RateLimits
    metrics: Metrics


def running(request: Request) -> Running:
    return cast("Running", request.app.state.running)


# Coroutines, although they wait for nothing: what is none is run in a thread, a hop for each.


async def _platform(request: Request) -> Platform:
    return running(request).platform


async def _metrics(request: Request) -> Metrics:
    return running(request).metrics


async def _trace_id(request: Request) -> str:
    return cast("str", request.state.trace_id)


async def _client(request: Request) -> Client:
    return Client(request.receive)


PlatformDep = Annotated[Platform, Depends(_platform)]
MetricsDep = Annotated[Metrics, Depends(_metrics)]
TraceId = Annotated[str, Depends(_trace_id)]
ClientDep = Annotated[Client, Depends(_client)]

_BEARER = HTTPBearer(auto_error=False, description="An API key, or an OIDC access token.")


@dataclass(frozen=True, slots=True)
class Requires:
    """Admits the callers that hold `permission`, and counts their calls."""

    permission: Permission

    async def __call__(
        self,
        request: Request,
        _declared: Annotated[HTTPAuthorizationCredentials | None, Depends(_BEARER)],
        x_on_behalf_of: Annotated[
            str | None,
            Header(description="For apps: a signed assertion of the person they speak for."),
        ] = None,
    ) -> Caller:
        held = running(request)
        caller = await held.authenticator.caller(
            request.headers.get("authorization"), x_on_behalf_of
        )
        request.state.caller = caller
        await held.rate_limits.spend(caller.principal.tenant, caller.rate_identity, key=caller.key)
        if self.permission not in caller.permissions:
            raise Forbidden(f"this needs the permission {self.permission}")
        return caller


def requires(permission: Permission) -> Any:
    """For a route's `Annotated[Caller, requires(…)]`."""
    return Depends(Requires(permission))


async def anyone() -> None:
    """The declaration of a route that asks nobody who they are."""


PUBLIC = Depends(anyone)


def scope_for(caller: Caller) -> AccessScope:
    return scope_of(caller.principal)


@dataclass(frozen=True, slots=True)
class DeclaredRoute:
    method: str
    path: str
    permission: Permission | None
    """None for a public route."""


def declared_routes(app: FastAPI) -> list[DeclaredRoute]:
    """Every route of `app` with who may call it.

    Raises `ConfigurationError` where one says nothing, or both things.
    """
    return [declared for route in iter_route_contexts(app.routes) for declared in _declared(route)]


def _declared(route: Any) -> Iterator[DeclaredRoute]:
    dependant = getattr(route, "dependant", None)
    calls = list(_calls(dependant)) if isinstance(dependant, Dependant) else []
    permissions = [call.permission for call in calls if isinstance(call, Requires)]
    is_public = anyone in calls
    if len(permissions) + is_public != 1:
        raise ConfigurationError(f"the route {route.path} does not say who may call it")
    for method in sorted(route.methods):
        yield DeclaredRoute(method, route.path, permissions[0] if permissions else None)


def _calls(dependant: Dependant) -> Iterator[object]:
    for inner in dependant.dependencies:
        yield inner.call
        yield from _calls(inner)
