from __future__ import annotations

import re
import subprocess
import xml.etree.ElementTree as ElementTree
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import settings
from ops.command_line import app
from ops.diagram import graph_svg, mermaid, overview_svg
from ops.diagram import png as pictures_png
from ops.diagram.command import write
from ops.diagram.graph import Graph, Node, graph, readable
from ops.diagram.kinds import PLAIN, Kind, counted, kind_of
from ops.diagram.overview import Overview, overview
from ops.diagram.svg import Box, Canvas, shortened, width_of
from ops.errors import OpsError
from tests import cdn
from tests.conftest import ENVIRONMENTS, Synthesize

_SVG = "{http://www.w3.org/2000/svg}"


def resource(resource_type: str, path: str, **properties: Any) -> dict[str, Any]:
    return {"Type": resource_type, "Properties": properties, "Metadata": {"aws:cdk:path": path}}


NETWORK = {
    "Resources": {
        "Key": resource("AWS::KMS::Key", "Network/LogsKey/Resource"),
        "Subnet1": resource("AWS::EC2::Subnet", "Network/PublicSubnet1/Subnet"),
        "Subnet2": resource("AWS::EC2::Subnet", "Network/PublicSubnet2/Subnet"),
    },
    "Outputs": {"KeyArn": {"Value": {"Fn::GetAtt": ["Key", "Arn"]}}},
}
COMPUTE = {
    "Resources": {
        "Logs": resource(
            "AWS::Logs::LogGroup",
            "Compute/Customer/Logs/Resource",
            KmsKeyId={"Fn::GetStackOutput": {"OutputName": "KeyArn", "StackName": "network"}},
        ),
        "Task": resource(
            "AWS::ECS::TaskDefinition",
            "Compute/Customer/Task/Resource",
            Group={"Ref": "Logs"},
            Cluster={"Ref": "Cluster"},
        ),
        "Cluster": resource("AWS::ECS::Cluster", "Compute/Cluster/Resource"),
        "Role": resource("AWS::IAM::Role", "Compute/Nobody/Role"),
        "OpenRule": resource("AWS::EC2::SecurityGroupIngress", "Compute/Cluster/Rule", Group={"Ref": "Task"}),
    }
}
TEMPLATES = {"Network": NETWORK, "Compute": COMPUTE}


def test_a_graph_has_a_node_a_construct_and_an_edge_a_reference() -> None:
    found = graph(TEMPLATES, "Compute", "dev")
    assert {(node.id, node.name, node.lines, node.stack) for node in found.nodes} == {
        ("Customer", "Customer", ("task definition", "log group"), None),
        ("Cluster", "Cluster", ("cluster", "rule in"), None),
        ("Network/LogsKey", "Logs key", (), "Network"),
    }
    assert found.edges == (("Customer", "Cluster"), ("Customer", "Network/LogsKey"))


def test_constructs_that_differ_by_number_only_are_one_node() -> None:
    nodes = {node.name: node.lines for node in graph(TEMPLATES, "Network", "dev").nodes}
    assert nodes == {"Logs key": ("key",), "Public subnet 1 to 2": ("2 subnets",)}


def test_a_construct_that_holds_most_of_a_stack_is_shown_by_its_parts() -> None:
    many = {
        f"Subnet{index}": resource(
            "AWS::EC2::Subnet", f"Network/Vpc/Tier{'AB'[index % 2]}/Subnet{index}/Subnet"
        )
        for index in range(30)
    }
    nodes = graph({"Network": {"Resources": many}}, "Network", "dev").nodes
    assert [(node.name, node.lines) for node in nodes] == [
        ("Tier A", ("15 subnets",)),
        ("Tier B", ("15 subnets",)),
    ]


def test_templates_without_construct_paths_are_refused() -> None:
    bare = {"Network": {"Resources": {"Key": {"Type": "AWS::KMS::Key"}}}}
    with pytest.raises(OpsError, match=r"Network: the template has no construct paths \(Key\)"):
        graph(bare, "Network", "dev")


@pytest.mark.parametrize(
    ("construct_id", "words"),
    [
        ("ApplicationSubnet1", "Application subnet 1"),
        ("Custom::VpcRestrictDefaultSGCustomResourceProvider", "Vpc restrict default SG"),
        ("S3", "S3"),
        ("customer", "customer"),
    ],
)
def test_ids_are_read_as_words(construct_id: str, words: str) -> None:
    assert readable(construct_id) == words


