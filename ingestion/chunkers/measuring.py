"""Texts measured in the embedder's own tokens, and shortened or split to fit a number of them."""

import re
from collections.abc import Callable, Sequence

from rag.types import Span

CountTokens = Callable[[Sequence[str]], list[int]]
_CLAUSE_END = re.compile(r"[,;:)\]\u2013\u2014]\s+")
_SPACE = re.compile(r"\s+")
ELLIPSIS = "…"


def shortened(text: str, limit: int, count: CountTokens) -> str:
    """The beginning of `text` in at most `limit` tokens, with an ellipsis where words are lost."""
    if count([text])[0] <= limit:
        return text
    low, high = 0, len(text)
    while low < high:
        middle = (low + high + 1) // 2
        if count([text[:middle] + ELLIPSIS])[0] <= limit:
            low = middle
        else:
            high = middle - 1
    word_end = text.rfind(" ", low // 2, low)
    return text[: low if word_end < 0 else word_end].rstrip() + ELLIPSIS


def split_to_fit(text: str, span: Span, limit: int, count: CountTokens) -> list[tuple[Span, int]]:
    """Parts of `span` of at most `limit` tokens each, with their tokens.

    What is too long is halved at the clause end nearest to its middle, else at a space, else
    between two characters; so a part depends on nothing outside `span`.
    """
    found: list[tuple[Span, int]] = []
    stack = [span]
    while stack:
        part = stack.pop()
        tokens = count([text[part.start : part.end]])[0]
        if tokens <= limit or part.end - part.start <= 1:
            if text[part.start : part.end].strip():
                found.append((part, tokens))
            continue
        middle = _middle(text, part)
        stack += [Span(middle, part.end), Span(part.start, middle)]
    return found


def _middle(text: str, span: Span) -> int:
    piece = text[span.start : span.end]
    half, quarter = len(piece) // 2, len(piece) // 4
    for pattern in (_CLAUSE_END, _SPACE):
        ends = [
            found.end()
            for found in pattern.finditer(piece, quarter, len(piece) - quarter)
            if 0 < found.end() < len(piece)
        ]
        if ends:
            return span.start + min(ends, key=lambda end: abs(end - half))
    return span.start + half
