"""A branch of a git repository as a source: what it reports, what it never runs, and the law it keeps."""

import asyncio
import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from itertools import count
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.git import GitConnector
from connectors.protocols import Cursor, Gone, Listed, Page, Problem
from rag.access import NOBODY, AccessList, readable_by
from rag.bodies import Spool
from rag.errors import CursorExpired, LimitExceeded, SourceGone, SourceUnavailable
from rag.types import SourceId

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
EVERYONE_READS = "readers: [everyone]\n"


class Repository:
    """A working tree whose owner writes, moves and commits."""

    def __init__(self, root: Path) -> None:
        self.root = root
        root.mkdir(parents=True, exist_ok=True)
        self.git("init", "--quiet", "--initial-branch=main", "--template=")
        self._moments = count(1_700_000_000)

    def git(self, *arguments: str) -> str:
        moment = f"{next(self._moments)} +0000" if hasattr(self, "_moments") else "1 +0000"
        environment = os.environ | {
            "GIT_AUTHOR_NAME": "Ada", "GIT_AUTHOR_EMAIL": "a@example.org",
            "GIT_COMMITTER_NAME": "Ada", "GIT_COMMITTER_EMAIL": "a@example.org",
            "GIT_AUTHOR_DATE": moment, "GIT_COMMITTER_DATE": moment,
            "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1",
        }  # fmt: skip
        command = ["git", "-C", str(self.root), *arguments]
        done = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
        return done.stdout.strip()

    def write(self, path: str, text: str) -> None:
        place = self.root / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)

    def commit(self) -> Cursor:
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "--message", "A change.")
        return Cursor(self.git("rev-parse", "HEAD"))


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    repository = Repository(tmp_path / "handbook")
    repository.write(".access.yaml", EVERYONE_READS)
    repository.write("people/leave.md", "# Leave\n\n26 days.\n")
    repository.write("people/pay.md", "# Pay\n\nMonthly.\n")
    repository.write("board/.access.yaml", "readers: [group:board]\n")
    repository.write("board/plan.md", "# Plan\n\nSecret.\n")
    repository.commit()
    return repository


def connect(
    repository: Repository,
    *,
    folder: str = "",
    branch: str | None = None,
    access: AccessList = NOBODY,
    max_bytes: int = 10_000,
) -> GitConnector:
    return GitConnector(
        source=SourceId("git"),
        repository=repository.root,
        folder=folder,
        branch=branch,
        default_access=access,
        max_bytes=max_bytes,
    )


async def listed(connector: GitConnector) -> dict[str, Listed]:
    """By the path inside the repository."""
    found = [each async for each in connector.listing()]
    return {each.uri.partition("/-/")[2]: each for each in found if isinstance(each, Listed)}


async def pages(connector: GitConnector, since: Cursor) -> list[Page]:
    return [page async for page in connector.delta.since(since)]


def told(page: Page) -> dict[str, Listed | Gone | Problem]:
    return {found.uri.partition("/-/")[2]: found for found in page.found}


async def test_a_listing_says_what_a_fetch_gives(repository: Repository) -> None:
    connector = connect(repository)
    found = await listed(connector)
    assert set(found) == {"people/leave.md", "people/pay.md", "board/plan.md"}
    for one in found.values():
        resource = await connector.fetch(one.uri)
        assert (resource.seen, resource.access) == (one.seen, one.access)
        assert resource.metadata == one.metadata
        assert resource.body.size == one.size
    assert found["board/plan.md"].access == readable_by(["group:board"])
    assert found["people/pay.md"].metadata["author"] == "Ada"
    assert str(found["people/pay.md"].metadata["modified"]).startswith("2023-11-14T")


