"""What tests of masking share: a masker without a model of names, and gateways that repeat."""

from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import dataclass, field

from rag.adapters.sealed_vault import SealedVault
from rag.gateway.calls import ModelCall, Restarted
from rag.guardrails.masked_gateway import MaskedGateway, MaskingRule
from rag.guardrails.masking import Masker
from rag.guardrails.pii import Depth, NameFinder, PersonalData
from rag.protocols import Completion, Message, ModelPrompt
from rag.trail import Trail
from rag.types import Usage
from tests.gateways import a_call


def a_masker(names: NameFinder | None = None) -> Masker:
    return Masker(finder=PersonalData(names=names), new_vault=SealedVault)


def a_prompt(*contents: str, prompt: str = "") -> ModelPrompt:
    """The last is the user's; those before it are of the system."""
    *system, user = contents
    messages = (*(Message("system", each) for each in system), Message("user", user))
    return ModelPrompt(messages=messages, prompt=prompt)


def calling(*contents: str) -> ModelCall:
    return a_call(a_prompt(*contents))


DONE = Completion(model="echo", usage=Usage(), finish_reason="stop")


@dataclass(slots=True)
class Echo:
    """A model that says what it was sent, as `says` changes it, in pieces of `size` characters."""

    says: Callable[[str], str] = str
    size: int = 3
    sent: list[ModelCall] = field(default_factory=list[ModelCall])
    restart_after: int | None = None
    """Pieces after which it begins anew, once."""

    async def stream(
        self, call: ModelCall, trail: Trail
    ) -> AsyncGenerator[str | Restarted | Completion]:
        del trail
        self.sent.append(call)
        text = self.says(call.prompt.messages[-1].content)
        pieces = [text[at : at + self.size] for at in range(0, len(text), self.size)]
        if self.restart_after is not None:
            for piece in pieces[: self.restart_after]:
                yield piece
            yield Restarted("the line was cut")
        for piece in pieces:
            yield piece
        yield DONE


def masked(
    inner: Echo,
    *,
    depth: Depth = Depth.LIKELY,
    mask: bool = True,
    names: NameFinder | None = None,
) -> MaskedGateway:
    return MaskedGateway(
        inner=inner,
        masker=a_masker(names),
        rule_for=lambda _call: MaskingRule(mask=mask, depth=depth, policy="v1"),
    )


def everything_sent(calls: Sequence[ModelCall]) -> str:
    return "\n".join(message.content for call in calls for message in call.prompt.messages)
