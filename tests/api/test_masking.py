"""Masking from the settings: on by default, and only where a call may leave the house."""

from dataclasses import replace

import pytest

from api.masking import open_masking
from api.settings import Settings
from rag.gateway.catalogue import Catalogue
from rag.prompts.registry import load_prompt
from tests.gateways import a_model, received
from tests.rag.guardrails.maskers import Echo, calling, everything_sent

OUTSIDE = a_model("outside")
HOUSE = replace(
    a_model("house"),
    deployments=tuple(replace(each, trusted=True) for each in a_model("house").deployments),
)
TEXT = "Mail anna.berg@example.com"


async def sent_by(catalogue: Catalogue, **masking: object) -> tuple[str, bool]:
    settings = Settings.model_validate({"masking": masking})
    echo = Echo()
    async with open_masking(
        echo, settings=settings, catalogue=catalogue, prompts=[load_prompt("answer", "v2")]
    ) as gateway:
        assert (await received(gateway, calling(TEXT))).text == TEXT
    return everything_sent(echo.sent), echo.sent[0].personal_data


@pytest.mark.parametrize("depth", ["patterns", "likely"])
async def test_what_goes_outside_is_masked(depth: str) -> None:
    text, personal = await sent_by(Catalogue(models=(HOUSE, OUTSIDE)), depth=depth)
    assert "anna" not in text and not personal


async def test_what_stays_in_the_house_is_sent_as_it_is_and_told_of() -> None:
    assert await sent_by(Catalogue(models=(HOUSE,))) == (TEXT, True)


async def test_where_masking_is_off_the_router_is_told() -> None:
    assert await sent_by(Catalogue(models=(OUTSIDE,)), enabled=False) == (TEXT, True)
