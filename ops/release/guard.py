"""Refusing a deployment that would undo a release.

A blue/green release moves the listener rules from one target group to the other, behind the template's
back. CloudFormation leaves a moved rule alone until the template changes it; then it writes all of it,
the target group of the template included, where nothing runs any more
(https://github.com/aws/aws-cdk/issues/36649). Read what is live, compare, tell. Rules whose weights are what is live
when they are written are beyond that; of them only what somebody did by hand is told.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from ops.aws import clients as aws
from ops.aws.clients import Clients, account
from ops.aws.refusals import says, told_by_aws
from ops.deployed import stacks
from ops.deployed.routes import (
    LISTENER,
    RULE,
    SERVICE,
    Blueprint,
    Route,
    Template,
    Traffic,
    references,
    replaced,
    signs_in,
    traffic_of,
)
from ops.errors import OpsError
from ops.release import ports, priorities
from ops.release.stateful import Loss
from settings import ROOT, Environment

_LOAD_BALANCER = "AWS::ElasticLoadBalancingV2::LoadBalancer"
TEMPLATE = ROOT / "cdk.out" / "Compute.template.json"

# What a release and its service do not depend on.
_BESIDE = frozenset(
    {
        "AWS::CDK::Metadata",
        "AWS::CloudWatch::Alarm",
        "AWS::CloudWatch::CompositeAlarm",
        "AWS::CloudWatch::Dashboard",
    }
)
# In these the resources may be older than the template that CloudFormation answers with.
_HALF_WAY = frozenset({"UPDATE_FAILED", "UPDATE_ROLLBACK_FAILED"})
_CODEDEPLOY_UNDER_WAY = ["Created", "Queued", "InProgress", "Baking", "Ready"]
_ECS_UNDER_WAY = ["PENDING", "IN_PROGRESS", "STOP_REQUESTED", "ROLLBACK_REQUESTED", "ROLLBACK_IN_PROGRESS"]


@dataclass(frozen=True)
class Release:
    """A release that is under way: what it is called, of which service, and what ends it early."""

    name: str
    stop: str
    service: str = ""


@dataclass(frozen=True)
class Deployed:
    """What AWS answers about a deployed stack.

    `live` holds what each rule of the listeners of its rules does (by ARN; of a default action the listener's),
    `signing_in` those that let nobody through who has not signed in, `releases` what is under way, by logical id of
    the service, `elsewhere` the rules of other stacks at the same listeners, by listener and number.
    """

    stack: str
    template: Template
    physical_ids: Mapping[str, str]
    live: Mapping[str, Traffic | None]
    signing_in: frozenset[str] = frozenset()
    releases: Mapping[str, Release] = field(default_factory=dict)
    half_way: bool = False
    elsewhere: Mapping[tuple[str, int], str] = field(default_factory=dict)


@dataclass(frozen=True)
class Finding:
    """One rule: what is live, what the template says, what deploying does to it.

    It is refused where `problem` says why; `remedy` then says what helps.
    """

    service: str
    listener: str
    priority: int | None
    rule: str
    live: str
    template: str
    change: str
    problem: str | None = None
    remedy: str | None = None

    def __str__(self) -> str:
        number = "the default rule" if self.priority is None else f"rule {self.priority}"
        text = (
            f"{self.service}, {self.listener} listener, {number} ({self.rule}): "
            f"live {self.live}, template {self.template}, {self.change}"
        )
        return f"{text}: {self.problem}. Remedy: {self.remedy}" if self.problem else text


@dataclass(frozen=True)
class Plan:
    """What deploying a template does to the rules of a stack; nothing of it where nothing is deployed.

    `switches` names what CloudFormation cannot change: services that would change their release controller, a load
    balancer that would change between internal and internet-facing, rules that would take a number which another one
    still has; each with the way to do it. `held_up` names releases under way whose service deploying would change.
    """

    stack: str
    deployed: bool
    findings: tuple[Finding, ...] = ()
    switches: tuple[str, ...] = ()
    held_up: tuple[str, ...] = ()

    @property
    def is_refused(self) -> bool:
        """Whether this must not be deployed."""
        return bool(self.refused or self.switches or self.held_up)

    @property
    def refused(self) -> tuple[Finding, ...]:
        """The rules that must not be deployed so."""
        return tuple(finding for finding in self.findings if finding.problem)


def templates(assembly: Path, environment: str) -> list[Path]:
    """The templates of an assembly that are to be compared: those with services, listeners or rules of them."""
    found = [
        assembly / artifact["properties"]["templateFile"]
        for artifact in _artifacts(assembly, f"run `make synth ENV={environment}`").values()
        if artifact.get("type") == "aws:cloudformation:stack"
    ]
    types = {SERVICE, LISTENER, RULE}
    compared = [
        template
        for template in found
        if any(each["Type"] in types for each in load(template, environment)["Resources"].values())
    ]
    return compared or [assembly / TEMPLATE.name]


def check_all(clients: Clients, environment: Environment, compared: Sequence[Path]) -> list[Plan]:
    """Compare what is live in an environment with the templates in several files, those of the stacks to be deployed."""
    with told_by_aws(environment.name):
        account(clients, environment)
        return aws.each(lambda template: _checked(clients, environment, template), compared)


def check(clients: Clients, environment: Environment, template: Path = TEMPLATE) -> Plan:
    """Compare what is live in an environment with the template in a file."""
    (found,) = check_all(clients, environment, [template])
    return found


def _checked(clients: Clients, environment: Environment, template: Path) -> Plan:
    document = load(template, environment.name)
    stack = _stack_of(template, environment.name)
    deployed = read(clients, stack)
    if deployed is not None:
        return plan(deployed, document)
    nothing = Blueprint({"Resources": {}})
    after = Blueprint(document)
    elsewhere = _elsewhere(clients, after, {})
    return Plan(stack, deployed=False, switches=tuple(priorities.taken(nothing, after, (), elsewhere)))


def load(template: Path, environment: str) -> Template:
    """The template in a file; raises `OpsError` where a manifest beside it says it is of another environment."""
    remedy = f"run `make synth ENV={environment}`"
    try:
        document = json.loads(template.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise OpsError(f"{template}: is missing: {remedy}") from None
    except OSError as error:
        raise OpsError(f"{template}: cannot be read: {error.strerror}") from None
    except ValueError:
        raise OpsError(f"{template}: is no template of a synth: {remedy}") from None
    if not isinstance(document, dict) or not isinstance(document.get("Resources"), dict):
        raise OpsError(f"{template}: is no template: {remedy}")
    stack = _stack_of(template, environment)
    if not stack.startswith(f"suppliers-{environment}-"):
        raise OpsError(f"{template}: is of {stack}, not of environment {environment}: {remedy}")
    return document


def _stack_of(template: Path, environment: str) -> str:
    """The name of the stack that a template is of, as the manifest beside it says."""
    for artifact in _artifacts(template.parent, f"run `make synth ENV={environment}`").values():
        properties = artifact.get("properties", {})
        if properties.get("templateFile") == template.name and "stackName" in properties:
            return str(properties["stackName"])
    return f"suppliers-{environment}-compute"


def _artifacts(assembly: Path, remedy: str) -> Mapping[str, Any]:
    manifest = assembly / "manifest.json"
    try:
        return (
            dict(json.loads(manifest.read_text(encoding="utf-8"))["artifacts"]) if manifest.exists() else {}
        )
    except OSError as error:
        raise OpsError(f"{manifest}: cannot be read: {error.strerror}") from None
    except (ValueError, KeyError, TypeError):
        raise OpsError(f"{manifest}: is no manifest of a synth: {remedy}") from None


def read(clients: Clients, stack: str) -> Deployed | None:
    """What is deployed and live, or None where nothing is."""
    cloudformation = clients.client("cloudformation")
    status = stacks.status(cloudformation, stack)
    if status in stacks.NOTHING_DEPLOYED:
        return None
    if status.endswith("_IN_PROGRESS"):
        raise OpsError(f"{stack}: is being changed ({status}): wait for its end and repeat")
    template = stacks.template(cloudformation, stack)
    physical_ids = stacks.physical_ids(cloudformation, stack)
    blueprint = Blueprint(template)
    listeners = _listeners(blueprint, physical_ids)
    elbv2 = clients.client("elbv2") if listeners else None
    found = {arn: list(_live_rules(elbv2, arn)) for arn in sorted(listeners)}
    actions = {rule.arn: rule.actions for rules in found.values() for rule in rules}
    releases = {
        **_codedeploy_releases(clients, blueprint, physical_ids),
        **_native_releases(clients, blueprint, physical_ids),
    }
    return Deployed(
        stack,
        template,
        physical_ids,
        live={rule: traffic_of(found) for rule, found in actions.items()},
        signing_in=frozenset(rule for rule, found in actions.items() if signs_in(found)),
        releases=releases,
        half_way=status in _HALF_WAY,
        elsewhere=_numbers(found, listeners, physical_ids),
    )


def plan(deployed: Deployed, template: Template) -> Plan:
    """What deploying `template` does to each rule that forwards, now or then.

    Refused is whatever would send requests elsewhere than they go now, and whatever touches a rule while
    a release is moving it.
    """
    return Plan(
        deployed.stack,
        deployed=True,
        findings=tuple(_Comparison(deployed, template).findings()),
        switches=(
            *_switches(deployed.template, template),
            *priorities.taken(
                Blueprint(deployed.template), Blueprint(template), deployed.physical_ids, deployed.elsewhere
            ),
            *ports.taken(deployed.template, template, deployed.physical_ids),
        ),
        held_up=tuple(_held_up(deployed, template)),
    )


def _held_up(deployed: Deployed, template: Template) -> Iterator[str]:
    """Releases under way whose service is in a stack that deploying would change.

    The release goes on from the service and the task definition that it began with, and the stack would start another
    one beside it, which CodeDeploy refuses:
    https://docs.aws.amazon.com/codedeploy/latest/userguide/deployment-steps-ecs.html
    """
    before, after = deployed.template["Resources"], template["Resources"]
    changed = sorted(
        logical_id
        for logical_id in {*before, *after}
        if _written(before.get(logical_id)) != _written(after.get(logical_id))
    )
    if not changed:
        return
    named = ", ".join(changed[:3]) + (f" and {len(changed) - 3} more" if len(changed) > 3 else "")
    for release in deployed.releases.values():
        yield (
            f"{release.service}: {release.name} is under way, and deploying {deployed.stack} would change {named}. "
            f"Remedy: wait for its end (`suppliers release watch {release.service}`), or end it now "
            f"(`{release.stop}`), then repeat"
        )


def _written(resource: Mapping[str, Any] | None) -> Any:
    """What CloudFormation acts on of a resource; nothing of one that no release depends on."""
    if resource is None or resource["Type"] in _BESIDE:
        return None
    return resource["Type"], resource.get("Properties", {})


def _switches(before: Template, after: Template) -> Iterator[str]:
    for logical_id, resource in before["Resources"].items():
        following = after["Resources"].get(logical_id)
        if following is None:
            continue
        if resource["Type"] == _LOAD_BALANCER and _scheme(resource) != _scheme(following):
            # A group belongs to one load balancer, and the name to one:
            # https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-elasticloadbalancingv2-loadbalancer.html
            # https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-target-groups.html
            yield (
                f"{logical_id}: a load balancer that exists cannot change from {_scheme(resource)} to "
                f"{_scheme(following)}: CloudFormation would make a second one, which can have neither its name nor its "
                "target groups. Remedy: leave [cdn] as it was; or destroy the environment and deploy it anew; or, where "
                "its data is needed, bring the change as an environment of its own and move data and domain there "
                "(docs/architecture.md#cloudfront-in-front)"
            )
        if resource["Type"] != "AWS::ECS::Service":
            continue
        old, new = _controller(resource), _controller(following)
        if "CODE_DEPLOY" in (old, new) and old != new:
            yield (
                f"{logical_id}: a service that exists cannot change its release controller from {old} to {new} "
                "(https://github.com/aws/aws-cdk/issues/36012). Remedy: set release.controller back, or bring the "
                "service anew: a copy of its folder under another name and with a lower priority takes its paths "
                "over, then the old folder is removed"
            )


def _scheme(load_balancer: Mapping[str, Any]) -> str:
    return str(load_balancer.get("Properties", {}).get("Scheme", "internet-facing"))


def _controller(service: Mapping[str, Any]) -> str:
    return str(service.get("Properties", {}).get("DeploymentController", {}).get("Type", "ECS"))


def report(found: Plan) -> Iterator[str]:
    """The plan in lines for people."""
    if not found.deployed and not found.is_refused:
        yield f"{found.stack}: nothing is deployed yet, so no traffic can be moved"
        return
    for finding in found.findings:
        yield f"{'refused' if finding.problem else 'safe'}: {finding}"
    for line in (*found.switches, *found.held_up):
        yield f"refused: {line}"
    if not found.is_refused:
        yield f"{found.stack}: deploying moves no traffic"


def as_json(found: Sequence[Plan], lost: Sequence[Loss] = ()) -> str:
    """The plans for programs, with what the same deployment would lose."""
    refused = any(each.is_refused for each in found) or bool(lost)
    return json.dumps(
        {
            "stacks": [{**asdict(each), "refused": each.is_refused} for each in found],
            "losses": [asdict(each) for each in lost],
            "refused": refused,
        },
        indent=2,
    )


def refuse(*found: Plan) -> None:
    """Raise `OpsError` with a line for each rule that deploying would move, each switch and each release it disturbs."""
    refused = [
        f"refused: {line}" for each in found for line in (*each.refused, *each.switches, *each.held_up)
    ]
    if not refused:
        return
    for each in found:
        if each.is_refused:
            what = (
                "move traffic" if each.refused else "fail half way" if each.switches else "disturb a release"
            )
            refused.append(f"{each.stack}: deploying would {what}, so nothing was deployed")
    raise OpsError("\n".join(refused))


class _Comparison:
    """One deployed stack and the template that is to follow.

    Target groups are named by ARN, so that one that is made anew is another one.
    """

    def __init__(self, deployed: Deployed, template: Template) -> None:
        self._deployed = deployed
        self._before = Blueprint(deployed.template)
        self._after = Blueprint(template)
        self._replaced = replaced(self._before, self._after)

    def findings(self) -> Iterator[Finding]:
        routes = {**self._after.routes, **self._before.routes}
        for route in sorted(routes.values(), key=self._order):
            # What was never made is new, though the deployed template names it.
            made = route.logical_id in self._deployed.physical_ids
            old = self._before.routes.get(route.logical_id) if made else None
            new = self._after.routes.get(route.logical_id)
            if any(each is not None and each.traffic is not None for each in (old, new)):
                yield self._finding(route if new is None else new, old, new)

    def _finding(self, route: Route, old: Route | None, new: Route | None) -> Finding:
        live = self._live(route, old)
        was = self._arns(self._before, old, live)
        will_be = self._arns(self._after, new, live)
        change = self._change(old, new)
        service, service_id = self._service(old, new)
        finding = Finding(
            service=service,
            listener=self._listener(route),
            priority=route.priority,
            rule=route.logical_id,
            live="missing" if live is _MISSING else self._text(live),
            template=self._says(new, will_be),
            change=change or "not changed",
        )
        release = self._deployed.releases.get(service_id or "")
        if change is None:
            remark = self._remark(live, was, release)
            return replace(finding, change=f"not changed{remark}{self._lost_sign_in(old, live)}")
        verdict = self._verdict(finding, release, live, was, will_be)
        if verdict is None or (
            will_be is None and release is None and self._is_closing(service_id, live, was)
        ):
            return finding
        return replace(finding, problem=verdict[0], remedy=verdict[1])

    def _is_closing(self, service_id: str | None, live: Traffic | None, was: Traffic | None) -> bool:
        """Whether somebody closes a path that no release has moved, or a whole service: a decision, no accident."""
        return live in (was, _MISSING) or (service_id is not None and service_id not in self._after.resources)

    def _verdict(
        self,
        finding: Finding,
        release: Release | None,
        live: Traffic | None,
        was: Traffic | None,
        will_be: Traffic | None,
    ) -> tuple[str, str] | None:
        """The problem with touching a rule, and its remedy; None where it goes on as it is."""
        service = finding.service
        if release is not None:
            return (
                f"{release.name} is moving the traffic of {service}",
                f"wait for its end, or end it now (`{release.stop}`), then repeat",
            )
        if live == will_be or (was is None and live is None):
            return None
        if live is _MISSING:
            return (
                "the rule is not there any more, and CloudFormation cannot change what is gone",
                "find out who removed it; deploy once without the rule, then once with it",
            )
        if live is None or not live.keys() <= self._sides.keys():
            return (
                "somebody changed the rule by hand, and deploying would take that back",
                "change it back by hand, or write it into the template, then repeat",
            )
        if len(live) > 1:
            return (
                "a release has left the traffic between the two sides",
                f"finish the release of {service} or take it back, then repeat",
            )
        if any(group.startswith(_MADE_ANEW) for group in will_be or ()):
            return (
                "the traffic would go to a target group without tasks",
                "leave port, protocol and network of the target groups as they are, or bring the change as a "
                "service of its own",
            )
        if live == was:
            return (
                "the template itself would move the traffic",
                f"let the template say {finding.live}: traffic is moved by releases",
            )
        return (
            "a release has moved the traffic, and deploying would undo that",
            f"release {service} once more without this change, which makes {self._text(will_be or was)} "
            "live again, then repeat",
        )

    def _change(self, old: Route | None, new: Route | None) -> str | None:
        """What CloudFormation would do to the rule, or None where it leaves it alone."""
        if old is None:
            return "made by deploying"
        if new is None:
            return "removed by deploying"
        if new.logical_id in self._replaced:
            return "replaced by deploying"
        names = sorted(
            name
            for name in {*old.properties, *new.properties}
            if old.properties.get(name) != new.properties.get(name)
            or not self._replaced.isdisjoint(references(new.properties.get(name)))
        )
        if names:
            return f"{', '.join(names)} changed by deploying"
        if self._deployed.half_way:
            return "changed by deploying, perhaps: the last update of the stack ended half way"
        return None

    def _remark(self, live: Traffic | None, was: Traffic | None, release: Release | None) -> str:
        if release is not None:
            return f", while {release.name} is moving it"
        if live is _MISSING:
            return ", but the rule is not there any more: its requests go elsewhere"
        return "" if live == was else ", so the traffic stays where it was moved"

    def _lost_sign_in(self, old: Route | None, live: Traffic | None) -> str:
        if old is None or not old.signed_in or live is _MISSING:
            return ""
        if self._deployed.physical_ids[old.logical_id] in self._deployed.signing_in:
            return ""
        return ", but it lets through who has not signed in: somebody removed that from the live rule"

    def _live(self, route: Route, old: Route | None) -> Traffic | None:
        if old is None:
            return self._live_of_service(route)
        found = self._deployed.live.get(self._deployed.physical_ids[route.logical_id], _MISSING)
        if found is None and old.traffic is None:
            return self._live_of_service(route)
        return found

    def _live_of_service(self, route: Route) -> Traffic | None:
        """Where a service's other rules lead, those of the same listener first; None where it has none."""
        groups = set(route.traffic or ())
        wanted = {self._after.groups[group].service for group in groups if group in self._after.groups}
        for each in sorted(
            self._before.routes.values(),
            key=lambda each: (each.listener != route.listener, self._order(each)),
        ):
            serves = {
                self._before.groups[group].service
                for group in each.traffic or ()
                if group in self._before.groups
            }
            live = self._deployed.live.get(self._deployed.physical_ids.get(each.logical_id, ""))
            if live is not None and wanted & serves:
                return live
        return None

    def _says(self, route: Route | None, traffic: Traffic | None) -> str:
        if route is None:
            return "without the rule"
        made_anew = any(group.startswith(_MADE_ANEW) for group in traffic or ())
        return "what is live" if route.follows_live and not made_anew else self._text(traffic)

    def _arns(self, blueprint: Blueprint, route: Route | None, live: Traffic | None) -> Traffic | None:
        if route is None or route.traffic is None:
            return None
        if not route.follows_live:
            return {self._arn(blueprint, group): weight for group, weight in route.traffic.items()}
        # What is live is written, where that is one of its own groups; else all to the first of them.
        kept = {
            self._arn(blueprint, group): (live or {}).get(self._deployed.physical_ids.get(group, ""), 0)
            for group in route.traffic
        }
        found = {group: weight for group, weight in kept.items() if weight}
        return found or {next(iter(kept)): 1}

    def _arn(self, blueprint: Blueprint, group: str) -> str:
        kept = blueprint is self._before or group not in self._replaced
        if kept and group in self._deployed.physical_ids:
            return self._deployed.physical_ids[group]
        return f"{_MADE_ANEW}{group}" if group in blueprint.resources else group

    def _service(self, old: Route | None, new: Route | None) -> tuple[str, str | None]:
        for blueprint, route in ((self._before, old), (self._after, new)):
            for logical_id in (route.traffic or ()) if route else ():
                group = blueprint.groups.get(logical_id)
                if group is not None:
                    return group.service, group.service_id
        return "unknown service", None

    def _listener(self, route: Route) -> str:
        names = {**self._before.listener_names, **self._after.listener_names}
        return names.get(route.listener, route.listener)

    def _order(self, route: Route) -> tuple[str, int, str]:
        return self._listener(route), route.priority or 0, route.logical_id

    def _text(self, traffic: Traffic | None) -> str:
        if not traffic:
            return "nothing"
        if len(traffic) == 1:
            return self._side(next(iter(traffic)))
        total = sum(traffic.values())
        return ", ".join(
            f"{self._side(group)} {weight * 100 / total:g} %" for group, weight in traffic.items()
        )

    def _side(self, group: str) -> str:
        if group in self._sides:
            return self._sides[group]
        logical_id = group.removeprefix(_MADE_ANEW)
        if logical_id in self._after.groups:
            return f"{self._after.groups[logical_id].side} (made anew)"
        return f"target group {group.rpartition('targetgroup/')[2].partition('/')[0]}"

    @cached_property
    def _sides(self) -> Mapping[str, str]:
        """By ARN, the side that each deployed target group is."""
        ids = self._deployed.physical_ids
        groups = self._before.groups
        return {ids[logical_id]: group.side for logical_id, group in groups.items() if logical_id in ids}


# A rule that the template has and the load balancer has not.
_MISSING: Traffic = {"missing": 1}
_MADE_ANEW = "made anew: "


@dataclass(frozen=True)
class _LiveRule:
    """A rule as the load balancer has it; of a default action it is the listener, without a number."""

    arn: str
    number: int | None
    actions: Sequence[Mapping[str, Any]]


def _live_rules(elbv2: Any, listener_arn: str) -> Iterator[_LiveRule]:
    try:
        for page in elbv2.get_paginator("describe_rules").paginate(ListenerArn=listener_arn):
            for rule in page["Rules"]:
                if rule["IsDefault"]:
                    yield _LiveRule(listener_arn, None, rule["Actions"])
                else:
                    yield _LiveRule(rule["RuleArn"], int(rule["Priority"]), rule["Actions"])
    except ClientError as error:
        if not says(error, "ListenerNotFound"):
            raise


def _listeners(blueprint: Blueprint, physical_ids: Mapping[str, str]) -> dict[str, str]:
    """The listeners that a stack's rules belong to, its own or those of another stack: by ARN, as the template names them.

    The ARN of a rule holds that of its listener:
    https://docs.aws.amazon.com/service-authorization/latest/reference/list_awselasticloadbalancingv2.html
    """
    found = {}
    for route in blueprint.routes.values():
        if route.listener in physical_ids:
            found[physical_ids[route.listener]] = route.listener
        elif ":listener-rule/" in physical_ids.get(route.logical_id, ""):
            rule = physical_ids[route.logical_id]
            found[rule.replace(":listener-rule/", ":listener/").rpartition("/")[0]] = route.listener
    return found


def _elsewhere(
    clients: Clients, blueprint: Blueprint, physical_ids: Mapping[str, str]
) -> Mapping[tuple[str, int], str]:
    """The rules that the listeners of other stacks have, where nothing of this one is deployed."""
    cloudformation, elbv2 = clients.client("cloudformation"), clients.client("elbv2")
    listeners: dict[str, str] = {}
    for route in blueprint.routes.values():
        asked = route.properties.get("ListenerArn")
        if (
            isinstance(asked, Mapping)
            and "Fn::GetStackOutput" in asked
            and route.listener not in listeners.values()
        ):
            source = asked["Fn::GetStackOutput"]["StackName"]
            if stacks.status(cloudformation, source) not in stacks.NOTHING_DEPLOYED:
                arn = stacks.resolved(cloudformation, asked, physical_ids)
                listeners |= {arn: route.listener} if arn else {}
    return _numbers(
        {arn: list(_live_rules(elbv2, arn)) for arn in sorted(listeners)}, listeners, physical_ids
    )


def _numbers(
    rules: Mapping[str, Sequence[_LiveRule]], listeners: Mapping[str, str], physical_ids: Mapping[str, str]
) -> dict[tuple[str, int], str]:
    own = set(physical_ids.values())
    return {
        (listeners[arn], rule.number): rule.arn
        for arn, found in rules.items()
        for rule in found
        if rule.number is not None and rule.arn not in own
    }


def _codedeploy_releases(
    clients: Clients, blueprint: Blueprint, physical_ids: Mapping[str, str]
) -> dict[str, Release]:
    found: dict[str, Release] = {}
    for service, (application, group) in blueprint.deployment_groups.items():
        if application not in physical_ids or group not in physical_ids:
            continue
        try:
            deployments: Sequence[str] = clients.client("codedeploy").list_deployments(
                applicationName=physical_ids[application],
                deploymentGroupName=physical_ids[group],
                includeOnlyStatuses=_CODEDEPLOY_UNDER_WAY,
            )["deployments"]
        except ClientError as error:
            if not says(error, "ApplicationDoesNotExistException", "DeploymentGroupDoesNotExistException"):
                raise
            continue
        for deployment in deployments:
            stop = f"aws deploy stop-deployment --auto-rollback-enabled --deployment-id {deployment}"
            name = _name(blueprint, service)
            found[service] = Release(f"CodeDeploy deployment {deployment}", stop, name)
    return found


def _native_releases(
    clients: Clients, blueprint: Blueprint, physical_ids: Mapping[str, str]
) -> dict[str, Release]:
    found: dict[str, Release] = {}
    for service in blueprint.native_services:
        if service not in physical_ids:
            continue
        cluster = physical_ids[service].split("/")[-2]
        try:
            deployments = clients.client("ecs").list_service_deployments(
                cluster=cluster, service=physical_ids[service], status=_ECS_UNDER_WAY
            )["serviceDeployments"]
        except ClientError as error:
            if not says(error, "ServiceNotFoundException", "ClusterNotFoundException"):
                raise
            continue
        for deployment in deployments:
            arn = deployment["serviceDeploymentArn"]
            stop = f"aws ecs stop-service-deployment --stop-type ROLLBACK --service-deployment-arn {arn}"
            name = _name(blueprint, service)
            found[service] = Release(f"ECS deployment {arn.rpartition('/')[2]}", stop, name)
    return found


def _name(blueprint: Blueprint, service: str) -> str:
    """What people call a service: its container has the same name."""
    for balancer in blueprint.resources[service].get("Properties", {}).get("LoadBalancers", []):
        return str(balancer["ContainerName"])
    return service
