"""Secrets of the audit: keys of persons, sealed texts, keyed hashes and signatures.

AES-256-GCM seals (NIST SP 800-38D), HMAC-SHA-256 makes pseudonyms, Ed25519 signs (RFC 8032). All
keys come from one master key by HKDF (RFC 5869); a person's own key is random and wrapped by it.
"""

import base64
import binascii
import hashlib
import hmac
import os
from contextlib import suppress
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from tempfile import NamedTemporaryFile

from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from rag.errors import ConfigurationError

KEY_BYTES = 32
_NONCE_BYTES = 12


@dataclass(frozen=True, slots=True)
class MasterKey:
    """What an auditor's secrets are derived from. Its repr tells nothing."""

    secret: bytes = field(repr=False)

    def __post_init__(self) -> None:
        if len(self.secret) != KEY_BYTES:
            raise ConfigurationError(f"audit.key must be {KEY_BYTES} bytes in base64")

    def pseudonym(self, tenant: str, principal: str) -> str:
        """The same for the same principal of a tenant, and nothing to be read from it."""
        return self.keyed_hash(tenant, f"principal:{principal}")[:32]

    def keyed_hash(self, tenant: str, text: str) -> str:
        key = self._derived(f"hash:{tenant}")
        return hmac.new(key, text.encode(), hashlib.sha256).hexdigest()

    def new_person_key(self) -> tuple["PersonKey", bytes]:
        """A key, and the same wrapped, as it may be stored."""
        person = PersonKey(os.urandom(KEY_BYTES))
        return person, _sealed(self._derived("wrap"), person.secret)

    def unwrapped(self, wrapped: bytes) -> "PersonKey":
        """Raises `ConfigurationError` where it was wrapped by another master key."""
        opened = _opened(self._derived("wrap"), wrapped)
        if opened is None:
            raise ConfigurationError("audit.key is not the key that the audit was written with")
        return PersonKey(opened)

    def sign(self, message: bytes) -> str:
        return base64.b64encode(self._signer().sign(message)).decode()

    def public_key(self) -> str:
        """What anybody may verify signatures with, base64 of the raw 32 bytes."""
        raw = self._signer().public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        return base64.b64encode(raw).decode()

    def _signer(self) -> Ed25519PrivateKey:
        return Ed25519PrivateKey.from_private_bytes(self._derived("sign"))

    def _derived(self, purpose: str) -> bytes:
        return _derived(self.secret, purpose)


@dataclass(frozen=True, slots=True)
class PersonKey:
    secret: bytes = field(repr=False)

    def seal(self, text: str) -> str:
        return base64.b64encode(_sealed(self.secret, text.encode())).decode()

    def open(self, sealed: str) -> str | None:
        """None where it was sealed with another key, as by one that was destroyed."""
        opened = _opened(self.secret, base64.b64decode(sealed))
        return None if opened is None else opened.decode()


@lru_cache(maxsize=256)
def _derived(secret: bytes, purpose: str) -> bytes:
    """Every entry asks for the same few keys of its tenant."""
    kdf = HKDF(SHA256(), KEY_BYTES, salt=None, info=f"rag audit {purpose}".encode())
    return kdf.derive(secret)


def is_signed(message: bytes, signature: str, public_key: str) -> bool:
    try:
        key = Ed25519PublicKey.from_public_bytes(base64.b64decode(public_key))
        key.verify(base64.b64decode(signature), message)
    except (InvalidSignature, ValueError):
        return False
    return True


def master_key_of(text: str) -> MasterKey:
    try:
        return MasterKey(base64.b64decode(text, validate=True))
    except binascii.Error as error:
        raise ConfigurationError(f"audit.key must be {KEY_BYTES} bytes in base64") from error


def master_key_in(file: Path) -> MasterKey:
    """The key in `file`; made there, readable by its owner alone, where there is none."""
    file.parent.mkdir(parents=True, exist_ok=True)
    if not file.exists():
        # Whole or not at all: another process may read it the moment that it is there.
        with NamedTemporaryFile("w", dir=file.parent, encoding="ascii", delete=False) as made:
            made.write(base64.b64encode(os.urandom(KEY_BYTES)).decode() + "\n")
        with suppress(FileExistsError):  # another process was first: theirs is the key
            os.link(made.name, file)
        Path(made.name).unlink()
    return master_key_of(file.read_text(encoding="ascii").strip())


def _sealed(key: bytes, content: bytes) -> bytes:
    nonce = os.urandom(_NONCE_BYTES)
    return nonce + AESGCM(key).encrypt(nonce, content, None)


def _opened(key: bytes, sealed: bytes) -> bytes | None:
    try:
        return AESGCM(key).decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], None)
    except (InvalidTag, ValueError):
        return None
