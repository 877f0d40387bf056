from collections.abc import Sequence
from dataclasses import asdict

from aws_cdk import aws_elasticloadbalancingv2 as elbv2
from constructs import Construct

from platform_constructs.entrance.sign_in import SignIn
from platform_constructs.release.target_group_pair import TargetGroupPair
from platform_constructs.service.service_operations import ServiceOperations

# A rule holds this many condition values, paths and addresses together:
# https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-limits.html
_VALUES_PER_RULE = 5
FORBID_OFFSET = 49


class ListenerRules(Construct):
    """The rules of one service on one listener: its paths, from anywhere or from named networks only.

    With `source_cidrs`, or where something in front tells viewers apart, with a header that requests must carry,
    requests for the same paths from elsewhere are answered 403. Priorities are
    `priority` and the numbers directly after it, and for the 403 `priority` + `FORBID_OFFSET`: far enough away
    that more networks never need a number that another rule still holds.

    With `operations` requests go where they go at the moment at which CloudFormation writes a rule, blue at first;
    without, to blue for ever.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        listener: elbv2.IApplicationListener,
        priority: int,
        path_patterns: Sequence[str],
        source_cidrs: Sequence[str],
        required_header: tuple[str, str] | None = None,
        sign_in: SignIn | None = None,
        target_groups: TargetGroupPair,
        operations: ServiceOperations | None,
    ) -> None:
        super().__init__(scope, construct_id)
        blue, green = target_groups.blue, target_groups.green
        if operations is None:
            action = elbv2.ListenerAction.forward([blue])
        else:
            weights = operations.live_traffic(
                self,
                listener=listener,
                blue=blue,
                green=green,
                rules={
                    "Priority": priority,
                    "Paths": [*path_patterns],
                    "Networks": [*source_cidrs],
                    "Header": [*(required_header or ())],
                    "SignIn": {} if sign_in is None else asdict(sign_in),
                },
            )
            action = elbv2.ListenerAction.weighted_forward(
                [
                    elbv2.WeightedTargetGroup(target_group=group, weight=weight)
                    for group, weight in zip((blue, green), weights, strict=True)
                ]
            )
        if sign_in is not None:
            action = sign_in.before(action)
        paths = elbv2.ListenerCondition.path_patterns(list(path_patterns))
        room = _VALUES_PER_RULE - len(path_patterns)
        restrictions = [
            elbv2.ListenerCondition.source_ips(list(source_cidrs[start : start + room]))
            for start in range(0, len(source_cidrs), room)
        ]
        if required_header is not None:
            name, value = required_header
            restrictions = [elbv2.ListenerCondition.http_header(name, [value])]
        self.forwards: list[elbv2.ApplicationListenerRule] = []
        for number, restriction in enumerate(restrictions or [None]):
            self.forwards.append(
                elbv2.ApplicationListenerRule(
                    self,
                    f"Forward{number or ''}",
                    listener=listener,
                    priority=priority + number,
                    conditions=[paths, *([restriction] if restriction else [])],
                    action=action,
                )
            )
        if restrictions:
            elbv2.ApplicationListenerRule(
                self,
                "Forbid",
                listener=listener,
                priority=priority + FORBID_OFFSET,
                conditions=[paths],
                action=elbv2.ListenerAction.fixed_response(
                    403, content_type="text/plain", message_body="Forbidden"
                ),
            )
