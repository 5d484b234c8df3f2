"""The platform opened by the command line itself. Heavy to import: only what needs it does."""

import gc
import logging
import signal
import socket
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import asynccontextmanager, contextmanager, nullcontext
from pathlib import Path
from typing import Any

import httpx
import uvicorn

from api.app import create_app
from api.cli.client import TIMEOUT
from api.logs import JsonLines
from api.settings import Settings
from api.wiring import open_platform

IN_PROCESS = "http://in-process"
GRACE_S = 10
ENDING = (signal.SIGINT, signal.SIGTERM)


def log_file(settings: Settings) -> Path:
    """Where commands without a server log, beside the data they work on."""
    return settings.data_dir / "commands.log"


@asynccontextmanager
async def open_in_process(settings: Settings) -> AsyncGenerator[httpx.AsyncClient]:
    """A client of the application, which runs in this process while the block does."""
    # Nobody else can call it, so nobody has to share it.
    unlimited = settings.rate_limits.model_copy(update={"enabled": False})
    settings = settings.model_copy(update={"rate_limits": unlimited})
    with _logging_to(log_file(settings)):
        async with open_platform(settings) as platform:
            app = create_app(nullcontext(platform), settings=settings)
            transport = httpx.ASGITransport(app=app)
            async with (
                app.router.lifespan_context(app),
                httpx.AsyncClient(
                    transport=transport, base_url=IN_PROCESS, timeout=TIMEOUT, trust_env=False
                ) as http,
            ):
                yield http


async def serve_on(
    listener: socket.socket, settings: Settings, *, serving: Callable[[], None]
) -> None:
    """Serve until SIGINT or SIGTERM, then end what is under way. `serving` is told when it begins."""
    async with open_platform(settings) as platform:
        config = uvicorn.Config(
            create_app(nullcontext(platform), settings=settings),
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=GRACE_S,
        )
        # What is there by now stays: to look through all of it for garbage, again and again, would
        # stop every request for as long as that takes.
        gc.collect()
        gc.freeze()
        serving()
        with _signals_end_gently():
            await uvicorn.Server(config).serve(sockets=[listener])


@contextmanager
def _signals_end_gently() -> Generator[None]:
    """uvicorn sends itself the signal that ended it once more when it is done. That one is ignored,
    so that everything else is closed too and the exit status is 0."""

    def ignore(_signal: int, _frame: Any) -> None:
        """A handler, and not SIG_IGN: child processes would inherit that."""

    before = {each: signal.signal(each, ignore) for each in ENDING}
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


@contextmanager
def _logging_to(path: Path) -> Generator[None]:
    """Warnings go to a file: the terminal is for the result, and for one line where it fails."""
    handler = logging.FileHandler(path, delay=True, encoding="utf-8")
    handler.setFormatter(JsonLines())
    handler.setLevel(logging.WARNING)
    root = logging.getLogger()
    root.addHandler(handler)
    try:
        yield
    finally:
        root.removeHandler(handler)
        handler.close()
