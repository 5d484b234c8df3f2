"""The pool of parsing processes: what it gives, and that nothing a file does can hold it."""

import asyncio
import io
import os
import signal
import tempfile
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
import pytest_asyncio

from connectors.containers import Container, Room
from connectors.protocols import Resource, Seen
from ingestion.parsers.model import Limits
from ingestion.parsers.readers import READERS, parser_name_of
from ingestion.parsers.subprocess_parser import SubprocessParser, open_parser
from rag.access import NOBODY
from rag.bodies import temporary_spool
from rag.errors import EmptyText, LimitExceeded, PermanentError, UnsupportedMediaType
from rag.storage.originals import Originals
from rag.types import DocumentId, Table
from tests.ingestion.parsers.files import SENTENCE, archive, docx_file, pdf_file

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def parser() -> AsyncIterator[SubprocessParser]:
    async with open_parser() as opened:
        yield opened


def resource(
    name: str, body: bytes | str, *, media_type: str = "", room: Room | None = None
) -> Resource:
    content = body.encode() if isinstance(body, str) else body
    return Resource(
        uri=f"file:///docs/{name}",
        title="From the file's name",
        body=temporary_spool().copied(io.BytesIO(content)),
        media_type=media_type,
        access=NOBODY,
        seen=Seen("1", "1"),
        container=room and Container(document=DocumentId("d"), version=None, room=room),
    )


def children() -> set[int]:
    """The processes that this one has started and that still run."""
    found: set[int] = set()
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            state, parent = (entry / "stat").read_text().rpartition(")")[2].split()[:2]
        except OSError:
            continue
        if int(parent) == os.getpid() and state != "Z":
            found.add(int(entry.name))
    return found


async def test_every_family_of_formats_goes_through_a_child(parser: SubprocessParser) -> None:
    word = docx_file(lambda document: document.add_paragraph(SENTENCE))
    for name, body in {
        "gr%C3%BC%C3%9Fe.txt": SENTENCE,
        "a.md": f"# T\n\n{SENTENCE}",
        "a.html": f"<p>{SENTENCE}</p>",
        "a.csv": f"a,b\n1,{SENTENCE}\n",
        "a.eml": f"Subject: T\n\n{SENTENCE}",
        "a.docx": word,
        "a.pdf": pdf_file(SENTENCE),
        "a.rtf": r"{\rtf1\ansi " + SENTENCE + "}",
        "a.org": SENTENCE,
    }.items():
        document = await parser.parse(resource(name, body))
        assert document.parser == parser.name_for(resource(name, body))
        assert SENTENCE in " ".join(section.text for section in document.sections)
        assert document.metadata["language"] == "en"


async def test_the_resource_lends_its_title_where_the_file_has_none(
    parser: SubprocessParser,
) -> None:
    assert (await parser.parse(resource("a.txt", SENTENCE))).title == "From the file's name"
    assert (await parser.parse(resource("a.md", f"# Own\n\n{SENTENCE}"))).title == "Own"


async def test_tables_and_pages_survive_the_pipe(parser: SubprocessParser) -> None:
    grid = [["Part", "Bar"], ["SEAL-4471", "16"]]
    document = await parser.parse(resource("a.pdf", pdf_file("# H", SENTENCE, grid)))
    table = document.sections[-1]
    assert table.block == Table("", ("Part", "Bar"), (("SEAL-4471", "16"),))
    assert (table.page, table.heading_path) == (1, ("H",))


async def test_errors_come_back_as_what_they_are_and_the_child_goes_on(
    parser: SubprocessParser,
) -> None:
    await parser.parse(resource("a.txt", SENTENCE))
    before = children()
    with pytest.raises(EmptyText, match="the file is empty"):
        await parser.parse(resource("a.txt", b""))
    with pytest.raises(UnsupportedMediaType, match="no parser reads"):
        await parser.parse(resource("a.exe", b"MZ"))
    assert (await parser.parse(resource("a.txt", SENTENCE))).sections
    assert children() == before


def endless_csv() -> bytes:
    """A file that is honest and simply long: some seconds of work."""
    return b"name,value\n" + b"some words here,12345678901\n" * 900_000


async def test_a_file_that_takes_too_long_is_killed_and_the_next_one_is_read() -> None:
    limits = Limits(max_cells=10_000_000)
    async with open_parser(deadline_s=0.3, limits=limits) as parser:
        with pytest.raises(LimitExceeded, match=r"more than 0\.3 s"):
            await parser.parse(resource("a.csv", endless_csv()))
        assert (await parser.parse(resource("a.txt", SENTENCE))).sections


async def test_a_file_that_takes_too_much_memory_is_a_failed_file_and_the_next_one_is_read() -> (
    None
):
    async with open_parser(memory_bytes=560 * 2**20) as parser:
        with pytest.raises(LimitExceeded, match="memory"):
            await parser.parse(resource("a.json", b"[" + b"[1]," * 8_000_000 + b"[1]]"))
        assert (await parser.parse(resource("a.txt", SENTENCE))).sections