async def test_a_commit_tells_what_it_changed(repository: Repository) -> None:
    connector = connect(repository)
    before = await connector.delta.now()
    assert await pages(connector, before) == []
    repository.write("people/leave.md", "# Leave\n\n28 days.\n")
    repository.git("mv", "people/pay.md", "people/salary.md")
    repository.git("rm", "--quiet", "board/plan.md")
    repository.write("new.md", "New.")
    after = repository.commit()
    [page] = await pages(connector, before)
    found = told(page)
    assert page.cursor == after
    assert set(found) == {
        "people/leave.md", "people/pay.md", "people/salary.md", "board/plan.md", "new.md",
    }  # fmt: skip
    assert isinstance(found["board/plan.md"], Gone)
    assert isinstance(found["people/pay.md"], Gone)
    moved = found["people/salary.md"]
    assert isinstance(moved, Listed) and moved.moved_from == connector.uri_of("people/pay.md")


async def test_a_changed_access_file_tells_what_it_governs_and_no_more(
    repository: Repository,
) -> None:
    connector = connect(repository)
    before = await connector.delta.now()
    repository.write("people/.access.yaml", "readers: [group:people]\n")
    repository.commit()
    [page] = await pages(connector, before)
    found = told(page)
    assert set(found) == {"people/leave.md", "people/pay.md"}
    leave = found["people/leave.md"]
    assert isinstance(leave, Listed)
    assert leave.access == readable_by(["group:people"])
    assert leave.metadata == (await listed(connector))["people/leave.md"].metadata
    repository.git("rm", "--quiet", "people/.access.yaml")
    repository.commit()
    [page] = await pages(connector, page.cursor)
    assert {uri: one.access for uri, one in told(page).items() if isinstance(one, Listed)} == {
        "people/leave.md": readable_by(["everyone"]),
        "people/pay.md": readable_by(["everyone"]),
    }


async def test_a_malformed_access_file_closes_its_folder_and_is_a_problem(
    repository: Repository,
) -> None:
    repository.write("people/.access.yaml", "readers: everyone")
    (repository.root / "board" / ".access.yaml").unlink()
    (repository.root / "board" / ".access.yaml").symlink_to("../.access.yaml")
    repository.commit()
    connector = connect(repository, access=readable_by(["everyone"]))
    found = [each async for each in connector.listing()]
    problems = {each.uri.partition("/-/")[2] for each in found if isinstance(each, Problem)}
    assert problems == {"people/.access.yaml", "board/.access.yaml"}
    assert {each.access for each in found if isinstance(each, Listed)} == {NOBODY}
    assert (await connector.fetch(connector.uri_of("board/plan.md"))).access == NOBODY


async def test_a_rewritten_history_expires_the_cursor(repository: Repository) -> None:
    connector = connect(repository)
    repository.write("x.md", "x")
    gone = repository.commit()
    repository.git("reset", "--quiet", "--hard", "HEAD~1")
    repository.write("y.md", "y")
    repository.commit()
    for cursor in (gone, Cursor("0" * 40), Cursor("no commit")):
        with pytest.raises(CursorExpired):
            await pages(connector, cursor)


async def test_only_the_folder_and_the_branch_are_read(repository: Repository) -> None:
    repository.git("checkout", "--quiet", "-b", "draft")
    repository.write("people/draft.md", "A draft.")
    repository.commit()
    repository.git("checkout", "--quiet", "main")
    main = connect(repository, folder="people", access=readable_by(["user:1"]))
    draft = connect(repository, folder="people", branch="draft")
    assert set(await listed(main)) == {"people/leave.md", "people/pay.md"}
    assert "people/draft.md" in await listed(draft)
    # The access file stands outside of what is read.
    assert {one.access for one in (await listed(main)).values()} == {readable_by(["user:1"])}
    with pytest.raises(SourceGone):
        await main.fetch(main.uri_of("board/plan.md"))
    with pytest.raises(SourceUnavailable):
        await listed(connect(repository, folder="nowhere"))
    with pytest.raises(SourceUnavailable):
        await listed(connect(repository, branch="nowhere"))


