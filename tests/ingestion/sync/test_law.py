"""However often and whenever a source is synchronised, it ends where one fresh sync does."""

import asyncio
import os
import random
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from connectors.filesystem import FilesystemConnector
from connectors.git import GitConnector
from connectors.protocols import Connector
from ingestion.jobs import run_job
from ingestion.sync import SyncLedger, synchronise
from ingestion.sync_settings import SyncSettings
from rag.storage.database import open_database
from rag.storage.documents.records import DocumentState
from rag.storage.sources.records import Source
from rag.storage.sources.snapshots import Snapshots
from rag.storage.tables import DocumentRow
from tests.ingestion.platform import SOURCE, TENANT, Platform, platform_over

PLACES = ("a.txt", "b.txt", "in/a.txt", "in/deep/c.txt")
EDITS = st.lists(
    st.one_of(
        st.tuples(st.just("write"), st.sampled_from(PLACES), st.sampled_from("xyz")),
        st.tuples(st.just("remove"), st.sampled_from(PLACES), st.just("")),
        st.tuples(st.just("move"), st.sampled_from(PLACES), st.sampled_from(PLACES)),
        st.tuples(
            st.just("access"),
            st.sampled_from(("", "in/")),
            st.sampled_from(("user:1", "everyone", "broken", "none")),
        ),
        st.tuples(st.just("sync"), st.sampled_from(("fully", "partly")), st.just("")),
    ),
    max_size=14,
)


class Folder:
    """A folder that its owner changes; two writes are never of the same moment."""

    def __init__(self, root: Path) -> None:
        self.root = root
        root.mkdir(parents=True)
        self._moments = count(1_700_000_000_000_000_000, 1_000)

    def apply(self, kind: str, place: str, value: str) -> None:
        path = self.root / place
        match kind:
            case "write":
                self._write(path, f"{value} at {place}\n")
            case "remove":
                path.unlink(missing_ok=True)
            case "move" if path.is_file() and place != value:
                (self.root / value).parent.mkdir(parents=True, exist_ok=True)
                path.rename(self.root / value)
            case "access" if value == "none":
                (path / ".access.yaml").unlink(missing_ok=True)
            case "access":
                readers = "[oops" if value == "broken" else f"[{value}]"
                self._write(path / ".access.yaml", f"readers: {readers}\n")
            case _:
                pass

    def _write(self, path: Path, text: str) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        moment = next(self._moments)
        os.utime(path, ns=(moment, moment))

    def keep(self) -> None:
        """Before it is looked at."""

    def connector(self) -> Connector:
        return FilesystemConnector(self.root, source=SOURCE)


class Repository(Folder):
    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self._git("init", "--quiet", "--initial-branch=main", "--template=")

    def keep(self) -> None:
        self._git("add", "--all")
        self._git("commit", "--quiet", "--allow-empty", "--message", "A change.")

    def connector(self) -> Connector:
        return GitConnector(source=SOURCE, repository=self.root)

    def _git(self, *arguments: str) -> None:
        me = ("-c", "user.name=Ada", "-c", "user.email=a@example.org")
        command = ["git", "-C", str(self.root), *me, *arguments]
        subprocess.run(command, check=True, capture_output=True)


async def sync(platform: Platform, connector: Connector, *, partly: random.Random | None) -> None:
    """`partly`: some of the jobs are left for later, as by a worker that was stopped."""

    def connect(_source: Source) -> Connector:
        return connector

    work = replace(platform.work, connect=connect)
    await synchronise(
        connector,
        tenant=TENANT,
        batch="any",
        ledger=SyncLedger(
            documents=work.documents,
            snapshots=Snapshots(platform.database),
            jobs=work.jobs,
            sources=work.sources,
        ),
        settings=SyncSettings(overlap=timedelta(0)),
    )
    while partly is None or partly.random() < 0.6:
        job = await work.leases.claim("law", lease=timedelta(minutes=1))
        if job is None:
            return
        await run_job(job, work)


async def outcome(platform: Platform) -> dict[str, list[Any]]:
    """All that readers, later syncs and administrators could tell two ledgers apart by."""
    columns = (
        DocumentRow.uri,
        DocumentRow.state,
        DocumentRow.version,
        DocumentRow.revision,
        DocumentRow.identity,
        DocumentRow.access_fingerprint,
        DocumentRow.missing_since,
        DocumentRow.settled,
        DocumentRow.error,
    )
    gone = DocumentState.DELETED.value
    there = select(*columns).where(DocumentRow.state != gone)
    access = select(DocumentRow.uri, DocumentRow.access).where(DocumentRow.state != gone)
    points = platform.index.points.values()
    return {
        "documents": sorted(tuple(row) for row in await platform.database.rows(there)),
        "access": sorted(
            (row.uri, str(row.access)) for row in await platform.database.rows(access)
        ),
        "index": sorted((str(point.chunk.id), str(point.access)) for point in points),
        "everyone": await platform.texts_seen_by(),
    }


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    return (tmp_path_factory.mktemp("law") for _ in count())


async def check(
    make: Callable[[Path], Folder], place: Path, template: Path,
    edits: list[tuple[str, str, str]], seed: int,
) -> None:  # fmt: skip
    rng = random.Random(seed)
    folder = await asyncio.to_thread(make, place / "source")
    for name in ("often", "once"):
        (place / name).mkdir()
        shutil.copy(template, place / name / "rag.db")
    async with (
        open_database(f"sqlite:///{place / 'often' / 'rag.db'}") as often,
        open_database(f"sqlite:///{place / 'once' / 'rag.db'}") as once,
    ):
        followed = await platform_over(often, place / "often")
        for kind, where, value in edits:
            if kind == "sync":
                folder.keep()
                partly = rng if where == "partly" else None
                await sync(followed, folder.connector(), partly=partly)
            else:
                folder.apply(kind, where, value)
        folder.keep()
        # The second meets what a move of the first had to leave alone.
        for _ in range(2):
            await sync(followed, folder.connector(), partly=None)
        fresh = await platform_over(once, place / "once")
        await sync(fresh, folder.connector(), partly=None)
        assert await outcome(followed) == await outcome(fresh)


@given(edits=EDITS, seed=st.integers(0, 1_000))
@settings(max_examples=15, deadline=None)
async def test_a_folder_ends_where_one_fresh_sync_does(
    folders: Iterator[Path], sqlite_template: Path, edits: list[tuple[str, str, str]], seed: int
) -> None:
    await check(Folder, next(folders), sqlite_template, edits, seed)


@pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
@given(edits=EDITS, seed=st.integers(0, 1_000))
@settings(max_examples=10, deadline=None)
async def test_a_repository_ends_where_one_fresh_sync_does(
    folders: Iterator[Path], sqlite_template: Path, edits: list[tuple[str, str, str]], seed: int
) -> None:
    await check(Repository, next(folders), sqlite_template, edits, seed)
