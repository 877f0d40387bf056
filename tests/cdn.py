"""Environments with CloudFront in front, and their templates, each synthesized once."""

from __future__ import annotations

import tempfile
from functools import cache
from pathlib import Path

import settings
from tests.conftest import Made, synthesize

OFFICES = tuple(f"203.0.113.{number}/32" for number in range(9))
OIDC = settings.Oidc(
    issuer="https://login.example.com",
    authorization_endpoint="https://login.example.com/authorize",
    token_endpoint="https://login.example.com/token",
    user_info_endpoint="https://login.example.com/userinfo",
    client_id="directory",
    client_secret_name="login/directory",
)


def environment(name: str, **changes: object) -> settings.Environment:
    """An environment with [cdn], nine networks of administrators, and the changes."""
    base = settings.load(name)
    access = base.access.model_copy(update={"admin_cidrs": OFFICES})
    return base.model_copy(update={"cdn": settings.Cdn(), "access": access, **changes})


def _signing_in() -> settings.Environment:
    base = environment("prod")
    return base.model_copy(
        update={
            "access": base.access.model_copy(update={"oidc": OIDC}),
            "release": base.release.model_copy(update={"controller": "rolling"}),
        }
    )


def of(case: str) -> settings.Environment:
    """`domain`: with certificate, web ACL and canary; `plain`: none of them, ECS releases; `signing in`."""
    if case == "domain":
        return environment("prod", canary=settings.Canary())
    if case == "plain":
        release = settings.load("dev").release.model_copy(update={"controller": "ecs"})
        # Controller ecs moves one rule, which has room for few networks on the test listener.
        access = settings.Access(admin_cidrs=("203.0.113.0/24",))
        return environment("dev", release=release, access=access)
    return _signing_in()


@cache
def templates(case: str) -> Made:
    """The templates of a case."""
    with tempfile.TemporaryDirectory() as folder:
        return synthesize(of(case), Path(folder))
