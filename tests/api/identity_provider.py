"""A small OpenID Connect provider on a real socket, with real RSA keys."""

import base64
import hashlib
import hmac
import json
import threading
from collections.abc import Generator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt.algorithms import RSAAlgorithm

AUDIENCE = "rag"


class IdentityProvider:
    """Publishes keys, signs tokens, and counts how often it was asked for its keys."""

    def __init__(self, issuer: str) -> None:
        self.issuer = issuer
        self.claimed_issuer = issuer
        self.is_down = False
        self.asked_for_keys = 0
        self._private: dict[str, rsa.RSAPrivateKey] = {}
        self._published: dict[str, dict[str, Any]] = {}
        self.add_key("first")

    def add_key(self, key_id: str, *, use: str = "sig", algorithm: str | None = "RS256") -> None:
        key = rsa.generate_private_key(public_exponent=65_537, key_size=2_048)
        jwk = RSAAlgorithm.to_jwk(key.public_key(), as_dict=True)
        self._private[key_id] = key
        self._published[key_id] = {**jwk, "kid": key_id, "use": use}
        if algorithm:
            self._published[key_id]["alg"] = algorithm

    def publish(self, jwk: dict[str, Any]) -> None:
        self._published[jwk["kid"]] = jwk

    def retire_key(self, key_id: str) -> None:
        del self._published[key_id]

    def claims(self, **changes: Any) -> dict[str, Any]:
        """Those of a valid token, with `changes`; a claim that is None is left out."""
        now = datetime.now(UTC)
        claims: dict[str, Any] = {
            "iss": self.issuer,
            "aud": AUDIENCE,
            "sub": "1042",
            "groups": ["finance"],
            "iat": now,
            "nbf": now,
            "exp": now + timedelta(minutes=5),
        }
        return {name: value for name, value in (claims | changes).items() if value is not None}

    def token(self, *, key_id: str = "first", algorithm: str = "RS256", **changes: Any) -> str:
        return jwt.encode(
            self.claims(**changes),
            self._private[key_id],
            algorithm=algorithm,
            headers={"kid": key_id},
        )

    def public_pem(self, key_id: str = "first") -> bytes:
        return (
            self._private[key_id]
            .public_key()
            .public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        )

    def respond(self, path: str) -> dict[str, Any] | None:
        if self.is_down:
            return None
        if path == "/.well-known/openid-configuration":
            return {"issuer": self.claimed_issuer, "jwks_uri": f"{self.issuer}/keys"}
        if path == "/keys":
            self.asked_for_keys += 1
            return {"keys": list(self._published.values())}
        return None


@contextmanager
def identity_provider() -> Generator[IdentityProvider]:
    class Requests(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = provider.respond(self.path)
            self.send_response(503 if body is None else 200)
            self.end_headers()
            self.wfile.write(json.dumps(body or {}).encode())

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Requests)
    provider = IdentityProvider(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield provider
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def forged(header: dict[str, Any], claims: dict[str, Any], *, secret: bytes = b"") -> str:
    """A token that a library would refuse to make: HMAC over a public key, or no signature."""

    def encoded(part: dict[str, Any]) -> bytes:
        raw = json.dumps(part, default=lambda when: int(when.timestamp())).encode()
        return base64.urlsafe_b64encode(raw).rstrip(b"=")

    signed = encoded(header) + b"." + encoded(claims)
    signature = hmac.digest(secret, signed, hashlib.sha256) if secret else b""
    return (signed + b"." + base64.urlsafe_b64encode(signature).rstrip(b"=")).decode()
