"""Custom resources with a Python handler run here; those of CDK itself are recorded.

Why: ministack runs every custom resource's Lambda. CDK's own ones are bundled for Node and do nothing
useful in an emulator (closing the default security group, setting log retention), while a failing handler
of ours would leave CloudFormation waiting for an hour, as on AWS. Handlers behind CDK's provider
framework (`aws_cdk.custom_resources.Provider`) are called directly, as the framework would call them.
Unnecessary when ministack runs the Node handlers without a container and reports a handler's error at
once.
"""

# These packages are in the emulator's own environment.
# mypy: disable-error-code="import-not-found, import-untyped"
# pyright: reportMissingImports=false, reportMissingModuleSource=false

from __future__ import annotations

import json
import logging
import time
from typing import Any

from emulator.bridges import Context, replace
from emulator.bridges.cloudformation.record_only import record

logger = logging.getLogger("emulator.custom_resources")

ON_EVENT_VARIABLE = "USER_ON_EVENT_FUNCTION_ARN"
IS_COMPLETE_VARIABLE = "USER_IS_COMPLETE_FUNCTION_ARN"
# Python handlers of CDK itself, which need more than boto3.
CDK_INTERNAL_PREFIX = "Custom::CDK"
POLL_SECONDS = 1.0
DEFAULT_TIMEOUT_SECONDS = 1800.0


def install(context: Context) -> None:
    from ministack.services.cloudformation import custom_resource

    replace(custom_resource, "invoke_custom_resource", lambda original: _invoke)


def _invoke(
    request_type: str,
    logical_id: str,
    props: dict[str, Any],
    stack_name: str,
    stack_id: str,
    resource_type: str,
    physical_id: str | None = None,
    old_props: dict[str, Any] | None = None,
) -> tuple[str, dict[str, Any]]:
    from ministack.core.responses import new_uuid
    from ministack.services.cloudformation import custom_resource

    function = find_function(str(props.get("ServiceToken", "")))
    variables = _variables(function)
    runs = function is not None and (_is_python(function) or ON_EVENT_VARIABLE in variables)
    if function is None or not runs or resource_type.startswith(CDK_INTERNAL_PREFIX):
        identifier, attributes = record(resource_type, logical_id, stack_name, props)
        return physical_id or identifier, attributes

    token = new_uuid()
    event: dict[str, Any] = {
        "RequestType": request_type,
        "RequestId": token,
        "StackId": stack_id,
        "ResponseURL": custom_resource._response_url(token),
        "ResourceType": resource_type,
        "LogicalResourceId": logical_id,
        "ResourceProperties": custom_resource._normalise_resource_properties(props),
    }
    if physical_id is not None:
        event["PhysicalResourceId"] = physical_id
    if old_props is not None:
        event["OldResourceProperties"] = custom_resource._normalise_resource_properties(old_props)
    timeout = float(props.get("ServiceTimeout") or DEFAULT_TIMEOUT_SECONDS)

    if ON_EVENT_VARIABLE in variables:
        result = _through_provider(event, variables, timeout)
    else:
        result = _through_callback(function, event, token, timeout)
    return str(result.get("PhysicalResourceId") or physical_id or token), dict(result.get("Data") or {})


def find_function(service_token: str) -> dict[str, Any] | None:
    from ministack.services import lambda_svc

    record_, config, _ = lambda_svc._get_func_record_for_ref(service_token)
    if record_ is None or config is None:
        return None
    executable: dict[str, Any] = lambda_svc._execution_record_for_config(record_, config)
    return executable


def _variables(function: dict[str, Any] | None) -> dict[str, str]:
    config = (function or {}).get("config") or {}
    return dict((config.get("Environment") or {}).get("Variables") or {})


def _is_python(function: dict[str, Any]) -> bool:
    return str(function["config"].get("Runtime", "")).startswith("python")


def call_function(function: dict[str, Any], event: dict[str, Any]) -> Any:
    """The handler's answer; a handler's exception is an error of the resource, with its message."""
    from ministack.services import lambda_svc

    result = lambda_svc._execute_function_with_config_scope(function, event)
    body = result.get("body")
    if isinstance(body, (str, bytes)):
        try:
            body = json.loads(body)
        except ValueError:
            body = {"errorMessage": str(body)} if result.get("error") else {}
    if result.get("error"):
        details = body if isinstance(body, dict) else {}
        for line in str(result.get("log") or "").splitlines():
            logger.warning("%s", line)
        raise RuntimeError(str(details.get("errorMessage") or details or "the handler failed"))
    return body


def _through_callback(
    function: dict[str, Any], event: dict[str, Any], token: str, timeout: float
) -> dict[str, Any]:
    """A handler that answers by itself to the ResponseURL."""
    from ministack.services.cloudformation import custom_resource

    answered = custom_resource.register_token(token)
    try:
        call_function(function, event)
        if not answered.wait(timeout=timeout):
            raise TimeoutError(
                f"no answer from the handler of {event['LogicalResourceId']} in {timeout:.0f} s"
            )
        result: dict[str, Any] = custom_resource._pending[token]["result"] or {}
    finally:
        with custom_resource._lock:
            custom_resource._pending.pop(token, None)
    if result.get("Status") == "FAILED":
        raise RuntimeError(str(result.get("Reason") or "the handler reported FAILED"))
    return result


def _through_provider(event: dict[str, Any], variables: dict[str, str], timeout: float) -> dict[str, Any]:
    """CDK's provider framework: onEvent, then isComplete until it says so.

    https://docs.aws.amazon.com/cdk/api/v2/docs/aws-cdk-lib.custom_resources-readme.html
    """
    on_event = _user_function(variables[ON_EVENT_VARIABLE])
    result = dict(call_function(on_event, event) or {})
    result.setdefault("PhysicalResourceId", event.get("PhysicalResourceId") or event["RequestId"])
    if IS_COMPLETE_VARIABLE not in variables:
        return result
    is_complete = _user_function(variables[IS_COMPLETE_VARIABLE])
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        answer = dict(call_function(is_complete, {**event, **result}) or {})
        if answer.get("IsComplete"):
            result["Data"] = {**(result.get("Data") or {}), **(answer.get("Data") or {})}
            return result
        time.sleep(POLL_SECONDS)
    raise TimeoutError(f"{event['LogicalResourceId']} was not complete after {timeout:.0f} s")


def _user_function(arn: str) -> dict[str, Any]:
    function = find_function(arn)
    if function is None:
        raise RuntimeError(f"the provider's function {arn} does not exist")
    return function
