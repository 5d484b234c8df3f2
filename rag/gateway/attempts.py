"""One attempt: a deployment is called, held to its time, and what it cost is written down once."""

import logging
import time
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Protocol

from rag.errors import ModelFault, ModelRejects, ModelUnavailable, PermanentError, TransientError
from rag.gateway.allowance import at_most
from rag.gateway.breaker import Breaker, Permit
from rag.gateway.budgets import Amount
from rag.gateway.calls import ModelCall
from rag.gateway.catalogue import Catalogue, Deployment, ModelSpec
from rag.gateway.lanes import Room
from rag.gateway.money import Micro
from rag.gateway.patience import FallbackPolicy, Patience
from rag.gateway.tokens import estimated_input
from rag.gateway.upstreams import Upstream
from rag.protocols import Completion, Message, ModelPrompt
from rag.trail import Attempt, AttemptOutcome, Trail
from rag.types import Usage

log = logging.getLogger(__name__)

_BYTES_A_TOKEN = 4
_UNBILLED = frozenset[AttemptOutcome]({"unreachable", "rate_limited", "rejected"})
"""Outcomes before which no model has read anything."""
_OF_THE_REQUEST = frozenset({400, 413, 422})
"""Statuses that any deployment of the model would answer this request with."""

KEEP_TO_THE_SCHEMA = Message(
    "user",
    "Answer with one JSON value that satisfies the JSON Schema you were given, and with nothing"
    " before or after it.",
)
"""What is added to a prompt when the answer to it did not satisfy its schema."""


class SchemaCheck(Protocol):
    def __call__(self, text: str, schema: Mapping[str, Any]) -> str | None:
        """`text` as JSON that satisfies `schema`, mended where that is sure to be what was meant;
        None where it does not satisfy it."""
        ...


@dataclass(frozen=True, slots=True)
class Failed:
    """How an attempt ended that gave no answer; the last thing it says."""

    outcome: ModelFault
    retry_after_s: float | None = None


@dataclass(frozen=True, slots=True)
class Rejected:
    """The deployment does not take the request. `by_all`: no deployment of the model would."""

    by_all: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """A deployment that is free and may be called now. Its slot and its permit are taken."""

    model: ModelSpec
    deployment: Deployment
    permit: Permit
    room: Room
    seconds: float
    """That are left for the attempt."""
    stricter: bool = False
    """Whether an answer before did not satisfy the schema."""


