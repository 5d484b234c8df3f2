"""The client behind a request: what is done for it stops when it goes away."""

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any, TypeVar

from starlette.types import Receive

Result = TypeVar("Result")


class ClientGone(Exception):  # noqa: N818 - named as those of `rag.errors` are
    """Nobody waits for this answer any more."""


@dataclass(frozen=True, slots=True)
class Client:
    """Of a request whose body has been read: what comes after it is the client's going."""

    receive: Receive

    async def gone(self) -> None:
        """Returns when the client has gone."""
        while (await self.receive())["type"] != "http.disconnect":
            pass

    async def waits_for(self, work: Coroutine[Any, Any, Result]) -> Result:
        """What `work` comes to. Errors: its own; `ClientGone`, and then it has been cancelled."""
        working = asyncio.create_task(work)
        going = asyncio.create_task(self.gone())
        try:
            await asyncio.wait((working, going), return_when=asyncio.FIRST_COMPLETED)
            if working.done():
                return working.result()
            raise ClientGone
        finally:
            working.cancel()
            going.cancel()
            # What the work holds open is closed before anything else happens.
            await asyncio.gather(working, going, return_exceptions=True)
