"""Plausible answers to what templates read from a resource that is only recorded."""

from __future__ import annotations

import hashlib
from typing import Any

# Services whose ARN prefix differs from their name in the CloudFormation type.
_ARN_SERVICES = {
    "ApplicationAutoScaling": "autoscaling",
    "ElasticLoadBalancingV2": "elasticloadbalancing",
    "CertificateManager": "acm",
    "CloudWatch": "cloudwatch",
}

# Types whose ids have a well-known prefix (`eipalloc-0123...`), as templates and people expect them.
_ID_PREFIXES = {
    "AWS::EC2::EIP": "eipalloc",
    "AWS::EC2::NatGateway": "nat",
    "AWS::EC2::FlowLog": "fl",
    "AWS::EC2::SecurityGroupIngress": "sgr",
    "AWS::EC2::SecurityGroupEgress": "sgr",
    "AWS::EC2::NetworkAcl": "acl",
    "AWS::EC2::NetworkAclEntry": "acle",
    "AWS::EC2::SubnetNetworkAclAssociation": "aclassoc",
    "AWS::EC2::VPCEndpoint": "vpce",
    "AWS::EC2::PrefixList": "pl",
}


def digest(*parts: str, length: int = 17) -> str:
    """The same hexadecimal text for the same parts, in every run."""
    return hashlib.sha256("/".join(parts).encode()).hexdigest()[:length]


def physical_id(resource_type: str, logical_id: str, stack: str, properties: dict[str, Any]) -> str:
    """What `Ref` answers: an id of the type's usual form, else the name that the template gives, else one of ours."""
    prefix = _ID_PREFIXES.get(resource_type)
    if prefix:
        return f"{prefix}-{digest(stack, logical_id)}"
    if resource_type == "AWS::CodeDeploy::DeploymentGroup":
        name = properties.get("DeploymentGroupName")
    elif resource_type == "AWS::ApplicationAutoScaling::ScalableTarget":
        name = "|".join(
            str(properties.get(key, "")) for key in ("ResourceId", "ScalableDimension", "ServiceNamespace")
        )
    else:
        kind = resource_type.rsplit("::", 1)[-1]
        name = properties.get("Name") or properties.get(f"{kind}Name")
    return str(name) if name else f"{stack}-{logical_id}-{digest(stack, logical_id, length=8)}"


class RecordedAttributes(dict[str, str]):
    """Attributes of a recorded resource: every attribute a template asks for has a plausible answer.

    Asked twice, it answers the same. Being an instance of this class is also how the ledger knows that a
    resource was only recorded.
    """

    def __init__(
        self, resource_type: str, logical_id: str, identifier: str, *, account: str = "", region: str = ""
    ) -> None:
        super().__init__()
        self.resource_type = resource_type
        self.logical_id = logical_id
        self.identifier = identifier
        self.account = account
        self.region = region

    def __bool__(self) -> bool:
        # Empty as long as nothing was asked: an update that keeps `attributes or {}` must keep these.
        return True

    def __contains__(self, key: object) -> bool:
        return isinstance(key, str) and bool(key)

    def __missing__(self, key: str) -> str:
        return self.answer(key)

    def __reduce__(self) -> tuple[Any, ...]:
        arguments = (self.resource_type, self.logical_id, self.identifier, self.account, self.region)
        return (_rebuild, (*arguments, dict(self)))

    def __deepcopy__(self, memo: dict[int, Any]) -> RecordedAttributes:
        return _rebuild(
            self.resource_type, self.logical_id, self.identifier, self.account, self.region, dict(self)
        )

    def answer(self, key: str) -> str:
        """An answer whose form fits the attribute's name."""
        service_type = self.resource_type.split("::")
        service = service_type[1] if len(service_type) == 3 else "custom"
        kind = service_type[-1]
        last = key.rsplit(".", 1)[-1]
        if last.lower().endswith("arn"):
            prefix = _ARN_SERVICES.get(service, service.lower())
            return f"arn:aws:{prefix}:{self.region}:{self.account}:{kind.lower()}/{self.identifier}"
        if last in ("PublicIp", "PrivateIp", "PrimaryPrivateIpAddress"):
            # TEST-NET-3 of RFC 5737: never anybody's address.
            return f"203.0.113.{int(digest(self.identifier, key, length=4), 16) % 254 + 1}"
        if last in ("Address", "Endpoint", "DNSName", "DomainName"):
            return f"{self.identifier.lower()}.invalid"
        if last == "Port":
            return "3306"
        if last.endswith("Url") or last.endswith("Uri"):
            return f"https://{self.identifier.lower()}.invalid/"
        return self.identifier


def _rebuild(
    resource_type: str, logical_id: str, identifier: str, account: str, region: str, known: dict[str, str]
) -> RecordedAttributes:
    attributes = RecordedAttributes(resource_type, logical_id, identifier, account=account, region=region)
    attributes.update(known)
    return attributes
