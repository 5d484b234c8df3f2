"""How a command reaches the platform: the running server, or the same application in this process."""

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager, nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import httpx
import jwt

from api.app import create_app
from api.auth import ON_BEHALF_AUDIENCE
from api.cli.output import note
from api.ownership import Owned, claim
from api.settings import Settings
from api.wiring import open_platform
from rag.errors import ConfigurationError
from rag.storage.keys import parse_token

ASSERTION_LIFETIME = timedelta(minutes=4)
IN_PROCESS = "http://in-process"


class ApiProblem(Exception):  # noqa: N818
    """What the API said no with."""

    def __init__(self, status: int, problem: Mapping[str, Any]) -> None:
        self.status = status
        self.problem = problem
        super().__init__(str(problem.get("detail") or problem.get("title") or f"HTTP {status}"))


@dataclass(frozen=True, slots=True)
class Asker:
    """In whose name a command asks."""

    user: str
    groups: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Api:
    """The HTTP API with the operator's key."""

    http: httpx.AsyncClient
    token: str

    async def call(
        self,
        method: str,
        path: str,
        *,
        body: Mapping[str, Any] | None = None,
        params: Mapping[str, str | int] | None = None,
        asker: Asker | None = None,
    ) -> Any:
        """The decoded answer; None for an empty one. Raises `ApiProblem`."""
        response = await self.http.request(
            method, path, json=body, params=params, headers=self.headers(asker)
        )
        if response.is_error:
            raise ApiProblem(response.status_code, _problem_of(response))
        return response.json() if response.content else None

    def headers(self, asker: Asker | None = None) -> dict[str, str]:
        headers = {"Authorization": f"Bearer {self.token}"}
        if asker is not None:
            headers["X-On-Behalf-Of"] = _assertion(asker, self.token)
        return headers


@asynccontextmanager
async def open_api(settings: Settings) -> AsyncGenerator[Api]:
    """The API over this data directory, wherever it is open. Waits for another running command."""
    token = operator_token(settings)
    if settings.qdrant_url is not None:
        async with _in_process(settings, token) as api:
            yield api
        return
    told = False
    while True:
        with claim(settings.data_dir) as ownership:
            match ownership:
                case Owned():
                    async with _in_process(settings, token) as api:
                        yield api
                    return
                case _ if ownership.url is not None:
                    async with httpx.AsyncClient(base_url=ownership.url, timeout=None) as http:  # noqa: S113
                        yield Api(http, token)
                    return
                case _:
                    pass
        if not told:
            note("Waiting for another rag command on this data directory to finish.")
            told = True
        await asyncio.sleep(0.2)


@asynccontextmanager
async def _in_process(settings: Settings, token: str) -> AsyncGenerator[Api]:
    async with open_platform(settings) as platform:
        app = create_app(nullcontext(platform), settings=settings)
        transport = httpx.ASGITransport(app=app)
        async with (
            app.router.lifespan_context(app),
            httpx.AsyncClient(transport=transport, base_url=IN_PROCESS, timeout=None) as http,  # noqa: S113
        ):
            yield Api(http, token)


def operator_key_file(settings: Settings) -> Path:
    """Where `rag init` leaves the tenant's operator key, for its owner alone to read."""
    return settings.data_dir / f"operator-{settings.tenant}.key"


def operator_token(settings: Settings) -> str:
    path = operator_key_file(settings)
    try:
        return path.read_text().strip()
    except FileNotFoundError as error:
        raise ConfigurationError(
            f"{settings.data_dir} is not set up for the tenant {settings.tenant!r} yet: "
            "run `rag init` first (RAG_DATA_DIR says where)"
        ) from error
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read: {error.strerror}") from error


def _assertion(asker: Asker, token: str) -> str:
    parsed = parse_token(token)
    if parsed is None:
        raise ConfigurationError("the operator key file holds no key of this platform")
    claims = {
        "sub": asker.user,
        "groups": list(asker.groups),
        "aud": ON_BEHALF_AUDIENCE,
        "exp": datetime.now(UTC) + ASSERTION_LIFETIME,
    }
    return jwt.encode(claims, parsed.secret, algorithm="HS256")


def _problem_of(response: httpx.Response) -> Mapping[str, Any]:
    try:
        problem = response.json()
    except ValueError:
        return {}
    return cast("Mapping[str, Any]", problem) if isinstance(problem, dict) else {}
