"""Bearer tokens of an OpenID Connect provider, checked against the keys it publishes."""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, cast

import httpx
import jwt

from api.settings_server import OidcSettings
from rag.access import PrincipalId
from rag.errors import SourceUnavailable, Unauthenticated

MAX_TOKEN_CHARACTERS = 16_384
MAX_KEY_SET_BYTES = 1024 * 1024
MAX_ID_CHARACTERS = 256
FETCH_TIMEOUT_S = 5.0
MALFORMED = (jwt.PyJWTError, TypeError, ValueError, OverflowError, RecursionError)
"""What PyJWT raises on hostile input: a key of another kind than the algorithm says, an endless
number, a deep nesting."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Identity:
    """Who a token says is asking."""

    user: PrincipalId
    groups: frozenset[PrincipalId]


@dataclass(frozen=True, slots=True)
class _PublishedKey:
    key: Any
    """A public key of the `cryptography` library."""
    algorithm: str | None
    """The one algorithm it is for, where the provider says so."""


class KeySet:
    """The provider's signing keys by id: fetched when first needed, when old, and once for an
    unknown id, never more often than the cool-down allows."""

    def __init__(
        self,
        settings: OidcSettings,
        http: httpx.AsyncClient,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings = settings
        self._http = http
        self._clock = clock
        self._keys: Mapping[str, _PublishedKey] = {}
        self._fetched_at: float | None = None
        self._tried_at: float | None = None
        self._fetching = asyncio.Lock()

    async def key(self, key_id: str) -> _PublishedKey | None:
        """Raises `SourceUnavailable` where there are no keys to judge by."""
        if self._is_old(self._settings.refresh_after_s) or key_id not in self._keys:
            async with self._fetching:
                if self._is_old(self._settings.refresh_after_s) or key_id not in self._keys:
                    await self._refresh()
        if self._is_old(self._settings.max_age_s):
            raise SourceUnavailable("the identity provider's keys cannot be read")
        return self._keys.get(key_id)

    def _is_old(self, age_s: float) -> bool:
        return self._fetched_at is None or self._clock() - self._fetched_at > age_s

    async def _refresh(self) -> None:
        now = self._clock()
        cooldown = self._settings.refresh_cooldown_s
        if self._tried_at is not None and now - self._tried_at < cooldown:
            return
        self._tried_at = now
        try:
            self._keys = await self._fetch()
        except (httpx.HTTPError, httpx.InvalidURL, TypeError, ValueError) as error:
            log.warning("identity provider keys not fetched", extra={"cause": type(error).__name__})
            return
        self._fetched_at = self._clock()

    async def _fetch(self) -> Mapping[str, _PublishedKey]:
        uri = self._settings.jwks_uri
        if uri is None:
            issuer = str(self._settings.issuer)
            found = await self._get(issuer.rstrip("/") + "/.well-known/openid-configuration")
            if found.get("issuer") != issuer:
                raise ValueError("the discovery document names another issuer")
            uri = str(found.get("jwks_uri"))
        listed = (await self._get(uri)).get("keys")
        if not isinstance(listed, list):
            raise TypeError("the key set lists no keys")
        return dict(_signing_keys(cast("list[Any]", listed)))

    async def _get(self, url: str) -> dict[str, Any]:
        response = await self._http.get(url, timeout=FETCH_TIMEOUT_S, follow_redirects=False)
        response.raise_for_status()
        if len(response.content) > MAX_KEY_SET_BYTES:
            raise ValueError("the identity provider's answer is too large")
        body = response.json()
        if not isinstance(body, dict):
            raise TypeError("the identity provider's answer is not an object")
        return cast("dict[str, Any]", body)


def _signing_keys(listed: list[Any]) -> list[tuple[str, _PublishedKey]]:
    """The asymmetric signing keys of a key set. What cannot be read is no key."""
    keys: list[tuple[str, _PublishedKey]] = []
    for entry in listed:
        if not isinstance(entry, dict):
            continue
        jwk = cast("dict[str, Any]", entry)
        key_id, use, kind = jwk.get("kid"), jwk.get("use", "sig"), jwk.get("kty")
        if not isinstance(key_id, str) or use != "sig" or kind not in {"RSA", "EC", "OKP"}:
            continue
        try:
            key = jwt.PyJWK.from_dict(jwk).key
        except jwt.PyJWTError:
            continue
        algorithm = jwk.get("alg")
        keys.append((key_id, _PublishedKey(key, algorithm if isinstance(algorithm, str) else None)))
    return keys


class OidcTokens:
    """Verifies bearer tokens: signature, algorithm, issuer, audience, and the time they hold."""

    def __init__(self, settings: OidcSettings, keys: KeySet) -> None:
        self._settings = settings
        self._keys = keys

    async def verify(self, token: str) -> Identity:
        """Raises `Unauthenticated`, and `SourceUnavailable` while the keys cannot be fetched."""
        if len(token) > MAX_TOKEN_CHARACTERS:
            raise Unauthenticated("the token is too long")
        try:
            header = jwt.get_unverified_header(token)
        except MALFORMED as error:
            raise Unauthenticated("the token is not valid") from error
        algorithm, key_id = header.get("alg"), header.get("kid")
        if algorithm not in self._settings.algorithms or not isinstance(key_id, str):
            raise Unauthenticated("the token is not valid")
        published = await self._keys.key(key_id)
        if published is None or published.algorithm not in {None, algorithm}:
            raise Unauthenticated("the token is not valid")
        return self._identity(self._claims(token, published, str(algorithm)))

    def _claims(self, token: str, published: _PublishedKey, algorithm: str) -> dict[str, Any]:
        try:
            return jwt.decode(
                token,
                key=published.key,
                algorithms=[algorithm],
                issuer=self._settings.issuer,
                audience=self._settings.audience,
                leeway=self._settings.leeway_s,
                options={"require": ["exp", "iss", "aud", self._settings.subject_claim]},
            )
        except jwt.ExpiredSignatureError as error:
            raise Unauthenticated("the token has expired") from error
        except MALFORMED as error:
            raise Unauthenticated("the token is not valid") from error

    def _identity(self, claims: dict[str, Any]) -> Identity:
        subject = claims.get(self._settings.subject_claim)
        if not _is_id(subject):
            raise Unauthenticated("the token names nobody")
        prefix = self._settings.group_prefix
        return Identity(
            PrincipalId(f"user:{subject}"),
            frozenset(PrincipalId(f"{prefix}{group}") for group in self._groups(claims)),
        )

    def _groups(self, claims: dict[str, Any]) -> list[str]:
        """All of them, or `Unauthenticated`: with one left out, a document might open that denies
        that group. No claim at all says that there are none."""
        claim = self._settings.groups_claim
        groups = claims.get(claim, [])
        elsewhere = claims.get("_claim_names")
        if claims.get("hasgroups") or (isinstance(elsewhere, dict) and claim in elsewhere):
            raise Unauthenticated(
                "the token does not list the person's groups, for they are too many: let the "
                "provider list only those that the application was assigned"
            )
        if not isinstance(groups, list) or not all(map(_is_id, cast("list[Any]", groups))):
            raise Unauthenticated("the token's groups are not a list of ids")
        return cast("list[str]", groups)


def _is_id(value: object) -> bool:
    return (
        isinstance(value, str)
        and 0 < len(value) <= MAX_ID_CHARACTERS
        and value.isprintable()
        and not any(character.isspace() for character in value)
    )
