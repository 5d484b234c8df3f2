"""Masking in this process, from its settings: what stands between its callers and models outside."""

from collections.abc import AsyncGenerator, Iterable
from contextlib import asynccontextmanager

from api.settings import Settings
from rag.adapters.presidio import PresidioNames
from rag.adapters.sealed_vault import SealedVault
from rag.gateway.calls import Gateway
from rag.gateway.catalogue import Catalogue
from rag.guardrails.masked_gateway import MaskedGateway
from rag.guardrails.masking import Masker, literals_of_prompts
from rag.guardrails.masking_rule import Reaches, leaves_the_house, rule_over
from rag.guardrails.pii import Depth, PersonalData
from rag.prompts.versions import Prompt


@asynccontextmanager
async def open_masking(
    gateway: Gateway,
    *,
    settings: Settings,
    catalogue: Catalogue,
    reaches: Reaches,
    prompts: Iterable[Prompt],
) -> AsyncGenerator[Gateway]:
    """`gateway`, directly above routing, with masking before it.

    `prompts` are those whose own words need no masking; of others they are masked like any text.
    """
    masking = settings.masking
    depth = Depth(masking.depth)
    masks = masking.enabled and leaves_the_house(catalogue.models)
    names = (
        PresidioNames(timeout_s=masking.names_timeout_s)
        if masks and depth is Depth.THOROUGH
        else None
    )
    try:
        yield MaskedGateway(
            inner=gateway,
            masker=Masker(
                finder=PersonalData(
                    names=names, public=frozenset(map(str.lower, masking.public_words))
                ),
                new_vault=SealedVault,
                literals_of=literals_of_prompts(prompts),
            ),
            rule_for=rule_over(catalogue, reaches, enabled=masking.enabled, depth=depth),
        )
    finally:
        if names is not None:
            names.close()