@pytest.mark.parametrize(
    ("number", "name", "words"),
    [
        (1, "alarm", "alarm"),
        (3, "alarm", "3 alarms"),
        (2, "scaling policy", "2 scaling policies"),
        (2, "elastic IP address", "2 elastic IP addresses"),
        (2, "rule in", "2 rules in"),
        (2, "repository of sources", "2 repositories of sources"),
        (2, "key", "2 keys"),
    ],
)
def test_things_are_counted_in_words(number: int, name: str, words: str) -> None:
    assert counted(number, name) == words


def test_an_unknown_type_is_shown_by_its_own_name() -> None:
    assert kind_of("AWS::DMS::ReplicationInstance") == Kind("replication instance", "RE", PLAIN, 70)
    assert kind_of("AWS::IAM::Role") is None


def test_a_text_that_is_too_wide_loses_its_end() -> None:
    assert shortened("customer", 12, 100) == "customer"
    short = shortened("customer, employee and others", 12, 100)
    assert short.endswith("\u2026")
    assert width_of(short, 12) <= 100 < width_of("customer, employee and others", 12)


def test_texts_cannot_break_the_picture() -> None:
    canvas = Canvas('<"&>')
    canvas.box(Box(0, 0, 10, 10))
    canvas.text(0, 0, '</text><script a="b">')
    root = ElementTree.fromstring(canvas.svg(100, 50))
    assert [each.tag for each in root] == [
        f"{_SVG}title",
        f"{_SVG}defs",
        f"{_SVG}rect",
        f"{_SVG}rect",
        f"{_SVG}text",
    ]


def cards(svg: str) -> list[Box]:
    """The boxes with a white ground."""
    return [
        Box(*(float(each.attrib[name]) for name in ("x", "y", "width", "height")))
        for each in ElementTree.fromstring(svg).iter(f"{_SVG}rect")
        if each.attrib["fill"] == "#ffffff" and "x" in each.attrib
    ]


def overlap(one: Box, other: Box) -> bool:
    return (
        one.x < other.right - 0.2
        and other.x < one.right - 0.2
        and one.y < other.bottom - 0.2
        and other.y < one.bottom - 0.2
    )


def test_no_card_of_a_graph_covers_another() -> None:
    kind = Kind("thing", "T", PLAIN)
    nodes = [Node(f"n{index}", f"A thing {index}", kind, ("a line",) * (index % 4)) for index in range(9)]
    nodes += [Node(f"Data/{index}", "Elsewhere", kind, stack="Data") for index in range(3)]
    edges = [(f"n{index}", f"n{index * 3 % 7}") for index in range(1, 9)] + [
        ("n1", "Data/0"),
        ("n2", "Data/2"),
    ]
    (svg,) = graph_svg.draw([Graph("dev: test", tuple(nodes), tuple(edges))])
    boxes = cards(svg)
    assert len(boxes) == len(nodes)
    assert not [
        (one, other) for index, one in enumerate(boxes) for other in boxes[index + 1 :] if overlap(one, other)
    ]
    assert svg.count("<path d=") == len(edges) + len(re.findall("<marker", svg))


def test_a_missing_layout_library_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: Any, **__: Any) -> subprocess.CompletedProcess[str]:
        return subprocess.CompletedProcess([], 1, "", "Cannot find module 'elkjs'\n  at x\n")

    monkeypatch.setattr(subprocess, "run", fails)
    with pytest.raises(OpsError, match=r"cannot be placed: Cannot find module 'elkjs': run `make setup`$"):
        graph_svg.draw([Graph("dev: test", (), ())])


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_the_overview_tells_what_the_settings_ask_for(templates: Synthesize, name: str) -> None:
    environment = settings.load(name)
    found = overview(templates(name), name, environment.region)
    assert found.zones == environment.availability_zones
    assert len(found.nat_zones) == environment.network.nat_gateways
    assert [tier.name for tier in found.tiers] == ["Public", "Application", "Data"]
    assert {(each.name, each.least, each.most, each.restricted) for each in found.services} == {
        (each.name, each.scaling.min_tasks, each.scaling.max_tasks, each.access == "admin")
        for each in environment.services
    }
    assert all(each.sides == ("blue", "green") for each in found.services)
    assert found.database is not None
    assert (found.database.standby, found.database.size) == (
        environment.database.multi_az,
        environment.database.instance_class,
    )
    assert [each.name for each in found.listeners if each.name][:1] == ["production"]
    assert bool(found.pipelines) == (environment.delivery is not None)
    assert found.domain == (environment.tls.domain if environment.tls else None)


