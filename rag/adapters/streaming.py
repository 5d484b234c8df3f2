"""How long a language model may take, and holding a stream of its pieces to that."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import dataclass
from typing import TypeVar

from rag.errors import ModelUnavailable

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """Seconds to wait for a language model."""

    connect_s: float = 5.0
    first_token_s: float = 60.0
    """From the request to the first piece: the model reads the whole prompt meanwhile."""
    gap_s: float = 20.0
    """Between two pieces."""
    total_s: float = 180.0


async def paced(pieces: AsyncIterator[T], patience: Patience, *, model: str) -> AsyncGenerator[T]:
    """`pieces`, for as long as they come in time. Raises `ModelUnavailable` when they do not.

    The clock starts when the first piece is asked for, and stands still while the reader works:
    only each wait for the model is under a timeout, never a `yield`.
    """
    clock = asyncio.get_running_loop().time
    waited = 0.0
    allowed = patience.first_token_s
    while True:
        start = clock()
        try:
            async with asyncio.timeout(min(allowed, patience.total_s - waited)):
                piece = await anext(pieces)
        except StopAsyncIteration:
            return
        except TimeoutError as error:
            raise ModelUnavailable(f"{model} did not go on in time") from error
        waited += clock() - start
        allowed = patience.gap_s
        yield piece
