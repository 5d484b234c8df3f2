"""Waiting for a stream's first piece while something else still goes on."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from typing import TypeVar

T = TypeVar("T")


@asynccontextmanager
async def begun(pieces: AsyncGenerator[T]) -> AsyncGenerator[AsyncIterator[T]]:
    """`pieces`, the first of which is asked for at once; closed when the block ends."""
    first = asyncio.ensure_future(_one_of(pieces))
    try:
        yield _first_and_rest(first, pieces)
    finally:
        if not first.done():
            first.cancel()
        await asyncio.gather(first, return_exceptions=True)
        await pieces.aclose()


async def _one_of(pieces: AsyncIterator[T]) -> list[T]:
    """The next piece, or nothing at the end."""
    try:
        return [await anext(pieces)]
    except StopAsyncIteration:
        return []


async def _first_and_rest(
    first: "asyncio.Future[list[T]]", pieces: AsyncGenerator[T]
) -> AsyncGenerator[T]:
    for piece in await first:
        yield piece
    async for piece in pieces:
        yield piece
