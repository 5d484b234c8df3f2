"""A vault whose values are encrypted with a key that lives as long as the request, in memory only."""

import hmac
import secrets
from typing import NoReturn

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

_KEY_BYTES, _NONCE_BYTES = 32, 12


class SealedVault:
    """A `Vault`: AES-256-GCM, each value bound to its code; equal values are told by a keyed hash.

    A copy of the process's memory that misses the key has no value; a pickle of it there is none.
    """

    __slots__ = ("_cipher", "_codes", "_hash_key", "_sealed")

    def __init__(self) -> None:
        self._cipher: AESGCM | None = AESGCM(secrets.token_bytes(_KEY_BYTES))
        self._hash_key = secrets.token_bytes(_KEY_BYTES)
        self._codes: dict[bytes, str] = {}
        self._sealed: dict[str, bytes] = {}

    def code_of(self, value: str) -> str | None:
        return self._codes.get(self._digest(value))

    def put(self, code: str, value: str) -> bool:
        if self._cipher is None or code in self._sealed:
            return False
        nonce = secrets.token_bytes(_NONCE_BYTES)
        sealed = self._cipher.encrypt(nonce, value.encode("utf-8", "surrogatepass"), code.encode())
        self._sealed[code] = nonce + sealed
        self._codes[self._digest(value)] = code
        return True

    def value_of(self, code: str) -> str | None:
        sealed = self._sealed.get(code)
        if sealed is None or self._cipher is None:
            return None
        nonce, body = sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:]
        return self._cipher.decrypt(nonce, body, code.encode()).decode("utf-8", "surrogatepass")

    def close(self) -> None:
        self._cipher = None
        self._hash_key = b""
        self._codes.clear()
        self._sealed.clear()

    def _digest(self, value: str) -> bytes:
        same = " ".join(value.casefold().split())
        return hmac.digest(self._hash_key, same.encode("utf-8", "surrogatepass"), "sha256")

    def __repr__(self) -> str:
        return f"<SealedVault of {len(self._sealed)} values>"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a vault is never copied or written down")
