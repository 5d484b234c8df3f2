"""A deployment, as it can be called."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass
from typing import Protocol

from rag.gateway.patience import Patience, paced
from rag.protocols import Completion, LanguageModel, ModelPrompt


class Upstream(Protocol):
    """A deployment, as it can be called. It satisfies `LanguageModel` but for the patience."""

    def stream(
        self, prompt: ModelPrompt, patience: Patience | None = None
    ) -> AsyncGenerator[str | Completion]:
        """As `LanguageModel` promises, each wait held to `patience`."""
        ...

    async def is_alive(self, *, within_s: float) -> bool: ...

    async def aclose(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Timed:
    """A language model that does not hold itself to anybody's patience, as an upstream."""

    model: LanguageModel

    async def stream(
        self, prompt: ModelPrompt, patience: Patience | None = None
    ) -> AsyncGenerator[str | Completion]:
        async with (
            aclosing(self.model.stream(prompt)) as pieces,
            aclosing(paced(pieces, patience or Patience(), model=self.model.name)) as timed,
        ):
            async for piece in timed:
                yield piece

    async def is_alive(self, *, within_s: float) -> bool:
        """Nothing but a call would tell."""
        del within_s
        return True

    async def aclose(self) -> None:
        await self.model.aclose()
