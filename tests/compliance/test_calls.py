"""Whatever the platform's own code asks of AWS, the role that it runs as may do."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import Any

import botocore.session
import pytest
from botocore import xform_name
from botocore.exceptions import UnknownServiceError

import settings
from tests import authorization
from tests.options import OPTIONS, templates
from tests.policies import statements

_HANDLERS = "constructs/platform_constructs/handlers"
# Code, and where the policies of its role are.
RUNS_AS: Mapping[str, str] = {
    f"{_HANDLERS}/ecs_operations": "*/Operations/*",
    f"{_HANDLERS}/release_check": "Compute/ReleaseCheck/*",
    f"{_HANDLERS}/canary": "Observability/Canary/*",
    "delivery": "Delivery*/Default/*Role/*",
}
# Where the action is not named after the call: https://docs.aws.amazon.com/lambda/latest/api/API_Invoke.html
_NAMED_OTHERWISE = {"lambda:Invoke": "lambda:InvokeFunction"}
# Clients that are not named after the service: https://docs.aws.amazon.com/service-authorization/latest/reference/list_awselasticloadbalancingv2.html
_SERVICES = {"elbv2": "elasticloadbalancing"}
# A client that is called at once, and one in a variable, which is called like its service.
_CALLS = (re.compile(r"client\(\"([a-z0-9-]+)\"\)\.([a-z_]+)\("), re.compile(r"\b([a-z0-9]+)\.([a-z_]+)\("))


@cache
def _operations(service: str) -> Mapping[str, str]:
    try:
        model: Any = botocore.session.get_session().get_service_model(service)
    except UnknownServiceError:
        return {}
    return {xform_name(name): name for name in model.operation_names}


def calls(folder: Path) -> Iterator[str]:
    """The actions of the calls in a folder's code."""
    for file in folder.rglob("*.py"):
        text = file.read_text()
        for service, method in (found for written in _CALLS for found in written.findall(text)):
            operation = _operations(service).get(method)
            if operation:
                action = f"{_SERVICES.get(service, service)}:{operation}"
                yield _NAMED_OTHERWISE.get(action, action)


@pytest.mark.parametrize("code", RUNS_AS)
def test_the_role_of_the_platforms_code_may_do_what_the_code_does(code: str) -> None:
    held = {
        action.name
        for option in OPTIONS
        for statement in statements(templates(option))
        if statement.roles and statement.effect == "Allow" and fnmatchcase(statement.where, RUNS_AS[code])
        for name in statement.actions
        for action in authorization.actions(name)
    }
    called = set(calls(settings.ROOT / code))
    assert called
    assert called - held == set()


def test_calls_are_found_in_both_ways_of_writing_them(tmp_path: Path) -> None:
    code = 'ecs.run_task(x)\nboto3.client("lambda").invoke()\npath.read_text()\nelbv2.describe_rules()\n'
    (tmp_path / "index.py").write_text(code)
    found = {"ecs:RunTask", "lambda:InvokeFunction", "elasticloadbalancing:DescribeRules"}
    assert set(calls(tmp_path)) == found
