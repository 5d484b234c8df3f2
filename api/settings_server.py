"""What an operator can set of the server: addresses, limits, sign-in and the log."""

from typing import Literal, Self

from pydantic import Field, model_validator

from api.settings_base import MIB, Section

Algorithm = Literal[
    "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"
]


class ServerSettings(Section):
    host: str = Field(default="127.0.0.1", description="Address to listen on.")
    port: int = Field(default=8000, ge=1, le=65_535, description="Port to listen on.")
    max_request_bytes: int = Field(
        default=256 * 1024, ge=1_024, description="Size of a request body, uploads aside."
    )
    upload_overhead_bytes: int = Field(
        default=MIB, ge=0, description="What an upload may carry besides the document itself."
    )


class RateLimitSettings(Section):
    """Written as the `limits` library writes them: `60/minute`, several joined by `;`."""

    per_caller: str = Field(default="300/minute", description="For one key or one person.")
    per_tenant: str = Field(
        default="3000/minute", description="For all callers of a tenant together."
    )
    per_key: str = Field(
        default="",
        description="For all that come with one key, whoever it speaks for. Unset: no limit.",
    )
    tokens_per_user: str = Field(
        default="",
        description="Tokens that models may read and write for one user: `100000/minute`. Unset: "
        "no limit.",
    )
    tokens_per_key: str = Field(default="", description="The same for all that come with one key.")
    tokens_per_tenant: str = Field(default="", description="The same for a tenant.")
    enabled: bool = Field(default=True, description="Whether callers are limited at all.")


class OidcSettings(Section):
    issuer: str | None = Field(default=None, description="The provider's issuer. Unset: no OIDC.")
    audience: str | None = Field(default=None, description="What `aud` must hold.")
    jwks_uri: str | None = Field(
        default=None, description="The provider's keys. Unset: discovered."
    )
    algorithms: tuple[Algorithm, ...] = Field(
        default=("RS256", "ES256"),
        min_length=1,
        description="Signatures accepted; asymmetric only.",
    )
    subject_claim: str = Field(default="sub", description="The claim that becomes `user:…`.")
    groups_claim: str = Field(
        default="groups", description="The claim that lists immutable group ids."
    )
    group_prefix: str = Field(
        default="group:oidc:",
        pattern=r"^group:[A-Za-z0-9:._-]*$",
        description="What a group's id in the claim is put behind to become a principal id.",
    )
    tenant: str | None = Field(
        default=None, description="The tenant of its users. Unset: `tenant`."
    )
    permissions: tuple[str, ...] = Field(
        default=("search", "ask", "documents:read", "feedback"),
        description="What everyone who signs in may do.",
    )
    admin_groups: tuple[str, ...] = Field(
        default=(), description="Principal ids of groups whose members may administrate."
    )
    leeway_s: float = Field(default=30, ge=0, le=120, description="Clock skew that is forgiven.")
    refresh_cooldown_s: float = Field(
        default=30, ge=1, description="Time between two fetches of the provider's keys."
    )
    refresh_after_s: float = Field(
        default=3_600, ge=1, description="Age at which the provider's keys are fetched anew."
    )
    max_age_s: float = Field(
        default=86_400, ge=1, description="Age beyond which keys that were not renewed are void."
    )

    @model_validator(mode="after")
    def _an_issuer_needs_an_audience(self) -> Self:
        if self.issuer and not self.audience:
            raise ValueError("oidc.issuer needs oidc.audience: a token for others is not for us")
        return self


class LogSettings(Section):
    level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="Least level."
    )
