"""What every connector promises, whatever it reads."""

import os
import shutil
import subprocess
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from connectors.filesystem import FilesystemConnector
from connectors.git import GitConnector
from connectors.patience import PatientConnector
from connectors.protocols import Connector, Gone, Listed
from rag.access import NOBODY, AccessList, readable_by
from rag.errors import SourceGone, SourceUnavailable
from rag.types import SourceId
from tests.ingestion.feed import Feed

SOURCE = SourceId("conforming")
STAFF = readable_by(["group:staff"])


@dataclass(frozen=True, slots=True)
class Owner:
    """Somebody who changes what a connector reads."""

    connector: Connector
    uri_of: Callable[[str], str]
    write: Callable[[str, str], None]
    remove: Callable[[str], None]
    close: Callable[[], None]
    """From now on nobody may read it."""
    vanish: Callable[[], None]
    """The whole source goes away."""


def filesystem(tmp_path: Path) -> Owner:
    root = tmp_path / "folder"
    root.mkdir()
    (root / ".access.yaml").write_text("readers: [group:staff]\n")
    return Owner(
        connector=FilesystemConnector(root, source=SOURCE),
        uri_of=lambda name: (root / name).as_uri(),
        write=lambda name, text: _write(root / name, text),
        remove=lambda name: (root / name).unlink(),
        close=lambda: _write(root / ".access.yaml", "readers: []\n"),
        vanish=lambda: shutil.rmtree(root),
    )


def git(tmp_path: Path) -> Owner:
    root = tmp_path / "repository"
    root.mkdir()

    def run(*arguments: str) -> None:
        me = ("-c", "user.name=Ada", "-c", "user.email=a@example.org")
        command = ["git", "-C", str(root), *me, *arguments]
        subprocess.run(command, check=True, capture_output=True)

    def commit(change: Callable[[], None]) -> None:
        change()
        run("add", "--all")
        run("commit", "--quiet", "--message", "A change.")

    run("init", "--quiet", "--initial-branch=main", "--template=")
    commit(lambda: _write(root / ".access.yaml", "readers: [group:staff]\n"))
    connector = GitConnector(source=SOURCE, repository=root)
    return Owner(
        connector=connector,
        uri_of=connector.uri_of,
        write=lambda name, text: commit(lambda: _write(root / name, text)),
        remove=lambda name: commit((root / name).unlink),
        close=lambda: commit(lambda: _write(root / ".access.yaml", "readers: []\n")),
        vanish=lambda: shutil.rmtree(root),
    )


def feed(_tmp_path: Path) -> Owner:
    peer = Feed(SOURCE)

    def close() -> None:
        for uri, file in list(peer.files.items()):
            peer.put(uri, file.body.read(), access=NOBODY, title=file.title)

    return Owner(
        connector=PatientConnector(inner=peer, seconds=30),
        uri_of=lambda name: f"feed:{name}",
        write=lambda name, text: peer.put(f"feed:{name}", text, access=STAFF, title=name),
        remove=lambda name: peer.remove(f"feed:{name}"),
        close=close,
        vanish=lambda: setattr(peer, "down", True),
    )


def _write(path: Path, text: str) -> None:
    path.write_text(text)
    # Two writes within one tick of the clock are told apart all the same.
    moved = path.stat().st_mtime_ns + len(text)
    os.utime(path, ns=(moved, moved))


@pytest.fixture(params=[filesystem, git, feed], ids=["filesystem", "git", "feed"])
def owner(request: pytest.FixtureRequest, tmp_path: Path) -> Owner:
    make: Callable[[Path], Owner] = request.param
    return make(tmp_path)


@pytest.fixture(params=[git, feed], ids=["git", "feed"])
def followed(request: pytest.FixtureRequest, tmp_path: Path) -> Owner:
    """Of a source with a word of its own on what changed."""
    make: Callable[[Path], Owner] = request.param
    return make(tmp_path)


async def listed(connector: Connector) -> dict[str, Listed]:
    return {each.uri: each async for each in connector.listing() if isinstance(each, Listed)}


