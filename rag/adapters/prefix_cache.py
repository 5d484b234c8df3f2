"""Telling a provider which prompts begin alike, so that it need not read their beginning again."""

import hashlib
import hmac
import secrets
from dataclasses import dataclass, field
from typing import Any, Literal, assert_never

_SECRET_BYTES = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class PrefixCache:
    """Hints in the words that a provider takes. A tenant is told by a keyed hash that no other can
    guess: what one sent before is never read faster for another where the provider keeps to it."""

    how: Literal["key", "salt", "mark"]
    """`key`: OpenAI's `prompt_cache_key`, which brings prompts of one tenant to one place. `salt`:
    vLLM's `cache_salt`, which keeps tenants apart. `mark`: `cache_control` on the system message,
    as Anthropic's models want it behind an OpenAI-compatible wire."""
    secret: bytes = field(
        default_factory=lambda: secrets.token_bytes(_SECRET_BYTES), repr=False, compare=False
    )
    """Of all processes that are to share what the provider remembers."""

    def hinted(self, body: dict[str, Any], scope: str) -> dict[str, Any]:
        """`body` of a chat completion for a prompt of `scope`."""
        match self.how:
            case "key":
                return {**body, "prompt_cache_key": self._hash_of(scope)}
            case "salt":
                return {**body, "cache_salt": self._hash_of(scope)}
            case "mark":
                return {**body, "messages": [_marked(each) for each in body["messages"]]}
            case _:
                assert_never(self.how)

    def _hash_of(self, scope: str) -> str:
        return hmac.new(self.secret, scope.encode(), hashlib.sha256).hexdigest()


def _marked(message: dict[str, Any]) -> dict[str, Any]:
    if message["role"] != "system":
        return message
    part = {"type": "text", "text": message["content"], "cache_control": {"type": "ephemeral"}}
    return {**message, "content": [part]}


def secret_of(key: str | None) -> bytes:
    """The same in every process that holds the provider's key; one of this process's own without."""
    if key is None:
        return secrets.token_bytes(_SECRET_BYTES)
    return hmac.new(key.encode(), b"prefix cache", hashlib.sha256).digest()
