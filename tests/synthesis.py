"""The templates of an environment, synthesized once for all processes that test the same sources."""

from __future__ import annotations

import fcntl
import hashlib
import importlib.metadata
import json
import os
import sys
from collections.abc import Iterator, Mapping
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import aws_cdk as cdk
import pytest

import app as platform_app
import settings
from ops.synthesis.templates import merged

Template = Mapping[str, Any]


class Made(dict[str, Template]):
    """The templates of an environment by construct id of the stack."""

    @cached_property
    def platform(self) -> Template:
        """Compute and the services as one template; logical ids of a service's stack begin with its id."""
        others = {"Network", "Data", "Observability", *self._of_pipelines}
        return merged({stack: template for stack, template in self.items() if stack not in others})

    @cached_property
    def pipelines(self) -> Template:
        """Delivery and the pipelines' stacks as one template; logical ids of a pipeline's begin with its service's."""
        return merged({stack: self[stack] for stack in self._of_pipelines}, self._of_pipelines)

    @property
    def _of_pipelines(self) -> Mapping[str, str]:
        """The stacks by construct id, with what they are called after."""
        pipelines = {f"Delivery{stack}": stack for stack in self if f"Delivery{stack}" in self}
        return {"Delivery": "", **pipelines} if "Delivery" in self else {}

    @cached_property
    def whole(self) -> Template:
        """All stacks as one template; logical ids begin with their stack's, but those of Compute."""
        return merged(self)


# Where jsii keeps what it unpacked of aws_cdk, for programs to which a test gives a home of their own.
UNPACKED = {"JSII_RUNTIME_PACKAGE_CACHE_ROOT": str(Path.home() / ".cache/aws/jsii/package-cache")}

_KEPT = settings.ROOT / ".local/synthesized"
_only_environments = False
# Templates of this many environments are kept, which are those of a few runs of all tests.
_MOST_KEPT = 500
# What no template is made of, besides what begins with a dot; the services are asked for where a test has them.
_OTHERS = {"bench", "build", "docs", "environments", "node_modules", "release", "services", "tests"}


def built(environment: settings.Environment, folder: Path, *, validated: bool = True) -> cdk.App:
    """The app of an environment, with the context of cdk.json as the CLI gives it."""
    context = json.loads((settings.ROOT / "cdk.json").read_text())["context"]
    context["aws:cdk:enable-path-metadata"] = True
    app = cdk.App(
        outdir=str(folder),
        context=context,
        analytics_reporting=False,
        builtin_cloud_formation_validation=validated,
    )
    platform_app.build(app, environment)
    return app


def only_environments() -> None:
    """From now on, skip what asks for templates that none of the environments has and that no run made yet."""
    global _only_environments
    _only_environments = True


def synthesize(environment: settings.Environment, folder: Path) -> Made:
    """The templates of an environment by construct id, which are the caller's to change.

    `folder` has the assembly only where no test of these sources asked for this environment before. The validator of
    aws-cdk-lib is left to the tests of compliance.
    """
    key = hashlib.sha256(f"{_sources()} {_services()} {environment!r}".encode()).hexdigest()
    file = _KEPT / f"{key}.json"
    with _alone(key):
        if not file.exists():
            if _only_environments and environment not in map(settings.load, settings.environment_names()):
                pytest.skip("asks for templates that no environment has")
            assembly = built(environment, folder, validated=False).synth()
            found = {stack.id: stack.template for stack in assembly.stacks}
            written = file.with_suffix(f".{os.getpid()}")
            written.write_text(json.dumps(found))
            written.rename(file)
        return Made(json.loads(file.read_text()))


class _alone:
    """While one process synthesizes an environment, another that wants the same waits for it."""

    def __init__(self, key: str) -> None:
        _KEPT.mkdir(parents=True, exist_ok=True)
        self._file = (_KEPT / f"lock-{key[:2]}").open("w")

    def __enter__(self) -> None:
        fcntl.flock(self._file, fcntl.LOCK_EX)

    def __exit__(self, *_: object) -> None:
        self._file.close()


@cache
def _sources() -> str:
    """A digest of all that makes templates, except the settings and the services; older templates go."""
    kept = sorted(_KEPT.glob("*.json"), key=lambda file: file.stat().st_mtime)
    for file in kept[:-_MOST_KEPT]:
        file.unlink(missing_ok=True)
    digest = hashlib.sha256(repr((sys.version, importlib.metadata.version("aws-cdk-lib"))).encode())
    for top in sorted(settings.ROOT.iterdir()):
        if top.is_dir() and top.name not in _OTHERS and not top.name.startswith((".", "cdk.out")):
            _add(digest, top)
        elif top.suffix == ".py" or top.name == "cdk.json":
            digest.update(top.name.encode() + top.read_bytes())
    return digest.hexdigest()


def _services() -> str:
    """A digest of what is built into images, wherever a test has the stacks read it from."""
    digest = hashlib.sha256()
    roots = {
        module.ROOT
        for name, module in sys.modules.items()
        if name.startswith("stacks.") and hasattr(module, "ROOT")
    }
    for root in sorted(roots):
        _add(digest, root / "services")
    return digest.hexdigest()


def _add(digest: Any, folder: Path) -> None:
    for file in sorted(_files(folder)):
        digest.update(f"{file.relative_to(folder)}".encode() + b"\0" + file.read_bytes())


def _files(folder: Path) -> Iterator[Path]:
    for entry in os.scandir(folder):
        path = Path(entry.path)
        if entry.is_dir(follow_symlinks=False):
            if entry.name != "__pycache__":
                yield from _files(path)
        elif entry.is_file():
            yield path
