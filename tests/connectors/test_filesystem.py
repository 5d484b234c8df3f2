"""A folder as a source: what it reports, what it never opens, and the law it keeps."""

import os
import shutil
from collections.abc import Iterator
from dataclasses import replace
from itertools import count
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.access_files import Grant
from connectors.filesystem import FilesystemConnector
from connectors.protocols import Listed, Problem
from rag.access import NOBODY, AccessList, readable_by
from rag.bodies import Spool
from rag.errors import LimitExceeded, SourceGone, SourceUnavailable
from rag.types import SourceId

DEFAULT_METADATA = {"department": "none"}
EVERYONE_READS = "readers: [everyone]\n"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "root"
    folder.mkdir()
    return folder


def connect(
    root: Path, *, max_bytes: int = 1000, access: AccessList = NOBODY
) -> FilesystemConnector:
    return FilesystemConnector(
        root,
        source=SourceId("docs"),
        max_bytes=max_bytes,
        default_access=access,
        default_metadata=DEFAULT_METADATA,
    )


def write(path: Path, text: str, *, mtime: int | None = None) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    if mtime is not None:
        os.utime(path, ns=(mtime, mtime))
    return path


async def listed(connector: FilesystemConnector) -> list[Listed | Problem]:
    return [found async for found in connector.listing()]


async def files_of(connector: FilesystemConnector) -> dict[str, Listed]:
    return {found.uri: found for found in await listed(connector) if isinstance(found, Listed)}


async def test_a_new_a_changed_and_a_deleted_file_are_told_apart(root: Path) -> None:
    stays = write(root / "stays.md", "a", mtime=1).as_uri()
    changes = write(root / "changes.md", "a", mtime=1).as_uri()
    goes = write(root / "goes.md", "a", mtime=1).as_uri()
    connector = connect(root)
    before = await files_of(connector)
    assert await files_of(connector) == before
    write(root / "changes.md", "b", mtime=2)
    (root / "goes.md").unlink()
    comes = write(root / "comes.md", "a").as_uri()
    after = await files_of(connector)
    assert before.keys() - after.keys() == {goes}
    assert after.keys() - before.keys() == {comes}
    assert after[stays] == before[stays]
    assert after[changes].seen.revision != before[changes].seen.revision


async def test_a_moved_file_keeps_its_identity(root: Path) -> None:
    write(root / "a.md", "a")
    connector = connect(root)
    [before] = (await files_of(connector)).values()
    (root / "b").mkdir()
    (root / "a.md").rename(root / "b" / "c.md")
    [after] = (await files_of(connector)).values()
    assert after.uri != before.uri
    assert after.seen.identity == before.seen.identity is not None


async def test_a_change_of_readers_is_no_change_of_content(root: Path) -> None:
    file = write(root / "a" / "b.md", "text")
    connector = connect(root)
    [before] = (await files_of(connector)).values()
    write(root / ".access.yaml", "readers: [group:it]\nmetadata: {department: it}")
    [after] = (await files_of(connector)).values()
    assert after.seen.revision == before.seen.revision
    assert after.seen.access != before.seen.access
    assert after.access == readable_by(["group:it"])
    assert after.metadata == {"department": "it"}
    assert (await connector.fetch(file.as_uri())).seen == after.seen


async def test_what_fetch_gives_is_what_the_listing_announced(root: Path) -> None:
    write(root / ".access.yaml", 'files: {"b c.md": {readers: [user:1]}}')
    file = write(root / "b c.md", "Grüße")
    connector = connect(root)
    ((uri, found),) = (await files_of(connector)).items()
    resource = await connector.fetch(uri)
    assert uri == file.as_uri()
    assert resource.seen == found.seen
    assert resource.body.read() == "Grüße".encode()
    assert resource.media_type == "text/markdown"
    assert resource.title == "B c"
    assert resource.access == readable_by(["user:1"])


async def test_the_nearest_access_file_applies_alone(root: Path) -> None:
    write(root / ".access.yaml", EVERYONE_READS)
    write(root / "hr" / ".access.yaml", "readers: [group:hr]")
    deep = write(root / "hr" / "2026" / "pay.md", "x")
    open_one = write(root / "open.md", "x")
    connector = connect(root)
    assert (await connector.fetch(deep.as_uri())).access == readable_by(["group:hr"])
    assert (await connector.fetch(open_one.as_uri())).access == readable_by(["everyone"])


async def test_the_default_applies_only_where_no_access_file_stands(root: Path) -> None:
    write(root / "hr" / ".access.yaml", "metadata: {department: hr}")
    closed = write(root / "hr" / "pay.md", "x")
    free = write(root / "free.md", "x")
    connector = connect(root, access=readable_by(["user:1"]))
    assert (await connector.fetch(closed.as_uri())).access == NOBODY
    resource = await connector.fetch(free.as_uri())
    assert resource.access == readable_by(["user:1"])
    assert resource.metadata == {"department": "none"}


