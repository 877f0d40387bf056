"""A stack as a graph: its constructs, and which of them refer to which, in the stack and beyond it."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ops.deployed.routes import reference, references
from ops.diagram.kinds import PLAIN, Kind, counted, kind_of
from ops.errors import OpsError
from ops.synthesis.templates import Template, Templates

# A construct that holds more of a stack than this is shown by its parts.
_LARGEST_SHARE = 0.5
_SMALL = 20
_LINES = 6
_PATH = "aws:cdk:path"
_RULES = frozenset(
    {
        "AWS::EC2::SecurityGroup",
        "AWS::EC2::SecurityGroupEgress",
        "AWS::EC2::SecurityGroupIngress",
        "AWS::S3::BucketPolicy",
    }
)


@dataclass(frozen=True)
class Node:
    """A construct with what it holds; one of another stack names that stack and holds nothing."""

    id: str
    name: str
    kind: Kind
    lines: tuple[str, ...] = ()
    stack: str | None = None


@dataclass(frozen=True)
class Graph:
    """The nodes of a stack, and pairs of ids: the first refers to the second."""

    title: str
    nodes: tuple[Node, ...]
    edges: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class _Groups:
    """Which construct each resource of a stack is shown by."""

    stack: str
    template: Template
    of: Mapping[str, str] = field(default_factory=dict)


def graph(templates: Templates, stack: str, environment: str) -> Graph:
    """The graph of one stack; raises `OpsError` for templates without construct paths."""
    groups = {name: _grouped(name, template) for name, template in templates.items()}
    members = {name: _members(templates[name], each.of) for name, each in groups.items()}
    merged = {name: _alike(each) for name, each in members.items()}
    nodes: dict[str, Node] = {}
    for group, (first, name) in merged[stack].items():
        types = [
            each
            for other, found in members[stack].items()
            if merged[stack][other][0] == first
            for each in found
        ]
        if group == first and any(kind_of(each) for each in types):
            nodes[first] = Node(first, name, _main(types), _lines(types))
    edges: dict[tuple[str, str], None] = {}
    for logical_id, group in groups[stack].of.items():
        resource = templates[stack]["Resources"][logical_id]
        start = merged[stack][group][0]
        # Who may talk to whom is said by both sides at once.
        if start not in nodes or resource["Type"] in _RULES:
            continue
        for other, target in _targets(templates, stack, resource):
            if target not in groups[other].of:
                continue
            end_group = groups[other].of[target]
            first, name = merged[other][end_group]
            end = first if other == stack else f"{other}/{first}"
            if other != stack:
                nodes.setdefault(end, Node(end, name, _main(members[other][first]), stack=other))
            if end in nodes and end != start:
                edges[start, end] = None
    kept = _without_vpc(edges, nodes)
    joined = {end for edge in kept for end in edge}
    shown = (node for node in nodes.values() if node.stack is None or node.id in joined)
    return Graph(f"{environment}: {stack}", tuple(shown), tuple(sorted(kept)))


def _members(template: Template, groups: Mapping[str, str]) -> dict[str, list[str]]:
    members: dict[str, list[str]] = defaultdict(list)
    for logical_id, group in groups.items():
        members[group].append(template["Resources"][logical_id]["Type"])
    return members


def _without_vpc(edges: Iterable[tuple[str, str]], nodes: Mapping[str, Node]) -> list[tuple[str, str]]:
    """The edges without those to another stack's VPC: what is in a subnet of it is in it, and so is a security group."""
    return [
        (start, end)
        for start, end in edges
        if not (nodes[end].stack is not None and nodes[end].kind.badge == "VPC")
    ]


def _grouped(stack: str, template: Template) -> _Groups:
    paths: dict[str, tuple[str, ...]] = {}
    for logical_id, resource in template["Resources"].items():
        path = resource.get("Metadata", {}).get(_PATH)
        if path is None:
            raise OpsError(
                f"{stack}: the template has no construct paths ({logical_id}): read a synth's own output, such as cdk.out"
            )
        # What holds the resource: the last part names the resource in its construct, "Resource" mostly.
        parts = tuple(path.split("/")[1:])
        paths[logical_id] = parts[:-1] if len(parts) > 1 else parts
    return _Groups(stack, template, dict(_split(paths, depth=1, whole=len(paths))))


