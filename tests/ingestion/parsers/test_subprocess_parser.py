"""The pool of parsing processes: what it gives, and that nothing a file does can hold it."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from connectors.protocols import Resource, Seen
from ingestion.parsers.model import Limits
from ingestion.parsers.subprocess_parser import SubprocessParser, open_parser
from rag.access import NOBODY
from rag.errors import EmptyText, LimitExceeded, UnsupportedMediaType
from rag.types import Table
from tests.ingestion.parsers.files import SENTENCE, docx_file, pdf_file

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def parser() -> AsyncIterator[SubprocessParser]:
    async with open_parser() as opened:
        yield opened


def resource(name: str, body: bytes | str, *, media_type: str = "") -> Resource:
    return Resource(
        uri=f"file:///docs/{name}",
        title="From the file's name",
        body=body.encode() if isinstance(body, str) else body,
        media_type=media_type,
        access=NOBODY,
        seen=Seen("1", "1"),
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
        assert document.parser == parser.name
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
    limits = Limits(max_cells=100_000_000)
    async with open_parser(memory_bytes=560 * 2**20, limits=limits) as parser:
        with pytest.raises(LimitExceeded, match="memory"):
            await parser.parse(resource("a.csv", endless_csv() * 3))
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
