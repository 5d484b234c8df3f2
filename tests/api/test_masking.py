"""Masking from the settings: on by default, and only where a call may leave the house."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest

from api.masking import open_masking
from api.settings import Settings
from rag.gateway.calls import ModelCall
from rag.gateway.catalogue import Catalogue, ModelSpec
from rag.gateway.policy import Policies, TenantPolicy
from rag.gateway.routing import Router, Rule
from rag.prompts.registry import load_prompt
from tests.gateways import a_model, received
from tests.rag.guardrails.maskers import Echo, calling, everything_sent

OUTSIDE = a_model("outside")
HOUSE = replace(
    a_model("house"),
    deployments=tuple(replace(each, trusted=True) for each in a_model("house").deployments),
)
TEXT = "Mail anna.berg@example.com"


def reaching(
    catalogue: Catalogue, policies: Policies | None = None, *rules: Rule
) -> Callable[[ModelCall], Sequence[ModelSpec]]:
    router = Router(
        catalogue=catalogue,
        complexity=lambda _question, _signals: 0.5,
        policies=policies or Policies(),
        rules=rules,
    )
    return router.reaches


async def sent_by(
    catalogue: Catalogue,
    *,
    reaches: Callable[[ModelCall], Sequence[ModelSpec]] | None = None,
    call: ModelCall | None = None,
    **masking: object,
) -> tuple[str, bool]:
    settings = Settings.model_validate({"masking": masking})
    echo = Echo()
    async with open_masking(
        echo,
        settings=settings,
        catalogue=catalogue,
        reaches=reaches or reaching(catalogue),
        prompts=[load_prompt("answer", "v2")],
    ) as gateway:
        assert (await received(gateway, call or calling(TEXT))).text == TEXT
    return everything_sent(echo.sent), echo.sent[0].personal_data


@pytest.mark.parametrize("depth", ["patterns", "likely"])
async def test_what_goes_outside_is_masked(depth: str) -> None:
    text, personal = await sent_by(Catalogue(models=(HOUSE, OUTSIDE)), depth=depth)
    assert "anna" not in text and not personal


async def test_what_stays_in_the_house_is_sent_as_it_is_and_told_of() -> None:
    assert await sent_by(Catalogue(models=(HOUSE,))) == (TEXT, True)


async def test_where_masking_is_off_the_router_is_told() -> None:
    assert await sent_by(Catalogue(models=(OUTSIDE,)), enabled=False) == (TEXT, True)


MIXED = Catalogue(models=(HOUSE, OUTSIDE))


async def test_an_app_that_names_a_model_of_the_house_is_not_masked() -> None:
    inside = replace(calling(TEXT), model="house")
    assert await sent_by(MIXED, call=inside) == (TEXT, True)
    outside = replace(calling(TEXT), model="outside")
    text, personal = await sent_by(MIXED, call=outside)
    assert "anna" not in text and not personal


async def test_what_may_only_stay_in_the_house_is_kept_there_even_if_it_holds_nothing() -> None:
    harmless = replace(calling("How deep is the sea?"), model="house")
    settings = Settings.model_validate({})
    echo = Echo()
    async with open_masking(
        echo, settings=settings, catalogue=MIXED, reaches=reaching(MIXED), prompts=()
    ) as gateway:
        await received(gateway, harmless)
    assert [call.personal_data for call in echo.sent] == [True]


async def test_a_tenant_that_allows_the_house_alone_is_not_masked() -> None:
    policies = Policies(everyone=TenantPolicy(allow=frozenset({"house"})))
    assert await sent_by(MIXED, reaches=reaching(MIXED, policies)) == (TEXT, True)


async def test_a_rule_that_names_models_of_the_house_leaves_its_calls_unmasked() -> None:
    rule = Rule(name="at home", step="judge", models=("house",))
    judging = replace(calling(TEXT), step="judge")
    assert await sent_by(MIXED, reaches=reaching(MIXED, None, rule), call=judging) == (TEXT, True)
    text, _ = await sent_by(MIXED, reaches=reaching(MIXED, None, rule))
    assert "anna" not in text
