"""What one attempt may cost at most: held before it is made, and by budgets before the first."""

from rag.gateway.budgets import Amount
from rag.gateway.catalogue import Price
from rag.gateway.tokens import estimated_input
from rag.protocols import ModelPrompt
from rag.types import Usage

_GUESS_SHORT = (4, 3)
"""A guess of tokens may be a third low: so much more is held."""


def at_most(prompt: ModelPrompt, price: Price) -> Amount:
    """Of one attempt that says as much as it may."""
    more, of = _GUESS_SHORT
    usage = Usage(
        input_tokens=-(-estimated_input(prompt.messages) * more // of),
        output_tokens=prompt.max_output_tokens,
    )
    return Amount(price.cost(usage), usage.input_tokens + usage.output_tokens)
