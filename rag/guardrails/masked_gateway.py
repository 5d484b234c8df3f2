"""A gateway that sends models outside no personal data, and gives readers none of its placeholders.

It sits directly above routing: what is above it, grounding and the checks of outputs too, sees real
values; what is below it sees placeholders in every message.
"""

from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass, replace
from time import perf_counter
from typing import assert_never

from rag.errors import PolicyForbids
from rag.gateway.calls import Gateway, ModelCall, Restarted
from rag.guardrails.masking import Masked, Masker
from rag.guardrails.personal_data import IDENTIFYING
from rag.guardrails.pii import Depth
from rag.guardrails.unmasking import Unmasking
from rag.protocols import Completion
from rag.trail import GuardVerdict, Standing, Trail

CHECK = "masking"
"""What verdicts of this are called."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MaskingRule:
    """What a policy wants of one call."""

    mask: bool
    """False where every model that the call may reach is the operator's own, or where the policy
    trusts the others too: then the router is told that there is personal data."""
    depth: Depth = Depth.LIKELY
    secrets: bool = True
    """Whether keys and passwords are masked as well."""
    policy: str = ""
    """Version of the policy that says so."""
    stays_inside: bool = False
    """Not masked because the operator's own models are all it may reach: the router is told that it
    holds personal data, whatever it holds, and keeps it there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MaskedGateway:
    """A `Gateway`. It masks `messages` alone: `question` and `evidence` are for the model that
    quotes, in this process, and no adapter may send them.

    Further errors: `PolicyForbids` where the text could not be looked through. It is never sent then.
    """

    inner: Gateway
    masker: Masker
    rule_for: Callable[[ModelCall], MaskingRule]

    async def stream(
        self, call: ModelCall, trail: Trail
    ) -> AsyncGenerator[str | Restarted | Completion]:
        rule = self.rule_for(call)
        if not rule.mask:
            told = await self._told(call, trail, rule)
            async with aclosing(self.inner.stream(told, trail)) as pieces:
                async for piece in pieces:
                    yield piece
            return
        masked = await self._masked(call, trail, rule)
        try:
            prompt = replace(call.prompt, messages=masked.messages)
            sent = replace(call, prompt=prompt, personal_data=False)
            as_json = call.prompt.response_schema is not None
            unmasking = Unmasking(masked.placeholders, masked.vault, as_json=as_json)
            async with aclosing(self.inner.stream(sent, trail)) as pieces:
                async for piece in pieces:
                    match piece:
                        case str():
                            if text := unmasking.feed(piece):
                                yield text
                        case Restarted():
                            unmasking.reset()
                            yield piece
                        case Completion():
                            if text := unmasking.flush():
                                yield text
                            yield piece
                        case _:
                            assert_never(piece)
        finally:
            masked.vault.close()

    async def _masked(self, call: ModelCall, trail: Trail, rule: MaskingRule) -> Masked:
        began = perf_counter()
        try:
            masked = await self.masker.mask(call.prompt, depth=rule.depth, secrets=rule.secrets)
        except Exception as error:  # noqa: BLE001 - whatever it is, the text was not looked through
            # Only the error's name: its text may hold what was being looked for.
            reason = type(error).__name__
            trail.verdicts.append(_verdict("blocked", rule, began, reason=reason))
            raise PolicyForbids(
                "personal data could not be masked, so nothing was sent to a model"
            ) from None
        standing = "masked" if masked.count else "passed"
        trail.verdicts.append(_verdict(standing, rule, began, kinds=masked.kinds))
        return masked

    async def _told(self, call: ModelCall, trail: Trail, rule: MaskingRule) -> ModelCall:
        """`call`, saying whether personal data is in it. What cannot be looked through counts as
        holding some."""
        if call.personal_data:
            return call
        began = perf_counter()
        kinds: set[str] = set()
        try:
            for message in call.prompt.messages:
                hits = await self.masker.finder.find(message.content, depth=Depth.PATTERNS)
                kinds.update(hit.kind for hit in hits if hit.kind in IDENTIFYING)
        except Exception as error:  # noqa: BLE001 - whatever it is, the text was not looked through
            reason = type(error).__name__
            trail.verdicts.append(_verdict("not_run", rule, began, reason=reason))
            return replace(call, personal_data=True)
        # Nothing is wrong with it where it may go: its kinds tell, and the router keeps to them.
        trail.verdicts.append(_verdict("passed", rule, began, kinds=tuple(sorted(kinds))))
        return replace(call, personal_data=rule.stays_inside or bool(kinds))


def _verdict(
    standing: Standing,
    rule: MaskingRule,
    began: float,
    *,
    kinds: tuple[str, ...] = (),
    reason: str = "",
) -> GuardVerdict:
    return GuardVerdict(
        check=CHECK,
        direction="input",
        standing=standing,
        score=1.0 if kinds or reason else 0.0,
        kinds=kinds,
        reason=reason,
        policy=rule.policy,
        took_ms=(perf_counter() - began) * 1_000,
    )