@pytest.mark.parametrize(
    ("name", "content"),
    [(".access.yaml", "readers: everyone"), (".access.yml", EVERYONE_READS), (".access.yaml", "")],
)
async def test_a_malformed_access_file_closes_its_folder_and_is_a_problem(
    root: Path, name: str, content: str
) -> None:
    write(root / ".access.yaml", EVERYONE_READS)
    write(root / "a" / name, content)
    closed = write(root / "a" / "below" / "b.md", "x")
    mended = write(root / "a" / "own" / "c.md", "x")
    write(root / "a" / "own" / ".access.yaml", EVERYONE_READS)
    connector = connect(root, access=readable_by(["everyone"]))
    problems = [one for one in await listed(connector) if isinstance(one, Problem)]
    assert [problem.uri for problem in problems] == [(root / "a" / ".access.yaml").as_uri()]
    assert problems[0].reason
    assert (await connector.fetch(closed.as_uri())).access == NOBODY
    assert (await connector.fetch(mended.as_uri())).access == readable_by(["everyone"])


async def test_an_access_file_that_is_a_folder_or_a_link_closes_its_folder(root: Path) -> None:
    (root / "a" / ".access.yaml").mkdir(parents=True)
    outside = write(root.parent / "open.yaml", EVERYONE_READS)
    (root / "b").mkdir()
    (root / "b" / ".access.yaml").symlink_to(outside)
    files = [write(root / name / "x.md", "x") for name in "ab"]
    connector = connect(root, access=readable_by(["everyone"]))
    assert sum(isinstance(one, Problem) for one in await listed(connector)) == 2
    for file in files:
        assert (await connector.fetch(file.as_uri())).access == NOBODY


async def test_a_link_out_of_the_root_is_a_problem_and_is_never_read(root: Path) -> None:
    secret = write(root.parent / "secret.md", "secret")
    (root / "file.md").symlink_to(secret)
    (root / "folder").symlink_to(root.parent)
    (root / "nowhere.md").symlink_to(root / "missing")
    connector = connect(root)
    found = await listed(connector)
    assert {one.uri for one in found} == {
        (root / name).as_uri() for name in ("file.md", "folder", "nowhere.md")
    }
    assert all(isinstance(one, Problem) for one in found)
    for uri in ((root / "file.md").as_uri(), (root / "folder" / "secret.md").as_uri()):
        with pytest.raises(SourceGone):
            await connector.fetch(uri)


async def test_a_link_inside_the_root_gives_its_target_no_second_access(root: Path) -> None:
    secret = write(root / "board" / "plan.md", "secret")
    write(root / "board" / ".access.yaml", "readers: [group:board]")
    write(root / "open" / ".access.yaml", EVERYONE_READS)
    (root / "open" / "plan.md").symlink_to(secret)
    connector = connect(root)
    assert [one.uri for one in await listed(connector)] == [secret.as_uri()]
    with pytest.raises(SourceGone):
        await connector.fetch((root / "open" / "plan.md").as_uri())


@pytest.mark.parametrize(
    "path",
    [
        "/../secret.md",
        "/a/../../secret.md",
        "/.access.yaml",
        "/.hidden/a.md",
        "",
        "/%00",
        "/a//b.md",
    ],
)
async def test_an_address_that_no_listing_would_give_is_gone(root: Path, path: str) -> None:
    write(root.parent / "secret.md", "x")
    write(root / "a" / "b.md", "x")
    write(root / ".hidden" / "a.md", "x")
    write(root / ".access.yaml", EVERYONE_READS)
    with pytest.raises(SourceGone):
        await connect(root).fetch(root.as_uri() + path)


async def test_another_scheme_or_root_is_gone(root: Path) -> None:
    for uri in ("https://example.org/a.md", "file:///etc/passwd", "a.md", ""):
        with pytest.raises(SourceGone):
            await connect(root).fetch(uri)


async def test_droppings_and_hidden_files_are_no_documents(root: Path) -> None:
    for name in (
        ".DS_Store",
        "~$plan.docx",
        "Thumbs.db",
        "a.md~",
        ".git/config",
        "x.swp",
        "#a.md#",
    ):
        write(root / name, "x")
    assert await listed(connect(root)) == []


async def test_a_missing_root_reports_no_deletion(root: Path) -> None:
    file = write(root / "a.md", "x")
    connector = connect(root)
    assert await listed(connector)
    shutil.rmtree(root)
    with pytest.raises(SourceUnavailable):
        await listed(connector)
    with pytest.raises(SourceUnavailable):
        await connector.fetch(file.as_uri())


async def test_a_file_over_the_limit_is_refused_by_its_size(root: Path) -> None:
    big = root / "big.bin"
    with big.open("wb") as file:
        file.truncate(200 * 2**20)  # sparse
    with pytest.raises(LimitExceeded):
        await connect(root, max_bytes=100 * 2**20).fetch(big.as_uri())


async def test_a_large_file_is_read_without_holding_it(root: Path, tmp_path: Path) -> None:
    large = write(root / "large.md", "many words\n" * 200_000)
    spool = Spool(tmp_path / "spool")
    connector = replace(connect(root, max_bytes=10_000_000), spool=spool)
    body = (await connector.fetch(large.as_uri())).body
    large.unlink()
    assert body.path is not None and body.path.parent == spool.folder
    assert body.read() == b"many words\n" * 200_000