@pytest.fixture
def crowded(templates: Synthesize) -> Overview:
    """An environment with six zones, five services, a web ACL and endpoints."""
    found = overview(templates("prod"), "prod", "us-east-1")
    zones = tuple(f"us-east-1{letter}" for letter in "abcdef")
    services = tuple(
        replace(found.services[index % 2], name=name, database=index != 2)
        for index, name in enumerate(("customer", "employee", "roasters", "students", "monolith"))
    )
    return replace(
        found,
        zones=zones,
        nat_zones=zones,
        services=services,
        firewall_rules=4,
        interface_endpoints=("ecr.api", "ecr.dkr", "logs"),
        pipelines=found.pipelines * 2,
    )


@pytest.mark.parametrize("edge", [False, True])
def test_a_crowded_overview_keeps_its_cards_apart(crowded: Overview, edge: bool) -> None:
    svg = overview_svg.draw(replace(crowded, edge=edge, public=not edge))
    frames = [box for box in cards(svg) if box.height > 400]
    boxes = [box for box in cards(svg) if box not in frames]
    covered = [
        (one, other) for index, one in enumerate(boxes) for other in boxes[index + 1 :] if overlap(one, other)
    ]
    assert covered == []
    texts = {each.text for each in ElementTree.fromstring(svg).iter(f"{_SVG}text")}
    assert {*(each.name for each in crowded.services), "web ACL, 4 rules", "us-east-1f"} <= texts
    assert ("CloudFront" in texts) is edge


def test_cloudfront_is_drawn_in_front_of_an_internal_load_balancer() -> None:
    found = overview(cdn.templates("domain"), "prod", "us-east-1")
    assert found.edge
    assert not found.public
    assert {each.name for each in found.services if each.restricted} == {"employee"}
    text = mermaid.of_overview(found)
    assert (
        'public(["The public<br>suppliers.example.com"]) --> edge["CloudFront<br>web ACL, 5 rules"]' in text
    )
    assert "edge -- VPC origin --> balancer" in text


def test_mermaid_tells_the_same_as_the_picture(crowded: Overview) -> None:
    text = mermaid.of_overview(crowded)
    assert 'balancer["Application Load Balancer<br>HTTPS 443 production' in text
    assert "service1 --> database" in text
    assert "service2 --> database" not in text
    assert crowded.database is not None
    behind = mermaid.of_overview(replace(crowded, database=replace(crowded.database, proxy=True)))
    assert "service1 --> proxy" in behind
    assert 'proxy["RDS Proxy"] --> database' in behind
    assert 'nat["6 NAT gateways"]' in text


def test_pictures_are_written_as_svg_and_png(tmp_path: Path) -> None:
    canvas = Canvas("a picture")
    canvas.text(5, 20, "text")
    written = write({"a": canvas.svg(40, 30)}, tmp_path / "new")
    assert [file.name for file in written] == ["a.svg", "a.png"]
    image = written[1].read_bytes()
    assert image.startswith(b"\x89PNG")
    assert (int.from_bytes(image[16:20]), int.from_bytes(image[20:24])) == (80, 60)
    (tmp_path / "file").touch()
    with pytest.raises(OpsError, match="file: cannot be written"):
        write({}, tmp_path / "file")


def test_a_machine_without_fonts_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pictures_png, "_render", lambda svg, zoom: b"blank")
    with pytest.raises(OpsError, match="no font is installed to write the texts with"):
        pictures_png.png(Canvas("a").svg(1, 1))


def test_the_command_needs_construct_paths_and_says_so() -> None:
    done = CliRunner().invoke(app, ["diagram", "--env", "dev", "--templates", "tests/snapshot/templates/dev"])
    assert isinstance(done.exception, OpsError)
    assert "read a synth's own output, such as cdk.out" in str(done.exception)


def test_the_command_prints_mermaid_for_a_summary() -> None:
    arguments = ["diagram", "--env", "dev", "--mermaid", "--templates", "tests/snapshot/templates/dev"]
    done = CliRunner().invoke(app, arguments)
    assert (done.exit_code, done.stdout.splitlines()[:2]) == (0, ["```mermaid", "flowchart LR"])
    assert done.stdout.endswith("```\n")