async def test_a_cancelled_parse_leaves_no_process_at_work(parser: SubprocessParser) -> None:
    child = await the_child_of(parser)
    task = asyncio.create_task(parser.parse(resource("a.csv", endless_csv())))
    await asyncio.sleep(0.05)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert child not in children()


async def test_a_child_that_died_while_it_rested_is_replaced(parser: SubprocessParser) -> None:
    child = await the_child_of(parser)
    os.kill(child, signal.SIGKILL)
    assert (await parser.parse(resource("a.txt", SENTENCE))).sections
    assert await the_child_of(parser) != child


async def the_child_of(parser: SubprocessParser) -> int:
    await parser.parse(resource("a.txt", SENTENCE))
    (child,) = (pid for pid in children() if parser.owns(pid))
    return child


async def test_a_child_works_from_any_folder_and_sees_no_secret_of_ours(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "json.py").write_text("raise SystemExit('the wrong json')")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RAG_QDRANT_API_KEY", "secret-value")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret-value")
    before = children()
    async with open_parser() as parser:
        child = await the_child_of(parser)
        assert b"secret-value" not in Path(f"/proc/{child}/environ").read_bytes()  # noqa: ASYNC240
    assert children() == before


async def test_several_children_work_side_by_side() -> None:
    async with open_parser(workers=2) as parser:
        names = [f"{number}.txt" for number in range(4)]
        found = await asyncio.gather(
            *(parser.parse(resource(name, f"{SENTENCE} {name}")) for name in names)
        )
        assert [one.sections[0].text for one in found] == [f"{SENTENCE} {name}" for name in names]
        assert sum(map(parser.owns, children())) == 2


async def test_files_inside_a_file_are_kept_and_named(tmp_path: Path) -> None:
    originals = Originals(tmp_path)
    inner = archive({"c.txt": b"three"})
    body = archive({"a.txt": b"one", "b/a.txt": b"two", "in.zip": inner})
    async with open_parser(originals=originals) as parser:
        document = await parser.parse(resource("a.zip", body))
        assert [(child.path, child.size) for child in document.children] == [
            ("a.txt", 3),
            ("b/a.txt", 3),
            ("in.zip", len(inner)),
        ]
        kept = [await originals.body_of(child.body) for child in document.children]
        assert [body.read() for body in kept] == [b"one", b"two", inner]
        assert (await parser.parse(resource("a.txt", SENTENCE))).children == ()


async def test_what_there_is_no_room_for_is_refused(parser: SubprocessParser) -> None:
    body = archive({f"{number}.txt": b"text" * 100 for number in range(4)})
    for room in (Room(levels=0), Room(files=3), Room(bytes=1000)):
        with pytest.raises(LimitExceeded):
            await parser.parse(resource("a.zip", body, room=room))
    assert len((await parser.parse(resource("a.zip", body))).children) == 4


async def test_a_long_table_comes_in_parts_that_repeat_the_header(parser: SubprocessParser) -> None:
    rows = [f"part-{number},{number * 7}\n" for number in range(300_000)]
    document = await parser.parse(resource("a.csv", "name,value\n" + "".join(rows)))
    assert "name, value" in document.sections[0].text
    assert len(document.children) > 2
    assert all(child.is_part and child.size < 3 * 2**20 for child in document.children)
    later = ["name,value\n", "new-row,1\n", *rows]
    again = await parser.parse(resource("a.csv", "".join(later)))
    before = {(child.path, child.body) for child in document.children}
    assert len({(child.path, child.body) for child in again.children} - before) <= 2


async def test_a_child_reaches_no_network_and_leaves_nothing_behind() -> None:
    async with open_parser() as parser:
        child = await the_child_of(parser)
        scratch = scratch_folder_of(child)
        assert scratch.is_dir()
        status = Path(f"/proc/{child}/status").read_text()  # noqa: ASYNC240
        assert "Seccomp:\t2" in status and "NoNewPrivs:\t1" in status
        assert Path(f"/proc/{child}/oom_score_adj").read_text().strip() == "900"  # noqa: ASYNC240
        task = asyncio.create_task(parser.parse(resource("a.csv", endless_csv())))
        await asyncio.sleep(0.2)
        os.kill(child, signal.SIGKILL)
        with suppress(PermanentError):
            await task
    assert not scratch.exists()


def scratch_folder_of(child: int) -> Path:
    """Where its parser's files lie, its own folder among them."""
    folder = Path(f"/proc/{child}/cwd").readlink().parent
    assert folder.parent == Path(tempfile.gettempdir())
    return folder


async def test_one_formats_new_version_names_that_format_alone_anew(
    parser: SubprocessParser,
) -> None:
    names = {extension: parser.name_for(resource(f"a{extension}", b"")) for extension in READERS}
    assert len(set(names.values())) == len({reader.name for reader in READERS.values()})
    newer = replace(READERS[".pdf"], version=READERS[".pdf"].version + 1)
    assert parser_name_of(newer) != names[".pdf"]
    assert [one for one, name in names.items() if name == names[".pdf"]] == [".pdf"]
