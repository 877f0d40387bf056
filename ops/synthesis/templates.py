"""The templates of an environment: synthesized now, in a folder, or as a revision's snapshots have them."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ops.errors import OpsError
from ops.synthesis import cdk
from settings import ROOT, Environment

Template = Mapping[str, Any]
# By construct id of the stack, in the order in which they are deployed.
Templates = Mapping[str, Template]

SNAPSHOTS = Path("tests/snapshot/templates")
_BEFORE_SERVICES, _BEFORE_PIPELINES, _LAST = ("Network", "Data", "Compute"), "Delivery", "Observability"
# Each service has a stack with one of these, whose outputs are called as the others' are.
_ONE_A_SERVICE = {"AWS::ECS::Service", "AWS::CodePipeline::Pipeline"}
# What the logical ids of a stack begin with where they are put together, if not with its construct id.
_BEGINNINGS = {"Compute": ""}


def synthesized(environment: Environment) -> Templates:
    """The templates of the sources and settings as they are, which takes some seconds and is told on stderr."""

    def detail(text: str) -> None:
        print(text, file=sys.stderr, flush=True)

    detail(f"synthesizing {environment.name}; --templates cdk.out reads what is there instead")
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
    pipelines = templates.keys() & {f"{_BEFORE_PIPELINES}{stack}" for stack in templates}
    services = templates.keys() - pipelines - {*_BEFORE_SERVICES, _BEFORE_PIPELINES, _LAST}
    order = (*_BEFORE_SERVICES, *sorted(services), _BEFORE_PIPELINES, *sorted(pipelines), _LAST)
    return {stack: templates[stack] for stack in order if stack in templates}


def merged(templates: Templates, beginnings: Mapping[str, str] = _BEGINNINGS) -> Template:
    """All templates as one, in which what one stack reads of another is a reference.

    Logical ids are preceded by their stack's, but those of Compute, or by what `beginnings` says instead; outputs of
    services and of pipelines likewise, others not.
    """
    whole: dict[str, dict[str, Any]] = {"Resources": {}, "Outputs": {}}
    for stack, template in templates.items():
        prefix = beginnings.get(stack, stack)
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
                name, output = str(found["StackName"]), str(found["OutputName"])
                return _read_output(templates, beginnings, name, output) or value
            return {key: rewritten(each) for key, each in value.items()}

        for name, resource in template["Resources"].items():
            after = resource.get("DependsOn", [])
            made = rewritten(resource)
            if after:
                made["DependsOn"] = [
                    own.get(each, each) for each in ([after] if isinstance(after, str) else after)
                ]
            whole["Resources"][own[name]] = made
        shared = _ONE_A_SERVICE.isdisjoint(each["Type"] for each in template["Resources"].values())
        for name, output in template.get("Outputs", {}).items():
            whole["Outputs"][name if shared else f"{prefix}{name}"] = rewritten(output)
    return whole


def _read_output(templates: Templates, beginnings: Mapping[str, str], stack_name: str, output: str) -> Any:
    """What an output of another stack refers to, as `merged` calls it; None where that is not among the templates."""
    stack = max((each for each in templates if _is_of(stack_name, each)), key=len, default=None)
    value = templates[stack].get("Outputs", {}).get(output, {}).get("Value") if stack else None
    prefix = beginnings.get(stack, stack) if stack else ""
    match value:
        case {"Ref": name}:
            return {"Ref": f"{prefix}{name}"}
        case {"Fn::GetAtt": [name, *attribute]}:
            return {"Fn::GetAtt": [f"{prefix}{name}", *attribute]}
    return value


def _is_of(stack_name: str, construct_id: str) -> bool:
    """Whether a name ends as that of a construct id's stack does: `StudentRecords` in -student-records."""
    # Before a digit there may have been a hyphen.
    words = re.sub(r"(?<=\w)(?=\d)", "-?", re.sub(r"(?<!^)(?=[A-Z])", "-", construct_id))
    return re.search(f"-{words}$", stack_name, re.IGNORECASE) is not None


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
