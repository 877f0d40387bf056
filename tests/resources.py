"""Looking resources up in a template."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def of_type(template: Mapping[str, Any], resource_type: str) -> dict[str, Any]:
    """Logical id to properties, of all resources of a type."""
    return {
        logical_id: resource.get("Properties", {})
        for logical_id, resource in template["Resources"].items()
        if resource["Type"] == resource_type
    }


def only(found: Mapping[str, Any]) -> Any:
    """The one value of a mapping that must have one."""
    assert len(found) == 1, f"one expected, found {list(found)}"
    return next(iter(found.values()))


def by_path(template: Mapping[str, Any], part: str) -> dict[str, Any]:
    """Logical id to resource, of all whose construct path contains `part`."""
    return {
        logical_id: resource
        for logical_id, resource in template["Resources"].items()
        if part in resource.get("Metadata", {}).get("aws:cdk:path", "")
    }