def _split(paths: Mapping[str, tuple[str, ...]], depth: int, whole: int) -> Iterator[tuple[str, str]]:
    found: dict[tuple[str, ...], dict[str, tuple[str, ...]]] = defaultdict(dict)
    for logical_id, path in paths.items():
        found[path[:depth]][logical_id] = path
    for group, inside in found.items():
        deeper = len(group) == depth and any(len(path) > depth for path in inside.values())
        if deeper and len(inside) > max(_SMALL, whole * _LARGEST_SHARE):
            yield from _split(inside, depth + 1, whole)
        else:
            for logical_id in inside:
                yield logical_id, "/".join(group)


def _alike(members: Mapping[str, Sequence[str]]) -> dict[str, tuple[str, str]]:
    """By group the id and name of its node: numbered groups that hold the same are one node."""
    same: dict[tuple[str, tuple[str, ...]], list[str]] = defaultdict(list)
    for group, types in members.items():
        stem = re.sub(r"\d+$", "", group)
        same[stem if stem != group else group, tuple(sorted(types))].append(group)
    named: dict[str, tuple[str, str]] = {}
    for groups in same.values():
        number = re.search(r"\d+$", groups[-1])
        first = readable(groups[0].rpartition("/")[2])
        name = first if len(groups) == 1 or number is None else f"{first} to {number[0]}"
        for group in groups:
            named[group] = groups[0], name
    return named


def readable(construct_id: str) -> str:
    """The id of a construct as words: `ApplicationSubnet1` as "Application subnet 1"."""
    plain = construct_id.removeprefix("Custom::")
    plain = re.sub(r"CustomResource(Provider)?$", "", plain)
    words = re.findall(r"[A-Z]+(?![a-z])\d*|[A-Z]?[a-z]+|\d+", plain) or [plain]
    return " ".join(
        word if index == 0 or word.isupper() or word.isdigit() else word.lower()
        for index, word in enumerate(words)
    )


def _main(types: Sequence[str]) -> Kind:
    kinds = [kind for each in types if (kind := kind_of(each))]
    return min(kinds, key=lambda kind: kind.rank, default=Kind("permissions", "IAM", PLAIN))


def _lines(types: Sequence[str]) -> tuple[str, ...]:
    counts = Counter(kind for each in types if (kind := kind_of(each)))
    ranked = sorted(counts.items(), key=lambda each: (each[0].rank, each[0].name))
    lines = [counted(number, kind.name) for kind, number in ranked]
    if len(lines) > _LINES:
        rest = sum(number for _, number in ranked[_LINES - 1 :])
        return (*lines[: _LINES - 1], f"and {rest} more")
    return tuple(lines)


def _targets(templates: Templates, stack: str, resource: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """The resources that a resource refers to, each with its stack."""
    properties = resource.get("Properties", {})
    for logical_id in references(properties):
        yield stack, logical_id
    depends = resource.get("DependsOn", ())
    for logical_id in (depends,) if isinstance(depends, str) else depends:
        yield stack, logical_id
    for output in _outputs(properties):
        for other, template in templates.items():
            value = template.get("Outputs", {}).get(output, {}).get("Value")
            if other != stack and isinstance(value, Mapping) and ("Ref" in value or "Fn::GetAtt" in value):
                yield other, reference(value)


def _outputs(value: Any) -> Iterator[str]:
    """The names of other stacks' outputs that a value refers to."""
    if isinstance(value, Mapping):
        if "Fn::GetStackOutput" in value:
            yield value["Fn::GetStackOutput"]["OutputName"]
        for each in value.values():
            yield from _outputs(each)
    elif isinstance(value, list):
        for each in value:
            yield from _outputs(each)
