"""CodeDeploy acts with the role of its deployment group, and fails a deployment for which that has not the rights.

Why and until when: see `account`.
"""

# These packages are in the emulator's own environment.
# mypy: disable-error-code="import-not-found, import-untyped"
# pyright: reportMissingImports=false, reportMissingModuleSource=false

from __future__ import annotations

from collections.abc import Iterable, Sequence

from emulator.bridges.iam import account, authority
from emulator.iam import services
from emulator.iam.actions import Ask
from emulator.releases import Deployment, Failure

CODEDEPLOY = "codedeploy.amazonaws.com"


def start(deployment: Deployment, service: str, *, definition: str, alarms: Sequence[str]) -> None:
    """Take the role, and look at everything that is needed until the traffic moves; `service` is `cluster/name`.

    Raises `Failure`.
    """
    from ministack.core.responses import get_account_id, get_region

    role = _role(deployment)
    here = f"{get_region()}:{get_account_id()}"
    try:
        authority.assume(role, CODEDEPLOY)
    except authority.NotAssumable as error:
        # https://docs.aws.amazon.com/codedeploy/latest/APIReference/API_ErrorInformation.html
        raise Failure(
            "IAM_ROLE_MISSING",
            f"AWS CodeDeploy does not have the permissions required to assume the role {role}.",
        ) from error
    roles = [
        account.lookup(f"task-definition-{name}", definition) for name in ("taskRoleArn", "executionRoleArn")
    ]
    arn, task_set = f"arn:aws:ecs:{here}:service/{service}", f"arn:aws:ecs:{here}:task-set/{service}/*"
    _require(
        deployment,
        (
            *services.starting_a_release(
                arn,
                task_set,
                [each for each in roles if each],
                [f"arn:aws:cloudwatch:{here}:alarm:{name}" for name in alarms],
            ),
            *services.ending_a_release(arn, task_set),
        ),
    )


def route(deployment: Deployment, routes: Sequence[str]) -> None:
    """Be allowed to rewrite the rules and listeners. Raises `Failure`."""
    _require(deployment, services.moving_traffic(routes))


def call(deployment: Deployment, function: str) -> None:
    """Be allowed to call a hook function. Raises `Failure`."""
    _require(deployment, [Ask("lambda:InvokeFunction", function)])


def _role(deployment: Deployment) -> str:
    return str(deployment.settings["serviceRoleArn"])


def _require(deployment: Deployment, asks: Iterable[Ask]) -> None:
    from ministack.core.responses import get_region

    role = _role(deployment)
    try:
        authority.require(authority.session_of(role, deployment.id), asks, get_region())
    except authority.Denied as denied:
        service = denied.request.action.partition(":")[0]
        raise Failure(
            "IAM_ROLE_PERMISSIONS",
            f"The IAM role {role} does not give you permission to perform operations in the following AWS service: "
            f"{_NAMES.get(service, service)}. Contact your AWS administrator if you need help. {denied}",
        ) from denied


_NAMES = {
    "cloudwatch": "AmazonCloudWatch",
    "ecs": "AmazonECS",
    "elasticloadbalancing": "ElasticLoadBalancingV2",
    "iam": "AWSIdentityManagement",
    "lambda": "AWSLambda",
}
