"""Tokens of a real provider, and all that is only made to look like one."""

import base64
from collections.abc import AsyncGenerator, Generator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from api.oidc import KeySet, OidcTokens
from api.settings_server import OidcSettings
from rag.errors import SourceUnavailable, Unauthenticated
from tests.api.identity_provider import AUDIENCE, IdentityProvider, forged, identity_provider


@dataclass
class Clock:
    now: float = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def provider() -> Generator[IdentityProvider]:
    with identity_provider() as running:
        yield running


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def tokens(provider: IdentityProvider, clock: Clock) -> AsyncGenerator[OidcTokens]:
    settings = OidcSettings(issuer=provider.issuer, audience=AUDIENCE)
    async with httpx.AsyncClient() as http:
        yield OidcTokens(settings, KeySet(settings, http, clock=clock))


async def test_a_token_names_the_user_and_the_groups(
    provider: IdentityProvider, tokens: OidcTokens
) -> None:
    identity = await tokens.verify(provider.token(groups=["finance", "board"]))
    assert identity.user == "user:1042"
    assert identity.groups == {"group:oidc:finance", "group:oidc:board"}


@pytest.mark.parametrize("groups", [None, []])
async def test_no_groups_are_no_groups(
    groups: Any, provider: IdentityProvider, tokens: OidcTokens
) -> None:
    assert (await tokens.verify(provider.token(groups=groups))).groups == frozenset()


@pytest.mark.parametrize(
    "groups",
    [
        "finance",
        {"finance": True},
        7,
        [""],
        [" "],
        ["finance", "a b"],
        ["a\nb"],
        ["x" * 257],
        ["finance", 7],
        [None],
        [["finance"]],
    ],
)
async def test_groups_that_cannot_be_read_are_not_left_out(
    groups: Any, provider: IdentityProvider, tokens: OidcTokens
) -> None:
    """One of them may be denied somewhere."""
    with pytest.raises(Unauthenticated, match="groups"):
        await tokens.verify(provider.token(groups=groups))


@pytest.mark.parametrize(
    "overage",
    [
        {"hasgroups": True},
        {
            "_claim_names": {"groups": "src1"},
            "_claim_sources": {"src1": {"endpoint": "https://graph.example/groups"}},
        },
    ],
    ids=["hasgroups", "a link"],
)
async def test_a_provider_with_too_many_groups_to_list_is_told_so(
    overage: dict[str, Any], provider: IdentityProvider, tokens: OidcTokens
) -> None:
    with pytest.raises(Unauthenticated, match="too many"):
        await tokens.verify(provider.token(groups=None, **overage))


@pytest.mark.parametrize(
    "wrong",
    [
        {"exp": datetime.now(UTC) - timedelta(minutes=5)},
        {"nbf": datetime.now(UTC) + timedelta(hours=1)},
        {"iat": datetime.now(UTC) + timedelta(hours=1)},
        {"aud": "another-app"},
        {"aud": None},
        {"iss": "https://elsewhere.example"},
        {"iss": None},
        {"exp": None},
        {"sub": None},
        {"sub": ""},
        {"sub": "a b"},
    ],
)
async def test_a_token_that_is_not_for_us_now_is_refused(
    wrong: dict[str, Any], provider: IdentityProvider, tokens: OidcTokens
) -> None:
    with pytest.raises(Unauthenticated):
        await tokens.verify(provider.token(**wrong))


async def test_the_public_key_as_an_hmac_secret_signs_nothing(
    provider: IdentityProvider, tokens: OidcTokens
) -> None:
    token = forged(
        {"alg": "HS256", "kid": "first", "typ": "JWT"},
        provider.claims(),
        secret=provider.public_pem(),
    )
    with pytest.raises(Unauthenticated):
        await tokens.verify(token)


@pytest.mark.parametrize("algorithm", ["none", "None", "NONE", "", None, "HS512", ["RS256"]])
async def test_an_unsigned_token_is_refused(
    algorithm: Any, provider: IdentityProvider, tokens: OidcTokens
) -> None:
    with pytest.raises(Unauthenticated):
        await tokens.verify(forged({"alg": algorithm, "kid": "first"}, provider.claims()))


