"""Environments that between them use every option that changes what the platform may do, each synthesized once."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Mapping
from functools import cache
from pathlib import Path

import settings
from tests.conftest import Template, copy_settings, synthesize

_CONNECTION = "arn:aws:codeconnections:us-east-1:123456789012:connection/01234567-89ab-cdef-0123-456789abcdef"
_SIGN_IN = """
[access.oidc]
issuer = "https://login.example.com"
authorization_endpoint = "https://login.example.com/authorize"
token_endpoint = "https://login.example.com/token"
user_info_endpoint = "https://login.example.com/userinfo"
client_id = "directory"
client_secret_name = "login/directory"
"""
# An environment of the project, values that it sets otherwise or, where there is none, not at all, by section, and
# sections that it leaves out.
_CHANGES: Mapping[str, tuple[str, Mapping[str, tuple[str, ...]], str]] = {
    "local": ("local", {}, ""),
    "dev": ("dev", {}, ""),
    "prod": ("prod", {}, ""),
    "ecs, GitHub, replica by proxy, exec, canary, cache, CloudFront": (
        "prod",
        {
            "release": ('controller = "ecs"',),
            "database": ("proxy = true", "read_replicas = 1"),
            "delivery": (
                *('source = "github"', 'repository = "us/it"', f'connection_arn = "{_CONNECTION}"'),
                "create_repository = ",
            ),
        },
        "[access]\nexec = true\n[canary]\n[cache]\nreplicas = 1\n[cdn]\n",
    ),
    "rolling, repository of another, cluster, cache, signing in": (
        "prod",
        {
            "release": ('controller = "rolling"',),
            "database": ('instance_class = "db.m6gd.large"', "storage_gib = 400", "cluster = true"),
            "delivery": ("create_repository = false",),
        },
        f"[cache]\nreplicas = 0\n{_SIGN_IN}",
    ),
    "endpoints, cache, CloudFront, web ACL": (
        "dev",
        {"network": ("nat_gateways = 0", "interface_endpoints = true")},
        "[cache]\n[cdn]\n[waf]\n",
    ),
}
OPTIONS = tuple(_CHANGES)


@cache
def templates(option: str) -> Mapping[str, Template]:
    """The templates of one of `OPTIONS`."""
    name, values, sections = _CHANGES[option]
    with tempfile.TemporaryDirectory() as folder:
        root = copy_settings(Path(folder) / "settings")
        file = root / f"environments/{name}.toml"
        text = file.read_text()
        for section, lines in values.items():
            for line in lines:
                text = re.sub(rf"^{line.partition('=')[0]}=.*\n", "", text, flags=re.MULTILINE)
            given = [line for line in lines if not line.endswith("= ")]
            text = text.replace(f"[{section}]", "\n".join((f"[{section}]", *given)))
        file.write_text(f"{text}\n{sections}")
        return synthesize(settings.load(name, root), Path(folder) / "out")
