"""`[access]`: who may reach what, and who signs people in."""

from __future__ import annotations

from pydantic import Field

from settings.values import Cidrs, HttpsUrl, Section


class Oidc(Section):
    """The identity provider whose users reach the restricted services, by OpenID Connect."""

    issuer: HttpsUrl
    authorization_endpoint: HttpsUrl
    token_endpoint: HttpsUrl
    user_info_endpoint: HttpsUrl
    client_id: str = Field(pattern=r"^[!-~]{1,512}$")
    client_secret_name: str = Field(pattern=r"^[A-Za-z0-9/_+=.@-]{1,512}$")
    """A secret in Secrets Manager whose whole value is the client secret."""


class Access(Section):
    """Who may reach what; an empty list means: only from inside the VPC.

    With `exec`, whoever may call ecs:ExecuteCommand gets a shell inside the tasks.
    """

    admin_cidrs: Cidrs = Field(default=(), max_length=20, strict=False)
    test_traffic_cidrs: Cidrs = Field(default=(), max_length=20, strict=False)
    oidc: Oidc | None = None
    exec: bool = False
