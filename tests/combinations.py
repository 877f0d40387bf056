"""Environments that between them have every option on, and their templates, each synthesized once."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from functools import cache
from pathlib import Path

import settings
from tests.cdn import OFFICES, OIDC
from tests.conftest import Template, synthesize

_CONNECTION = "arn:aws:codeconnections:us-east-1:123456789012:connection/11111111-2222-3333-4444-555555555555"


def everything(base: settings.Environment, **changes: object) -> settings.Environment:
    """An environment with all options that go together, and the changes."""
    options: dict[str, object] = {
        "network": base.network.model_copy(update={"interface_endpoints": True}),
        "database": base.database.model_copy(update={"proxy": True, "read_replicas": 1}),
        "access": base.access.model_copy(update={"admin_cidrs": OFFICES, "exec": True}),
        "backup": base.backup or settings.Backup(),
        "cache": settings.Cache(),
        "cdn": settings.Cdn(),
        "waf": base.waf or settings.Waf(),
        "canary": settings.Canary(),
        "delivery": base.delivery or settings.Delivery(),
        "alarms": base.alarms.model_copy(update={"emails": ("team@example.com",), "monthly_budget_usd": 100}),
    }
    return base.model_copy(update={**options, **changes})


def environments() -> Mapping[str, settings.Environment]:
    """By a name of the case; `twin` is `dev` under another name."""
    dev, prod = settings.load("dev"), settings.load("prod")
    cluster = prod.database.model_copy(
        update={"cluster": True, "instance_class": "db.m6gd.large", "storage_gib": 400}
    )
    spot = tuple(each.model_copy(update={"spot_percent": 50}) for each in dev.services)
    return {
        "dev": everything(dev),
        "twin": everything(dev, name="twin"),
        "prod": everything(prod),
        "plain": dev,
        "cluster": everything(
            prod, database=cluster, cdn=None, release=prod.release.model_copy(update={"controller": "ecs"})
        ),
        "signing in": everything(
            prod,
            access=prod.access.model_copy(update={"oidc": OIDC}),
            canary=None,
            cdn=None,
            services=spot,
            release=prod.release.model_copy(update={"controller": "rolling"}),
            delivery=settings.Delivery(
                source="github", repository="company/directory", connection_arn=_CONNECTION
            ),
        ),
    }


CASES = ("dev", "twin", "prod", "plain", "cluster", "signing in")


@cache
def templates(case: str) -> Mapping[str, Template]:
    """The templates of a case, by construct id of the stack."""
    with tempfile.TemporaryDirectory() as folder:
        return synthesize(environments()[case], Path(folder))