async def test_links_submodules_and_hidden_files_are_no_documents(
    repository: Repository, tmp_path: Path
) -> None:
    other = Repository(tmp_path / "other")
    other.write("inside.md", "x")
    other.commit()
    (repository.root / "link.md").symlink_to("/etc/passwd")
    repository.write(".github/notes.md", "x")
    repository.write("~$plan.docx", "x")
    repository.git("-c", "protocol.file.allow=always", "submodule", "add", "--quiet",
                   str(other.root), "module")  # fmt: skip
    repository.commit()
    connector = connect(repository)
    assert set(await listed(connector)) == {"people/leave.md", "people/pay.md", "board/plan.md"}
    for path in ("link.md", ".github/notes.md", "module/inside.md", ".access.yaml", "../x"):
        with pytest.raises(SourceGone):
            await connector.fetch(connector.uri_of(path))


async def test_nothing_that_the_repository_names_is_run(
    repository: Repository, tmp_path: Path
) -> None:
    trap = tmp_path / "ran"
    program = tmp_path / "program"
    program.write_text(f"#!/bin/sh\ntouch '{trap}'\n")
    program.chmod(0o755)
    for name in ("core.fsmonitor", "core.pager", "diff.external", "gpg.program", "core.sshCommand",
                 "diff.word.textconv", "filter.word.smudge", "filter.word.clean"):  # fmt: skip
        repository.git("config", name, str(program))
    repository.git("config", "log.showSignature", "true")
    repository.git("config", "core.hooksPath", str(tmp_path))
    before = Cursor(repository.git("rev-parse", "HEAD"))
    repository.write(".gitattributes", "*.md diff=word filter=word\n")
    (repository.root / "people" / "leave.md").write_text("Edited.\n")
    repository.git("-c", "filter.word.clean=", "-c", "core.fsmonitor=false", "add", "--all")
    repository.git("-c", "core.hooksPath=/dev/null", "-c", "core.fsmonitor=false",
                   "commit", "--quiet", "--message", "x")  # fmt: skip
    trap.unlink(missing_ok=True)
    connector = connect(repository)
    await listed(connector)
    await pages(connector, before)
    await connector.fetch(connector.uri_of("people/leave.md"))
    assert not trap.exists()


async def test_a_repository_elsewhere_is_mirrored_and_read_from_the_mirror(
    repository: Repository, tmp_path: Path
) -> None:
    connector = GitConnector(
        source=SourceId("git"),
        repository=tmp_path / "mirrors" / "one",
        url=repository.root.as_uri(),
        protocols="file",
    )
    with pytest.raises(SourceUnavailable):
        await connector.fetch(connector.uri_of("people/leave.md"))
    before = await connector.delta.now()
    assert len(await listed(connector)) == 3
    repository.write("people/leave.md", "28 days.")
    repository.commit()
    [page] = await pages(connector, before)
    assert set(told(page)) == {"people/leave.md"}
    shutil.rmtree(repository.root)
    resource = await connector.fetch(connector.uri_of("people/leave.md"))
    assert resource.body.read() == b"28 days."
    with pytest.raises(SourceUnavailable):
        await listed(connector)


async def test_a_large_file_is_read_without_holding_it(
    repository: Repository, tmp_path: Path
) -> None:
    text = "many words\n" * 200_000
    repository.write("long.md", text)
    repository.commit()
    spool = Spool(tmp_path / "spool")
    connector = replace(connect(repository, max_bytes=len(text)), spool=spool)
    body = (await connector.fetch(connector.uri_of("long.md"))).body
    assert body.path is not None and body.path.parent == spool.folder
    assert body.read() == text.encode()


async def test_a_protocol_that_was_not_named_is_refused(
    repository: Repository, tmp_path: Path
) -> None:
    trap = tmp_path / "ran"
    for url in (repository.root.as_uri(), f"ext::sh -c touch% {trap}", f"--upload-pack={trap}"):
        connector = GitConnector(source=SourceId("git"), repository=tmp_path / "mirror", url=url)
        with pytest.raises(SourceUnavailable):
            await listed(connector)
    assert not trap.exists()


