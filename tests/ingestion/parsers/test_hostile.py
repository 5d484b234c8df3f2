"""Every hostile file ends as it should, in time, within its memory, and the next one is read."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from connectors.protocols import Resource, Seen
from ingestion.parsers.model import MEBIBYTE
from ingestion.parsers.subprocess_parser import SubprocessParser, open_parser
from rag.access import NOBODY
from rag.bodies import Body
from rag.errors import PermanentError
from tests.ingestion.parsers.hostile import HOSTILE, READ, SECRET

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def parser() -> AsyncIterator[SubprocessParser]:
    async with open_parser(memory_bytes=1024 * MEBIBYTE, deadline_s=30) as opened:
        yield opened


def resource(name: str, body: bytes) -> Resource:
    return Resource(
        uri=f"file:///{name}",
        title=name,
        body=Body.of(body),
        media_type="",
        access=NOBODY,
        seen=Seen("1", "1"),
    )


@pytest.mark.parametrize("name", HOSTILE)
async def test_a_hostile_file_ends_as_it_should(parser: SubprocessParser, name: str) -> None:
    case = HOSTILE[name]
    text = ""
    try:
        document = await parser.parse(resource(name, case.make()))
    except PermanentError as error:
        end, said = type(error).__name__, str(error)
    else:
        end, said = READ, ""
        text = "\n".join(section.text for section in document.sections)
        assert case.words in text
    assert end in case.ends, (end, said)
    assert SECRET not in text
