"""From a question and its evidence to the call of a model."""

from collections.abc import Sequence

from rag.asking import Ask
from rag.gateway.calls import ModelCall
from rag.gateway.complexity import signals_of
from rag.prompts.choosing import Chosen
from rag.prompts.registry import render
from rag.prompts.versions import Prompt
from rag.protocols import ModelPrompt
from rag.types import Evidence


def call_of(
    ask: Ask,
    chosen: Chosen,
    evidence: Sequence[Evidence],
    *,
    shown: Sequence[Evidence],
    canary: str,
) -> ModelCall:
    return ModelCall(
        prompt=model_prompt(chosen.prompt, ask.question, evidence, shown=shown, canary=canary),
        account=ask.trail.account,
        request=ask.trail.request,
        use_case=ask.trail.use_case,
        quality=ask.quality,
        lane=ask.lane,
        model=chosen.model,
        signals=signals_of(evidence),
    )


def model_prompt(
    prompt: Prompt,
    question: str,
    evidence: Sequence[Evidence],
    *,
    shown: Sequence[Evidence],
    canary: str,
) -> ModelPrompt:
    """Messages with `shown`, for a model that reads; one that quotes does so from `evidence`."""
    return ModelPrompt(
        messages=render(prompt, question, shown, canary=canary),
        question=question,
        evidence=tuple(evidence),
        prompt=prompt.id,
        temperature=prompt.temperature,
        max_output_tokens=prompt.max_output_tokens,
    )


def system_of(call: ModelCall) -> str:
    """What the model was told that no answer may repeat."""
    return "\n".join(
        message.content for message in call.prompt.messages if message.role == "system"
    )
