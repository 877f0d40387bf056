"""What several kinds of tests share: the templates of every environment, synthesized once."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import aws_cdk as cdk
import pytest

import app as platform_app
import settings
from ops.templates import merged

ENVIRONMENTS = settings.environment_names()


def stacks_of(name: str) -> tuple[str, ...]:
    """The construct ids of an environment's stacks; pipelines are where a section asks for them."""
    environment = settings.load(name)
    services = (service.stack_id for service in environment.services)
    delivery = ("Delivery",) if environment.delivery else ()
    return ("Network", "Data", "Compute", *services, *delivery, "Observability")


Template = Mapping[str, Any]


class Made(dict[str, Template]):
    """The templates of an environment by construct id of the stack."""

    @cached_property
    def platform(self) -> Template:
        """Compute and the services as one template; logical ids of a service's stack begin with its id."""
        shared = {"Network", "Data", "Delivery", "Observability"}
        return merged({stack: template for stack, template in self.items() if stack not in shared})

    @cached_property
    def whole(self) -> Template:
        """All stacks as one template; logical ids begin with their stack's, but those of Compute."""
        return merged(self)


Synthesize = Callable[[str], Made]


def built(environment: settings.Environment, folder: Path) -> cdk.App:
    """The app of an environment, with the context of cdk.json as the CLI gives it."""
    context = json.loads((settings.ROOT / "cdk.json").read_text())["context"]
    context["aws:cdk:enable-path-metadata"] = True
    app = cdk.App(outdir=str(folder), context=context, analytics_reporting=False)
    platform_app.build(app, environment)
    return app


def synthesize(environment: settings.Environment, folder: Path) -> Made:
    """The templates of an environment by construct id."""
    assembly = built(environment, folder).synth()
    return Made({stack.id: stack.template for stack in assembly.stacks})


@pytest.fixture(scope="session")
def templates(tmp_path_factory: pytest.TempPathFactory) -> Synthesize:
    """The templates of a named environment."""

    @cache
    def of(name: str) -> Made:
        return synthesize(settings.load(name), tmp_path_factory.mktemp(name))

    return of


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A copy of the settings' files that a test may spoil."""
    return copy_settings(tmp_path)


def copy_settings(folder: Path) -> Path:
    """Copy the settings' files into an empty folder."""
    for part, pattern in (
        ("environments", "*.toml"),
        ("services", "*/service.toml"),
        ("services", "*/Dockerfile"),
    ):
        for source in (settings.ROOT / part).glob(pattern):
            target = folder / source.relative_to(settings.ROOT)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(source.read_bytes())
    return folder
