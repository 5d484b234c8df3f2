"""What is done for a call that no budget has room for: passages are quoted, which costs nothing."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass, replace

from rag.errors import OverBudget, PolicyForbids
from rag.gateway.calls import Gateway, ModelCall, Restarted
from rag.protocols import Completion
from rag.trail import Trail


@dataclass(frozen=True, slots=True)
class QuotingWhenSpent:
    """Wraps a gateway whose money is counted, and satisfies `Gateway`.

    The caps stay what they are: nothing is spent beyond them. The trail says that it was so.
    """

    inner: Gateway

    async def stream(
        self, call: ModelCall, trail: Trail
    ) -> AsyncGenerator[str | Restarted | Completion]:
        spent: OverBudget | None = None
        try:
            # Room is held before the first piece: no piece was released where there is none.
            async with aclosing(self.inner.stream(call, trail)) as pieces:
                async for piece in pieces:
                    yield piece
        except OverBudget as error:
            if not call.prompt.evidence:
                raise
            spent = error
        if spent is None:
            return
        trail.budget_spent = True
        try:
            async with aclosing(self.inner.stream(replace(call, unpaid=True), trail)) as pieces:
                async for piece in pieces:
                    yield piece
        except PolicyForbids:
            raise spent from None
