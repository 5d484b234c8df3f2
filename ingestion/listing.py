"""What a source says, made safe to follow: it may repeat itself, contradict itself or never end."""

from collections.abc import AsyncGenerator, AsyncIterator
from hashlib import sha256
from typing import TypeVar

from connectors.protocols import Cursor, Listed, Page, Problem
from rag.errors import SourceInconsistent

REPEATS_BORNE = 1_000
"""Resources that a listing may give again, and problems that it may tell, before they outnumber
what it gave once: pages that shift while they are read repeat a few, a source that gives one page
for ever repeats it all."""

LISTED_TWICE = "it is listed twice, and not as the same"

_Item = TypeVar("_Item")


async def distinct(
    listing: AsyncIterator[Listed | Problem],
) -> AsyncGenerator[Listed | Problem]:
    """Each resource once, as it was given first; a problem where it then is given otherwise.

    Raises `SourceInconsistent` for a listing that goes round in circles.
    """
    given: dict[str, int] = {}
    others = 0
    async for found in listing:
        if isinstance(found, Listed) and found.uri not in given:
            given[found.uri] = hash(found.seen)
            yield found
            continue
        others += 1
        if others > len(given) + REPEATS_BORNE:
            raise SourceInconsistent("the listing repeats itself and does not end")
        if isinstance(found, Problem):
            yield found
        elif given[found.uri] != hash(found.seen):
            yield Problem(found.uri, LISTED_TWICE)


async def never_repeating(pages: AsyncIterator[Page], since: Cursor) -> AsyncGenerator[Page]:
    """`pages`, each of which leads on. Raises `SourceInconsistent` for a cursor or a page that was
    there before."""
    cursors = {since}
    contents: set[bytes] = set()
    async for page in pages:
        content = sha256(repr(page.found).encode("utf-8", "surrogatepass")).digest()
        if page.cursor in cursors or (page.found and content in contents):
            raise SourceInconsistent("the source gives the same page of changes again")
        cursors.add(page.cursor)
        contents.add(content)
        yield page


async def in_batches(items: AsyncIterator[_Item], size: int) -> AsyncGenerator[list[_Item]]:
    batch: list[_Item] = []
    async for item in items:
        batch.append(item)
        if len(batch) >= size:
            yield batch
            batch = []
    if batch:
        yield batch
