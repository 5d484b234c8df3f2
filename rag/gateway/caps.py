"""How many tokens one call may have, by what it is for."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from rag.errors import InvalidRequest
from rag.gateway.calls import ModelCall
from rag.gateway.tokens import estimated_input


@dataclass(frozen=True, slots=True)
class Caps:
    """Tokens that one call may have, by what it is for: `chat/answer`, `chat`, or all (`*`)."""

    input_tokens: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))
    output_tokens: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))

    def applied(self, call: ModelCall) -> ModelCall:
        """`call` with no more output than it may have. Raises `InvalidRequest` where its messages
        are too long."""
        most_in, most_out = _cap(self.input_tokens, call), _cap(self.output_tokens, call)
        if most_in is not None and (said := estimated_input(call.prompt.messages)) > most_in:
            raise InvalidRequest(
                f"the messages have about {said} tokens: {call.use_case} takes {most_in}"
            )
        if most_out is None or call.prompt.max_output_tokens <= most_out:
            return call
        return replace(call, prompt=replace(call.prompt, max_output_tokens=most_out))


def _cap(caps: Mapping[str, int], call: ModelCall) -> int | None:
    names = (f"{call.use_case}/{call.step}", str(call.use_case), "*")
    return next((caps[name] for name in names if name in caps), None)
