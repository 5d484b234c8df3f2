"""A source with a record of its changes, and with every bad habit that sources have."""

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import replace

from connectors.protocols import Cursor, Gone, Listed, Page, Problem
from rag.access import AccessList
from rag.bodies import Body
from rag.errors import CursorExpired, SourceUnavailable
from rag.types import Metadata, SourceId
from tests.ingestion.standins import FINANCE, FolderInMemory, digest


class Feed(FolderInMemory):
    """A folder in memory that says what changed, page by page. What it is told in `habits` it does
    wrongly."""

    def __init__(self, source: SourceId, *, page: int = 2) -> None:
        super().__init__(source)
        self.page = page
        self.events: list[Listed | Gone] = []
        self.habits: set[str] = set()
        self.fails_after_pages: int | None = None
        self.listings = 0
        self.pages_given: list[Cursor] = []

    # --- what its owner does --------------------------------------------------------------------

    def put(
        self,
        uri: str,
        text: str | bytes,
        *,
        access: AccessList = FINANCE,
        metadata: Metadata | None = None,
        title: str | None = None,
    ) -> None:
        super().put(uri, text, access=access, metadata=metadata, title=title)
        self._tell(uri)

    def remove(self, uri: str) -> None:
        del self.files[uri]
        self.events.append(Gone(uri))

    def move(self, old: str, new: str, *, access: AccessList | None = None) -> None:
        """The same resource at another place; `access` where another folder has other readers."""
        file = self.files.pop(old)
        self.files[new] = replace(file, uri=new)
        if access is not None:
            super().put(new, file.body.read(), access=access, title=file.title)
        self.events.append(Gone(old))
        self._tell(new)

    def rewrite_quietly(self, uri: str, body: bytes) -> None:
        """Other bytes under the same revision."""
        self.files[uri] = replace(self.files[uri], body=Body.of(body))

    # --- what it says ---------------------------------------------------------------------------

    @property
    def delta(self) -> "Feed":
        return self

    async def now(self) -> Cursor:
        self._check()
        return Cursor(str(len(self.events)))

    async def since(self, cursor: Cursor) -> AsyncGenerator[Page]:
        self._check()
        if "forgets" in self.habits or not cursor.isdecimal():
            raise CursorExpired("too long ago")
        at = int(cursor)
        given = 0
        while at < len(self.events):
            if given == self.fails_after_pages:
                raise SourceUnavailable("it went away between two pages", retry_after_s=60)
            events = self.events[at : at + self.page]
            at += self.page
            reached = Cursor(str(min(at, len(self.events))))
            self.pages_given.append(reached)
            yield Page(tuple(events), reached)
            given += 1
            while "repeats a page" in self.habits:
                yield Page(tuple(events), reached)
            while "new cursors for ever" in self.habits:
                yield Page(tuple(events), Cursor(f"{reached}+{given}"))
                given += 1

    async def listing(self) -> AsyncGenerator[Listed | Problem]:
        self.listings += 1
        self._check()
        if "is silent" in self.habits:
            await asyncio.Event().wait()
        uris = sorted(self.files)
        if "skips on the first look" in self.habits and self.listings % 2:
            uris = uris[::2]
        for number, uri in enumerate(uris):
            if "breaks off" in self.habits and number >= len(uris) // 2:
                raise SourceUnavailable("it went away half-way")
            yield self.listed(uri)
            if "lists twice" in self.habits:
                yield self.listed(uri)
            if "contradicts itself" in self.habits:
                listed = self.listed(uri)
                yield replace(listed, seen=replace(listed.seen, access="other"))
        for problem in self.problems:
            yield problem
        while "never ends" in self.habits:
            for uri in uris:
                yield self.listed(uri)

    def _tell(self, uri: str) -> None:
        file = self.files[uri]
        identity = digest("identity", file.body.sha256)
        self.files[uri] = replace(file, seen=replace(file.seen, identity=identity))
        self.events.append(self.listed(uri))

    def _check(self) -> None:
        if self.down:
            raise SourceUnavailable("the feed does not answer")
