"""Another team's app and a model by name: its own messages, guarded, routed and paid like all others.

No document is read for it, so nothing is cited and nothing is checked against evidence.
"""

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, field, replace

from rag.asking import TextReleased, TextRetracted, told
from rag.gateway.calls import Gateway, ModelCall, Restarted
from rag.guardrails.checks import Scanned
from rag.guardrails.flow import Guardrails
from rag.guardrails.judging import Stopped
from rag.guardrails.said_before import SaidBefore
from rag.guardrails.streaming import OutputEvent, OutputStream
from rag.protocols import Completion
from rag.trail import Trail

_WRITTEN_BY_OTHERS = frozenset({"user", "tool", "function"})


@dataclass(frozen=True, slots=True)
class Withheld:
    """The end of a chat that a guardrail stopped. What was released before is void."""

    reason: str


@dataclass(frozen=True, slots=True)
class Said:
    """The end of a chat."""

    text: str
    completion: Completion


ChatEvent = TextReleased | TextRetracted | Said | Withheld


@dataclass(frozen=True, slots=True, kw_only=True)
class Chatter:
    gateway: Gateway
    guardrails: Guardrails
    said_before: SaidBefore = field(default_factory=SaidBefore)

    async def stream(
        self, call: ModelCall, trail: Trail, *, in_pieces: bool = True
    ) -> AsyncGenerator[ChatEvent]:
        """Pieces as they may be shown, or all of it at once, then `Said` or `Withheld`. Closing it
        stops the model. Errors: those of the gateway."""
        written, scanned = _written(call), _scanned(call, trail)
        said = replace(scanned, text="", direction="output")
        try:
            async with (
                self.guardrails.watching(scanned, trail) as watch,
                self.guardrails.output(said, trail, in_pieces=in_pieces) as output,
                watch.begun(self.gateway.stream(call, trail)) as pieces,
            ):
                if isinstance(stopped := await watch.verdict(), Stopped):
                    yield Withheld(stopped.reason)
                    return
                reply = _Reply(output)
                async for piece in pieces:
                    for event in await reply.hear(piece):
                        yield event
                    if reply.stopped is not None:
                        yield Withheld(reply.stopped.reason)
                        return
                for event in await reply.end():
                    yield event
                yield reply.outcome()
        finally:
            if written:
                await self.said_before.mark(written, scanned, self.guardrails, trail)


@dataclass(slots=True)
class _Reply:
    """What the model said so far, as far as it was released."""

    output: OutputStream
    completion: Completion | None = None
    stopped: Stopped | None = None

    async def hear(
        self, piece: str | Restarted | Completion | Stopped
    ) -> list[TextReleased | TextRetracted]:
        match piece:
            case Stopped():
                self.stopped = piece
                return [TextRetracted(piece.reason)] if self.output.released else []
            case Completion():
                self.completion = piece
                return []
            case Restarted():
                had_released = bool(self.output.released)
                self.output.restart()
                return [TextRetracted(piece.reason)] if had_released else []
            case str():
                return self._told(await self.output.push(piece))

    async def end(self) -> list[TextReleased | TextRetracted]:
        return self._told(await self.output.end())

    def outcome(self) -> Said | Withheld:
        if self.stopped is not None:
            return Withheld(self.stopped.reason)
        if self.completion is None:
            raise AssertionError("a model ends with a completion, or with an error")
        return Said(self.output.released, self.completion)

    def _told(self, events: Sequence[OutputEvent]) -> list[TextReleased | TextRetracted]:
        self.stopped = self.stopped or self.output.stopped
        return told(events)


def _written(call: ModelCall) -> list[str]:
    return [
        message.content for message in call.prompt.messages if message.role in _WRITTEN_BY_OTHERS
    ]


def _scanned(call: ModelCall, trail: Trail) -> Scanned:
    """What people wrote. The app's own system message is an instruction, and meant as one."""
    messages = call.prompt.messages
    written = "\n\n".join(_written(call))
    return Scanned(
        text=written,
        direction="input",
        tenant=trail.account.tenant,
        use_case=trail.use_case,
        question=written,
        system="\n".join(message.content for message in messages if message.role == "system"),
    )
