"""`rag init`, `rag serve` and `rag worker`: the processes of the platform."""

import asyncio
import os
import socket
import time
from collections.abc import Generator
from contextlib import contextmanager
from typing import Annotated, Any

import typer

from api.cli.client import operator_key_file
from api.cli.options import AsJson, Tenant, settings_for
from api.cli.output import note, show, show_json
from api.cli.signals import until_stopped
from api.ownership import Owned, announced, claim
from api.settings import Settings, load_settings
from rag.errors import ConfigurationError
from rag.starting import importing

ASK_AGAIN_S = 0.1


def add_to(app: typer.Typer) -> None:
    app.command(epilog="Example: RAG_DATA_DIR=/srv/rag rag init")(init)
    app.command(epilog="Example: rag serve --port 8080")(serve)
    app.command(epilog="Example: RAG_REDIS_URL=redis://localhost rag worker")(worker)


def init(*, tenant: Tenant = None, as_json: AsJson = False) -> None:
    """Create the data directory, the database, a tenant and its operator key.

    What is there already stays as it is.
    """
    with importing():
        from api.cli.setting_up import initialise  # noqa: PLC0415 - heavy

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


def serve(
    *,
    host: Annotated[str | None, typer.Option(help="Unset: as the settings say.")] = None,
    port: Annotated[
        int | None,
        typer.Option(min=0, max=65_535, help="0 for any free one. Unset: as the settings say."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Serve the API. Without Redis, the workers run in this process too.

    Other commands on the same data directory go through this server while it runs.
    """
    settings = load_settings()
    with (
        until_stopped(),
        _listening(
            settings.server.host if host is None else host,
            settings.server.port if port is None else port,
        ) as listener,
    ):
        url = _url_of(listener)
        if settings.qdrant_url is not None:
            _serve(listener, settings, url, as_json=as_json)
            return
        with _owning(settings), announced(settings.data_dir, url):
            _serve(listener, settings, url, as_json=as_json)


def _serve(listener: socket.socket, settings: Settings, url: str, *, as_json: bool) -> None:
    import uvloop  # noqa: PLC0415 - only a server needs it

    with importing():
        from api.cli.embedded import serve_on  # noqa: PLC0415 - heavy
        from api.logs import configure_logging  # noqa: PLC0415 - heavy

    def tell() -> None:
        if as_json:
            show_json({"url": url, "pid": os.getpid()})
        else:
            show(f"Serving at {url} (stop with Ctrl-C).")

    configure_logging(settings.log.level)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve_on(listener, settings, serving=tell))


def worker(
    *,
    check: Annotated[
        bool, typer.Option("--check", help="Only say whether a worker is alive.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Run jobs that come over Redis: any number of these, on any machine."""
    with importing():
        from api.logs import configure_logging  # noqa: PLC0415 - heavy
        from api.worker import check_worker, run_worker  # noqa: PLC0415 - heavy

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
        alive = asyncio.run(check_worker(settings))
        told: dict[str, Any] = {"alive": alive}
        if as_json:
            show_json(told)
        if not alive:
            raise ConfigurationError("no worker has reported lately")
        return
    configure_logging(settings.log.level)
    run_worker(settings)


@contextmanager
def _owning(settings: Settings) -> Generator[None]:
    """Own the data directory; a command that has it open is waited for.

    Raises `ConfigurationError` where a server has it open.
    """
    told = False
    while True:
        with claim(settings.data_dir) as ownership:
            if isinstance(ownership, Owned):
                yield
                return
        if ownership.url is not None:
            raise ConfigurationError(f"{settings.data_dir} is served already, at {ownership.url}")
        if not told:
            note(f"Waiting for a rag command on {settings.data_dir} to finish.")
            told = True
        time.sleep(ASK_AGAIN_S)


@contextmanager
def _listening(host: str, port: int) -> Generator[socket.socket]:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listener = socket.create_server((host, port), family=family)
    except (socket.gaierror, UnicodeError) as error:
        raise ConfigurationError(f"cannot listen on {host}: no such address") from error
    except OSError as error:
        reason = os.strerror(error.errno or 0)
        raise ConfigurationError(f"cannot listen on {host}:{port}: {reason}") from error
    # Connections inherit it: what is written in two parts would wait 40 ms for the first to be heard.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    with listener:
        yield listener


def _url_of(listener: socket.socket) -> str:
    """Where this machine reaches `listener`."""
    address, port = listener.getsockname()[:2]
    match address:
        case "0.0.0.0":  # noqa: S104 - it is compared with, not listened on
            return f"http://127.0.0.1:{port}"
        case "::":
            return f"http://[::1]:{port}"
        case _:
            return f"http://[{address}]:{port}" if ":" in address else f"http://{address}:{port}"
