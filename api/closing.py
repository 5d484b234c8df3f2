"""Parts that hold threads or connections, and end with what they were opened for."""

from contextlib import AsyncExitStack
from typing import Protocol, TypeVar, runtime_checkable

_Part = TypeVar("_Part")


@runtime_checkable
class _Closable(Protocol):
    async def aclose(self) -> None: ...


async def close(part: object) -> None:
    if isinstance(part, _Closable):
        await part.aclose()


def closed_with(stack: AsyncExitStack, part: _Part) -> _Part:
    """`part`; if it holds threads or connections, they end with `stack`."""
    stack.push_async_callback(close, part)
    return part
