"""The contextual header of a chunk, kept short enough to leave room for the text."""

from dataclasses import replace

from ingestion.chunkers.measuring import CountTokens, shortened
from rag.types import DocumentRef

SEPARATOR = " > "


def fitted_context(
    document: DocumentRef, heading_path: tuple[str, ...], *, limit: int, count: CountTokens
) -> tuple[DocumentRef, tuple[str, ...], int]:
    """Title and headings whose header has at most about `limit` tokens, and how many it has.

    Too long a title or heading is shortened, and then the outermost headings are left out: the
    innermost says most about the text below it.
    """

    def tokens(title: str, headings: tuple[str, ...]) -> int:
        return count([SEPARATOR.join((title, *headings))])[0]

    used = tokens(document.title, heading_path)
    if used <= limit:
        return document, heading_path, used
    share = max(4, limit // 3)
    title = shortened(document.title, share, count)
    headings = tuple(shortened(heading, share, count) for heading in heading_path)
    while len(headings) > 1 and tokens(title, headings) > limit:
        headings = headings[1:]
    return replace(document, title=title), headings, tokens(title, headings)
