"""A call made with a prompt that was chosen, and how it went told to whoever watches that prompt."""

from time import perf_counter

from rag.gateway.batches import Completed, complete
from rag.gateway.calls import Gateway, ModelCall
from rag.gateway.money import Micro
from rag.prompts.choosing import Chosen, Outcome, PromptChoice
from rag.trail import Trail


async def complete_and_tell(
    gateway: Gateway, call: ModelCall, trail: Trail, *, chosen: Chosen, prompts: PromptChoice
) -> Completed:
    """The whole text of `call`; its outcome is recorded whichever way it ends. Errors: the gateway's."""
    began = perf_counter()
    ok = False
    try:
        made = await complete(gateway, call, trail)
        ok = True
    finally:
        prompts.record(
            Outcome(
                chosen=chosen,
                ok=ok,
                grounded=None,
                latency_ms=(perf_counter() - began) * 1_000,
                cost=Micro(sum(each.cost for each in trail.attempts if each.step == call.step)),
            )
        )
    return made