async def test_a_file_over_the_limit_and_one_that_is_gone(repository: Repository) -> None:
    repository.write("big.md", "x" * 20_000)
    repository.commit()
    connector = connect(repository)
    with pytest.raises(LimitExceeded):
        await connector.fetch(connector.uri_of("big.md"))
    with pytest.raises(SourceGone):
        await connector.fetch(connector.uri_of("people/nobody.md"))
    with pytest.raises(SourceGone):
        await connector.fetch("file:///etc/passwd")


@pytest.mark.parametrize("name", ["grüße 50%.md", "a#b?c.md", "new\nline.md", "%41.md", "-x.md"])
async def test_any_name_goes_there_and_back(repository: Repository, name: str) -> None:
    repository.write(name, name)
    repository.commit()
    connector = connect(repository)
    [one] = [each for each in (await listed(connector)).values() if each.size == len(name.encode())]
    assert (await connector.fetch(one.uri)).body.read() == name.encode()


async def test_what_replaces_another_names_its_address(repository: Repository) -> None:
    repository.write(
        "people/.access.yaml",
        "readers: [everyone]\nfiles: {leave.md: {metadata: {supersedes: pay.md}}}\n",
    )
    repository.commit()
    connector = connect(repository)
    found = (await listed(connector))["people/leave.md"]
    assert found.metadata["supersedes"] == connector.uri_of("people/pay.md")


PLACES = ("a.md", "b.md", "in/a.md", "in/deep/c.md")
EDITS = st.lists(
    st.one_of(
        st.tuples(st.just("write"), st.sampled_from(PLACES), st.sampled_from("xyz")),
        st.tuples(st.just("remove"), st.sampled_from(PLACES), st.just("")),
        st.tuples(st.just("move"), st.sampled_from(PLACES), st.sampled_from(PLACES)),
        st.tuples(
            st.just("access"),
            st.sampled_from(("", "in/", "in/deep/")),
            st.sampled_from(("user:1", "everyone", "broken", "none")),
        ),
        st.tuples(st.just("commit"), st.just(""), st.just("")),
    ),
    max_size=14,
)


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    return (tmp_path_factory.mktemp("example") for _ in count())


def apply(repository: Repository, kind: str, place: str, value: str) -> None:
    path = repository.root / place
    match kind:
        case "write":
            repository.write(place, f"{value} " * 20)
        case "remove":
            path.unlink(missing_ok=True)
        case "move" if path.is_file() and place != value:
            (repository.root / value).parent.mkdir(parents=True, exist_ok=True)
            path.rename(repository.root / value)
        case "access" if value == "none":
            (path / ".access.yaml").unlink(missing_ok=True)
        case "access":
            readers = "[oops" if value == "broken" else f"[{value}]"
            repository.write(f"{place}.access.yaml", f"readers: {readers}\n")
        case _:
            pass


@given(edits=EDITS)
@settings(max_examples=12, deadline=None)
async def test_following_the_commits_always_ends_where_a_listing_does(
    folders: Iterator[Path], edits: list[tuple[str, str, str]]
) -> None:
    repository = await asyncio.to_thread(Repository, next(folders))
    cursor = repository.commit()
    connector = connect(repository)
    known: dict[str, Listed] = {}
    for edit in [*edits, ("commit", "", "")]:
        if edit[0] != "commit":
            apply(repository, *edit)
            continue
        repository.commit()
        for page in await pages(connector, cursor):
            cursor = page.cursor
            for uri, found in told(page).items():
                if isinstance(found, Gone):
                    known.pop(uri, None)
                elif isinstance(found, Listed):
                    known[uri] = found
        now = await listed(connector)
        assert {uri: one.seen for uri, one in known.items()} == {
            uri: one.seen for uri, one in now.items()
        }
