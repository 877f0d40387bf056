"""The file that tells CodeDeploy what to replace and what to try before traffic moves.

https://docs.aws.amazon.com/codedeploy/latest/userguide/reference-appspec-file-structure-resources.html
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

# The deploy action writes the ARN of the revision it registers here:
# https://docs.aws.amazon.com/codepipeline/latest/userguide/action-reference-ECSbluegreen.html
PLACEHOLDER = "<TASK_DEFINITION>"


def appspec(*, container: str, port: int, hook: str | None) -> dict[str, Any]:
    """Replace the tasks behind the container's port; with a hook, which watches them start, only after it accepted them.

    What is not named (networks, capacity) stays as the service has it.
    """
    document: dict[str, Any] = {
        "version": 0.0,
        "Resources": [
            {
                "TargetService": {
                    "Type": "AWS::ECS::Service",
                    "Properties": {
                        "TaskDefinition": PLACEHOLDER,
                        "LoadBalancerInfo": {"ContainerName": container, "ContainerPort": port},
                        "PlatformVersion": "LATEST",
                    },
                }
            }
        ],
    }
    if hook is None:
        return document
    return {**document, "Hooks": [{"BeforeInstall": hook}, {"AfterAllowTestTraffic": hook}]}


def to_yaml(document: Mapping[str, Any]) -> str:
    """Mappings, lists of mappings and scalars as YAML, for which the build image has no library."""
    return "\n".join(_lines(document, "")) + "\n"


def _lines(mapping: Mapping[str, Any], indent: str) -> Iterator[str]:
    for key, value in mapping.items():
        if isinstance(value, Mapping):
            yield f"{indent}{key}:"
            yield from _lines(value, f"{indent}  ")
        elif isinstance(value, list):
            yield f"{indent}{key}:"
            for item in value:
                first, *others = _lines(item, f"{indent}    ")
                yield f"{indent}  - {first.strip()}"
                yield from others
        else:
            yield f"{indent}{key}: {json.dumps(value)}"
