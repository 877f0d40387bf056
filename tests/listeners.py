"""How the listeners of a synthesized template decide about requests.

The rules of a template are brought into the form in which the load balancer answers them, and decided as the
emulator decides (emulator/routing.py, which has tests of its own).
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from emulator import routing
from ops.deployed.routes import LISTENER, RULE, reference
from platform_constructs.entrance.viewer_network import ADMIN, HEADER
from tests.conftest import Template
from tests.resources import of_type
from tests.viewer_function import ViewerFunction

# Condition types of a template and where each keeps its values.
_VALUES = {
    "path-pattern": "PathPatternConfig",
    "source-ip": "SourceIpConfig",
    "host-header": "HostHeaderConfig",
    "http-request-method": "HttpRequestMethodConfig",
    "query-string": "QueryStringConfig",
    "http-header": "HttpHeaderConfig",
}


@dataclass(frozen=True)
class Decision:
    """What becomes of a request: the type of the deciding action and the target groups that it can reach."""

    kind: str
    groups: frozenset[str]
    status: str = ""


@dataclass(frozen=True)
class Listener:
    """One port of the load balancer."""

    port: int
    rules: Sequence[routing.Record]

    def decide(self, path: str, source: str, headers: Mapping[str, str] | None = None) -> Decision:
        """What becomes of a GET of `path`, matched exactly as it is written, from an address; headers in lower case."""
        request = routing.Request(
            method="GET",
            host="suppliers.example.com",
            path=path.partition("?")[0],
            query={},
            headers=headers or {},
            source_ip=source,
        )
        rule = routing.select_rule(self.rules, request)
        assert rule is not None, "a listener has a default action"
        forwards = [action for action in rule["Actions"] if action["Type"] == "forward"]
        groups = [reference(group) for action in forwards for group in _targets(action)]
        deciding = rule["Actions"][0]
        status = str(deciding.get("FixedResponseConfig", {}).get("StatusCode", ""))
        return Decision(deciding["Type"], frozenset(groups), status)


@dataclass(frozen=True)
class ThroughCloudFront:
    """A port of a load balancer behind CloudFront, as viewers see it who claim to be administrators."""

    listener: Listener
    function: ViewerFunction

    @property
    def rules(self) -> Sequence[routing.Record]:
        return self.listener.rules

    def decide(self, path: str, source: str) -> Decision:
        """What becomes of a GET of `path` from a viewer's address, which the load balancer does not see."""
        headers = self.function.headers(source, {HEADER: {"value": ADMIN}})
        # An address of the VPC, which the rules of every other listener would let in.
        return self.listener.decide(path, "10.0.0.9", headers)


def listeners(template: Template) -> dict[int, Listener]:
    """By port, every listener of a Compute template."""
    found = {}
    for logical_id, properties in of_type(template, LISTENER).items():
        rules = [
            {
                "Priority": str(rule["Priority"]),
                "Conditions": [_condition(each) for each in rule["Conditions"]],
                "Actions": rule["Actions"],
            }
            for rule in of_type(template, RULE).values()
            if reference(rule["ListenerArn"]) == logical_id
        ]
        default = {"Priority": "default", "IsDefault": True, "Actions": properties["DefaultActions"]}
        found[int(properties["Port"])] = Listener(int(properties["Port"]), [*rules, default])
    return found


def normalized(path: str) -> str:
    """The path as a load balancer sees it that decodes and cleans up before it matches.

    The documentation leaves open how much of this is done, so what is claimed of rules must hold for both forms.
    """
    return posixpath.normpath("/" + re.sub(r"/+", "/", unquote(path.partition("?")[0])).lstrip("/"))


def _condition(condition: Mapping[str, Any]) -> routing.Record:
    field = condition["Field"]
    config = condition[_VALUES[field]]
    return {"Field": field, "Values": config["Values"], _VALUES[field]: config}


def _targets(action: Mapping[str, Any]) -> list[Any]:
    # Of every weight: a release moves the weights.
    groups = action.get("ForwardConfig", {}).get("TargetGroups") or [action]
    return [group["TargetGroupArn"] for group in groups]