async def test_a_symmetric_key_that_the_provider_publishes_signs_nothing(
    provider: IdentityProvider, tokens: OidcTokens
) -> None:
    secret = b"0123456789abcdef0123456789abcdef"
    encoded = base64.urlsafe_b64encode(secret).rstrip(b"=").decode()
    provider.publish({"kty": "oct", "kid": "shared", "k": encoded, "alg": "HS256", "use": "sig"})
    with pytest.raises(Unauthenticated):
        await tokens.verify(
            forged({"alg": "HS256", "kid": "shared"}, provider.claims(), secret=secret)
        )


async def test_an_allowed_algorithm_of_another_kind_of_key_is_refused(
    provider: IdentityProvider, tokens: OidcTokens
) -> None:
    provider.add_key("any", algorithm=None)
    with pytest.raises(Unauthenticated):
        await tokens.verify(
            forged({"alg": "ES256", "kid": "any"}, provider.claims(), secret=b"secret")
        )


async def test_a_key_for_encryption_or_for_another_algorithm_signs_nothing(
    provider: IdentityProvider, tokens: OidcTokens
) -> None:
    provider.add_key("encrypting", use="enc")
    provider.add_key("other", algorithm="RS512")
    for key_id in ("encrypting", "other"):
        with pytest.raises(Unauthenticated):
            await tokens.verify(provider.token(key_id=key_id))


async def test_a_changed_token_is_refused(provider: IdentityProvider, tokens: OidcTokens) -> None:
    header, _, signature = provider.token().split(".")
    _, claims, _ = provider.token(sub="1").split(".")
    with pytest.raises(Unauthenticated):
        await tokens.verify(f"{header}.{claims}.{signature}")


@pytest.mark.parametrize(
    "rubbish",
    ["x", "a.b.c", "..", "é" * 20, "x" * 20_000, base64.b64encode(b"[" * 9_000).decode() + ".e30."],
)
async def test_rubbish_is_refused(rubbish: str, tokens: OidcTokens) -> None:
    with pytest.raises(Unauthenticated):
        await tokens.verify(rubbish)


async def test_an_endless_expiry_is_refused(provider: IdentityProvider, tokens: OidcTokens) -> None:
    with pytest.raises(Unauthenticated):
        await tokens.verify(provider.token(exp=float("inf")))


async def test_a_rotated_key_is_fetched_once(
    provider: IdentityProvider, tokens: OidcTokens, clock: Clock
) -> None:
    await tokens.verify(provider.token())
    provider.add_key("second")
    clock.now += 60
    await tokens.verify(provider.token(key_id="second"))
    await tokens.verify(provider.token(key_id="second"))
    assert provider.asked_for_keys == 2


async def test_unknown_keys_do_not_make_us_ask_again_and_again(
    provider: IdentityProvider, tokens: OidcTokens
) -> None:
    await tokens.verify(provider.token())
    for number in range(20):
        with pytest.raises(Unauthenticated):
            await tokens.verify(
                forged({"alg": "RS256", "kid": f"invented-{number}"}, provider.claims())
            )
    assert provider.asked_for_keys == 1


async def test_a_retired_key_is_void_once_the_keys_are_renewed(
    provider: IdentityProvider, tokens: OidcTokens, clock: Clock
) -> None:
    token = provider.token()
    await tokens.verify(token)
    provider.add_key("second")
    provider.retire_key("first")
    clock.now += 3_700
    with pytest.raises(Unauthenticated):
        await tokens.verify(token)


async def test_while_the_provider_is_down_the_keys_last_a_day(
    provider: IdentityProvider, tokens: OidcTokens, clock: Clock
) -> None:
    token = provider.token()
    await tokens.verify(token)
    provider.is_down = True
    clock.now += 80_000
    assert (await tokens.verify(token)).user == "user:1042"
    clock.now += 10_000
    with pytest.raises(SourceUnavailable):
        await tokens.verify(token)


async def test_without_any_key_nobody_is_judged(
    provider: IdentityProvider, tokens: OidcTokens
) -> None:
    provider.is_down = True
    with pytest.raises(SourceUnavailable):
        await tokens.verify(provider.token())


async def test_a_discovery_document_of_another_issuer_gives_no_keys(
    provider: IdentityProvider, tokens: OidcTokens
) -> None:
    provider.claimed_issuer = "https://elsewhere.example"
    with pytest.raises(SourceUnavailable):
        await tokens.verify(provider.token())
    assert provider.asked_for_keys == 0
