"""How a command reaches the platform: the running server, or the same application in this process."""

import asyncio
import json
import ssl
import time
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any, cast
from urllib.parse import quote

import httpx

from api.assertions import sign_assertion
from api.cli.output import note
from api.ownership import Owned, OwnedElsewhere, claim
from api.settings import Settings
from rag.errors import ConfigurationError, InvalidRequest
from rag.starting import importing
from rag.storage.access.tokens import parse_token

ASK_AGAIN_S = 0.1
SILENCE_S = 30.0
"""How long a server may own the data directory and not answer: it may be starting or ending."""
LONGEST_PAUSE_S = 60.0
"""For how long a command waits where the server says it calls too often."""
TIMEOUT = httpx.Timeout(None, connect=5.0)


class ApiProblem(Exception):  # noqa: N818
    """What the API said no with."""

    def __init__(self, status: int, problem: Mapping[str, Any], *, log: str = "") -> None:
        self.status = status
        self.problem = problem
        text = str(problem.get("detail") or problem.get("title") or f"HTTP {status}")
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR and "trace_id" in problem:
            text = f"{text} ({problem['trace_id']} in {log})"
        super().__init__(text)


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
    log: str
    """Where the process that answers writes its log, in words."""

    async def call(
        self,
        method: str,
        path: str,
        *,
        body: Mapping[str, Any] | None = None,
        params: Mapping[str, str | int | list[str]] | None = None,
        asker: Asker | None = None,
    ) -> Any:
        """The decoded answer; None for an empty one. Waits where it calls too often.

        Raises `ApiProblem`.
        """
        while True:
            try:
                response = await self.http.request(
                    method, path, json=body, params=params, headers=self.headers(asker)
                )
            except httpx.TransportError as error:
                raise _gone(error) from error
            pause = _pause_of(response)
            if pause is None:
                break
            await asyncio.sleep(pause)
        if not response.is_success:
            raise ApiProblem(response.status_code, _problem_of(response), log=self.log)
        return response.json() if response.content else None

    async def events(
        self, path: str, *, body: Mapping[str, Any], asker: Asker | None = None
    ) -> AsyncGenerator[tuple[str, dict[str, Any]]]:
        """The server-sent events of an answer as they come, by name. Raises `ApiProblem`."""
        try:
            async with self.http.stream(
                "POST", path, json=body, headers=self.headers(asker)
            ) as response:
                if not response.is_success:
                    await response.aread()
                    raise ApiProblem(response.status_code, _problem_of(response), log=self.log)
                name = ""
                async for line in response.aiter_lines():
                    if line.startswith("event: "):
                        name = line.removeprefix("event: ")
                    elif line.startswith("data: "):
                        yield name, json.loads(line.removeprefix("data: "))
        except httpx.TransportError as error:
            raise _gone(error) from error

    def headers(self, asker: Asker | None = None) -> dict[str, str]:
        headers = {"Authorization": f"Bearer {self.token}"}
        if asker is not None:
            key = parse_token(self.token)
            if key is None:
                raise ConfigurationError("the operator key file holds no key of this platform")
            headers["X-On-Behalf-Of"] = sign_assertion(key, user=asker.user, groups=asker.groups)
        return headers


def path_of(route: str, *names: str) -> str:
    """`route` with names from the command line behind it, whatever characters they hold."""
    if not all(name.strip(" .") for name in names):
        raise InvalidRequest("an id cannot be empty")
    return "/".join((route, *(quote(name, safe="") for name in names)))


@asynccontextmanager
async def open_api(settings: Settings) -> AsyncGenerator[Api]:
    """The API over this data directory, wherever it is open. Waits for another running command."""
    token = operator_token(settings)
    if settings.qdrant_url is not None:
        async with _in_process(settings, token) as api:
            yield api
        return
    waiting = _Waiting(settings.data_dir)
    while True:
        with claim(settings.data_dir) as ownership:
            match ownership:
                case Owned():
                    async with _in_process(settings, token) as api:
                        yield api
                    return
                case OwnedElsewhere(url=str() as url):
                    # It speaks plain HTTP: no certificate authority need be loaded, or trusted.
                    nobody = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
                    async with httpx.AsyncClient(
                        base_url=url, timeout=TIMEOUT, trust_env=False, verify=nobody
                    ) as http:
                        if await _answers(http):
                            yield Api(http, token, f"the log of the server at {url}")
                            return
                case OwnedElsewhere():
                    pass
        await waiting.for_the_other(ownership.url)


class _Waiting:
    """Patience with whoever owns the data directory, told of once."""

    def __init__(self, data_dir: Path) -> None:
        self._data_dir = data_dir
        self._silent_since: float | None = None
        self._told = False

    async def for_the_other(self, url: str | None) -> None:
        """Raises `ConfigurationError` for a server that has been silent for too long."""
        if url is None:
            self._silent_since = None
            if not self._told:
                note(f"Waiting for another rag command on {self._data_dir} to finish.")
                self._told = True
        else:
            now = time.monotonic()
            self._silent_since = self._silent_since or now
            if now - self._silent_since > SILENCE_S:
                raise ConfigurationError(
                    f"a server at {url} has {self._data_dir} open and does not answer"
                )
        await asyncio.sleep(ASK_AGAIN_S)


async def _answers(http: httpx.AsyncClient) -> bool:
    try:
        return (await http.get("/healthz", timeout=SILENCE_S)).is_success
    except httpx.TransportError:
        return False


@asynccontextmanager
async def _in_process(settings: Settings, token: str) -> AsyncGenerator[Api]:
    # Imported here: it takes seconds, which a command that goes to a server need not spend.
    with importing():
        from api.cli.embedded import log_file, open_in_process  # noqa: PLC0415

    async with open_in_process(settings) as http:
        yield Api(http, token, str(log_file(settings)))


def operator_key_file(settings: Settings) -> Path:
    """Where `rag init` leaves the tenant's operator key, for its owner alone to read."""
    return settings.data_dir / f"operator-{settings.tenant}.key"


def operator_token(settings: Settings) -> str:
    """The key that every command shows. Raises `ConfigurationError`."""
    path = operator_key_file(settings)
    try:
        return path.read_text().strip()
    except FileNotFoundError as error:
        raise ConfigurationError(
            f"{settings.data_dir} is not set up for the tenant {settings.tenant!r} yet: "
            "run `rag init` first (RAG_DATA_DIR says where)"
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path} cannot be read") from error


def _pause_of(response: httpx.Response) -> float | None:
    """How long to wait before the same call, where that is what the server asks for."""
    if response.status_code != HTTPStatus.TOO_MANY_REQUESTS:
        return None
    asked = response.headers.get("retry-after", "")
    return float(asked) if asked.isdigit() and float(asked) <= LONGEST_PAUSE_S else None


def _problem_of(response: httpx.Response) -> Mapping[str, Any]:
    try:
        problem = response.json()
    except ValueError:
        return {}
    return cast("Mapping[str, Any]", problem) if isinstance(problem, dict) else {}


def _gone(error: httpx.TransportError) -> ApiProblem:
    detail = f"the server went away in the middle ({type(error).__name__}): try again"
    return ApiProblem(HTTPStatus.SERVICE_UNAVAILABLE, {"detail": detail})
