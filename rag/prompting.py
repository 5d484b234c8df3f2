"""From a question and its evidence to the call of a model."""

from collections.abc import Sequence

from rag.asking import Ask
from rag.gateway.calls import ModelCall, RetrievalSignals
from rag.prompts.choosing import Chosen
from rag.prompts.registry import render
from rag.prompts.versions import Prompt
from rag.protocols import ModelPrompt
from rag.types import Evidence


def call_of(ask: Ask, chosen: Chosen, evidence: Sequence[Evidence], canary: str) -> ModelCall:
    return ModelCall(
        prompt=model_prompt(chosen.prompt, ask.question, evidence, canary),
        account=ask.trail.account,
        request=ask.trail.request,
        use_case=ask.trail.use_case,
        quality=ask.quality,
        lane=ask.lane,
        model=chosen.model,
        signals=signals_of(evidence),
    )


def model_prompt(
    prompt: Prompt, question: str, evidence: Sequence[Evidence], canary: str
) -> ModelPrompt:
    return ModelPrompt(
        messages=render(prompt, question, evidence, canary=canary),
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


def signals_of(evidence: Sequence[Evidence]) -> RetrievalSignals:
    """What the evidence tells of how hard its question is. There is at least one passage."""
    scores = sorted((each.hit.score for each in evidence), reverse=True)
    both = [
        each
        for each in evidence
        if each.hit.ranks.dense is not None and each.hit.ranks.sparse is not None
    ]
    return RetrievalSignals(
        top_score=scores[0],
        gap=scores[0] - scores[1] if len(scores) > 1 else scores[0],
        passages=len(evidence),
        documents=len({each.hit.chunk.document.id for each in evidence}),
        agreement=len(both) / len(evidence),
    )
