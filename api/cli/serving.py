"""`rag init`, `rag serve` and `rag worker`: the processes of the platform."""

import asyncio
import os
import socket
from contextlib import nullcontext
from pathlib import Path
from typing import Annotated

import typer
import uvicorn

from api.app import create_app
from api.cli.client import operator_key_file
from api.cli.options import AsJson, Tenant, settings_for
from api.cli.output import note, show, show_json
from api.logs import configure_logging
from api.migrations import migrate
from api.ownership import Owned, announced, claim
from api.permissions import EVERY_PERMISSION
from api.settings import Settings, load_settings
from api.wiring import open_platform
from api.worker import check_worker, run_worker
from rag.access import Principal, PrincipalId, TenantId
from rag.errors import ConfigurationError
from rag.storage.database import open_database
from rag.storage.keys import Keys
from rag.storage.sources import Sources

OPERATOR = PrincipalId("app:operator")


def add_to(app: typer.Typer) -> None:
    app.command(epilog="Example: RAG_DATA_DIR=/srv/rag rag init")(init)
    app.command(epilog="Example: rag serve --port 8080")(serve)
    app.command(epilog="Example: RAG_REDIS_URL=redis://localhost rag worker")(worker)


def init(*, tenant: Tenant = None, as_json: AsJson = False) -> None:
    """Create the data directory, the database, a tenant and its operator key.

    What is there already stays as it is.
    """
    settings = settings_for(tenant)
    made = asyncio.run(initialise(settings))
    result = {
        "data_dir": str(settings.data_dir.absolute()),
        "tenant": settings.tenant,
        "operator_key_file": str(operator_key_file(settings).absolute()),
        "made": made,
    }
    if as_json:
        show_json(result)
    elif made:
        show(
            f"Ready: tenant {settings.tenant} in {result['data_dir']}. "
            f"Its operator key is in {result['operator_key_file']}, for you alone to read."
        )
    else:
        show(f"Nothing to do: tenant {settings.tenant} in {result['data_dir']} is set up.")


async def initialise(settings: Settings) -> bool:
    """Set up what is missing; whether the operator key was. Safe to call again."""
    with claim(settings.data_dir):  # makes the directory; who owns it does not matter here
        pass
    await migrate(settings.resolved_database_url)
    path = operator_key_file(settings)
    async with open_database(settings.resolved_database_url) as database:
        await Sources(database).add_tenant(TenantId(settings.tenant))
        if path.exists():
            return False
        created = await Keys(database).create(
            name="operator",
            principal=Principal(TenantId(settings.tenant), OPERATOR),
            permissions=frozenset(map(str, EVERY_PERMISSION)),
        )
    _write_secret(path, created.token)
    return True


def serve(
    *,
    host: Annotated[str | None, typer.Option(help="Unset: as the settings say.")] = None,
    port: Annotated[int | None, typer.Option(help="Unset: as the settings say.")] = None,
) -> None:
    """Serve the API. Without Redis, the workers run in this process too."""
    settings = load_settings()
    configure_logging(settings.log.level)
    listener = _listen(host or settings.server.host, port or settings.server.port)
    address, bound_port = listener.getsockname()[:2]
    url = f"http://{_reachable(address)}:{bound_port}"
    if settings.qdrant_url is not None:
        asyncio.run(_serve(settings, listener, url))
        return
    with claim(settings.data_dir) as ownership:
        if not isinstance(ownership, Owned):
            where = f" at {ownership.url}" if ownership.url else ""
            raise ConfigurationError(f"{settings.data_dir} is in use by another process{where}")
        with announced(settings.data_dir, url):
            asyncio.run(_serve(settings, listener, url))


async def _serve(settings: Settings, listener: socket.socket, url: str) -> None:
    async with open_platform(settings) as platform:
        app = create_app(nullcontext(platform), settings=settings)
        config = uvicorn.Config(
            app,
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=10,
        )
        note(f"Serving at {url} (stop with Ctrl-C).")
        await uvicorn.Server(config).serve(sockets=[listener])


def worker(
    *,
    check: Annotated[
        bool, typer.Option("--check", help="Only say whether a worker is alive.")
    ] = False,
) -> None:
    """Run jobs that come over Redis: any number of these, on any machine."""
    settings = load_settings()
    if settings.redis_url is None:
        raise ConfigurationError(
            "a worker needs RAG_REDIS_URL; without it, `rag serve` runs the jobs"
        )
    if settings.qdrant_url is None:
        raise ConfigurationError(
            "a worker of its own needs RAG_QDRANT_URL: an embedded index has one owner"
        )
    if check:
        if not asyncio.run(check_worker(settings)):
            raise ConfigurationError("no worker has reported lately")
        return
    configure_logging(settings.log.level)
    run_worker(settings)


def _listen(host: str, port: int) -> socket.socket:
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        return socket.create_server((host, port), family=family)
    except OSError as error:
        raise ConfigurationError(f"cannot listen on {host}:{port}: {error.strerror}") from error


def _reachable(address: str) -> str:
    """Where this machine reaches a server that listens on `address`."""
    if address in {"0.0.0.0", "::"}:  # noqa: S104
        return "127.0.0.1"
    return f"[{address}]" if ":" in address else address


def _write_secret(path: Path, secret: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(secret + "\n")