class Attempts:
    """Makes attempts. Each gives its slot and its permit back and is written down exactly once."""

    def __init__(
        self,
        *,
        catalogue: Catalogue,
        upstreams: Mapping[str, Upstream],
        breaker: Breaker,
        policy: FallbackPolicy,
        schema_check: SchemaCheck,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        """`upstreams`: by the deployments' names."""
        self._catalogue = catalogue
        self._upstreams = upstreams
        self._breaker = breaker
        self._policy = policy
        self._schema_check = schema_check
        self._clock = clock
        self._unpriced: set[str] = set()

    def at_most(self, model: ModelSpec, call: ModelCall) -> Amount:
        """What one attempt of `call` may cost at `model`."""
        return at_most(call.prompt, self._catalogue.price_of(model.name))

    async def attempt(
        self, turn: Turn, call: ModelCall, trail: Trail
    ) -> AsyncGenerator[str | Completion | Failed | Rejected]:
        """Pieces of the text as they come (with a schema: the whole text once it satisfies it),
        then how it ended. By then the attempt is in the trail."""
        prompt = self._prompt_for(turn, call)
        patience = replace(
            self._policy.patience, total_s=min(self._policy.patience.total_s, turn.seconds)
        )
        going = _Going(turn, call, prompt, self._clock)
        end: _End | None = None
        try:
            async with aclosing(self._listened(going, patience)) as pieces:
                async for piece in pieces:
                    if isinstance(piece, str):
                        yield piece
                    else:
                        end = piece
        except (TransientError, PermanentError) as error:
            end = _end_of(error)
        except Exception:
            end = Failed("bad_response")
            raise
        finally:
            turn.room.leave()
            trail.attempts.append(self._written(going, end))
            await self._tell_breaker(turn, end, in_a_hurry=patience.total_s == turn.seconds)
        if end is not None:
            yield end

    async def _listened(
        self, going: "_Going", patience: Patience
    ) -> AsyncGenerator[str | Completion | Failed]:
        turn, prompt = going.turn, going.prompt
        held: list[str] | None = None if prompt.response_schema is None else []
        longest = int(prompt.max_output_tokens * self._policy.output_margin * _BYTES_A_TOKEN)
        upstream = self._upstreams[turn.deployment.name]
        async with aclosing(upstream.stream(prompt, patience)) as pieces:
            async for piece in pieces:
                if isinstance(piece, Completion):
                    going.usage = piece.usage
                    if held is not None:
                        text = self._schema_check("".join(held), prompt.response_schema or {})
                        yield Failed("wrong_schema") if text is None else text
                        if text is None:
                            return
                    yield replace(piece, model=turn.model.name, deployment=turn.deployment.name)
                    return
                going.heard(piece)
                if going.size > longest:
                    yield Failed("endless")
                    return
                if held is None:
                    yield piece
                else:
                    held.append(piece)
        yield Failed("broken_off")

    def _prompt_for(self, turn: Turn, call: ModelCall) -> ModelPrompt:
        prompt = call.prompt
        if turn.deployment.provider.prompt_cache != "none":
            prompt = replace(prompt, cache_scope=call.account.tenant)
        if prompt.max_output_tokens > turn.model.max_output_tokens:
            prompt = replace(prompt, max_output_tokens=turn.model.max_output_tokens)
        if turn.stricter:
            prompt = replace(prompt, messages=(*prompt.messages, KEEP_TO_THE_SCHEMA))
        return prompt

    def _written(self, going: "_Going", end: "_End | None") -> Attempt:
        turn, usage = going.turn, going.usage
        outcome = _outcome_of(end)
        # Some endpoints do not count, and none does when it is left in the middle.
        estimated = usage == Usage() and not turn.model.extractive and going.may_be_billed(outcome)
        if estimated:
            usage = going.estimate()
        return Attempt(
            model=turn.model.name,
            deployment=turn.deployment.name,
            step=going.call.step,
            outcome=outcome,
            usage=usage,
            estimated=estimated,
            cost=self._cost(turn.model, usage),
            started_at=going.started_at,
            first_token_ms=going.first_token_ms,
            total_ms=going.total_ms,
        )

    def _cost(self, model: ModelSpec, usage: Usage) -> Micro:
        if model.price is None and model.name not in self._unpriced:
            self._unpriced.add(model.name)
            log.error("the price of %s is unknown: it is charged as the dearest", model.name)
        return self._catalogue.price_of(model.name).cost(usage)

    async def _tell_breaker(self, turn: Turn, end: "_End | None", *, in_a_hurry: bool) -> None:
        permit, name = turn.permit, turn.deployment.name
        match end:
            case Completion() | Rejected(by_all=True) | Failed("wrong_schema"):
                await self._breaker.report(permit, ok=True)
            case None:
                await self._breaker.release(permit)
            case Failed("rate_limited", retry_after_s):
                await self._breaker.cool_down(name, seconds=self._cooldown(retry_after_s))
                await self._breaker.release(permit)
            case Failed("out_of_time") if in_a_hurry:
                # The call had little time; that says nothing of the deployment.
                await self._breaker.release(permit)
            case Failed(_, retry_after_s):
                await self._breaker.report(permit, ok=False)
                if retry_after_s is not None:
                    await self._breaker.cool_down(name, seconds=self._cooldown(retry_after_s))
            case Rejected():
                await self._breaker.report(permit, ok=False)

    def _cooldown(self, retry_after_s: float | None) -> float:
        asked = self._policy.cooldown_s if retry_after_s is None else retry_after_s
        return min(asked, self._policy.longest_cooldown_s)


_End = Completion | Failed | Rejected
"""How an attempt ended; there is none of one that was cancelled."""


def _end_of(error: TransientError | PermanentError) -> Failed | Rejected:
    match error:
        case ModelUnavailable():
            return Failed(error.fault, error.retry_after_s)
        case ModelRejects():
            return Rejected(by_all=error.status in _OF_THE_REQUEST)
        case TransientError():
            return Failed("server_error", error.retry_after_s)
        case PermanentError():
            return Rejected(by_all=False)


def _outcome_of(end: _End | None) -> AttemptOutcome:
    match end:
        case Completion():
            return "ok"
        case Failed(outcome):
            return outcome
        case Rejected():
            return "rejected"
        case None:
            return "cancelled"


class _Going:
    """What is to be written down of an attempt that goes on."""

    __slots__ = (
        "_began",
        "_clock",
        "_first",
        "call",
        "prompt",
        "size",
        "started_at",
        "turn",
        "usage",
    )

    def __init__(
        self, turn: Turn, call: ModelCall, prompt: ModelPrompt, clock: Callable[[], float]
    ) -> None:
        self.turn = turn
        self.call = call
        self.prompt = prompt
        self.usage = Usage()
        """As the deployment counted it."""
        self.size = 0
        """Bytes of text so far."""
        self.started_at = datetime.now(UTC)
        self._clock = clock
        self._began = clock()
        self._first: float | None = None

    def heard(self, piece: str) -> None:
        if self._first is None:
            self._first = self._clock()
        self.size += len(piece) if piece.isascii() else len(piece.encode("utf-8", "replace"))

    def may_be_billed(self, outcome: AttemptOutcome) -> bool:
        if outcome == "server_error":
            return self.size > 0
        return outcome not in _UNBILLED

    def estimate(self) -> Usage:
        return Usage(estimated_input(self.prompt.messages), -(-self.size // _BYTES_A_TOKEN))

    @property
    def first_token_ms(self) -> float | None:
        return None if self._first is None else (self._first - self._began) * 1000

    @property
    def total_ms(self) -> float:
        return (self._clock() - self._began) * 1000
