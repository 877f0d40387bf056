"""Temporary credentials of roles, as ECS gives them to tasks and Lambda to functions.

Why: ministack gives tasks no credentials and functions those of the account, so that nothing tells whose request is whose.
Unnecessary when tasks and functions have sessions of their roles.
"""

# These packages are in the emulator's own environment.
# mypy: disable-error-code="import-not-found, import-untyped"
# pyright: reportMissingImports=false, reportMissingModuleSource=false

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from emulator.bridges import Context, replace
from emulator.bridges.iam import authority
from emulator.iam import services
from emulator.iam.actions import Ask

LAMBDA = "lambda.amazonaws.com"
# https://docs.aws.amazon.com/lambda/latest/dg/configuration-vpc.html#configuration-vpc-permissions
_IN_A_VPC = (
    "ec2:CreateNetworkInterface",
    "ec2:DescribeNetworkInterfaces",
    "ec2:DescribeSubnets",
    "ec2:DeleteNetworkInterface",
)


def install(context: Context) -> None:
    from ministack.core import lambda_runtime
    from ministack.services import lambda_svc

    replace(lambda_runtime, "execution_credentials", lambda original: _of_function)
    replace(lambda_svc, "execution_credentials", lambda original: _of_function)
    replace(lambda_svc, "_emit_lambda_logs", _keeping_logs)


def of_service(
    role_arn: str, name: str, service: str, source: Mapping[str, str] | None = None
) -> dict[str, str]:
    """Variables with the credentials of a new session of the role, taken by a service of AWS for what it runs.

    They do not expire, where AWS's are renewed by whoever gave them. Raises `authority.NotAssumable`.
    """
    from ministack.services import iam, sts

    authority.assume(role_arn, service, source)
    who = authority.session_of(role_arn, name)
    key, secret, token = iam._gen_session_access_key(), iam._gen_secret(), iam._gen_session_token()
    sts.register_session(
        key,
        {
            "Arn": who.arn,
            "RoleArn": role_arn,
            "UserId": f"{sts._role_id(role_arn)}:{name}",
            "SecretAccessKey": secret,
            "SessionToken": token,
            "AccountId": who.account,
            "PrincipalType": "AssumedRole",
        },
    )
    return {"AWS_ACCESS_KEY_ID": key, "AWS_SECRET_ACCESS_KEY": secret, "AWS_SESSION_TOKEN": token}


def _of_function(config: dict[str, Any]) -> dict[str, str]:
    arn = str(config["FunctionArn"])
    _, _, _, region, account, *_ = arn.split(":")
    role, name = str(config["Role"]), str(config["FunctionName"])
    try:
        variables = of_service(role, name, LAMBDA, {"aws:sourcearn": arn, "aws:sourceaccount": account})
        if (config.get("VpcConfig") or {}).get("SubnetIds"):
            authority.require(
                authority.session_of(role, name), (Ask(each, "*") for each in _IN_A_VPC), region
            )
    except authority.NotAssumable as error:
        # https://docs.aws.amazon.com/lambda/latest/dg/troubleshooting-deployment.html
        raise RuntimeError(
            f"The role defined for the function cannot be assumed by Lambda: {error}"
        ) from error
    except authority.Denied as denied:
        raise RuntimeError(
            "The provided execution role does not have permissions to call CreateNetworkInterface on EC2: "
            f"{denied}"
        ) from denied
    return variables


def _keeping_logs(original: Any) -> Any:
    def emit(func: dict[str, Any], *args: Any, **kwargs: Any) -> None:
        """Keep what a function printed where its role may write it; otherwise it is lost, as on AWS."""
        from ministack.services import cloudwatch_logs

        config = func.get("config") or func
        _, _, _, region, account, *_ = str(config["FunctionArn"]).split(":")
        name = str(config["FunctionName"])
        group = (config.get("LoggingConfig") or {}).get("LogGroup") or f"/aws/lambda/{name}"
        asks = list(services.writing_a_log(group, region, account))
        if group not in cloudwatch_logs._log_groups:
            arn = f"arn:aws:logs:{region}:{account}:log-group:{group}:log-stream:"
            asks.insert(0, Ask("logs:CreateLogGroup", arn))
        if authority.may(authority.session_of(str(config["Role"]), name), asks, region):
            original(func, *args, **kwargs)

    return emit
