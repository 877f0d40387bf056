"""Every option can be switched on in a living environment, changed, and off again, or is refused with a way out.

docs/options.md tells people the same.
"""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

import pytest

import settings
from ops.release import guard
from tests.conftest import Made, copy_settings, synthesize
from tests.transitions import Transition
from tests.unit.ops.recorded import Recorded

Edits = Sequence[tuple[str, str]]

_END = r"\Z"
_GITHUB = (
    'source = "github"\nrepository = "us/it"\nconnection_arn = '
    '"arn:aws:codeconnections:us-east-1:123456789012:connection/01234567-89ab-cdef-0123-456789abcdef"'
)
# What is changed in dev: a pattern and what stands in its place.
OPTIONS: Mapping[str, Edits] = {
    "cache": [(_END, "\n[cache]\n")],
    "a larger cache": [(_END, '\n[cache]\nnode_type = "cache.t4g.small"\nreplicas = 2\n')],
    "tls": [(_END, '\n[tls]\ndomain = "suppliers.example.org"\nhosted_zone_id = "Z0123456789EXAMPLE"\n')],
    "waf": [(_END, "\n[waf]\n")],
    "cdn": [(_END, "\n[cdn]\n")],
    "canary": [(_END, "\n[canary]\n")],
    "networks": [
        (_END, '\n[access]\nadmin_cidrs = ["203.0.113.0/24"]\ntest_traffic_cidrs = ["203.0.113.0/24"]\n')
    ],
    "exec": [(_END, "\n[access]\nexec = true\n")],
    "a gateway a zone": [(r"^nat_gateways = 1", "nat_gateways = 3")],
    "endpoints alone": [(r"^nat_gateways = 1", "nat_gateways = 0\ninterface_endpoints = true")],
    "no flow logs": [(r"^nat_gateways = 1", "nat_gateways = 1\nflow_logs = false")],
    "another range": [(r"^nat_gateways = 1", 'nat_gateways = 1\ncidr = "10.1.0.0/16"')],
    "native releases": [(r"^controller.*", 'controller = "ecs"')],
    "canary releases": [(r"^strategy.*", 'strategy = "canary"'), (r"^bake_minutes.*", "bake_minutes = 20")],
    "proxy": [(r"^\[database\]", "[database]\nproxy = true")],
    "replica": [(r"^\[database\]", "[database]\nread_replicas = 1")],
    "one zone": [(r"^\[database\]", "[database]\nmulti_az = false")],
    "a larger database": [(r"^instance_class.*", 'instance_class = "db.m7g.large"\ninsights = false')],
    "a database with insights": [(r"^instance_class.*", 'instance_class = "db.t4g.medium"')],
    "no delivery": [(r"^\[delivery\]\nsource.*\n", "")],
    "GitHub": [(r"^source.*", _GITHUB)],
    "logs for longer": [(r"^retention_days.*", "retention_days = 60")],
    "people": [(_END, '\n[alarms]\nemails = ["operator@example.org"]\n')],
    "another service": [(_END, "\n[services.students]\nenabled = true\n")],
    "another port": [(_END, "\n[services.customer]\ncontainer_port = 9090\n")],
    "other tasks": [
        (_END, '\n[services.customer]\narchitecture = "x86_64"\ncpu = 512\nmemory_mib = 1024\n'),
        (_END, "\n[services.customer.scaling]\nmax_tasks = 6\n"),
    ],
}
ON = {
    "cdn": ["cannot change from internet-facing to internal"],
    "another range": ["network/NetworkVpc7FB7348F"],
    "native releases": ["cannot change its release controller from CODE_DEPLOY to ECS"],
    "a database with insights": ["data/DatabaseInstance"],
    "no flow logs": ["network/NetworkFlowLogGroup"],
    "GitHub": ["delivery/SourceRepository"],
    "another port": ["the traffic would go to a target group without tasks"],
}
OFF = {
    "cache": ["data/CacheEngineLog", "data/CacheSlowLog"],
    "a larger cache": ["data/CacheEngineLog", "data/CacheSlowLog"],
    "tls": ["port 80 is that of the listener EntranceLoadBalancerRedirect"],
    "waf": ["compute/WebAclLogGroup"],
    "cdn": ["cannot change from internal to internet-facing"],
    "canary": ["observability/CanaryResults", "observability/CanaryKey"],
    "another range": ["network/NetworkVpc7FB7348F"],
    "native releases": ["cannot change its release controller from ECS to CODE_DEPLOY"],
    "proxy": ["data/ProxyLogGroup"],
    "replica": ["data/DatabaseReplica"],
    "a database with insights": ["data/DatabaseInstance"],
    "logs for longer": ["customer/LogGroup"],
    "another service": ["data/DatabaseStudentsUserSecret"],
    "another port": ["the traffic would go to a target group without tasks"],
}


@cache
def templates(option: str | None) -> Made:
    with tempfile.TemporaryDirectory() as folder:
        root = copy_settings(Path(folder) / "settings")
        file = root / "environments/dev.toml"
        text = file.read_text()
        for pattern, other in OPTIONS[option] if option else ():
            text, changed = re.subn(pattern, other, text, count=1, flags=re.MULTILINE)
            assert changed, pattern
        file.write_text(text)
        return synthesize(settings.load("dev", root), Path(folder) / "out")


def said(transition: Transition, folder: Path) -> list[str]:
    """All that the guard refuses or asks of a deployment, and names that AWS would refuse besides."""
    artifact = {"properties": {"templateFile": "Compute.template.json", "stackName": "suppliers-dev-compute"}}
    (folder / "manifest.json").write_text(json.dumps({"artifacts": {"Compute": artifact}}))
    file = folder / "Compute.template.json"
    file.write_text(json.dumps(transition.after.platform))
    plan = guard.check(Recorded(template=transition.before.platform, live={}), settings.load("dev"), file)
    lines = [*plan.switches, *(str(each) for each in plan.findings if each.problem), *transition.lost()]
    # Whatever is refused is not deployed, so its names do not matter.
    return lines if plan.switches else lines + transition.taken_names()


@pytest.mark.parametrize("option", OPTIONS)
@pytest.mark.parametrize("direction", ["on", "off"])
def test_a_setting_of_a_living_environment_is_changed_or_refused_as_documented(
    option: str, direction: str, tmp_path: Path
) -> None:
    made = (templates(None), templates(option))
    before, after = made if direction == "on" else reversed(made)
    transition = Transition("dev", before, after)
    assert transition.stuck() == [], "nobody can go first"
    if option != "native releases":
        assert transition.unasked() == []
    expected = (ON if direction == "on" else OFF).get(option, [])
    lines = said(transition, tmp_path)
    for part in expected:
        assert any(part in line for line in lines), (part, lines)
    assert bool(lines) is bool(expected), lines
