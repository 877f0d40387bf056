"""The policies that AWS maintains and the templates name.

Why: ministack has those that are named most often. Unnecessary when it has these.
"""

# These packages are in the emulator's own environment.
# mypy: disable-error-code="import-not-found, import-untyped"
# pyright: reportMissingImports=false, reportMissingModuleSource=false

from __future__ import annotations

import json
from pathlib import Path

from emulator import iam as rights
from emulator.bridges import Context

# https://docs.aws.amazon.com/aws-managed-policy/latest/reference/AWSCodeDeployRoleForECS.html
# https://docs.aws.amazon.com/aws-managed-policy/latest/reference/AmazonECSInfrastructureRolePolicyForLoadBalancers.html
_DOCUMENTS = Path(rights.__file__).with_name("managed_policies.json")


def install(context: Context) -> None:
    from ministack.services import iam

    for name, document in json.loads(_DOCUMENTS.read_text()).items():
        arn = f"arn:aws:iam::aws:policy/{name}"
        iam._aws_managed_policies.setdefault(arn, iam._make_aws_managed_record(name, json.dumps(document)))