async def test_what_is_listed_can_be_fetched_and_is_the_same(owner: Owner) -> None:
    for name in ("a.md", "b.md"):
        owner.write(name, f"The text of {name}.")
    found = await listed(owner.connector)
    assert set(found) == {owner.uri_of("a.md"), owner.uri_of("b.md")}
    for uri, one in found.items():
        resource = await owner.connector.fetch(uri)
        assert (resource.uri, resource.seen) == (uri, one.seen)
        assert one.access == resource.access == STAFF
        assert one.size == resource.body.size
        assert one.seen.identity == resource.seen.identity


async def test_a_listing_of_what_did_not_change_is_the_same(owner: Owner) -> None:
    owner.write("a.md", "A.")
    assert await listed(owner.connector) == await listed(owner.connector)


async def test_other_content_is_another_revision_and_other_readers_another_access(
    owner: Owner,
) -> None:
    owner.write("a.md", "Before.")
    [before] = (await listed(owner.connector)).values()
    owner.write("a.md", "After it.")
    [after] = (await listed(owner.connector)).values()
    assert before.seen.revision != after.seen.revision
    assert before.seen.access == after.seen.access
    owner.close()
    [closed] = (await listed(owner.connector)).values()
    assert closed.seen.revision == after.seen.revision
    assert closed.seen.access != after.seen.access
    assert closed.access is not None and _admits_nobody(closed.access)
    assert _admits_nobody((await owner.connector.fetch(closed.uri)).access)


def _admits_nobody(access: AccessList) -> bool:
    return not access.clauses or not all(access.clauses)


async def test_what_is_gone_is_not_listed_and_not_fetched(owner: Owner) -> None:
    owner.write("a.md", "A.")
    owner.write("b.md", "B.")
    owner.remove("a.md")
    assert set(await listed(owner.connector)) == {owner.uri_of("b.md")}
    for uri in (owner.uri_of("a.md"), owner.uri_of("never.md"), "nonsense", ""):
        with pytest.raises(SourceGone):
            await owner.connector.fetch(uri)


async def test_a_source_that_went_away_is_unavailable_and_reports_nothing_gone(
    owner: Owner,
) -> None:
    owner.write("a.md", "A.")
    owner.vanish()
    with pytest.raises(SourceUnavailable):
        await listed(owner.connector)
    with pytest.raises(SourceUnavailable):
        await owner.connector.fetch(owner.uri_of("a.md"))


async def test_following_the_changes_ends_where_a_listing_does(followed: Owner) -> None:
    delta = followed.connector.delta
    assert delta is not None
    followed.write("a.md", "A.")
    cursor = await delta.now()
    assert [page async for page in delta.since(cursor)] == []
    known = await listed(followed.connector)
    steps: list[Callable[[], None]] = [
        lambda: followed.write("b.md", "B."),
        lambda: followed.write("a.md", "Another A."),
        lambda: followed.write("c.md", "C."),
        lambda: followed.remove("b.md"),
        followed.close,
    ]
    for step in steps:
        step()
        async for page in delta.since(cursor):
            assert page.cursor != cursor
            cursor = page.cursor
            for found in page.found:
                if isinstance(found, Listed):
                    known[found.uri] = found
                elif isinstance(found, Gone):
                    known.pop(found.uri, None)
        now = await listed(followed.connector)
        assert {uri: one.seen for uri, one in known.items()} == {
            uri: one.seen for uri, one in now.items()
        }


async def test_an_earlier_cursor_tells_it_again(followed: Owner) -> None:
    delta = followed.connector.delta
    assert delta is not None
    followed.write("z.md", "Z.")
    first = await delta.now()
    followed.write("a.md", "A.")
    await delta.now()
    followed.write("b.md", "B.")
    again = [found.uri async for page in delta.since(first) for found in page.found]
    assert {followed.uri_of("a.md"), followed.uri_of("b.md")} <= set(again)


async def test_closing_may_be_done_twice(owner: Owner) -> None:
    close: Callable[[], Awaitable[None]] = owner.connector.aclose
    await close()
    await close()