async def test_a_deleted_file_and_a_pipe_are_gone(root: Path) -> None:
    file = write(root / "a.md", "x")
    file.unlink()
    os.mkfifo(root / "pipe.md")
    connector = connect(root)
    assert await listed(connector) == []
    for name in ("a.md", "pipe.md"):
        with pytest.raises(SourceGone):
            await connector.fetch((root / name).as_uri())


@pytest.mark.parametrize("name", ["grüße 50%.md", "a#b?c.md", "日本.md", "new\nline.md", "%41.md"])
async def test_any_name_goes_there_and_back(root: Path, name: str) -> None:
    write(root / name, name)
    connector = connect(root)
    (uri,) = await files_of(connector)
    assert (await connector.fetch(uri)).body.read() == name.encode()


async def test_a_name_that_is_no_text_goes_there_and_back(root: Path) -> None:
    try:
        (root / os.fsdecode(b"caf\xe9.md")).write_text("x")
    except OSError:
        pytest.skip("this file system takes text names only")
    connector = connect(root)
    (uri,) = await files_of(connector)
    resource = await connector.fetch(uri)
    assert resource.body.read() == b"x"
    resource.title.encode()


@pytest.mark.parametrize(
    ("name", "title"),
    [
        ("leave-policy-2026.md", "Leave policy 2026"),
        ("QM-12-calibration.md", "QM-12 calibration"),
        ("quotation-Q-2026-0318.eml", "Quotation Q-2026-0318"),
        ("board_minutes.docx", "Board minutes"),
        ("-.txt", "-"),
    ],
)
async def test_a_title_is_readable_and_a_code_stays_whole(
    root: Path, name: str, title: str
) -> None:
    file = write(root / name, "x")
    assert (await connect(root).fetch(file.as_uri())).title == title


FOLDERS = ("", "a", "a/b", "c")
NAMES = ("x.md", "y z.txt")
EDITS = st.lists(
    st.one_of(
        st.tuples(st.just("write"), st.sampled_from(FOLDERS), st.sampled_from(NAMES)),
        st.tuples(st.just("delete"), st.sampled_from(FOLDERS), st.sampled_from(NAMES)),
        st.tuples(
            st.just("access"),
            st.sampled_from(FOLDERS),
            st.sampled_from(["user:1", "group:g", "everyone", "broken", "none"]),
        ),
        st.tuples(st.just("sync"), st.just(""), st.just("")),
    ),
    max_size=25,
)


class Reference:
    """What a folder should look like to a sync: plain dictionaries."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.files: dict[str, int] = {}
        self.access: dict[str, str] = {}
        self._clock = 0

    def apply(self, kind: str, folder: str, value: str) -> None:
        self._clock += 1
        place = self.root / folder
        place.mkdir(parents=True, exist_ok=True)
        relative = f"{folder}/{value}" if folder else value
        if kind == "write":
            write(place / value, "x", mtime=self._clock)
            self.files[relative] = self._clock
        elif kind == "delete":
            (place / value).unlink(missing_ok=True)
            self.files.pop(relative, None)
        elif value == "none":
            (place / ".access.yaml").unlink(missing_ok=True)
            self.access.pop(folder, None)
        else:
            readers = "[oops" if value == "broken" else f"[{value}]"
            write(place / ".access.yaml", f"readers: {readers}")
            self.access[folder] = value

    def state(self) -> dict[str, tuple[int, Grant]]:
        return {
            (self.root / path).as_uri(): (clock, self._grant_of(path))
            for path, clock in self.files.items()
        }

    def _grant_of(self, path: str) -> Grant:
        for folder in _upward(path):
            if folder in self.access:
                value = self.access[folder]
                return Grant(NOBODY if value == "broken" else readable_by([value]))
        return Grant(NOBODY, DEFAULT_METADATA)


def _upward(path: str) -> Iterator[str]:
    while path:
        path = path.rpartition("/")[0]
        yield path


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Where each example gets a folder of its own."""
    return (tmp_path_factory.mktemp("example") for _ in count())


@given(edits=EDITS)
@settings(max_examples=40, deadline=None)
async def test_listing_and_fetching_always_give_what_is_there(
    folders: Iterator[Path], edits: list[tuple[str, str, str]]
) -> None:
    reference = Reference(next(folders))
    connector = connect(reference.root)
    for edit in [*edits, ("sync", "", "")]:
        if edit[0] != "sync":
            reference.apply(*edit)
            continue
        expected = reference.state()
        found = await files_of(connector)
        assert found.keys() == expected.keys()
        for uri, (clock, grant) in expected.items():
            resource = await connector.fetch(uri)
            assert resource.seen == found[uri].seen
            assert resource.seen.revision == f"{clock}-1"
            assert Grant(resource.access, resource.metadata) == grant
            assert Grant(found[uri].access or NOBODY, found[uri].metadata) == grant
        broken = sorted(path for path, value in reference.access.items() if value == "broken")
        problems = [one.uri for one in await listed(connector) if isinstance(one, Problem)]
        assert problems == [(reference.root / path / ".access.yaml").as_uri() for path in broken]
