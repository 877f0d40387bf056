"""The templates of an environment: synthesized now, in a folder, or as a revision's snapshots have them."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from ops import cdk
from ops.errors import OpsError
from settings import ROOT, Environment

Template = Mapping[str, Any]
# By construct id of the stack, in the order in which they are deployed.
Templates = Mapping[str, Template]

SNAPSHOTS = Path("tests/snapshot/templates")
_BEFORE_SERVICES, _AFTER_SERVICES = ("Network", "Data", "Compute"), ("Delivery", "Observability")


def synthesized(environment: Environment, detail: Callable[[str], None] = lambda _: None) -> Templates:
    """The templates of the sources and settings as they are, which takes some seconds."""
    folder = ROOT / ".local" / f"synth-{environment.name}"
    cdk.run(
        ["synth", "-q", "-c", f"env={environment.name}", "-o", str(folder)],
        environment=os.environ,
        detail=detail,
    )
    return in_folder(folder, environment)


def in_folder(folder: Path, environment: Environment) -> Templates:
    """The templates in a folder: a synth's output, or the snapshots of an environment.

    Raises `OpsError` where there are none, or where a manifest says that they are of another environment.
    """
    files = sorted(folder.glob("*.template.json")) or sorted(folder.glob("*.json"))
    templates = _ordered((file.name.partition(".")[0], _read(file)) for file in files)
    if not templates:
        raise OpsError(f"{folder}: holds no templates: run `make synth ENV={environment.name}`")
    manifest = folder / "manifest.json"
    artifacts = _read(manifest).get("artifacts", {}).values() if manifest.exists() else ()
    for artifact in artifacts:
        stack = artifact.get("properties", {}).get("stackName", "")
        if stack and not stack.startswith(f"suppliers-{environment.name}-"):
            raise OpsError(
                f"{folder}: is of {stack}, not of environment {environment.name}: "
                f"run `make synth ENV={environment.name}`"
            )
    return templates


def of_revision(environment: Environment, revision: str, root: Path = ROOT) -> Templates:
    """The templates that a commit holds as snapshots; none where it does not have the environment.

    The snapshots lack asset hashes and construct paths only, and a test keeps them current in every commit,
    so that a revision is read in milliseconds rather than checked out and synthesized.
    """
    folder = f"{(SNAPSHOTS / environment.name).as_posix()}/"
    commit = _git(root, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}")
    if commit is None:
        raise OpsError(f"{revision}: is no revision of this repository; an example is origin/main")
    names = _git(root, "ls-tree", "--name-only", commit.strip(), folder) or ""
    return _ordered(
        (Path(name).stem, json.loads(_git(root, "show", f"{commit.strip()}:{name}") or "{}"))
        for name in names.splitlines()
        if name.endswith(".json")
    )


def _ordered(found: Iterable[tuple[str, Template]]) -> Templates:
    templates = {stack: template for stack, template in found if "Resources" in template}
    services = sorted(templates.keys() - {*_BEFORE_SERVICES, *_AFTER_SERVICES})
    order = (*_BEFORE_SERVICES, *services, *_AFTER_SERVICES)
    return {stack: templates[stack] for stack in order if stack in templates}


def merged(templates: Templates) -> Template:
    """All templates as one, in which what one stack reads of another is a reference.

    Logical ids are preceded by their stack's, but those of Compute; outputs of services by theirs.
    """
    whole: dict[str, dict[str, Any]] = {"Resources": {}, "Outputs": {}}
    for stack, template in templates.items():
        prefix = "" if stack == "Compute" else stack
        own = {name: f"{prefix}{name}" for name in template["Resources"]}

        def rewritten(value: Any, own: Mapping[str, str] = own) -> Any:
            if isinstance(value, list):
                return [rewritten(each) for each in value]
            if not isinstance(value, Mapping):
                return value
            if value.keys() == {"Ref"}:
                return {"Ref": own.get(value["Ref"], value["Ref"])}
            if value.keys() == {"Fn::GetAtt"}:
                name, *attribute = (
                    value["Fn::GetAtt"].split(".", 1)
                    if isinstance(value["Fn::GetAtt"], str)
                    else value["Fn::GetAtt"]
                )
                return {"Fn::GetAtt": [own.get(name, name), *attribute]}
            if value.keys() == {"Fn::GetStackOutput"}:
                found = value["Fn::GetStackOutput"]
                return _read_output(templates, str(found["StackName"]), found["OutputName"]) or value
            return {key: rewritten(each) for key, each in value.items()}

        for name, resource in template["Resources"].items():
            after = resource.get("DependsOn", [])
            made = rewritten(resource)
            if after:
                made["DependsOn"] = [
                    own.get(each, each) for each in ([after] if isinstance(after, str) else after)
                ]
            whole["Resources"][own[name]] = made
        serves = any(each["Type"] == "AWS::ECS::Service" for each in template["Resources"].values())
        for name, output in template.get("Outputs", {}).items():
            whole["Outputs"][f"{stack if serves else ''}{name}"] = rewritten(output)
    return whole


def _read_output(templates: Templates, stack_name: str, output: str) -> Any:
    """What an output of another stack refers to, as `merged` calls it; None where that is not among the templates."""
    written = stack_name.replace("-", "")
    stack = max((each for each in templates if written.endswith(each.lower())), key=len, default=None)
    value = templates[stack].get("Outputs", {}).get(output, {}).get("Value") if stack else None
    prefix = "" if stack == "Compute" else stack
    match value:
        case {"Ref": name}:
            return {"Ref": f"{prefix}{name}"}
        case {"Fn::GetAtt": [name, *attribute]}:
            return {"Fn::GetAtt": [f"{prefix}{name}", *attribute]}
    return value


def _read(file: Path) -> Any:
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise OpsError(f"{file}: cannot be read: {error.strerror}") from None
    except ValueError:
        raise OpsError(f"{file}: is not JSON") from None


def _git(root: Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(["git", *arguments], cwd=root, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise OpsError("git is missing: install your system's package git") from None
    return done.stdout if done.returncode == 0 else None
