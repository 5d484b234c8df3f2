"""The answer as it grows: each sentence of the model is checked before any of it is released."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from rag.asking import (
    NO_EVIDENCE,
    UNGROUNDED,
    AskEvent,
    CitationMade,
    SentenceJudged,
    TextRetracted,
    told,
)
from rag.citation import Sentence, SentenceStream, Supported, verify
from rag.confidence import Signs, confidence_of
from rag.gateway.calls import Restarted
from rag.gateway.complexity import signals_of
from rag.grounding import GroundingCheck
from rag.guardrails.judging import Stopped
from rag.guardrails.streaming import OutputEvent, OutputStream
from rag.prompts.registry import NO_ANSWER
from rag.protocols import Completion
from rag.statements import Statement
from rag.types import Answer, Citation, Evidence, Refusal, RefusalReason, Usage

_ENDS = (".", "!", "?", "…", "。")


@dataclass(slots=True)
class Draft:
    """What was said so far, by however many models it took."""

    evidence: tuple[Evidence, ...]
    statements: tuple[Statement, ...]
    grounding: GroundingCheck
    output: OutputStream
    citations: list[Citation] = field(default_factory=list[Citation])
    scores: list[float] = field(default_factory=list[float])
    """Of the sentences that were supported."""
    seen: int = 0
    """Sentences, by all models."""
    stopped: Stopped | None = None
    abstained: bool = False
    """Whether the last model said that the passages do not answer."""
    completion: Completion | None = None
    """The last model's."""
    _sentences: SentenceStream = field(default_factory=SentenceStream)

    @property
    def text(self) -> str:
        return self.output.released

    @property
    def model(self) -> str:
        return self.completion.model if self.completion is not None else ""

    @property
    def finish_reason(self) -> str:
        return self.completion.finish_reason if self.completion is not None else ""

    @property
    def is_settled(self) -> bool:
        """Whether no other model is to be asked: something was released, or nothing may be."""
        return bool(self.scores) or self.stopped is not None or self.completion is None

    def begin(self) -> None:
        """Another model begins."""
        self._sentences = SentenceStream()
        self.completion, self.abstained = None, False

    async def hear(self, piece: str | Restarted | Completion | Stopped) -> list[AskEvent]:
        """What follows from a model's next piece."""
        match piece:
            case Stopped():
                self.stopped = piece
            case Completion():
                self.completion = piece
            case Restarted():
                self._sentences = SentenceStream()
                return self._taken_back(piece.reason)
            case str():
                return [
                    event
                    for sentence in self._sentences.push(piece)
                    for event in await self._add(sentence)
                ]
        return []

    async def finish(self) -> list[AskEvent]:
        """The model's last sentence. Half of one may say the opposite of the whole."""
        cut_short = self.finish_reason == "length"
        return [
            event
            for sentence in self._sentences.end()
            if not cut_short or sentence.text.endswith(_ENDS)
            for event in await self._add(sentence)
        ]

    async def end(self) -> list[AskEvent]:
        """What the checks of the whole answer release or take back."""
        return self._told(await self.output.end())

    async def _add(self, sentence: Sentence) -> list[AskEvent]:
        """What follows from the model's next sentence. After a blocked one, nothing does."""
        if self.stopped is not None:
            return []
        if sentence.text.strip(" .*\"'").upper().startswith(NO_ANSWER):
            self.abstained = True
            return []
        self.seen += 1
        judged = await verify(sentence, self.statements, self.grounding)
        if not isinstance(judged, Supported):
            return [SentenceJudged(self.seen, "unsupported", 0.0)]
        gap = "" if not self.scores else "\n" if _is_line(judged.text) else " "
        piece = f"{gap}{judged.text} [{judged.citation.number}]"
        released = self._told(await self.output.push(piece, is_whole=True))
        if self.stopped is not None:
            return [SentenceJudged(self.seen, "blocked", judged.score), *released]
        self.scores.append(judged.score)
        events: list[AskEvent] = [SentenceJudged(self.seen, "supported", judged.score), *released]
        if judged.citation not in self.citations:
            self.citations.append(judged.citation)
            events.append(CitationMade(judged.citation))
        return events

    def outcome(self, *, usage: Usage, prompt: str) -> Answer | Refusal:
        if self.stopped is not None:
            return Refusal(RefusalReason.BLOCKED, self.stopped.reason)
        if not self.scores:
            return NO_EVIDENCE if self.abstained or not self.seen else UNGROUNDED
        signs = Signs(
            groundedness=min(self.scores),
            agreement=signals_of(self.evidence).agreement,
            model=self.completion.confidence if self.completion is not None else None,
        )
        return Answer(
            text=self.text,
            citations=tuple(self.citations),
            confidence=confidence_of(signs),
            model=self.model,
            prompt=prompt,
            usage=usage,
        )

    def _taken_back(self, reason: str) -> list[AskEvent]:
        """Another deployment begins from the start: what it says again would stand twice."""
        had_released = bool(self.text)
        self.output.restart()
        self.citations.clear()
        self.scores.clear()
        return [TextRetracted(reason)] if had_released else []

    def _told(self, events: Sequence[OutputEvent]) -> list[AskEvent]:
        self.stopped = self.stopped or self.output.stopped
        return [*told(events)]


def is_grounded(outcome: Answer | Refusal | None) -> bool | None:
    """Whether the evidence carried what a model said; None where nothing was judged."""
    match outcome:
        case Answer():
            return True
        case Refusal(RefusalReason.UNGROUNDED):
            return False
        case _:
            return None


def _is_line(text: str) -> bool:
    """Whether `text` was an item of a list or a row of a table, and stands on a line of its own."""
    return text.startswith(("- ", "* ", "• ", "|"))
